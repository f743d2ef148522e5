//! What the application has asked for and waits to hear of.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::ids::{CommandId, Name};
use crate::log::log;
use crate::node::Core;
use crate::node::input::{CommandError, ExchangeError, Reply};
use crate::serf::config::Life;
use crate::serf::internal_query::KeyCommand;
use crate::serf::query::{Answer, Query, QueryError};
use crate::serf::snapshot::{Record, Restored};
use crate::serf::tags::Tags;
use crate::swim::probe::PingOutcome;
use crate::time::Instant;
use crate::timers::Timer;

/// Commands under way, and replies that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Commands {
    last: u64,
    replies: VecDeque<(CommandId, Reply)>,
    joins: BTreeMap<CommandId, Join>,
    /// Changes of tags whose broadcast has not been sent yet, in order.
    updates: VecDeque<CommandId>,
    leaves: VecDeque<CommandId>,
    rejoin: Option<Rejoin>,
    /// Of all exchanges that heal; nobody waits for replies.
    heal: Option<CommandId>,
}

#[derive(Debug)]
struct Join {
    /// Whether old user events are wanted.
    replay: bool,
    waiting: VecDeque<SocketAddr>,
    running: usize,
    reached: usize,
}

/// The way back into the cluster of an earlier run.
#[derive(Debug)]
struct Rejoin {
    /// Of the exchange under way; nobody waits for replies.
    id: CommandId,
    asked: Option<(Name, SocketAddr)>,
    /// Those that did not answer.
    unreached: Vec<(Name, SocketAddr)>,
    /// The next one last.
    waiting: Vec<(Name, SocketAddr)>,
}

impl Commands {
    pub(super) fn poll(&mut self) -> Option<(CommandId, Reply)> {
        self.replies.pop_front()
    }

    /// The broadcast of a change of tags has been sent, or overtaken by a newer one.
    pub(super) fn update_sent(&mut self, id: CommandId) {
        if let Some(index) = self.updates.iter().position(|waiting| *waiting == id) {
            self.updates.remove(index);
            self.done(id, Ok(()));
        }
    }

    pub(super) fn updates_timed_out(&mut self) {
        while let Some(id) = self.updates.pop_front() {
            self.done(id, Err(CommandError::TimedOut));
        }
    }

    pub(super) fn ping_over(&mut self, outcome: PingOutcome) {
        match outcome.rtt {
            Some(rtt) => {
                self.replies.push_back((outcome.command, Reply::Pong(rtt)));
                self.done(outcome.command, Ok(()));
            }
            None => self.done(outcome.command, Err(CommandError::TimedOut)),
        }
    }

    /// Something has come of a query, or of a change or a listing of keys.
    pub(super) fn answered(&mut self, id: CommandId, answer: Answer) {
        self.replies.push_back((
            id,
            match answer {
                Answer::Members(count) => Reply::Members(count),
                Answer::Ack { from } => Reply::Ack { from },
                Answer::Response { from, payload } => Reply::Response { from, payload },
                Answer::Key { from, result, message, keys, primary } => {
                    Reply::Key { from, result, message, keys, primary }
                }
                Answer::Done => Reply::Done(Ok(())),
            },
        ));
    }

    pub(super) fn start(&mut self) -> CommandId {
        self.last += 1;
        CommandId(self.last)
    }

    pub(super) fn done(&mut self, id: CommandId, result: Result<(), CommandError>) {
        self.replies.push_back((id, Reply::Done(result)));
    }
}

impl Core {
    pub(super) fn join(&mut self, now: Instant, seeds: &[SocketAddr], replay: bool) -> CommandId {
        let id = self.commands.start();
        if self.serf.life() != Life::Alive {
            self.commands.done(id, Err(CommandError::NotAlive));
        } else if seeds.is_empty() {
            self.commands.done(id, Err(CommandError::NoSeed));
        } else if self.commands.joins.len() >= JOINS_MAX {
            self.stats.joins_over_limit += 1;
            let refused = seeds.iter().map(|seed| (id, Reply::SeedFailed(*seed, ExchangeError::Busy)));
            self.commands.replies.extend(refused);
            self.commands.done(id, Err(CommandError::NoSeed));
        } else {
            let join = Join { replay, waiting: seeds.iter().copied().collect(), running: 0, reached: 0 };
            self.commands.joins.insert(id, join);
            self.continue_join(now, id);
        }
        id
    }

