//! Probes: one member at a time is asked whether it is there, directly, through relays, and over a stream (SWIM §3.1;
//! Lifeguard, LHA-Probe; swim-state.md 4).

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use core::net::SocketAddr;
use core::time::Duration;

use crate::cx::Cx;
use crate::ids::{CommandId, Incarnation, MemberId, SequenceNumber};
use crate::log::log;
use crate::outbox::Outgoing;
use crate::swim::selection::choose;
use crate::swim::understands_checksum;
use crate::swim::{Exchange, PROTOCOL_WITH_NACKS, PROTOCOL_WITH_STREAM_PROBES, Swim};
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::message::{Accusation, State};

/// The running probe. At most one runs at a time.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) target: MemberId,
    pub(crate) seq: SequenceNumber,
    /// The target's when the probe began: what it is accused at if it does not answer.
    pub(crate) incarnation: Incarnation,
    sent: Option<Instant>,
    /// How long a direct ack may take.
    timeout: Duration,
    /// Its packets that wait to be sent.
    unsent: u32,
    /// Its time was over while they waited (`Baseline::stale_probe_on_release`).
    expired: bool,
    /// The direct ack is overdue; relays have been asked.
    indirect: bool,
    nacks_expected: u32,
    nacks: u32,
    stream_contact: bool,
}

/// Pings that the application asked for.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    running: BTreeMap<SequenceNumber, Ping>,
    outcomes: VecDeque<PingOutcome>,
}

#[derive(Debug)]
pub(crate) struct Ping {
    command: CommandId,
    pub(crate) target: SocketAddr,
    pub(crate) node: Box<[u8]>,
    sent: Option<Instant>,
}

/// What became of an explicit ping: the answer's delay, or `None` if there was no answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PingOutcome {
    pub(crate) command: CommandId,
    pub(crate) rtt: Option<Duration>,
}

/// A member answered the direct ping in time. What its ack carried is for the layer above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProbeCompleted {
    pub(crate) member: MemberId,
    pub(crate) rtt: Duration,
}

impl Swim {
    pub(crate) fn on_probe_tick(&mut self, cx: &mut Cx<'_>) {
        cx.timers.arm(Timer::ProbeTick, cx.now + self.config.probe_interval);
        if self.round.is_some() {
            // This tick is lost: a slow probe delays the next one.
            self.probe_tick_kept = self.config.baseline.buffered_ticks;
            return;
        }
        if cx.outbox.has_probe() {
            cx.stats.probe_ticks_skipped += 1;
            return;
        }
        self.probe_next(cx);
    }

    fn probe_next(&mut self, cx: &mut Cx<'_>) {
        let target = self.table.next_in_round(cx.targets).or_else(|| {
            self.reap(cx);
            self.table.next_in_round(cx.targets)
        });
        if let Some(target) = target {
            self.start_probe(cx, target);
        }
    }

    fn start_probe(&mut self, cx: &mut Cx<'_>, target: MemberId) {
        let seq = self.next_sequence();
        let timeout = match self.config.baseline.scale_probe_timeout {
            true => self.awareness.scale(self.config.probe_timeout),
            false => self.config.probe_timeout,
        };
        self.round = Some(Round {
            target,
            seq,
            incarnation: self.incarnation(target),
            sent: None,
            timeout,
            unsent: 1,
            expired: false,
            indirect: false,
            nacks_expected: 0,
            nacks: 0,
            stream_contact: false,
        });
        let whole = self.awareness.scale(self.config.probe_interval);
        if !self.config.baseline.stale_probe_on_release {
            cx.timers.arm(Timer::ProbeDirect, cx.now + timeout.min(whole));
        }
        cx.timers.arm(Timer::ProbeEnd, cx.now + whole);
        cx.outbox.push(Outgoing::Probe { seq });
        cx.stats.probes += 1;
    }

    /// The direct ping of the running probe, if it is still to be sent under this number.
    pub(crate) fn probe(&self, seq: SequenceNumber) -> Option<&Round> {
        self.round.as_ref().filter(|round| round.seq == seq)
    }

