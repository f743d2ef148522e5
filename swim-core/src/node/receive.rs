//! What comes in datagrams, message by message, up to the layer that it is for.

use core::iter::Take;
use core::net::SocketAddr;

use crate::ids::MemberId;
use crate::log::{log, log_some};
use crate::node::Core;
use crate::node::reported::Grown;
use crate::outbox::Outgoing;
use crate::stats::Refusals;
use crate::swim::handoff::Held;
use crate::swim::updates::Origin;
use crate::time::Instant;
use crate::wire::codec::{Codec, MessageError};
use crate::wire::compound::Parts;
use crate::wire::envelope::{DatagramError, PartError};
use crate::wire::message::{Message, Ping};
use crate::wire::serf::kind;
use crate::wire::unpack::{PARTS_AHEAD, Receiver};

/// Takes in the messages of a datagram.
pub(super) struct Reading<'a> {
    core: &'a mut Core,
    codec: Codec,
    now: Instant,
    from: SocketAddr,
    /// Whom the next parts are about, in all likelihood, and how many of them have been taken in.
    guesses: [Option<MemberId>; PARTS_AHEAD],
    taken: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(core: &'a mut Core, codec: Codec, now: Instant, from: SocketAddr) -> Self {
        Self { core, codec, now, from, guesses: [None; PARTS_AHEAD], taken: 0 }
    }
}

impl Receiver for Reading<'_> {
    fn ahead(&mut self, parts: Take<Parts<'_>>) {
        if let Some(guesses) = self.core.look_ahead(self.codec, parts) {
            (self.guesses, self.taken) = (guesses, 0);
        }
    }

    fn part(&mut self, part: Result<(u8, &[u8]), PartError>) {
        let Self { core, codec, now, from, guesses, taken } = self;
        core.roster.expect(guesses.get(*taken).copied().flatten());
        *taken += 1;
        match part {
            Ok((kind, body)) if core.swim.hand_off(*from, kind, body) => {}
            Ok((kind, body)) => core.decode(*codec, *now, *from, kind, body),
            Err(PartError::Unsupported) => core.stats.messages_unknown += 1,
            Err(_) => core.stats.messages_malformed += 1,
        }
    }
}

impl Core {
    pub(super) fn reject(&mut self, now: Instant, from: SocketAddr, error: DatagramError) {
        let counter = match error {
            DatagramError::LabelMissing | DatagramError::LabelWrong | DatagramError::LabelMalformed => {
                &mut self.stats.datagrams_wrong_label
            }
            DatagramError::ForeignWire => &mut self.stats.datagrams_foreign_wire,
            DatagramError::NotSealed | DatagramError::NotOpened | DatagramError::SealedWithoutKeys => {
                &mut self.stats.datagrams_not_opened
            }
            DatagramError::Checksum => &mut self.stats.datagrams_bad_checksum,
            DatagramError::Empty
            | DatagramError::Garbage
            | DatagramError::Decompression
            | DatagramError::TooLarge
            | DatagramError::Unsupported => &mut self.stats.datagrams_malformed,
        };
        *counter += 1;
        let (cx, ..) = self.parts(now);
        log_some!(cx, DEBUG, "datagram_dropped", from = from, error = error);
        self.report_rejected(now, from, error);
    }

    /// Says in the log, once a minute for each sender, from where something came that was refused since the counters were
    /// `before`. A datagram may make its sender up, and who sends what is gossiped may only pass it on.
    pub(super) fn log_refused(&mut self, now: Instant, from: SocketAddr, before: Refusals) {
        let after = self.stats.refusals();
        if after != before && self.refused.is_news(now, from.ip()) {
            log!(WARN, "claims_refused", from = from, counters = Grown { before, after });
        }
    }

    /// What comes now has come together; of some things that is bounded.
    pub(super) fn begin_packet(&mut self) {
        self.asked = false;
        self.serf.begin_packet();
    }

    pub(super) fn take_in_handed_off(&mut self, codec: Codec, now: Instant) {
        while let Some(Held { from, kind, body }) = self.swim.poll_handed_off() {
            self.begin_packet();
            self.decode(codec, now, from, kind, &body);
        }
    }

    fn decode(&mut self, codec: Codec, now: Instant, from: SocketAddr, kind: u8, body: &[u8]) {
        match codec.decode(kind, body) {
            Ok(message) => self.handle_message(now, from, &message),
            Err(MessageError::UnknownKind(_)) => self.stats.messages_unknown += 1,
            Err(_) => {
                let (cx, ..) = self.parts(now);
                log_some!(cx, DEBUG, "message_dropped", from = from);
                self.stats.messages_malformed += 1;
            }
        }
    }

    fn handle_message(&mut self, now: Instant, from: SocketAddr, message: &Message<'_>) {
        if is_request(message) && core::mem::replace(&mut self.asked, true) {
            // Members put one into a packet. Hundreds compress to almost nothing, and we would send to whomever they name.
            self.stats.requests_over_limit += 1;
            return;
        }
        let (mut cx, swim, serf) = self.parts(now);
        let cx = &mut cx;
        match message {
            Message::Ping(ping) => self.handle_ping(from, ping),
            Message::IndirectPing(request) => swim.handle_indirect_ping(cx, from, request),
            Message::Ack(ack) => {
                if let Some(completed) = swim.handle_ack(cx, ack.seq) {
                    serf.handle_ack_payload(cx, completed, ack.payload.as_deref().unwrap_or_default());
                }
            }
            Message::Nack(nack) => swim.handle_nack(cx, nack.seq),
            Message::Suspect(accusation) => swim.handle_suspect(cx, accusation),
            Message::Dead(accusation) => swim.handle_dead(cx, accusation),
            Message::Alive(alive) => swim.handle_alive(cx, alive, Origin::Datagram(from)),
            Message::User(bytes) => {
                // Changes that this very datagram brought must be known before what is said about them.
                while let Some(change) = swim.poll_change() {
                    serf.handle_change(cx, swim, change);
                }
                serf.handle_message(cx, swim, bytes);
            }
        }
    }

    fn handle_ping(&mut self, from: SocketAddr, ping: &Ping<'_>) {
        if !self.is_for_us(ping) {
            self.stats.misaddressed_pings += 1; // A former tenant of this address is still being probed.
            return;
        }
        let ack = Outgoing::Ack { to: ping.source.address().unwrap_or(from), seq: ping.seq };
        self.stats.acks_over_limit += u64::from(!self.outbox.push_answer(ack));
    }

    pub(super) fn is_for_us(&self, ping: &Ping<'_>) -> bool {
        ping.node.is_empty() || self.roster.slot(self.swim.local()).name.as_bytes() == ping.node
    }
}

/// Whether a message has us send something at once, to an address that it may name itself.
fn is_request(message: &Message<'_>) -> bool {
    match message {
        Message::Ping(_) | Message::IndirectPing(_) => true,
        Message::User(bytes) => bytes.first() == Some(&kind::RELAY),
        Message::Ack(_) | Message::Nack(_) | Message::Suspect(_) | Message::Dead(_) | Message::Alive(_) => false,
    }
}
