//! Messages from one member to another: nobody else hears them, and nobody passes them on. Serf has nothing like them;
//! they exist on the native wire only.
//!
//! What goes over a stream is answered by the receiver, so that its sender knows. `node/direct.rs` sends and answers.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::cx::Cx;
use crate::ids::{MemberId, Name};
use crate::log::{Escaped, log_some};
use crate::roster::Roster;
use crate::serf::Serf;
use crate::serf::config::Life;
use crate::serf::event::Event;
use crate::stats::Stats;
use crate::swim::Swim;
use crate::wire::codec::Codec;
use crate::wire::message::State;
use crate::wire::serf::{DirectMessage, Refusal};

/// How a message to one member travels. See [`Node::send`](crate::Node::send).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Delivery {
    /// In one packet: quick and cheap, and it may be lost, come twice, or come after a later one.
    Datagram,
    /// Over a stream of its own: once, or the sender learns that it may not have come.
    Stream,
}

impl Serf {
    /// Puts a message of ours to the member called `to` into bytes; and which member that is.
    pub(crate) fn encode_direct(
        &self,
        roster: &Roster,
        swim: &Swim,
        to: &[u8],
        payload: &[u8],
        by: Delivery,
    ) -> Result<(MemberId, Vec<u8>), SendError> {
        if self.codec == Codec::Serf {
            return Err(SendError::SerfWire);
        }
        if self.life() != Life::Alive {
            return Err(SendError::NotAlive);
        }
        let receiver = roster.find(to).ok_or(SendError::NoMember)?;
        if !matches!(swim.state(receiver), Some(State::Alive | State::Suspect)) {
            return Err(SendError::NoMember);
        }
        let message = DirectMessage { to, from: roster.slot(self.local).name.as_bytes(), payload };
        let configured = self.config.message_size_limit;
        let limit = match by {
            Delivery::Datagram => message.payload_len_max(self.message_len_max).map(|limit| limit.min(configured)),
            Delivery::Stream => Some(configured),
        };
        if limit.is_none_or(|limit| payload.len() > limit) {
            return Err(SendError::TooLong { len: payload.len(), limit: limit.unwrap_or(0) });
        }
        let mut encoded = Vec::with_capacity(payload.len() + to.len() + message.from.len() + HEAD_LEN_MAX);
        message.encode(&mut encoded);
        Ok((receiver, encoded))
    }

    /// Somebody says something to us alone. An error: the application will not be told.
    pub(crate) fn handle_direct(
        &mut self,
        cx: &mut Cx<'_>,
        message: &DirectMessage<'_>,
        by: Delivery,
    ) -> Result<(), Refusal> {
        let told = self.tell_direct(cx, message, by);
        match told {
            Ok(()) => cx.stats.messages_direct_received += 1,
            Err(refusal) => {
                log_some!(cx, DEBUG, "message_refused", member = Escaped(message.from), error = refusal);
                match refusal {
                    Refusal::Misaddressed => cx.stats.messages_direct_misaddressed += 1,
                    Refusal::Stranger | Refusal::TooLong | Refusal::Other => cx.stats.messages_direct_refused += 1,
                    Refusal::Full => {} // Counted with the other events.
                }
            }
        }
        told
    }

    /// Queues a message for our application; whether there was room.
    pub(crate) fn queue_direct(&mut self, stats: &mut Stats, from: &Name, payload: &[u8], by: Delivery) -> bool {
        let event = || Event::Message { from: from.clone(), payload: payload.into(), by };
        self.events.push_sized(stats, payload.len(), event)
    }

    fn tell_direct(&mut self, cx: &mut Cx<'_>, message: &DirectMessage<'_>, by: Delivery) -> Result<(), Refusal> {
        let DirectMessage { to, from, payload } = *message;
        if cx.roster.slot(self.local).name.as_bytes() != to {
            return Err(Refusal::Misaddressed); // A former tenant of this address is still being talked to.
        }
        // Whatever its status: it may know better than we do whether it is there. Nobody else speaks in our own name.
        let known = |id: &MemberId| *id != self.local && self.records.get(*id).status.is_some();
        let sender = cx.roster.find(from).filter(known).ok_or(Refusal::Stranger)?;
        if payload.len() > self.config.message_size_limit {
            return Err(Refusal::TooLong);
        }
        let queued = self.queue_direct(cx.stats, &cx.roster.slot(sender).name, payload, by);
        if queued { Ok(()) } else { Err(Refusal::Full) }
    }
}

/// Why a message to one member was not taken to be sent. See [`Node::send`](crate::Node::send).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The payload is longer than what a packet holds, or than `message_size_limit`.
    TooLong {
        /// In bytes.
        len: usize,
        /// In bytes; for a datagram it depends on the two names.
        limit: usize,
    },
    /// The node speaks Serf's wire format, which has no such messages.
    SerfWire,
    /// Nobody of that name is alive or suspect, as far as we know.
    NoMember,
    /// The node is leaving or has left.
    NotAlive,
    /// Too many messages, or too many bytes of them, wait to be sent.
    Busy,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, limit } => write!(
                f,
                "message of {len} bytes, at most {limit} are possible: send it by stream, in parts, or with a higher \
                 serf.message_size_limit everywhere"
            ),
            Self::SerfWire => f.write_str(
                "Serf's wire format has no messages to one member: send a query, or use the native wire format",
            ),
            Self::NoMember => f.write_str("no such member is there: look at the list of members"),
            Self::NotAlive => f.write_str("the node is leaving or has left"),
            Self::Busy => f.write_str("too many messages wait to be sent: wait for some of them, and send it again"),
        }
    }
}