    /// The ping with this number has been handed to the network: round trips are measured from here.
    pub(crate) fn ping_sent(&mut self, cx: &mut Cx<'_>, seq: SequenceNumber) {
        if let Some(round) = self.round.as_mut().filter(|round| round.seq == seq) {
            round.sent = Some(cx.now);
            round.unsent -= 1;
            let (expired, timeout) = (round.expired, round.timeout);
            if expired {
                self.ask_relays(cx);
                self.fail_if_expired(cx);
            } else if self.config.baseline.stale_probe_on_release {
                let overdue = cx.now + timeout;
                let end = cx.timers.deadline(Timer::ProbeEnd).unwrap_or(overdue);
                cx.timers.arm(Timer::ProbeDirect, overdue.min(end));
            }
        } else if let Some(ping) = self.pings.running.get_mut(&seq) {
            ping.sent = Some(cx.now);
        }
    }

    /// A request to a relay, of the probe with this number, has been handed to the network.
    pub(crate) fn indirect_sent(&mut self, cx: &mut Cx<'_>, seq: SequenceNumber) {
        if let Some(round) = self.round.as_mut().filter(|round| round.seq == seq) {
            round.unsent = round.unsent.saturating_sub(1);
            self.fail_if_expired(cx);
        }
    }

    /// Only now has all been asked, and the time for answers is over already.
    fn fail_if_expired(&mut self, cx: &mut Cx<'_>) {
        if let Some(round) = self.round.take_if(|round| round.expired && round.unsent == 0) {
            self.fail(cx, &round);
            self.round_over(cx);
        }
    }

    /// No ack in time: ask others, and try a stream.
    pub(crate) fn on_probe_direct(&mut self, cx: &mut Cx<'_>) {
        let Some(round) = self.round.as_mut() else { return };
        if round.sent.is_none() {
            // Our own socket is blocked. A ping sent from here on would not have its time; the next tick asks again.
            self.round = None;
            cx.timers.disarm(Timer::ProbeEnd);
            return;
        }
        let (seq, target) = (round.seq, round.target);
        self.ask_relays(cx);
        let protocol = cx.roster.versions(target).protocol.max;
        if self.config.stream_probes && protocol >= PROTOCOL_WITH_STREAM_PROBES {
            self.exchanges.push_back(Exchange::Probe { seq, target });
        }
    }

    fn ask_relays(&mut self, cx: &mut Cx<'_>) {
        let Self { table, chosen, config, .. } = self;
        let Some(round) = self.round.as_mut() else { return };
        round.indirect = true;
        choose(table, cx.targets, config.indirect_checks, false, chosen, |id| {
            id != round.target && table.state(id) == Some(State::Alive)
        });
        for relay in chosen.iter() {
            let protocol = cx.roster.versions(*relay).protocol.max;
            let nack = config.nacks && protocol >= PROTOCOL_WITH_NACKS;
            round.nacks_expected += u32::from(nack);
            let checksum = understands_checksum(cx.roster, *relay);
            let relay = cx.roster.address(*relay);
            cx.outbox.push(Outgoing::Indirect { seq: round.seq, relay, nack, checksum });
            round.unsent += 1;
        }
    }

    pub(crate) fn handle_ack(&mut self, cx: &mut Cx<'_>, seq: SequenceNumber) -> Option<ProbeCompleted> {
        if let Some(round) = self.round.take_if(|round| round.seq == seq && round.sent.is_some() && !round.expired) {
            cx.timers.disarm(Timer::ProbeDirect);
            cx.timers.disarm(Timer::ProbeEnd);
            self.awareness.apply(-1);
            let rtt = round.sent.map_or(Duration::ZERO, |sent| cx.now - sent);
            // By the clock, too: what has arrived is read before timers are, and this one may have lain there.
            self.round_over(cx);
            if round.indirect || rtt > round.timeout {
                cx.stats.probes_acked_late += 1;
                return None;
            }
            cx.stats.probes_acked_directly += 1;
            return Some(ProbeCompleted { member: round.target, rtt });
        }
        if let Some(ping) = self.pings.running.remove(&seq) {
            cx.timers.disarm(Timer::Ping(seq));
            let rtt = ping.sent.map(|sent| cx.now - sent).filter(|rtt| *rtt <= self.config.probe_timeout);
            self.pings.outcomes.push_back(PingOutcome { command: ping.command, rtt });
        } else if !self.relay_ack(cx, seq) {
            cx.stats.unknown_acks += 1;
        }
        None
    }

