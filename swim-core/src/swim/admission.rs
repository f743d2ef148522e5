//! Who may become a member: a question put to the embedding application.

use core::fmt;
use core::net::SocketAddr;

use crate::versions::Versions;

/// A named function that decides who is let in (memberlist: the alive and merge delegates).
///
/// It must depend on its argument alone: a replayed trace calls it again and must get the same answer.
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

/// Somebody who would be a member.
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

/// The application does not want this member. The text is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub &'static str);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for Refusal {}
