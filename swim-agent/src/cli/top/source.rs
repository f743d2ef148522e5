//! What the agent is asked, and how often: one thread with one connection, on which its events come as well.

use core::convert::Infallible;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle, sleep};
use std::time::Instant;

use swim_tokio::swim_core::serf::coordinate::Coordinate;

use crate::cli::Failure;
use crate::cli::connection::connect;
use crate::cli::flags::Parsed;
use crate::cli::top::Input;
use crate::cli::top::state::{News, Stats};
use crate::rpc::client::{Client, ClientError, Stream};
use crate::rpc::messages::{Event, Member};

/// A connected agent that has answered once.
pub(super) struct Source {
    parsed: Parsed,
    client: Client<Box<dyn Stream>>,
}

impl Source {
    /// Connects, and asks for what every picture needs: who is refused here would be refused later.
    pub(super) fn connect(parsed: &Parsed) -> Result<Self, Failure> {
        let mut client = connect(parsed)?;
        let failed = |what: &str, error: ClientError| Failure::Message(format!("Error {what}: {error}"));
        client.set_patience(PATIENCE).map_err(|error| failed("connecting to Serf agent", error))?;
        members(&mut client).map_err(|error| failed("retrieving members", error))?;
        Ok(Self { parsed: parsed.clone(), client })
    }

    /// Tells all there is to tell, and goes on until nobody listens.
    pub(super) fn start(self, inputs: SyncSender<Input>) -> JoinHandle<()> {
        thread::spawn(move || {
            let Self { parsed, client } = self;
            let news = Outlet(inputs);
            let mut connected = Some(client);
            let mut delay = RETRY_FIRST;
            loop {
                let why = match connected.take().map_or_else(|| connect(&parsed), Ok) {
                    Ok(client) => {
                        delay = RETRY_FIRST;
                        match Session::new(client).run(&news) {
                            Err(End::Agent(error)) => error.to_string(),
                            Err(End::Reader) => return,
                            Ok(never) => match never {},
                        }
                    }
                    Err(Failure::Message(text)) => text,
                    Err(Failure::Usage(text)) => text.to_owned(),
                };
                if news.send(News::Lost(why)).is_err() {
                    return;
                }
                sleep(delay);
                delay = (delay * 2).min(RETRY_LAST);
            }
        })
    }
}

/// Where the news goes.
struct Outlet(SyncSender<Input>);

impl Outlet {
    fn send(&self, news: News) -> Result<(), End> {
        self.0.send(Input::News(news)).map_err(|_| End::Reader)
    }
}

/// Why there is no more to tell.
#[derive(Debug)]
enum End {
    /// The connection is lost.
    Agent(ClientError),
    /// Nobody wants to know.
    Reader,
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> Self {
        Self::Agent(error)
    }
}

/// One connection.
struct Session {
    client: Client<Box<dyn Stream>>,
    /// When what is asked for again and again is due.
    stats_due: Instant,
    members_due: Instant,
    /// Members whose coordinates are to be asked for in this round.
    round: VecDeque<String>,
    round_due: Instant,
    /// Where the agent's own member is, as of this round.
    own: Option<Coordinate>,
    own_name: String,
    /// Whose distance is of interest.
    alive: Vec<String>,
}

impl Session {
    fn new(client: Client<Box<dyn Stream>>) -> Self {
        let now = Instant::now();
        Self {
            client,
            stats_due: now,
            members_due: now,
            round: VecDeque::new(),
            round_due: now,
            own: None,
            own_name: String::new(),
            alive: Vec::new(),
        }
    }

    fn run(mut self, news: &Outlet) -> Result<Infallible, End> {
        self.client.set_patience(PATIENCE)?;
        // Before anything is asked for: between an answer and the stream nothing may be missed.
        self.client.stream("*")?;
        news.send(News::Connected)?;
        loop {
            if self.stats_due <= Instant::now() {
                self.stats_due = Instant::now() + STATS_EVERY;
                let stats = allowed(self.client.stats())?.unwrap_or_else(Stats::new);
                let name = stats.get("agent").and_then(|agent| agent.get("name"));
                self.own_name = name.cloned().unwrap_or_default();
                news.send(News::Stats(stats))?;
            }
            if self.members_due <= Instant::now() {
                self.members_due = Instant::now() + MEMBERS_EVERY;
                let members = members(&mut self.client)?;
                let alive = members.iter().filter(|member| member.status == "alive");
                self.alive = alive.map(|member| member.name.clone()).collect();
                news.send(News::Members(members))?;
            }
            self.measure(news)?;
            let until = self.stats_due.min(self.members_due);
            while let Some((_, record)) =
                self.client.record_within(until.saturating_duration_since(Instant::now()), PATIENCE)?
            {
                let event = Event::decode(record).map_err(ClientError::from)?;
                if let Event::Members { kind, .. } = &event
                    && kind == "member-join"
                {
                    // Soon, so that its distance is known; not at once, because many may come together.
                    self.round_due = self.round_due.min(Instant::now() + STATS_EVERY);
                    self.members_due = self.members_due.min(Instant::now() + STATS_EVERY);
                }
                let time = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
                news.send(News::Event { time, event })?;
            }
        }
    }

    /// Asks for some coordinates: those of many members change slowly, and every one is a question.
    fn measure(&mut self, news: &Outlet) -> Result<(), End> {
        if self.round.is_empty() && self.round_due <= Instant::now() && !self.own_name.is_empty() {
            self.own = allowed(self.client.coordinate(&self.own_name))?.flatten();
            let known = self.own.is_some();
            self.round_due = Instant::now() + if known { ROUND_EVERY } else { ROUND_EVERY_UNKNOWN };
            if known {
                self.round = self.alive.iter().filter(|name| **name != self.own_name).cloned().collect();
            }
        }
        for _ in 0..COORDINATES_AT_ONCE.min(self.round.len()) {
            let Some(name) = self.round.pop_front() else { break };
            let there = allowed(self.client.coordinate(&name))?.flatten();
            let time = self.own.as_ref().zip(there).map(|(here, there)| here.distance_to(&there));
            if time.is_none() {
                // The agent will probe it soon, and then know.
                self.round_due = self.round_due.min(Instant::now() + ROUND_EVERY_UNKNOWN);
            }
            news.send(News::RoundTrip { name, time })?;
        }
        Ok(())
    }
}

fn members(client: &mut Client<Box<dyn Stream>>) -> Result<Vec<Member>, ClientError> {
    client.members_filtered(&BTreeMap::new(), "", "")
}

/// What an agent does not want to tell is not there; that is no reason to leave it.
fn allowed<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ClientError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

const STATS_EVERY: Duration = Duration::from_secs(1);
/// The list changes by events; this is for what has been missed.
const MEMBERS_EVERY: Duration = Duration::from_secs(10);
/// Shortest time from one round of coordinates to the next.
const ROUND_EVERY: Duration = Duration::from_secs(30);
/// The same, if some were not known.
const ROUND_EVERY_UNKNOWN: Duration = Duration::from_secs(5);
/// Coordinates asked for in a row, about once a second.
const COORDINATES_AT_ONCE: usize = 64;
/// An agent that does not answer for so long is left, and tried again. Serf's takes six seconds to prune a member.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time until a lost agent is tried again, first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LAST: Duration = Duration::from_secs(8);