    pub(crate) fn handle_nack(&mut self, cx: &mut Cx<'_>, seq: SequenceNumber) {
        let most = u32::try_from(self.config.indirect_checks).unwrap_or(u32::MAX).saturating_add(1);
        match self.round.as_mut().filter(|round| round.seq == seq) {
            Some(round) => round.nacks = round.nacks.saturating_add(1).min(most),
            None => cx.stats.unknown_acks += 1,
        }
    }

    /// The target answered over a stream. It counts only when the probe ends: datagrams are what is being probed.
    pub(crate) fn handle_stream_ack(&mut self, seq: SequenceNumber) {
        if let Some(round) = self.round.as_mut().filter(|round| round.seq == seq) {
            round.stream_contact = true;
        }
    }

    pub(crate) fn on_probe_end(&mut self, cx: &mut Cx<'_>) {
        cx.timers.disarm(Timer::ProbeDirect);
        if self.config.baseline.stale_probe_on_release
            && let Some(round) = self.round.as_mut().filter(|round| round.unsent > 0)
        {
            round.expired = true;
            return;
        }
        let Some(round) = self.round.take() else { return };
        if round.sent.is_none() {
            return; // Nothing was asked, so silence says nothing, about the target or about us.
        }
        if round.stream_contact {
            cx.stats.probes_acked_by_stream += 1;
            log!(WARN, "only_stream_answers", member = cx.roster.slot(round.target).name);
            self.awareness.apply(-1);
        } else {
            self.fail(cx, &round);
        }
        self.round_over(cx);
    }

    /// A tick that was kept begins the next probe at once.
    fn round_over(&mut self, cx: &mut Cx<'_>) {
        if core::mem::take(&mut self.probe_tick_kept) {
            self.probe_next(cx);
        }
    }

    /// Nobody has heard of the target: it is accused.
    fn fail(&mut self, cx: &mut Cx<'_>, round: &Round) {
        cx.stats.probes_failed += 1;
        log!(INFO, "probe_failed", member = cx.roster.slot(round.target).name);
        // Nacks say that our own relays could hear us; those that are missing cast doubt on ourselves (Lifeguard).
        let delta = match round.nacks_expected {
            0 => 1,
            expected => expected.saturating_sub(round.nacks),
        };
        let node = cx.roster.slot(round.target).name.clone();
        let from = cx.roster.slot(self.local).name.clone();
        let accusation = Accusation { incarnation: round.incarnation, node: node.as_bytes(), from: from.as_bytes() };
        self.handle_suspect(cx, &accusation);
        self.awareness.apply(delta as i32);
    }

    /// Pings a member for the application (swim-state.md 4.6). No relays, and it changes nobody's state. False: too
    /// many packets wait to be sent already.
    pub(crate) fn ping(&mut self, cx: &mut Cx<'_>, command: CommandId, member: MemberId) -> bool {
        let seq = self.next_sequence();
        if !cx.outbox.push_answer(Outgoing::Ping { seq }) {
            return false;
        }
        let ping = Ping {
            command,
            target: cx.roster.address(member),
            node: cx.roster.slot(member).name.as_bytes().into(),
            sent: None,
        };
        self.pings.running.insert(seq, ping);
        cx.timers.arm(Timer::Ping(seq), cx.now + self.config.probe_timeout);
        true
    }

    pub(crate) fn explicit_ping(&self, seq: SequenceNumber) -> Option<&Ping> {
        self.pings.running.get(&seq)
    }

    pub(crate) fn on_ping_timeout(&mut self, seq: SequenceNumber) {
        if let Some(ping) = self.pings.running.remove(&seq) {
            self.pings.outcomes.push_back(PingOutcome { command: ping.command, rtt: None });
        }
    }

    pub(crate) fn poll_ping(&mut self) -> Option<PingOutcome> {
        self.pings.outcomes.pop_front()
    }
}
