//! The handle that applications hold.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use futures_lite::future::or;
use swim_core::ids::{LamportTime, QueryId};
use swim_core::node::Summary;
use swim_core::node::input::{CommandError, Reply};
use swim_core::node::trace::Traced;
use swim_core::serf::config::Life;
use swim_core::serf::coordinate::Coordinate;
use swim_core::serf::direct::{Delivery, SendError};
use swim_core::serf::member::MemberInfo;
use swim_core::serf::query::{Query, QueryError, RespondError};
use swim_core::serf::tags::{Tags, TagsTooLarge};
use swim_core::serf::user_event::{EventTooLarge, UserEvent};
use swim_core::stats::Stats;
use swim_core::wire::keyring::Keyring;
use swim_core::{Config, Instant};

use crate::bind::{self, Bound};
use crate::drive::drive;
use crate::events::Events;
use crate::join::{JoinError, JoinErrorKind, Joined, Seeds};
use crate::keys::Keys;
use crate::options::{Options, StartError};
use crate::query::Answers;
use crate::runtime::Runtime;
use crate::shared::{Clock, CommandFailure, IoStats, Shared, StopGuard, Stopped, TaskGuard};
use crate::snapshot::{Opened, SnapshotFile};
use crate::streams::accept;
use crate::trace::{Files, Trace, TraceSink};

/// A running member of a cluster.
///
/// Clones are the same member. Dropping the last one stops it at once, as a crash would look to the others: the
/// tasks end and the sockets close, soon after. Say goodbye with [`leave`](Self::leave) first, and wait for the end
/// with [`shutdown`](Self::shutdown) when the port is needed again. [`Events`] do not keep it running.
///
/// Dropping a future of any method is safe; what each leaves behind is said there. The views (`members`, `stats` and
/// so on) go on working after it has stopped, and then show the last state.
///
/// ```
/// use swim_tokio::{Cluster, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let a = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
/// let b = Cluster::start(Options::local("b", "127.0.0.1:0".parse()?)).await?;
/// b.join(&[a.bound_address().to_string()]).await?;
/// assert_eq!(b.members().len(), 2);
///
/// b.leave().await?;
/// b.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct Cluster<R: Runtime> {
    handle: Arc<Handle<R>>,
}

impl<R: Runtime> Cluster<R> {
    /// Binds the sockets and starts the node, alone; [`join`](Self::join) changes that, or [`Options::seeds`].
    ///
    /// It must be called on the runtime, and lives on it. Cancel-safe: it does not wait for anything.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. Nothing is left behind then, except an empty trace or snapshot file in some cases.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_tokio::{Cluster, Options, StartError};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut options = Options::lan("web-1", "127.0.0.1:0".parse()?);
    /// options.config.tags.insert("role", "web");
    /// let cluster = Cluster::start(options).await?;
    ///
    /// // Its port is taken now.
    /// let error = Cluster::start(Options::lan("web-2", cluster.bound_address())).await.unwrap_err();
    /// match error {
    ///     StartError::Bind { address, source, .. } => println!("{address}: {source}"),
    ///     error => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options { mut config, bind, advertise, seeds, seed, trace, snapshot, rejoin_after_leave } = options;
        let runtime = R::current().map_err(StartError::Runtime)?;
        let Bound { udp, tcp, address } = bind::bind(bind)?;
        config.advertise = bind::advertise(advertise, address)?;
        config.serf.snapshot = snapshot.is_some();
        config.serf.rejoin_after_leave = rejoin_after_leave;
        config.validate()?;
        let failed = |transport| move |source| StartError::Bind { transport, address, source };
        let socket = runtime.udp(udp).map_err(failed("UDP"))?;
        let listener = runtime.listener(tcp).map_err(failed("TCP"))?;
        let seed = match seed {
            Some(seed) => seed,
            None => fresh_seed()?,
        };
        let (snapshot, writer, records) = match snapshot {
            Some(path) => {
                let opened = SnapshotFile::open(&path).map_err(|error| StartError::Snapshot(path.clone(), error))?;
                let Opened { file, writer, records } = opened;
                (Some(file), Some((path, writer)), records)
            }
            None => (None, None, Vec::new()),
        };
        let (trace, files) = match trace {
            Some(options) => {
                let path = options.path.clone();
                let files = Files::create(options).map_err(|error| StartError::Trace(path.clone(), error))?;
                (Some(Arc::new(Trace::default())), Some((path, files)))
            }
            None => (None, None),
        };

