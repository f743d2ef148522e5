//! The cluster's encryption keys: changed and listed at all members at once.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use swim_core::Instant;
use swim_core::ids::{CommandId, KeyringChange, Name};
use swim_core::node::input::{CommandError, Reply};
use swim_core::node::trace::Traced;
use swim_core::serf::query::QueryError;
use swim_core::wire::codec::Codec;
use swim_core::wire::key_text::KeyText;
use swim_core::wire::keyring::{Key, KeyId};

use crate::cluster::STOPPED;
use crate::runtime::Runtime;
use crate::shared::{CommandFailure, Shared, Stopped};
use crate::trace::TraceSink;

/// The encryption keys of the whole cluster; from [`Cluster::keys`](crate::Cluster::keys).
///
/// Every member has the same keys. One is the primary, which seals; all of them open. A key is replaced in three steps:
/// [`install`](Self::install) the new one, [`use_key`](Self::use_key) it, [`remove`](Self::remove) the old one. Take
/// each only when the report on the one before [`is_complete`](KeyReport::is_complete): members that lack the new key
/// cannot read what the others seal with it, and are lost to them. A step that was not complete can be repeated: those
/// that have done it before do nothing and say yes. Under the preset `local`, where each member passes a question on
/// twice only, it is no surprise if one has not heard it.
///
/// Each method asks all members, this one included, and resolves when all have answered or the time of a query is up,
/// by default a few seconds. Changes asked for here follow one upon the other; whether those of other members come in
/// between is up to you.
///
/// Cancel-safe, all of them: nothing happens before the future is first polled; from then on the members are asked,
/// or the change waits its turn, whatever becomes of the future. Dropping it loses the report only.
///
/// ```
/// use swim_tokio::swim_core::wire::keyring::Key;
/// use swim_tokio::{Cluster, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (old, new) = ([1; 32], [2; 32]); // random ones, in service
/// let mut options = Options::lan("a", "127.0.0.1:0".parse()?);
/// options.config.wire.keyring.add(Key::new(&old)?)?;
/// let cluster = Cluster::start(options).await?;
///
/// let keys = cluster.keys();
/// let report = keys.install(&new).await?;
/// assert!(report.is_complete(), "{report}: {:?}", report.messages);
/// let report = keys.use_key(&new).await?;
/// assert!(report.is_complete(), "{report}: {:?}", report.messages);
/// let report = keys.remove(&old).await?;
/// assert!(report.is_complete(), "{report}: {:?}", report.messages);
/// assert_eq!(keys.keyring(), [Key::new(&new)?.id()]);
/// # Ok(())
/// # }
/// ```
pub struct Keys<'a, R: Runtime> {
    shared: &'a Shared<R>,
    /// What every member would refuse is not asked for.
    checked: bool,
}

impl<'a, R: Runtime> Keys<'a, R> {
    pub(crate) fn new(shared: &'a Shared<R>) -> Self {
        Self { shared, checked: true }
    }

    /// Asks for anything: never [`KeysError::Length`] or [`KeysError::NotEncrypted`], but each member's own refusal in
    /// the report. For tools that show people what the members say, as Serf's do.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::lan("a", "127.0.0.1:0".parse()?)).await?;
    /// let report = cluster.keys().unchecked().list().await?;
    /// assert_eq!(report.messages[&b"a"[..]], "Keyring is empty (encryption not enabled)");
    /// # Ok(())
    /// # }
    /// ```
    pub fn unchecked(self) -> Self {
        Self { checked: false, ..self }
    }