    /// A seed of a join has been dealt with.
    pub(super) fn seed_over(
        &mut self,
        now: Instant,
        id: CommandId,
        seed: SocketAddr,
        result: Result<(), ExchangeError>,
    ) {
        if self.commands.heal == Some(id) {
            let (mut cx, swim, serf) = self.parts(now);
            serf.on_heal_over(&mut cx, swim, seed, result.is_ok());
            return;
        }
        if self.commands.rejoin.as_ref().is_some_and(|rejoin| rejoin.id == id) {
            self.rejoin_asked(now, result);
            return;
        }
        let Some(join) = self.commands.joins.get_mut(&id) else { return };
        join.running -= 1;
        join.reached += usize::from(result.is_ok());
        let reply = match result {
            Ok(()) => Reply::SeedReached(seed),
            Err(error) => Reply::SeedFailed(seed, error),
        };
        self.commands.replies.push_back((id, reply));
        self.continue_join(now, id);
    }

    /// Whether an exchange for this command does not want old user events.
    pub(super) fn ignores_old(&self, id: CommandId) -> bool {
        let joining = self.commands.joins.get(&id).is_some_and(|join| !join.replay);
        joining || (self.commands.heal == Some(id) && self.serf.heals_without_replay())
    }

    /// Serf wants somebody tried who is no member, or none any more.
    pub(super) fn start_heal(&mut self, now: Instant, peer: SocketAddr) {
        let Commands { heal, last, .. } = &mut self.commands;
        let id = *heal.get_or_insert_with(|| {
            *last += 1;
            CommandId(*last)
        });
        self.start_join_exchange(now, id, peer);
    }

    fn continue_join(&mut self, now: Instant, id: CommandId) {
        let staying = self.serf.life() == Life::Alive;
        loop {
            let Some(join) = self.commands.joins.get_mut(&id) else { return };
            if !staying {
                join.waiting.clear();
            }
            if join.running >= SEEDS_AT_ONCE {
                return;
            }
            let Some(seed) = join.waiting.pop_front() else { break };
            join.running += 1;
            self.start_join_exchange(now, id, seed);
        }
        let Some(join) = self.commands.joins.get(&id) else { return };
        if join.running > 0 {
            return;
        }
        let reached = join.reached;
        self.commands.joins.remove(&id);
        if !staying {
            // An intent to join now would be later than our intent to leave, and call it off for everybody.
            self.commands.done(id, Err(CommandError::NotAlive));
            return;
        }
        if reached == 0 {
            self.commands.done(id, Err(CommandError::NoSeed));
            return;
        }
        let (mut cx, swim, serf) = self.parts(now);
        serf.broadcast_join(&mut cx, swim);
        self.commands.done(id, Ok(()));
    }