        let clock = Clock::start();
        let mut node = Traced::new(config, seed, clock.now(), trace.clone().map(TraceSink))?;
        if !records.is_empty() {
            node.restore(clock.now(), &records);
            drop(records);
        }
        let shared = Arc::new(Shared::new(runtime, clock, node, trace, snapshot, address, seeds));
        // From here on the handle stops what has been started, should anything below fail.
        let handle = Arc::new(Handle { shared: shared.clone() });
        let guard = StopGuard(shared.clone());
        // A writer can have ended, its disk being full, before the tasks below have begun; that alone stops nothing.
        let _starting = TaskGuard::new(shared.clone());
        if let (Some(trace), Some((path, files))) = (shared.trace.clone(), files) {
            let guard = TaskGuard::new(shared.clone());
            let write = move || {
                trace.write_to(files);
                drop(guard);
            };
            let spawned = std::thread::Builder::new().name("swim-trace".into()).spawn(write);
            spawned.map_err(|error| StartError::Trace(path, error))?;
        }
        if let Some((path, writer)) = writer {
            let guard = TaskGuard::new(shared.clone());
            let write = move || {
                writer.run();
                drop(guard);
            };
            let spawned = std::thread::Builder::new().name("swim-snapshot".into()).spawn(write);
            spawned.map_err(|error| StartError::Snapshot(path, error))?;
        }
        shared.spawn(|shared| async move {
            let _guard = guard;
            drive(shared, socket).await;
        });
        shared.spawn(|shared| {
            let guard = StopGuard(shared.clone());
            async move {
                let _guard = guard;
                accept(shared, listener).await;
            }
        });
        #[cfg(feature = "metrics")]
        shared.spawn(crate::metrics::publish_until_stopped);
        Ok(Self { handle })
    }

    /// Joins the cluster that the seeds are members of, by exchanging the full state with each of them.
    ///
    /// A seed is `host`, `host:port`, `ip`, `ip:port`, `[ipv6]:port` or a bare `ipv6`, optionally with `name/` in
    /// front, as for Serf. The default port is the one bound here. Host names are resolved side by side, 64 at once, each
    /// for as long as a stream may take (`swim.stream_timeout`), and every address of a name is tried. One seed reached is
    /// enough. User events from before the join are not replayed.
    ///
    /// Seeds that were reached are not given up later: like [`Options::seeds`] they are tried again when they are no
    /// members any more, say after a long partition. The last 16 different ones are kept.
    ///
    /// Cancel-safe: before the names are resolved nothing has happened; after that the exchanges go on, and only their
    /// result is lost.
    ///
    /// # Errors
    ///
    /// When no seed was reached, with the reason for each. The node goes on as before, and the call may be repeated.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::{JoinErrorKind, SeedError};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let a = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// # let b = Cluster::start(Options::local("b", "127.0.0.1:0".parse()?)).await?;
    /// let joined = b.join(&[a.bound_address().to_string()]).await?;
    /// assert_eq!((joined.reached, joined.failed.len()), (1, 0));
    ///
    /// let error = b.join(&["127.0.0.1:1", "10.0.0.1:http"]).await.unwrap_err();
    /// assert_eq!(error.kind, JoinErrorKind::NoSeed);
    /// for failure in &error.failed {
    ///     match &failure.error {
    ///         SeedError::Exchange(error) => println!("{:?}: {error}", failure.address),
    ///         SeedError::Syntax(what) => println!("{:?}: {what}", failure.seed),
    ///         error => println!("{error}"),
    ///     }
    /// }
    /// # assert!(matches!(error.failed[0].error, SeedError::Exchange(_)), "{error}");
    /// # assert!(matches!(error.failed[1].error, SeedError::Syntax(_)), "{error}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn join<S: AsRef<str>>(&self, seeds: &[S]) -> Result<Joined, JoinError> {
        self.join_with(seeds, false).await
    }

    /// Like [`join`](Self::join); with `replay`, user events from before the join are delivered too, as far as the
    /// seeds still have them.
    ///
    /// # Errors
    ///
    /// As of [`join`](Self::join).
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::swim_core::Event;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let a = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// # let b = Cluster::start(Options::local("b", "127.0.0.1:0".parse()?)).await?;
    /// a.user_event(b"deploy", Some(b"v7"), false)?;
    /// let mut events = b.events();
    /// b.join_with(&[a.bound_address().to_string()], true).await?;
    /// # tokio::time::timeout(std::time::Duration::from_secs(30), async {
    /// while let Some(event) = events.next().await {
    ///     if let Event::User { name, .. } = event {
    ///         assert_eq!(*name, *b"deploy");
    ///         break;
    ///     }
    /// }
    /// # }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn join_with<S: AsRef<str>>(&self, seeds: &[S], replay: bool) -> Result<Joined, JoinError> {
        let shared = self.shared();
        if seeds.is_empty() {
            return Ok(Joined::default());
        }
        let resolving = async { Some(Seeds::resolve(shared, seeds).await) };
        let stopped = async {
            shared.stopping.wait().await;
            None
        };
        let Some(mut seeds) = or(stopped, resolving).await else {
            return Err(Seeds::stopped(seeds));
        };
        let addresses = seeds.addresses();
        if addresses.is_empty() {
            return Err(seeds.failed_for(JoinErrorKind::NoSeed));
        }
        let result = match shared.command(|node, now| Ok::<_, Never>(node.join(now, &addresses, replay))) {
            Ok(command) => command.await,
            Err(CommandFailure::Stopped) => Err(Stopped),
            Err(CommandFailure::Refused(never)) => match never {},
        };
        let Ok(outcome) = result else {
            return Err(seeds.failed_for(JoinErrorKind::Stopped));
        };
        seeds.enter(outcome.replies);
        shared.names.keep(seeds.reached());
        match outcome.done {
            Ok(()) => Ok(seeds.joined()),
            Err(CommandError::NotAlive) => Err(seeds.failed_for(JoinErrorKind::NotAlive)),
            Err(_) => Err(seeds.failed_for(JoinErrorKind::NoSeed)),
        }
    }

    /// Every member that is remembered: alive, leaving, left or failed, this one included. The order is stable.
    ///
    /// It copies them all while the node waits; with thousands of members, follow [`events`](Self::events) instead of
    /// calling it often.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// for member in cluster.members() {
    ///     println!("{} at {} is {}", member.name, member.address, member.status);
    /// }
    /// # assert_eq!(cluster.members().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn members(&self) -> Vec<MemberInfo> {
        self.shared().with(|guarded, _| guarded.node.node().members().map(|member| member.to_info()).collect())
    }

    /// The member of this name.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::swim_core::serf::member::Status;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// assert_eq!(cluster.member(b"a").map(|member| member.status), Some(Status::Alive));
    /// assert_eq!(cluster.member(b"b"), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn member(&self, name: &[u8]) -> Option<MemberInfo> {
        self.shared().with(|guarded, _| guarded.node.node().member(name).map(|member| member.to_info()))
    }

    /// This member.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// let local = cluster.local();
    /// assert_eq!((local.name.as_str(), local.address), (Some("a"), cluster.advertised_address()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn local(&self) -> MemberInfo {
        self.shared().with(|guarded, _| guarded.node.node().local().to_info())
    }

    /// This member's tags.
    ///
    /// ```
    /// use swim_tokio::{Cluster, Options};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut options = Options::local("a", "127.0.0.1:0".parse()?);
    /// options.config.tags.insert("role", "web");
    /// let cluster = Cluster::start(options).await?;
    /// assert_eq!(cluster.tags().get("role"), Some("web"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn tags(&self) -> Tags {
        self.shared().with(|guarded, _| guarded.node.node().tags().clone())
    }

    /// What happens from now on. May be called many times; each has a queue of its own.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::swim_core::Event;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// let mut events = cluster.events();
    /// let told = cluster.user_event(b"deploy", None, false)?;
    /// # tokio::time::timeout(std::time::Duration::from_secs(30), async {
    /// while let Some(event) = events.next().await {
    ///     match event {
    ///         Event::Member { kind, member } => println!("{}: {}", kind.as_str(), member.name),
    ///         Event::User { ltime, name, .. } if ltime == told => {
    ///             assert_eq!(*name, *b"deploy");
    ///             break;
    ///         }
    ///         Event::Missed { count } => println!("{count} missed, now {:?}", cluster.members()),
    ///         _ => {}
    ///     }
    /// }
    /// # }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> Events {
        // Under the lock, so that none is added after `stop` has closed them all.
        self.shared().with(|guarded, _| {
            let events = self.shared().consumers.add();
            if guarded.stopped {
                self.shared().consumers.close();
            }
            events
        })
    }

    /// Replaces this member's tags and tells the others; resolves when the news has been sent. At most 512 bytes, encoded.
    ///
    /// Cancel-safe: the tags are replaced when the future is polled first, and the news spreads anyway.
    ///
    /// # Errors
    ///
    /// [`SetTagsError::TooLarge`] and nothing is changed; [`CommandError::TimedOut`] when the tags are changed but the
    /// news may not have spread; [`CommandError::NotAlive`] after [`leave`](Self::leave).
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::SetTagsError;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// cluster.set_tags([("role", "web"), ("zone", "a")].into_iter().collect()).await?;
    /// assert_eq!(cluster.tags().get("zone"), Some("a"));
    ///
    /// let long = [("role", "x".repeat(600))].into_iter().collect();
    /// match cluster.set_tags(long).await {
    ///     Err(SetTagsError::TooLarge(error)) => println!("{error}"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set_tags(&self, tags: Tags) -> Result<(), SetTagsError> {
        let command = match self.shared().command(|node, now| node.set_tags(now, &tags)) {
            Ok(command) => command,
            Err(CommandFailure::Refused(error)) => return Err(SetTagsError::TooLarge(error)),
            Err(CommandFailure::Stopped) => return Err(SetTagsError::Stopped),
        };
        let outcome = command.await.map_err(|Stopped| SetTagsError::Stopped)?;
        outcome.done.map_err(SetTagsError::Command)
    }

    /// Pings a member once; the round-trip time.
    ///
    /// Cancel-safe: the ping goes on and its answer is ignored.
    ///
    /// # Errors
    ///
    /// [`CommandError::NoMember`] when nobody has this name, [`CommandError::TimedOut`] when there was no answer
    /// within the probe timeout.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::PingError;
    /// use swim_tokio::swim_core::node::input::CommandError;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let a = Cluster::start(Options::wan("a", "127.0.0.1:0".parse()?)).await?;
    /// # let b = Cluster::start(Options::wan("b", "127.0.0.1:0".parse()?)).await?;
    /// b.join(&[a.bound_address().to_string()]).await?;
    /// println!("a is {:?} away", b.ping(b"a").await?);
    /// match b.ping(b"nobody").await {
    ///     Err(PingError::Command(CommandError::NoMember)) => {}
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ping(&self, name: &[u8]) -> Result<Duration, PingError> {
        let command = self.shared().command(|node, now| Ok::<_, Never>(node.ping(now, name)));
        let command = match command {
            Ok(command) => command,
            Err(CommandFailure::Refused(never)) => match never {},
            Err(CommandFailure::Stopped) => return Err(PingError::Stopped),
        };
        let outcome = command.await.map_err(|Stopped| PingError::Stopped)?;
        outcome.done.map_err(PingError::Command)?;
        let pong = outcome.replies.into_iter().find_map(|reply| match reply {
            Reply::Pong(rtt) => Some(rtt),
            Reply::SeedReached(_) | Reply::SeedFailed(..) | Reply::Done(_) | _ => None,
        });
        pong.ok_or(PingError::Command(CommandError::TimedOut))
    }

    /// Tells everybody that something has happened; the event clock's time of it. Each member hears it once, this one
    /// included, as an event. With `coalesce`, members may drop all but the latest of events of the same name that come
    /// close together.
    ///
    /// # Errors
    ///
    /// [`UserEventError::TooLarge`] when name and payload are longer than the configured limit, 512 bytes by default;
    /// nothing is sent then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::UserEventError;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// let first = cluster.user_event(b"deploy", Some(b"v7"), false)?;
    /// let second = cluster.user_event(b"reload", None, true)?;
    /// assert!(first < second);
    ///
    /// match cluster.user_event(b"deploy", Some(&[0; 1000]), false) {
    ///     Err(UserEventError::TooLarge(error)) => println!("{error}"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn user_event(
        &self,
        name: &[u8],
        payload: Option<&[u8]>,
        coalesce: bool,
    ) -> Result<LamportTime, UserEventError> {
        let time = self.call(|node, now| node.user_event(now, UserEvent { name, payload, coalesce }));
        time.ok_or(UserEventError::Stopped)?.map_err(UserEventError::TooLarge)
    }

    /// Asks the members something. The answers come as they arrive, until the query's timeout, by default one that
    /// grows with the cluster; this member may be among them.
    ///
    /// # Errors
    ///
    /// [`AskError::Query`] when the query is too long or too many are running; nothing is sent then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use core::time::Duration;
    /// use swim_tokio::AskError;
    /// use swim_tokio::swim_core::serf::query::Query;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// let query = Query {
    ///     name: b"load",
    ///     filter_tags: &[("role", "^web$")],
    ///     timeout: Some(Duration::from_millis(100)),
    ///     ..Query::default()
    /// };
    /// let mut answers = cluster.query(query)?;
    /// while let Some(answer) = answers.next().await {
    ///     println!("{answer:?}");
    /// }
    ///
    /// match cluster.query(Query { payload: Some(&[0; 2000]), ..query }) {
    ///     Err(AskError::Query(error)) => println!("{error}"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn query(&self, query: Query<'_>) -> Result<Answers<R>, AskError> {
        match self.shared().stream_command(|node, now| node.query(now, query)) {
            Ok(id) => Ok(Answers::new(self.shared().clone(), id)),
            Err(CommandFailure::Refused(error)) => Err(AskError::Query(error)),
            Err(CommandFailure::Stopped) => Err(AskError::Stopped),
        }
    }

    /// Answers a query that came as [`Event::Query`](swim_core::Event::Query). Once, and before its deadline.
    ///
    /// # Errors
    ///
    /// [`AnswerError::Respond`] says what was wrong; nothing is sent then, unless only the relays failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::swim_core::serf::query::Query;
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::AnswerError;
    /// use swim_tokio::swim_core::Event;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// let mut events = cluster.events();
    /// # let answers = cluster.query(Query { name: b"load", ..Query::default() })?;
    /// # tokio::time::timeout(std::time::Duration::from_secs(30), async {
    /// while let Some(event) = events.next().await {
    ///     match event {
    ///         Event::Query { id, name, .. } if name.as_bytes() == b"load" => {
    ///             cluster.respond(id, b"0.7")?;
    ///             // One answer is all that there may be.
    ///             assert!(matches!(cluster.respond(id, b"0.8"), Err(AnswerError::Respond(_))));
    /// #           break;
    ///         }
    ///         _ => {}
    ///     }
    /// }
    /// # Ok::<_, AnswerError>(())
    /// # }).await??;
    /// # Ok(())
    /// # }
    /// ```
    pub fn respond(&self, to: QueryId, payload: &[u8]) -> Result<(), AnswerError> {
        let sent = self.call(|node, now| node.respond(now, to, payload));
        sent.ok_or(AnswerError::Stopped)?.map_err(AnswerError::Respond)
    }

    /// Says something to one member, and to nobody else; there it comes as
    /// [`Event::Message`](swim_core::Event::Message). Between members of the native wire format only.
    ///
    /// By datagram it must fit into one packet; this resolves when it has been handed out for sending, and says nothing
    /// about its arrival. By stream it may have `serf.message_size_limit` bytes, 1 MiB by default; this resolves when the
    /// receiver has said that it is in its node's event queue. Its application may still miss it there: when it reads
    /// no [`Events`], reads them too slowly, or ends. See [`Node::send`](swim_core::Node::send).
    ///
    /// Cancel-safe: before the future is polled first nothing has happened; after that the message is on its way, and
    /// only its outcome is lost.
    ///
    /// # Errors
    ///
    /// [`MessageError::Send`] and nothing is sent. [`MessageError::Command`], by stream only: with
    /// [`CommandError::Refused`] the message was not taken, with any other nobody knows whether it was.
    pub async fn send(&self, to: &[u8], payload: &[u8], by: Delivery) -> Result<(), MessageError> {
        let command = match self.shared().command(|node, now| node.send(now, to, payload, by)) {
            Ok(command) => command,
            Err(CommandFailure::Refused(error)) => return Err(MessageError::Send(error)),
            Err(CommandFailure::Stopped) => return Err(MessageError::Stopped),
        };
        command.await.map_err(|Stopped| MessageError::Stopped)?.done.map_err(MessageError::Command)
    }

    /// Makes a member that failed count as having left; with `prune`, it is forgotten as well. A member that is there
    /// will object, and with `prune` be forgotten all the same, by all others, until it has left, or failed, and come back.
    /// Unknown names are no error.
    ///
    /// Cancel-safe: it is done when the future is polled first.
    ///
    /// # Errors
    ///
    /// [`LeaveError::Stopped`] when the cluster was stopped before or meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// cluster.force_leave(b"web-9", true).await?;
    /// assert_eq!(cluster.member(b"web-9"), None);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn force_leave(&self, name: &[u8], prune: bool) -> Result<(), LeaveError> {
        let command = match self.shared().command(|node, now| Ok::<_, Never>(node.force_leave(now, name, prune))) {
            Ok(command) => command,
            Err(CommandFailure::Refused(never)) => match never {},
            Err(CommandFailure::Stopped) => return Err(LeaveError::Stopped),
        };
        command.await.map_err(|Stopped| LeaveError::Stopped)?.done.map_err(LeaveError::Command)
    }

    /// The encryption keys of the cluster: to change them at all members, or to list them. See [`Keys`], with an example.
    pub fn keys(&self) -> Keys<'_, R> {
        Keys::new(self.shared())
    }

    /// Says goodbye, so that the others list this member as left and not as failed; resolves when the news has had
    /// time to spread, some seconds later. If it cannot be sent, the node leaves all the same, after twice the
    /// configured `broadcast_timeout`. Afterwards it still answers until [`shutdown`](Self::shutdown), but there is no
    /// way back.
    ///
    /// Cancel-safe: the goodbye goes on. Calling it again while it goes on, or after it, is not a second goodbye.
    ///
    /// # Errors
    ///
    /// [`LeaveError::Stopped`] when the cluster was stopped before or meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::LeaveError;
    /// use swim_tokio::swim_core::serf::config::Life;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// match cluster.leave().await {
    ///     Ok(()) => assert_eq!(cluster.life(), Life::Left),
    ///     Err(LeaveError::Stopped) => println!("somebody was faster"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// cluster.shutdown().await;
    /// # assert_eq!(cluster.leave().await, Err(LeaveError::Stopped));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn leave(&self) -> Result<(), LeaveError> {
        let command = match self.shared().command(|node, now| Ok::<_, Never>(node.leave(now))) {
            Ok(command) => command,
            Err(CommandFailure::Refused(never)) => match never {},
            Err(CommandFailure::Stopped) => return Err(LeaveError::Stopped),
        };
        let outcome = command.await.map_err(|Stopped| LeaveError::Stopped)?;
        if let Some(snapshot) = &self.shared().snapshot {
            // Whoever ends the process now must not come back as if it had not left.
            snapshot.sync().await;
        }
        outcome.done.map_err(LeaveError::Command)
    }

    /// Stops everything without a goodbye; resolves when the tasks have ended, the sockets are closed and the trace
    /// and the snapshot are written. Commands that wait end with an error, [`Events`] after those already there.
    ///
    /// Cancel-safe: it stops anyway, as soon as the future has been polled.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// let address = cluster.bound_address();
    /// cluster.shutdown().await;
    /// let again = Cluster::start(Options::local("a", address)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self) {
        self.shared().stop();
        self.stopped().await;
    }

    /// Resolves when everything has stopped, for whatever reason: [`shutdown`](Self::shutdown), the end of the runtime,
    /// or a defect in the node. Waiting for it keeps this handle, and so the cluster. Cancel-safe.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// let watched = cluster.clone();
    /// let watch = tokio::spawn(async move { watched.stopped().await });
    /// cluster.shutdown().await;
    /// watch.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stopped(&self) {
        self.shared().ended.wait().await;
    }

    /// What the node has counted since the start.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// let stats = cluster.stats();
    /// println!("{} sent, {} malformed", stats.datagrams_sent, stats.datagrams_malformed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> Stats {
        self.shared().with(|guarded, _| guarded.node.node().stats().clone())
    }

    /// Troubles with sockets since the start.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::IoStats;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// assert_eq!(cluster.io_stats(), IoStats::default(), "no troubles yet");
    /// # Ok(())
    /// # }
    /// ```
    pub fn io_stats(&self) -> IoStats {
        self.shared().io.read()
    }

    /// How much of everything there is now.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// let summary = cluster.summary();
    /// assert_eq!((summary.members, summary.failed, summary.sealed), (1, 0, false));
    /// # Ok(())
    /// # }
    /// ```
    pub fn summary(&self) -> Summary {
        self.shared().with(|guarded, _| guarded.node.node().summary())
    }

    /// Where a member is in the space of round trips: this one, or one that this one has probed. `None` also when
    /// coordinates are off.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// assert!(cluster.coordinate(b"a").is_some());
    /// assert!(cluster.coordinate(b"nobody").is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn coordinate(&self, name: &[u8]) -> Option<Coordinate> {
        self.shared().with(|guarded, _| guarded.node.node().coordinate(name))
    }

    /// The estimated round trip between two members, either of which may be this one; from coordinates, without asking
    /// anybody. `None` when one of them has not been probed yet, or coordinates are off.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// match cluster.rtt(b"a", b"b") {
    ///     Some(rtt) => println!("about {rtt:?}"),
    ///     None => println!("not known yet"),
    /// }
    /// # assert_eq!(cluster.rtt(b"a", b"b"), None);
    /// # assert!(cluster.rtt(b"a", b"a").is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn rtt(&self, a: &[u8], b: &[u8]) -> Option<Duration> {
        self.shared().with(|guarded, _| guarded.node.node().rtt(a, b))
    }

    /// Whether this member is alive, leaving, or has left.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// use swim_tokio::swim_core::serf::config::Life;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// assert_eq!(cluster.life(), Life::Alive);
    /// # Ok(())
    /// # }
    /// ```
    pub fn life(&self) -> Life {
        self.shared().with(|guarded, _| guarded.node.node().life())
    }

    /// The keys that it has now, those that queries of others have brought included: for a file that keeps them.
    pub fn keyring(&self) -> Keyring {
        self.shared().with(|guarded, _| guarded.node.node().keyring().clone())
    }

    /// The configuration it was started with, with the address it advertises.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// assert_eq!(cluster.config().advertise, cluster.bound_address());
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(&self) -> Config {
        self.shared().with(|guarded, _| guarded.node.node().config().clone())
    }

    /// Where it listens, with the real port.
    ///
    /// ```
    /// # use swim_tokio::{Cluster, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cluster = Cluster::start(Options::local("a", "127.0.0.1:0".parse()?)).await?;
    /// assert_ne!(cluster.bound_address().port(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn bound_address(&self) -> SocketAddr {
        self.shared().bound
    }

    /// Where the others reach it.
    ///
    /// ```
    /// use swim_tokio::{Cluster, Options};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut options = Options::local("a", "127.0.0.1:0".parse()?);
    /// options.advertise = Some("192.0.2.7:7946".parse()?); // as the others see it, say, through a router
    /// let cluster = Cluster::start(options).await?;
    /// assert_eq!(cluster.advertised_address(), "192.0.2.7:7946".parse()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn advertised_address(&self) -> SocketAddr {
        self.shared().advertised
    }

    /// A call that is over at once; `None` when the cluster has stopped.
    fn call<T>(&self, call: impl FnOnce(&mut Traced<Option<TraceSink>>, Instant) -> T) -> Option<T> {
        let result = self.shared().with(|guarded, now| (!guarded.stopped).then(|| call(&mut guarded.node, now)));
        self.shared().called.notify(1);
        result
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<R>> {
        &self.handle.shared
    }
}

