//! Messages of the application to one member: handing them out, and what becomes of those that go by stream.

use alloc::vec::Vec;

use crate::ids::CommandId;
use crate::node::Core;
use crate::node::input::{CommandError, ExchangeError};
use crate::serf::direct::{Delivery, SendError};
use crate::time::Instant;
use crate::wire::codec::Codec;
use crate::wire::framing::StreamError;
use crate::wire::message::StreamMessage;
use crate::wire::serf::{DirectAnswer, DirectMessage, Refusal, SerfMessage};

impl Core {
    pub(super) fn send_direct(
        &mut self,
        now: Instant,
        to: &[u8],
        payload: &[u8],
        by: Delivery,
    ) -> Result<CommandId, SendError> {
        let (receiver, message) = self.serf.encode_direct(&self.roster, &self.swim, to, payload, by)?;
        let id = self.commands.start();
        if receiver == self.swim.local() {
            // No network is needed for that, nor would we believe what comes from there in our name.
            self.stats.messages_direct_sent += 1;
            let name = &self.roster.slot(receiver).name;
            let told = self.serf.queue_direct(&mut self.stats, name, payload, by);
            self.stats.messages_direct_received += u64::from(told);
            let lost = by == Delivery::Stream && !told;
            self.commands.done(id, if lost { Err(CommandError::Refused(Refusal::Full)) } else { Ok(()) });
            return Ok(id);
        }
        let peer = self.roster.address(receiver);
        let taken = match by {
            Delivery::Datagram => self.outbox.push_direct(peer, id, message),
            Delivery::Stream => self.start_message(now, peer, id, message),
        };
        if taken { Ok(id) } else { Err(SendError::Busy) }
    }

    /// A message has come by stream: it is told the application, and the answer says whether.
    pub(super) fn take_direct(&mut self, now: Instant, message: &DirectMessage<'_>) -> Vec<u8> {
        let (mut cx, _, serf) = self.parts(now);
        cx.stats.serf_messages_received += 1;
        let refusal = serf.handle_direct(&mut cx, message, Delivery::Stream).err();
        let mut answer = Vec::new();
        DirectAnswer { refusal }.encode(&mut answer);
        answer
    }

    /// A message by stream has been answered, or will not be.
    pub(super) fn direct_over(&mut self, command: CommandId, result: Result<(), CommandError>) {
        match result {
            Ok(()) => self.stats.messages_direct_confirmed += 1,
            Err(_) => self.stats.messages_direct_failed += 1,
        }
        self.commands.done(command, result);
    }
}

/// What the receiver of our message says.
pub(super) fn read_answer(codec: Codec, message: &StreamMessage<'_>) -> Result<Option<Refusal>, ExchangeError> {
    match message {
        StreamMessage::User(bytes) => match codec.decode_serf(bytes) {
            Ok(SerfMessage::DirectAnswer(answer)) => Ok(answer.refusal),
            Ok(_) => Err(ExchangeError::Unexpected),
            Err(error) => Err(ExchangeError::Frame(StreamError::Message(error))),
        },
        StreamMessage::Error(_) => Err(ExchangeError::Rejected),
        StreamMessage::Ping(_) | StreamMessage::Ack(_) | StreamMessage::PushPull(_) => Err(ExchangeError::Unexpected),
    }
}
