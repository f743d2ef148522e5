//! Members in this process: the library without an agent around it, and what only the library can be asked for yet.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use swim_driver::{Cluster, Events, Options, QueryAnswer, Runtime};
use swim_tokio::Tokio;
use swim_tokio::swim_core::Event;
use swim_tokio::swim_core::serf::event::MemberEvent;
use swim_tokio::swim_core::serf::member::MemberInfo;
use swim_tokio::swim_core::serf::query::Query;
use swim_tokio::swim_core::wire;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::harness::{Agent, Kind, MemberRow, Members, Peer, secs, tag, unused_address, wait_until, wait_whole};
use crate::monitor::Heard;

/// A member on a runtime, a thread and an address of its own. Dropping it ends it without a goodbye; in a failing test it
/// prints what it has seen first.
///
/// Everything that happens is kept. A query named [`WHO`] is answered at once, with its name and the payload; others
/// are left to the test.
///
/// Its cluster may be on another runtime; what waits for it is always on tokio.
pub(crate) struct Member<R: Runtime = Tokio> {
    pub(crate) name: String,
    pub(crate) bind: SocketAddr,
    pub(crate) cluster: Cluster<R>,
    events: Arc<Mutex<Vec<Event>>>,
    runtime: Handle,
    /// Dropped, it ends the thread.
    running: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The query that everybody answers; see [`answering`] for Serf's agents.
pub(crate) const WHO: &str = "who";

impl Member {
    /// As [`Member::start_on`], on tokio.
    pub(crate) fn start(name: &str, configure: impl FnOnce(&mut Options)) -> Self {
        Self::start_on(name, configure)
    }
}

impl<R: Runtime> Member<R> {
    /// Starts a member on the local profile, with the LAN's retransmissions, alone; `configure` has the last word. See
    /// [`four`] for the retransmissions.
    pub(crate) fn start_on(name: &str, configure: impl FnOnce(&mut Options)) -> Self {
        let bind = SocketAddr::new(unused_address(), 7946);
        let mut options = Options::local(name, bind);
        options.config.wire = wire::Config::serf();
        options.config.tags.insert("kind", tag(Kind::Swim));
        options.config.swim.retransmit_mult = 4;
        configure(&mut options);

        let runtime = Builder::new_current_thread().enable_all().build().expect("there are threads and sockets");
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let _closed = runtime.block_on(ended);
        });
        let cluster = handle.block_on(Cluster::<R>::start(options)).expect("the address is unused");
        let events = Arc::new(Mutex::new(Vec::new()));
        handle.spawn(collect(name.to_owned(), cluster.clone(), cluster.events(), events.clone()));
        let (running, thread) = (Some(running), Some(thread));
        Self { name: name.to_owned(), bind, cluster, events, runtime: handle, running, thread }
    }

    /// Makes this member join `other`, and fails the test if it cannot.
    pub(crate) fn join(&self, other: &(impl Peer + ?Sized)) {
        let joined = self.wait(self.cluster.join(&[other.bind().to_string()]));
        joined.unwrap_or_else(|error| panic!("{} could not join {}: {error}", self.name, other.name()));
    }

    /// What comes of a command, which must not take for ever.
    pub(crate) fn wait<T>(&self, command: impl Future<Output = T>) -> T {
        let in_time = self.runtime.block_on(async { tokio::time::timeout(secs(30), command).await });
        in_time.unwrap_or_else(|_| panic!("a command of {} takes for ever", self.name))
    }

    /// Ends it as a crash would: without a word to anybody.
    pub(crate) fn crash(&self) {
        self.wait(self.cluster.shutdown());
    }

    /// Asks, and collects what comes until the end. Several questions may be under way.
    pub(crate) fn ask(&self, query: Query<'_>) -> Asking<'_, R> {
        let start = std::time::Instant::now();
        let mut answers = self.cluster.query(query).expect("a short question");
        let task = self.runtime.spawn(async move {
            let mut asked = Asked::default();
            while let Some(answer) = answers.next().await {
                match answer {
                    QueryAnswer::Ack { from } => asked.acks.push(from.to_string()),
                    QueryAnswer::Response { from, payload } => {
                        asked.responses.push((from.to_string(), payload.into_vec()));
                    }
                    _ => panic!("not an answer: {answer:?}"),
                }
            }
            asked.took = start.elapsed();
            asked.acks.sort();
            asked.responses.sort();
            asked
        });
        Asking { member: self, task }
    }

    /// All that has happened so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        lock(&self.events).clone()
    }

    /// How a member has changed so far.
    pub(crate) fn changes(&self, of: &str) -> Vec<MemberEvent> {
        let change = |event| {
            let Event::Member { kind, member } = event else { return None };
            (member.name == of).then_some(kind)
        };
        self.events().into_iter().filter_map(change).collect()
    }

    /// Waits for the latest change of a member to be this one.
    pub(crate) fn wait_change(&self, of: &str, last: MemberEvent, deadline: Duration) {
        wait_until(&format!("{} sees {last:?} of {of}", self.name), deadline, || {
            let changes = self.changes(of);
            if changes.last() == Some(&last) { Ok(()) } else { Err(format!("it has seen {changes:?}")) }
        });
    }

    /// The user events heard so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        let user_event = |event| {
            let Event::User { ltime, name, payload, coalesce } = event else { return None };
            let name = String::from_utf8(name.into_vec()).expect("the tests use text");
            Some(Heard { ltime: ltime.0, name, payload: payload.unwrap_or_default().into_vec(), coalesce })
        };
        self.events().into_iter().filter_map(user_event).collect()
    }
}