    /// Has every member install a key, behind those that it has. One that has it already keeps it where it is.
    ///
    /// # Errors
    ///
    /// See [`KeysError`]. What a member says against it is no error but in the report, as is that it says nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::KeysError;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::lan("a", "127.0.0.1:0".parse()?)).await?;
    /// match cluster.keys().install(&[2; 32]).await {
    ///     Ok(report) if report.is_complete() => println!("everybody has it"),
    ///     Ok(report) => println!("{report}: {:?}", report.messages),
    ///     Err(KeysError::Length { len, .. }) => println!("{len} bytes are no key"),
    ///     Err(KeysError::NotEncrypted) => println!("start the members with a key first"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// # assert_eq!(cluster.keys().install(&[2; 32]).await, Err(KeysError::NotEncrypted));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn install(self, key: &[u8]) -> Result<KeyReport, KeysError> {
        self.ask(Some(key), |node, now| node.install_key(now, key)).await
    }

    /// Has every member seal with an installed key from now on. It becomes the first of their rings.
    ///
    /// # Errors
    ///
    /// As of [`install`](Self::install). A member that does not have the key says so in the report.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::swim_core::wire::keyring::Key;
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut options = Options::lan("a", "127.0.0.1:0".parse()?);
    /// # options.config.wire.keyring.add(Key::new(&[1; 32])?)?;
    /// # let cluster = Cluster::start(options).await?;
    /// let report = cluster.keys().use_key(&[9; 32]).await?;
    /// assert_eq!(report.to_string(), "1/1 nodes reported failure");
    /// assert_eq!(report.messages[&b"a"[..]], "Requested key is not in the keyring");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn use_key(self, key: &[u8]) -> Result<KeyReport, KeysError> {
        self.ask(Some(key), |node, now| node.use_key(now, key)).await
    }

    /// Has every member remove a key. One that does not have it is content; one whose primary it is refuses.
    ///
    /// # Errors
    ///
    /// As of [`install`](Self::install).
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::swim_core::wire::keyring::Key;
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut options = Options::lan("a", "127.0.0.1:0".parse()?);
    /// # options.config.wire.keyring.add(Key::new(&[1; 32])?)?;
    /// # let cluster = Cluster::start(options).await?;
    /// let report = cluster.keys().remove(&[1; 32]).await?;
    /// assert_eq!(report.errors, 1);
    /// assert_eq!(report.messages[&b"a"[..]], "Removing the primary key is not allowed");
    /// assert!(cluster.keys().remove(&[9; 32]).await?.is_complete());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn remove(self, key: &[u8]) -> Result<KeyReport, KeysError> {
        self.ask(Some(key), |node, now| node.remove_key(now, key)).await
    }

    /// Has every member list its keys. Listings do not wait for changes, nor for each other.
    ///
    /// The answers bring the keys themselves; the cluster must be encrypted for that, and it is.
    ///
    /// # Errors
    ///
    /// As of [`install`](Self::install), except for the length.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::swim_core::wire::keyring::Key;
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut options = Options::lan("a", "127.0.0.1:0".parse()?);
    /// # options.config.wire.keyring.add(Key::new(&[1; 32])?)?;
    /// # let cluster = Cluster::start(options).await?;
    /// let report = cluster.keys().list().await?;
    /// for (key, nodes) in &report.keys {
    ///     let primary_of = report.primaries.get(key).unwrap_or(&0);
    ///     println!("{key:?} is at {nodes} of {} members, the primary of {primary_of}", report.nodes);
    /// }
    /// assert_eq!(report.keys.get("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="), Some(&1));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn list(self) -> Result<KeyReport, KeysError> {
        self.ask(None, |node, now| node.list_keys(now)).await
    }

    /// The keys of this member as they are now, by their ids, the primary first; nobody is asked. None: not encrypted.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::swim_core::wire::keyring::Key;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let key = Key::new(&[1; 32])?;
    /// let mut options = Options::lan("a", "127.0.0.1:0".parse()?);
    /// options.config.wire.keyring.add(key.clone())?;
    /// let cluster = Cluster::start(options).await?;
    /// assert_eq!(cluster.keys().keyring(), [key.id()]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn keyring(self) -> Vec<KeyId> {
        self.shared.with(|guarded, _| guarded.node.node().keyring().keys().map(Key::id).collect())
    }

    /// The last change of this member's keys, to be given to [`stored`](Self::stored) after
    /// [`Event::Missed`](swim_core::Event::Missed): the event that told it may be among those missed. Take it before the
    /// keys are looked at: they are then no older.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::swim_core::ids::KeyringChange;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::lan("a", "127.0.0.1:0".parse()?)).await?;
    /// assert_eq!(cluster.keys().last_change(), KeyringChange(0)); // there has been none
    /// # Ok(())
    /// # }
    /// ```
    pub fn last_change(self) -> KeyringChange {
        self.shared.with(|guarded, _| guarded.node.node().last_keyring_change())
    }

    /// Says that the keys of this member are stored as they are since `change`, or could not be, and why. With
    /// `config.serf.keyring_stored` each change of them, also one that this member asks for, waits for it, no longer than a
    /// query does: a member that starts with the keys of before is locked out, so whoever changes them must be told. See
    /// [`Node::keyring_stored`](swim_core::Node::keyring_stored).
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_tokio::swim_core::Event;
    /// use swim_tokio::swim_core::wire::keyring::{Key, Keyring};
    /// use swim_tokio::{Cluster, Options};
    /// # fn write(_: &Keyring) -> Result<(), String> { Err("no space left on device".to_owned()) }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut options = Options::lan("a", "127.0.0.1:0".parse()?);
    /// options.config.serf.keyring_stored = true;
    /// options.config.wire.keyring.add(Key::new(&[1; 32])?)?;
    /// let cluster = Cluster::start(options).await?;
    ///
    /// let (mut events, keeper) = (cluster.events(), cluster.clone());
    /// tokio::spawn(async move {
    ///     while let Some(event) = events.next().await {
    ///         if let Event::KeyringChanged { .. } | Event::Missed { .. } = event {
    ///             let change = keeper.keys().last_change();
    ///             let written = write(&keeper.keyring());
    ///             keeper.keys().stored(change, written.as_ref().copied().map_err(String::as_str));
    ///         }
    ///     }
    /// });
    /// let report = cluster.keys().install(&[2; 32]).await?;
    /// assert_eq!(report.messages[&b"a"[..]], "no space left on device");
    /// # Ok(())
    /// # }
    /// ```
    pub fn stored(self, change: KeyringChange, result: Result<(), &str>) {
        self.shared.with(|guarded, now| {
            if !guarded.stopped {
                guarded.node.keyring_stored(now, change, result);
            }
        });
        self.shared.called.notify(1);
    }

    /// Has the members do something with `key`, if it is one, and collects what they say.
    async fn ask(
        self,
        key: Option<&[u8]>,
        call: impl FnOnce(&mut Traced<Option<TraceSink>>, Instant) -> Result<CommandId, QueryError>,
    ) -> Result<KeyReport, KeysError> {
        let command = self.shared.command(|traced, now| {
            let node = traced.node();
            // Each member would refuse it just as well, but a slip of the pen need not go round the cluster.
            let fitting = fitting_lens(node.config().wire.codec);
            if let Some(len) = key.map(<[u8]>::len).filter(|len| self.checked && !fitting.contains(len)) {
                return Err(KeysError::Length { len, fitting });
            }
            // In plain text nobody else's keys can be meant, and a new one would be told to whoever listens.
            if self.checked && node.keyring().is_empty() {
                return Err(KeysError::NotEncrypted);
            }
            call(traced, now).map_err(KeysError::Query)
        });
        let command = command.map_err(|failure| match failure {
            CommandFailure::Refused(error) => error,
            CommandFailure::Stopped => KeysError::Stopped,
        })?;
        let outcome = command.await.map_err(|Stopped| KeysError::Stopped)?;
        outcome.done.map_err(KeysError::Command)?;
        KeyReport::gather(outcome.replies).ok_or(KeysError::NotAsked)
    }
}

