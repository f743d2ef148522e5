//! Encoding at the last moment: what was decided becomes bytes when the driver asks for them.

use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::ids::SequenceNumber;
use crate::node::Core;
use crate::node::input::Transmit;
use crate::outbox::Outgoing;
use crate::swim::understands_checksum;
use crate::time::Instant;
use crate::wire::codec::Codec;
use crate::wire::envelope::{Envelope, Packet};
use crate::wire::message::{Accusation, Ack, Bytes, IndirectPing, Nack, Ping, State, kind};

impl Core {
    /// Writes the next datagram that is still worth sending.
    pub(super) fn transmit(
        &mut self,
        envelope: &mut Envelope,
        codec: Codec,
        now: Instant,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        loop {
            let outgoing = self.outbox.pop()?;
            let checksum = self.checksum(&outgoing);
            let mut packet = envelope.begin(buf, checksum);
            let Some((destination, piggyback)) = self.write(codec, now, &outgoing, &mut packet) else { continue };
            if piggyback {
                self.piggyback(&mut packet);
            }
            if packet.is_empty() {
                continue; // A gossip round whose updates were all sent meanwhile.
            }
            packet.finish(&mut self.datagram_nonces);
            return Some(Transmit { destination });
        }
    }

    /// Writes the message itself. `None`: it has become pointless. Else where it goes, and whether updates may ride
    /// along.
    fn write(
        &mut self,
        codec: Codec,
        now: Instant,
        outgoing: &Outgoing,
        packet: &mut Packet<'_>,
    ) -> Option<(SocketAddr, bool)> {
        match *outgoing {
            Outgoing::Probe { seq } => {
                let target = self.swim.probe(seq)?.target;
                let node = self.roster.slot(target).name.as_bytes();
                let ping = Ping { seq, node, source: self.swim.source(&self.roster) };
                packet.push(|buf| codec.encode_ping(&ping, buf));
                let suspected = self.swim.state(target) != Some(State::Alive) && self.swim.config().buddy;
                if suspected {
                    // So that it can refute at once (Lifeguard, Buddy System).
                    let from = self.roster.slot(self.swim.local()).name.as_bytes();
                    let accusation = Accusation { incarnation: self.swim.incarnation(target), node, from };
                    packet.push(|buf| codec.encode_suspect(&accusation, buf));
                }
                let (mut cx, swim, _) = self.parts(now);
                swim.ping_sent(&mut cx, seq);
                Some((self.roster.address(target), !suspected))
            }
            Outgoing::Indirect { seq, relay, nack, .. } => {
                let target = self.swim.probe(seq)?.target;
                let address = self.roster.address(target);
                let request = IndirectPing {
                    seq,
                    target: address.ip(),
                    port: address.port(),
                    node: self.roster.slot(target).name.as_bytes(),
                    nack,
                    source: self.swim.source(&self.roster),
                };
                packet.push(|buf| codec.encode_indirect_ping(&request, buf));
                let (mut cx, swim, _) = self.parts(now);
                swim.indirect_sent(&mut cx, seq);
                Some((relay, true))
            }
            Outgoing::RelayPing { seq } => {
                let relay = self.swim.relay_ping(seq)?;
                self.write_ping(codec, seq, &relay.node, packet);
                Some((relay.target, true))
            }
            Outgoing::Ping { seq } => {
                let ping = self.swim.explicit_ping(seq)?;
                self.write_ping(codec, seq, &ping.node, packet);
                let target = ping.target;
                let (mut cx, swim, _) = self.parts(now);
                swim.ping_sent(&mut cx, seq);
                Some((target, true))
            }
            Outgoing::Ack { to, seq } => {
                self.ack_payload.clear();
                self.serf.encode_ack_payload(&mut self.ack_payload);
                let payload = (!self.ack_payload.is_empty()).then(|| Bytes::from(&*self.ack_payload));
                packet.push(|buf| codec.encode_ack(&Ack { seq, payload }, buf));
                Some((to, true))
            }
            Outgoing::RelayedAck { to, seq } => {
                packet.push(|buf| codec.encode_ack(&Ack { seq, payload: None }, buf));
                Some((to, true))
            }
            Outgoing::Nack { to, seq } => {
                packet.push(|buf| codec.encode_nack(Nack { seq }, buf));
                Some((to, true))
            }
            Outgoing::User { to } => {
                let message = self.outbox.take_user()?;
                packet.push(|buf| {
                    buf.push(kind::USER);
                    buf.extend_from_slice(&message);
                });
                // Nothing rides along: like memberlist, and a message may be as long as a packet.
                Some((to, false))
            }
            Outgoing::Direct { to, command } => {
                let message = self.outbox.take_direct()?;
                packet.push(|buf| {
                    buf.push(kind::USER);
                    buf.extend_from_slice(&message);
                });
                self.stats.messages_direct_sent += 1;
                self.commands.done(command, Ok(()));
                Some((to, false))
            }
            Outgoing::Gossip { to, .. } => {
                let (mut cx, swim, _) = self.parts(now);
                swim.gossip_sent(&mut cx);
                Some((to, true))
            }
        }
    }

    fn write_ping(&self, codec: Codec, seq: SequenceNumber, node: &[u8], packet: &mut Packet<'_>) {
        let ping = Ping { seq, node, source: self.swim.source(&self.roster) };
        packet.push(|buf| codec.encode_ping(&ping, buf));
    }

    /// Fills the room that is left: membership first, then Serf's messages.
    fn piggyback(&mut self, packet: &mut Packet<'_>) {
        let Self { swim, serf, stats, .. } = self;
        swim.fill(packet.room(), |update| {
            packet.push_bytes(update);
            packet.room()
        });
        let room = |packet: &Packet<'_>| packet.room().saturating_sub(1);
        serf.fill(stats, room(packet), |message| {
            packet.push(|buf| {
                buf.push(kind::USER);
                buf.extend_from_slice(message);
            });
            room(packet)
        });
    }

    /// Whether the receiver is known to understand the checksum header.
    fn checksum(&self, outgoing: &Outgoing) -> bool {
        match *outgoing {
            Outgoing::Probe { seq } => {
                self.swim.probe(seq).is_some_and(|probe| understands_checksum(&self.roster, probe.target))
            }
            Outgoing::Indirect { checksum, .. } | Outgoing::Gossip { checksum, .. } => checksum,
            // Answers go to an address; whoever is there did not say what it understands.
            Outgoing::RelayPing { .. }
            | Outgoing::Ping { .. }
            | Outgoing::Ack { .. }
            | Outgoing::RelayedAck { .. }
            | Outgoing::Nack { .. }
            | Outgoing::User { .. }
            | Outgoing::Direct { .. } => false,
        }
    }
}