impl<R: Runtime> Clone for Cluster<R> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone() }
    }
}

impl<R: Runtime> fmt::Debug for Cluster<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the lock: it may be held by whoever formats this.
        f.debug_struct("Cluster")
            .field("bound", &self.shared().bound)
            .field("advertised", &self.shared().advertised)
            .finish_non_exhaustive()
    }
}

/// What clones share. The tasks hold [`Shared`] but not this, so its end means that no application is left.
struct Handle<R: Runtime> {
    shared: Arc<Shared<R>>,
}

impl<R: Runtime> Drop for Handle<R> {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// The error of commands that the node always takes.
#[derive(Debug)]
enum Never {}

fn fresh_seed() -> Result<[u8; 32], StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        tracing::error!(%error, "no random numbers");
        StartError::Random
    })?;
    Ok(seed)
}

/// Why tags were not replaced, or not with certainty known to everybody.
///
/// [`Cluster::set_tags`] gives it; its example tells the cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetTagsError {
    /// They do not fit; nothing was changed.
    TooLarge(TagsTooLarge),
    /// What the node says.
    Command(CommandError),
    /// The cluster has stopped.
    Stopped,
}

/// Why a ping had no answer.
///
/// [`Cluster::ping`] gives it; its example tells the cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PingError {
    /// What the node says.
    Command(CommandError),
    /// The cluster has stopped.
    Stopped,
}