impl<R: Runtime> Clone for Keys<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: Runtime> Copy for Keys<'_, R> {}

impl<R: Runtime> fmt::Debug for Keys<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("bound", &self.shared.bound).finish_non_exhaustive()
    }
}

/// What the members say to a change or a listing of keys (Serf: `serf/keymanager.go`, KeyResponse).
///
/// The methods of [`Keys`] give it as `Ok` also when members refused or did not answer: others may have done it, and
/// whoever goes on must know of both. [`is_complete`](Self::is_complete) is the question to ask. `Display` sums it up
/// in Serf's words; `Debug` shows no key. The examples of [`Keys`] read one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "members that refused or did not answer are in the report, they are no `Err`"]
pub struct KeyReport {
    /// Members asked: those that seemed to be alive, this one included.
    pub nodes: usize,
    /// Those that answered in time.
    pub responses: usize,
    /// Those that answered that it was not done, or something that cannot be read.
    pub errors: usize,
    /// Why not, or a warning, in the words of each that has one, by name. Every one of `errors` is in it.
    pub messages: BTreeMap<Name, String>,
    /// Of a listing: how many members hold each key.
    pub keys: BTreeMap<KeyText, usize>,
    /// Of a listing: how many members have each key as their primary. Older members do not say theirs.
    pub primaries: BTreeMap<KeyText, usize>,
}

