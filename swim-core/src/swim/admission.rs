//! Who may become a member: a question put to the embedding application.

use core::fmt;
use core::net::SocketAddr;

use crate::versions::Versions;

/// A named function that decides who is let in (memberlist: the alive and merge delegates).
///
/// It must depend on its argument alone: a replayed trace calls it again and must get the same answer.
///
/// ```
/// use swim_core::node::input::{ExchangeError, Reply};
/// use swim_core::swim::admission::{Admission, Candidate, Refusal};
/// use swim_core::swim::push_pull::MergeError;
/// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
/// # use pair::*;
/// # let mut now = swim_core::Instant::ZERO;
/// # let (mut config, mut b) = (config("web-1", 7946), node(config("db-1", 7947), now));
///
/// fn web_only(candidate: &Candidate<'_>) -> Result<(), Refusal> {
///     if candidate.name.starts_with(b"web-") { Ok(()) } else { Err(Refusal("not a web server")) }
/// }
/// config.admission = Some(Admission { name: "web_only", admit: web_only });
/// # let mut a = node(config, now);
/// let (seed, refusal) = (b.local().address(), Refusal("not a web server"));
/// let id = a.join(now, &[seed], false);
/// # run(&mut now, [&mut a, &mut b], 1);
/// let error = ExchangeError::Merge(MergeError::Refused(refusal));
/// assert_eq!(a.poll_reply(), Some((id, Reply::SeedFailed(seed, error))));
/// ```
#[derive(Clone, Copy)]
pub struct Admission {
    /// Written into traces, so that a replay can be given the same function.
    pub name: &'static str,
    /// Asked about every member that would be new to us, and about every one in a join exchange.
    pub admit: fn(&Candidate<'_>) -> Result<(), Refusal>,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.name).finish()
    }
}

/// Somebody who would be a member. See [`Admission`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// Any bytes.
    pub name: &'a [u8],
    /// Where it says it can be reached.
    pub address: SocketAddr,
    /// Its metadata: tags, in Serf's encoding.
    pub meta: &'a [u8],
    /// What it announced, if it did.
    pub versions: Option<Versions>,
    /// Whether it, or somebody who lists it, is just joining. A refusal then refuses the whole exchange.
    pub joining: bool,
}

/// The application does not want this member. The text is for the log. See [`Admission`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub &'static str);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for Refusal {}