/// Why a goodbye was not said to its end.
///
/// [`Cluster::leave`] gives it; its example tells the cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaveError {
    /// What the node says.
    Command(CommandError),
    /// The cluster has stopped.
    Stopped,
}

/// Why a message did not reach a member, or not with certainty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// It was not sent.
    Send(SendError),
    /// What the node says.
    Command(CommandError),
    /// The cluster has stopped. What was on its way may have arrived.
    Stopped,
}

/// Why a user event was not told.
///
/// [`Cluster::user_event`] gives it; its example tells the cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserEventError {
    /// It is too long.
    TooLarge(EventTooLarge),
    /// The cluster has stopped.
    Stopped,
}

/// Why a query was not asked.
///
/// [`Cluster::query`] gives it; its example tells the cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError {
    /// What the node says.
    Query(QueryError),
    /// The cluster has stopped.
    Stopped,
}

/// Why a query was not answered.
///
/// [`Cluster::respond`] gives it; its example tells the cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// What the node says.
    Respond(RespondError),
    /// The cluster has stopped.
    Stopped,
}

macro_rules! error_display {
    ($($error:ident::$variant:ident),*) => {$(
        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::$variant(error) => error.fmt(f),
                    Self::Stopped => f.write_str(STOPPED),
                }
            }
        }

        impl core::error::Error for $error {}
    )*};
}
error_display!(UserEventError::TooLarge, AskError::Query, AnswerError::Respond);

pub(crate) const STOPPED: &str = "the cluster has stopped";

impl fmt::Display for SetTagsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(error) => error.fmt(f),
            Self::Command(error) => error.fmt(f),
            Self::Stopped => f.write_str(STOPPED),
        }
    }
}

impl fmt::Display for PingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(error) => error.fmt(f),
            Self::Stopped => f.write_str(STOPPED),
        }
    }
}

impl fmt::Display for LeaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(error) => error.fmt(f),
            Self::Stopped => f.write_str(STOPPED),
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(error) => error.fmt(f),
            Self::Command(error) => error.fmt(f),
            Self::Stopped => f.write_str(STOPPED),
        }
    }
}

impl core::error::Error for MessageError {}
impl core::error::Error for SetTagsError {}
impl core::error::Error for PingError {}
impl core::error::Error for LeaveError {}