impl KeyReport {
    /// Whether every member asked has answered that it was done. Members that had failed before were not asked.
    ///
    /// ```
    /// # use swim_tokio::swim_core::wire::keyring::Key;
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut options = Options::lan("a", "127.0.0.1:0".parse()?);
    /// # options.config.wire.keyring.add(Key::new(&[1; 32])?)?;
    /// # let cluster = Cluster::start(options).await?;
    /// let report = cluster.keys().install(&[2; 32]).await?;
    /// if !report.is_complete() {
    ///     return Err(format!("{} said nothing, {} refused", report.nodes - report.responses, report.errors).into());
    /// }
    /// # assert_eq!(report.to_string(), "1/1 nodes reported success");
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_complete(&self) -> bool {
        self.errors == 0 && self.responses == self.nodes
    }

    /// `None`: the members were not asked.
    fn gather(replies: Vec<Reply>) -> Option<Self> {
        let (mut asked, mut report) = (None, Self::default());
        for reply in replies {
            match reply {
                Reply::Members(nodes) => asked = Some(nodes),
                Reply::Key { from, result, message, keys, primary } => {
                    report.responses += 1;
                    report.errors += usize::from(!result);
                    if !result || !message.is_empty() {
                        report.messages.insert(from, message);
                    }
                    // A set: a member has a key once, however often it says so.
                    for key in keys.into_iter().collect::<BTreeSet<_>>() {
                        *report.keys.entry(key).or_default() += 1;
                    }
                    if let Some(primary) = primary {
                        *report.primaries.entry(primary).or_default() += 1;
                    }
                }
                Reply::Done(_) | _ => {}
            }
        }
        report.nodes = asked?;
        Some(report)
    }
}

impl fmt::Display for KeyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors {
            0 => write!(f, "{}/{} nodes reported success", self.responses, self.nodes),
            errors => write!(f, "{errors}/{} nodes reported failure", self.nodes),
        }
    }
}

/// Why the members were not asked about their keys, or what they said is not known. The example of [`Keys::install`]
/// tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeysError {
    /// The bytes are no key, or none for this wire format. Nothing was sent.
    Length {
        /// How many there are.
        len: usize,
        /// How many there may be.
        fitting: &'static [usize],
    },
    /// This member has no key, so neither has the cluster. Nothing was sent: keys are given to a cluster when its
    /// members start.
    NotEncrypted,
    /// It could not be asked for; nothing was sent.
    Query(QueryError),
    /// It has waited for another change and then could not be asked for; nothing was sent.
    NotAsked,
    /// What the node says.
    Command(CommandError),
    /// The cluster has stopped, before or meanwhile.
    Stopped,
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The texts of these two are Serf's, as far as it has them.
            Self::Length { fitting: [one], .. } => write!(f, "key size must be {one} bytes"),
            Self::Length { .. } => f.write_str("key size must be 16, 24 or 32 bytes"),
            Self::NotEncrypted => f.write_str("No keyring to modify (encryption not enabled)"),
            Self::Query(error) => error.fmt(f),
            Self::NotAsked => f.write_str("the query about keys could not be sent"),
            Self::Command(error) => error.fmt(f),
            Self::Stopped => f.write_str(STOPPED),
        }
    }
}

impl core::error::Error for KeysError {}