    pub(super) fn restore(&mut self, now: Instant, records: &[Record<'_>]) {
        let rejoin_after_leave = self.serf.config().rejoin_after_leave;
        let mut restored = Restored::default();
        for record in records {
            restored.apply(record, rejoin_after_leave);
        }
        restored.alive.remove(self.roster.slot(self.swim.local()).name.as_bytes());
        // Whom we do not meet stays in the file: without a bound it would grow with every restart.
        while restored.alive.len() > self.swim.config().members_max {
            restored.alive.pop_last();
            self.stats.members_over_limit += 1;
        }
        if rejoin_after_leave && records.contains(&Record::Leave) {
            log!(INFO, "snapshot_leave_ignored", members = restored.alive.len());
        }
        let mut waiting: Vec<_> = restored.alive.iter().map(|(name, address)| (name.clone(), *address)).collect();
        self.serf.restore(&mut self.stats, restored);
        if waiting.is_empty() {
            return;
        }
        for index in (1..waiting.len()).rev() {
            waiting.swap(index, self.targets.below(index + 1));
        }
        let id = self.commands.start();
        self.commands.rejoin = Some(Rejoin { id, asked: None, unreached: Vec::new(), waiting });
        self.continue_rejoin(now);
    }

    /// An address of the snapshot has been dealt with. No intent to join follows, as in Serf.
    fn rejoin_asked(&mut self, now: Instant, result: Result<(), ExchangeError>) {
        let Some(rejoin) = &mut self.commands.rejoin else { return };
        let asked = rejoin.asked.take();
        if result.is_err() {
            rejoin.unreached.extend(asked);
            self.continue_rejoin(now);
            return;
        }
        if let Some((member, address)) = asked {
            log!(INFO, "rejoined", member = member, address = address);
        }
        self.end_rejoin(now);
    }

    fn continue_rejoin(&mut self, now: Instant) {
        let staying = self.serf.life() == Life::Alive;
        let Some(rejoin) = &mut self.commands.rejoin else { return };
        let id = rejoin.id;
        match rejoin.waiting.pop().filter(|_| staying) {
            Some((member, address)) => {
                log!(INFO, "rejoin_started", member = member, address = address);
                rejoin.asked = Some((member, address));
                self.start_join_exchange(now, id, address);
            }
            None => {
                log!(WARN, "rejoin_failed", leaving = !staying);
                self.end_rejoin(now);
            }
        }
    }

    /// Whoever was not reached and did not turn up by way of another is not given up.
    fn end_rejoin(&mut self, now: Instant) {
        let Some(Rejoin { unreached, waiting, .. }) = self.commands.rejoin.take() else { return };
        let (mut cx, _, serf) = self.parts(now);
        serf.remember_unmet(&mut cx, unreached.into_iter().chain(waiting));
    }

    pub(super) fn leave(&mut self, now: Instant) -> CommandId {
        let id = self.commands.start();
        match self.serf.life() {
            Life::Alive => {
                self.commands.leaves.push_back(id);
                let (mut cx, swim, serf) = self.parts(now);
                serf.leave(&mut cx, swim);
            }
            // Whoever asks again wants to know when it is over.
            Life::Leaving => self.commands.leaves.push_back(id),
            Life::Left => self.commands.done(id, Ok(())),
        }
        id
    }

    pub(super) fn continue_leave(&mut self, now: Instant) {
        let (mut cx, swim, serf) = self.parts(now);
        if serf.continue_leave(&mut cx, swim) {
            // The node is about to be dropped.
            serf.flush_members(&mut cx);
            serf.flush_user_events(&mut cx);
            while let Some(id) = self.commands.leaves.pop_front() {
                self.commands.done(id, Ok(()));
            }
        }
    }

    pub(super) fn set_tags(&mut self, now: Instant, tags: Tags) -> CommandId {
        let id = self.commands.start();
        if self.serf.life() != Life::Alive {
            self.commands.done(id, Err(CommandError::NotAlive));
            return id;
        }
        let timeout = self.serf.config().broadcast_timeout;
        let (mut cx, swim, serf) = self.parts(now);
        if serf.set_tags(&mut cx, swim, tags, id) {
            cx.timers.arm(Timer::Update, now + timeout);
            self.commands.updates.push_back(id);
        } else {
            self.commands.done(id, Ok(()));
        }
        id
    }

    pub(super) fn force_leave(&mut self, now: Instant, name: &[u8], prune: bool) -> CommandId {
        let id = self.commands.start();
        let (mut cx, swim, serf) = self.parts(now);
        serf.force_leave(&mut cx, swim, name, prune);
        self.commands.done(id, Ok(()));
        id
    }

    pub(super) fn ping(&mut self, now: Instant, name: &[u8]) -> CommandId {
        let id = self.commands.start();
        let member = self.roster.find(name).filter(|member| self.serf.records().get(*member).status.is_some());
        match member {
            Some(member) => {
                let (mut cx, swim, _) = self.parts(now);
                if !swim.ping(&mut cx, id, member) {
                    self.commands.done(id, Err(CommandError::TimedOut));
                }
            }
            None => self.commands.done(id, Err(CommandError::NoMember)),
        }
        id
    }

    pub(super) fn query(&mut self, now: Instant, query: &Query<'_>) -> Result<CommandId, QueryError> {
        let id = self.commands.start();
        let (mut cx, swim, serf) = self.parts(now);
        serf.query(&mut cx, swim, id, query).map(|()| id)
    }

    pub(super) fn key_command(&mut self, now: Instant, command: KeyCommand) -> Result<CommandId, QueryError> {
        let id = self.commands.start();
        let (mut cx, swim, serf) = self.parts(now);
        serf.key_command(&mut cx, swim, id, command).map(|()| id)
    }
}

/// Seeds of one join that are asked at the same time: one that does not answer must not hold up the others.
const SEEDS_AT_ONCE: usize = 8;
/// Joins under way; whoever asked for one may be gone long before its seeds have all been tried.
const JOINS_MAX: usize = 128;