impl<R: Runtime> Peer for Member<R> {
    fn name(&self) -> &str {
        &self.name
    }

    fn bind(&self) -> SocketAddr {
        self.bind
    }

    fn kind(&self) -> Kind {
        Kind::Swim
    }

    fn members(&self) -> Result<Members, String> {
        let row = |member: MemberInfo| {
            let serf = member.versions.application;
            let row = MemberRow {
                addr: member.address.to_string(),
                port: member.address.port().into(),
                status: member.status.to_string(),
                tags: member.tags().iter().map(|(key, tag)| (key.to_owned(), tag.to_owned())).collect(),
                protocol: [serf.min, serf.max, serf.current].map(u64::from),
            };
            (member.name.to_string(), row)
        };
        Ok(Members(self.cluster.members().into_iter().map(row).collect::<BTreeMap<_, _>>()))
    }
}

impl<R: Runtime> Drop for Member<R> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- member {} at {}, what it has seen:", self.name, self.bind);
            self.events().iter().for_each(|event| eprintln!("{event:?}"));
            eprintln!("{:?}\n{:?}", self.cluster.stats(), self.cluster.io_stats());
        }
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// A question whose answers are being collected.
pub(crate) struct Asking<'a, R: Runtime = Tokio> {
    member: &'a Member<R>,
    task: tokio::task::JoinHandle<Asked>,
}

impl<R: Runtime> Asking<'_, R> {
    /// The answers, when the time is over.
    pub(crate) fn end(self) -> Asked {
        self.member.wait(self.task).expect("the collector does not panic")
    }
}

/// What has come of a question, sorted.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) acks: Vec<String>,
    pub(crate) responses: Vec<(String, Vec<u8>)>,
    pub(crate) took: Duration,
}

/// What somebody answers to [`WHO`].
pub(crate) fn answer(name: &str, payload: &str) -> String {
    format!("{name}: {payload}")
}

/// The argument that makes an agent answer to [`WHO`] as a [`Member`] does.
pub(crate) fn answering() -> String {
    // A payload comes with a newline, which `$( )` takes off again.
    format!(r#"-event-handler=query:{WHO}=printf '%s: %s' "$SERF_SELF_NAME" "$(cat)""#)
}

/// Two of Serf's agents that answer, and two members: the smallest mixed cluster in which an answer can go by way of
/// two others.
///
/// Whoever has something to tell sends it so often that all three others are among those who get it. On Serf's local
/// profile it would be two of them, and about one message in nine would never reach the last one.
pub(crate) fn four() -> ([Agent; 2], [Member; 2]) {
    four_with(&[], |_| ())
}

pub(crate) fn four_with(serf_args: &[&str], configure: impl Fn(&mut Options)) -> ([Agent; 2], [Member; 2]) {
    let answering = answering();
    let args = [&["-profile=lan", &answering], serf_args].concat();
    let serfs = ["serf-a", "serf-b"].map(|name| Agent::start(Kind::Serf, name, &args));
    let members = ["swim-a", "swim-b"].map(|name| Member::start(name, &configure));
    members[0].join(&serfs[0]);
    serfs[1].join(&members[0]);
    members[1].join(&serfs[1]);
    wait_whole(&everybody(&serfs, &members), secs(40));
    (serfs, members)
}

pub(crate) fn everybody<'a>(serfs: &'a [Agent], members: &'a [Member]) -> Vec<&'a dyn Peer> {
    let serfs = serfs.iter().map(|agent| agent as &dyn Peer);
    serfs.chain(members.iter().map(|member| member as &dyn Peer)).collect()
}

/// Keeps what happens, and answers what is to be answered at once.
async fn collect<R: Runtime>(name: String, cluster: Cluster<R>, mut events: Events, kept: Arc<Mutex<Vec<Event>>>) {
    while let Some(event) = events.next().await {
        if let Event::Query { id, name: asked, payload, .. } = &event
            && *asked == WHO
        {
            let sent = cluster.respond(*id, answer(&name, &String::from_utf8_lossy(payload)).as_bytes());
            // The test misses the answer; why there is none, it finds here.
            sent.unwrap_or_else(|error| eprintln!("{name} cannot answer: {error}"));
        }
        lock(&kept).push(event);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