fn fitting_lens(codec: Codec) -> &'static [usize] {
    match codec {
        Codec::Native => &[32],
        Codec::Serf => &[16, 24, 32],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;
    use crate::testing::shared;

    const ONE: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const TWO: &str = "AgICAgICAgICAgICAgICAg==";

    fn said(from: &str, result: bool, message: &str, keys: &[&str], primary: &str) -> Reply {
        let key = |text: &str| KeyText::from(text.to_owned());
        let (keys, primary) = (keys.iter().copied().map(key).collect(), Some(primary).filter(|text| !text.is_empty()));
        Reply::Key { from: from.into(), result, message: message.into(), keys, primary: primary.map(key) }
    }

    /// serf-layer.md 10.5, on the asking side.
    #[test]
    fn answers_are_added_up() {
        #[rustfmt::skip]
        let table = [
            // asked, answers                                                               errors, complete, in words
            (2, vec![said("a", true, "", &[], ""), said("b", true, "", &[], "")],                0, true,  "2/2 nodes reported success"),
            (3, vec![said("a", true, "", &[], ""), said("b", true, "", &[], "")],                0, false, "2/3 nodes reported success"),
            (2, vec![said("a", true, "", &[], ""), said("b", false, "no", &[], "")],             1, false, "1/2 nodes reported failure"),
            (3, vec![said("a", true, "", &[], ""), said("b", false, "", &[], "")],               1, false, "1/3 nodes reported failure"),
            (1, vec![said("a", true, "showing first 1 of 2", &[], "")],                          0, true,  "1/1 nodes reported success"),
            (2, vec![],                                                                          0, false, "0/2 nodes reported success"),
        ];
        for (nodes, answers, errors, complete, words) in table {
            let responses = answers.len();
            let replies = [Reply::Members(nodes)].into_iter().chain(answers).collect();
            let report = KeyReport::gather(replies).unwrap();
            assert_eq!((report.nodes, report.responses, report.errors), (nodes, responses, errors), "{words}");
            assert_eq!((report.is_complete(), &*report.to_string()), (complete, words));
            assert!(report.messages.len() >= errors, "{words}: every error has its message");
        }
        assert_eq!(KeyReport::gather(vec![]), None, "a change that has waited and could not be asked for");
    }

    #[test]
    fn messages_are_by_name() {
        let report = KeyReport::gather(vec![
            Reply::Members(4),
            said("d", false, "", &[], ""),
            said("b", true, "cut", &[], ""),
            said("c", true, "", &[], ""),
            said("a", false, "no", &[], ""),
        ]);
        let messages: Vec<_> = report.unwrap().messages.into_iter().collect();
        assert_eq!(messages, [("a", "no"), ("b", "cut"), ("d", "")].map(|(name, text)| (name.into(), text.into())));
    }

    #[test]
    fn keys_are_counted_once_for_each_member() {
        let report = KeyReport::gather(vec![
            Reply::Members(3),
            said("a", true, "", &[TWO, ONE], TWO),
            said("b", true, "", &[ONE, ONE, "no key"], ONE),
            said("c", true, "", &[ONE], ""),
        ])
        .unwrap();
        let counts =
            |of: &BTreeMap<KeyText, usize>| of.iter().map(|(key, n)| (key.as_str().to_owned(), *n)).collect::<Vec<_>>();
        assert_eq!(counts(&report.keys), [(ONE.into(), 3), (TWO.into(), 1), ("no key".into(), 1)]);
        assert_eq!(counts(&report.primaries), [(ONE.into(), 1), (TWO.into(), 1)], "one does not say");
        assert_eq!(report.keys.get(ONE), Some(&3));

        let shown = format!("{report:?}");
        assert!(!shown.contains("AQEB") && !shown.contains("AgIC") && !shown.contains("1, 1, 1"), "{shown}");
        assert!(shown.contains(&Key::new(&[1; 32]).unwrap().id().to_string()), "{shown}");
    }

    /// Whatever is wrong here is found before the node hears of it.
    #[test]
    fn nothing_is_asked_in_vain() {
        let shared = shared();
        let keys = Keys::new(&shared);
        let before = shared.with(|guarded, _| guarded.node.node().summary());
        let refused = |len: usize| block_on(poll_once(keys.install(&vec![7; len]))).unwrap();
        for len in [0, 16, 24, 31, 33] {
            assert_eq!(refused(len), Err(KeysError::Length { len, fitting: &[32] }));
            assert_eq!(refused(len).unwrap_err().to_string(), "key size must be 32 bytes");
        }
        assert_eq!(refused(32), Err(KeysError::NotEncrypted));
        assert_eq!(block_on(poll_once(keys.list())), Some(Err(KeysError::NotEncrypted)));
        assert_eq!(keys.keyring(), []);
        assert_eq!(shared.with(|guarded, _| guarded.node.node().summary()), before);
        let short = KeysError::Length { len: 3, fitting: fitting_lens(Codec::Serf) };
        assert_eq!(short.to_string(), "key size must be 16, 24 or 32 bytes");

        shared.stop();
        assert_eq!(refused(32), Err(KeysError::Stopped));
    }
}