impl core::error::Error for SendError {}

/// The most that `message_size_limit` may be: a frame of a stream holds 20 MiB, with names, seal and headers.
pub const MESSAGE_LEN_MAX: usize = 16 << 20;

/// Kind byte and three lengths.
const HEAD_LEN_MAX: usize = 1 + 3 * 5;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::serf::config::Config;
    use crate::serf::member::Status;
    use crate::serf::tests::Scene;

    /// What `b` says to us, with the name it uses, and whether it is taken.
    fn hear(scene: &mut Scene, from: &str, to: &str, payload: &[u8]) -> Result<(), Refusal> {
        let message = DirectMessage { to: to.as_bytes(), from: from.as_bytes(), payload };
        scene.serf.handle_direct(&mut scene.parts.cx(), &message, Delivery::Stream)
    }

    fn encode(scene: &Scene, to: &str, len: usize, by: Delivery) -> Result<Vec<u8>, SendError> {
        let Scene { parts, swim, serf } = scene;
        serf.encode_direct(&parts.roster, swim, to.as_bytes(), &vec![7; len], by).map(|(_, encoded)| encoded)
    }

    /// Serf's word does not count, only whether somebody of that name is known, is not us, and means us.
    #[test]
    fn who_is_listened_to() {
        for status in [Status::Alive, Status::Leaving, Status::Left, Status::Failed] {
            assert_eq!(hear(&mut Scene::with(status), "b", "me", b"hi"), Ok(()), "{status}");
        }
        let mut scene = Scene::with(Status::Alive);
        assert_eq!(hear(&mut scene, "b", "b", b"hi"), Err(Refusal::Misaddressed));
        assert_eq!(hear(&mut scene, "nobody", "me", b"hi"), Err(Refusal::Stranger));
        assert_eq!(hear(&mut scene, "me", "me", b"hi"), Err(Refusal::Stranger));
        let stats = &scene.parts.stats;
        assert_eq!((stats.messages_direct_misaddressed, stats.messages_direct_refused), (1, 2));
        assert_eq!((stats.messages_direct_received, scene.serf.poll_event()), (0, None));
    }

    #[test]
    fn limits_of_the_receiver() {
        let config = Config { message_size_limit: 10, event_queue_max: 2, ..Config::default() };
        let mut scene = Scene::of(config, Codec::Native);
        scene.alive(1, b"");
        while scene.serf.poll_event().is_some() {}
        assert_eq!(hear(&mut scene, "b", "me", &[0; 11]), Err(Refusal::TooLong));
        let taken: Vec<_> = (0..3).map(|_| hear(&mut scene, "b", "me", &[0; 10])).collect();
        assert_eq!(taken, [Ok(()), Ok(()), Err(Refusal::Full)]);
        let told = Event::Message { from: "b".into(), payload: [0; 10].into(), by: Delivery::Stream };
        let events: Vec<_> = core::iter::from_fn(|| scene.serf.poll_event()).collect();
        assert_eq!(events, [told.clone(), told, Event::Missed { count: 1 }]);
        assert_eq!((scene.parts.stats.messages_direct_received, scene.parts.stats.events_dropped), (2, 1));
    }

    #[test]
    fn who_can_be_told() {
        use Delivery::{Datagram, Stream};
        let mut scene = Scene::with(Status::Alive);
        for by in [Datagram, Stream] {
            assert!(encode(&scene, "b", 10, by).is_ok());
            assert_eq!(encode(&scene, "nobody", 10, by), Err(SendError::NoMember));
        }
        scene.swim.handle_suspect(&mut scene.parts.cx(), &crate::testing::accusation("b", 5, "c"));
        assert!(encode(&scene, "b", 10, Stream).is_ok(), "a suspect may well be there");
        assert_eq!(encode(&Scene::with(Status::Failed), "b", 10, Stream), Err(SendError::NoMember));
        scene.serf.leave(&mut scene.parts.cx(), &mut scene.swim);
        assert_eq!(encode(&scene, "b", 10, Stream), Err(SendError::NotAlive));
        let mut serf = Scene::of(Config::default(), Codec::Serf);
        serf.alive(1, b"");
        assert_eq!(encode(&serf, "b", 10, Datagram), Err(SendError::SerfWire));
    }

    #[test]
    fn limits_of_the_sender() {
        use Delivery::{Datagram, Stream};
        let config = Config { message_size_limit: 500, ..Config::default() };
        let mut scene = Scene::of(config, Codec::Native);
        scene.alive(1, b"");
        for by in [Datagram, Stream] {
            assert!(encode(&scene, "b", 500, by).is_ok());
            assert_eq!(encode(&scene, "b", 501, by), Err(SendError::TooLong { len: 501, limit: 500 }));
        }
        // The kind, two names and three lengths take nine bytes of the packet.
        scene.serf.set_message_len_max(400);
        assert_eq!(encode(&scene, "b", 391, Datagram).map(|encoded| encoded.len()), Ok(400));
        assert_eq!(encode(&scene, "b", 392, Datagram), Err(SendError::TooLong { len: 392, limit: 391 }));
        assert!(encode(&scene, "b", 392, Stream).is_ok());
        scene.serf.set_message_len_max(5);
        assert_eq!(encode(&scene, "b", 0, Datagram), Err(SendError::TooLong { len: 0, limit: 0 }));
    }
}
