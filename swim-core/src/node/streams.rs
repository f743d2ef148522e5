//! Conversations over streams: one message each way, then it is over (memberlist-wire.md 14).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::ids::{CommandId, SequenceNumber, StreamId};
use crate::log::{log, log_some};
use crate::node::input::{CommandError, ExchangeError, StreamAction, StreamFailure, StreamInput};
use crate::node::{Core, direct};
use crate::swim::Exchange;
use crate::swim::push_pull::MergeError;
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::codec::Codec;
use crate::wire::envelope::{DatagramError, Envelope};
use crate::wire::framing::{FrameReader, Side, StreamError, frame, message_len_max};
use crate::wire::message::{Ack, Ping, PushPull, StreamMessage};
use crate::wire::serf::SerfMessage;

/// The open streams, and what is to be done with them.
#[derive(Debug)]
pub(super) struct Streams {
    open: BTreeMap<StreamId, Stream>,
    accepted: usize,
    /// Those dialled for a message of the application.
    messages: usize,
    last: u64,
    actions: VecDeque<StreamAction>,
    /// Bytes received and not yet understood, bytes to be said once a stream is open, and bytes handed out to be
    /// written, over all streams.
    bytes: usize,
    accepted_max: usize,
    bytes_max: usize,
    timeout: Duration,
}

#[derive(Debug)]
struct Stream {
    peer: SocketAddr,
    role: Role,
    reader: FrameReader,
    /// What was dialled for, where it does not depend on the moment when the stream is open.
    unsaid: Vec<u8>,
    /// Bytes handed out to be written.
    sending: usize,
    /// The dial has succeeded, and what we dialled for has been said.
    opened: bool,
    /// What is known to have been written is all there will be: close when it has.
    closing: bool,
}

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Somebody wants something from us.
    Accepted,
    /// The fallback probe.
    Probe(SequenceNumber),
    /// A full state exchange of ours, as a joiner or not, and whether we knew nobody when we dialled; for a join that was
    /// asked for, the command.
    PushPull { join: bool, alone: bool, command: Option<CommandId> },
    /// A message of the application to one member.
    Message(CommandId),
}

/// How the state of another node is taken in.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    /// Without the user events from before.
    ignore_old: bool,
    /// We have come to it out of solitude.
    newcomer: bool,
}

impl Streams {
    pub(super) fn new(accepted_max: usize, bytes_max: usize, timeout: Duration) -> Self {
        Self {
            open: BTreeMap::new(),
            accepted: 0,
            messages: 0,
            last: 0,
            actions: VecDeque::new(),
            bytes: 0,
            accepted_max,
            bytes_max,
            timeout,
        }
    }

    pub(super) fn poll(&mut self) -> Option<StreamAction> {
        self.actions.pop_front()
    }

    fn insert(&mut self, peer: SocketAddr, role: Role) -> StreamId {
        self.last += 1;
        let id = StreamId(self.last);
        let from = if role == Role::Accepted { Side::Dialler } else { Side::Acceptor };
        let reader = FrameReader::new(from);
        let unsaid = Vec::new();
        self.open.insert(id, Stream { peer, role, reader, unsaid, sending: 0, opened: false, closing: false });
        self.accepted += usize::from(role == Role::Accepted);
        self.messages += usize::from(matches!(role, Role::Message(_)));
        id
    }

    fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.open.remove(&id)?;
        self.accepted -= usize::from(stream.role == Role::Accepted);
        self.messages -= usize::from(matches!(stream.role, Role::Message(_)));
        self.bytes -= stream.held();
        Some(stream)
    }

    /// Keeps what is to be said once the stream is open.
    fn keep_unsaid(&mut self, id: StreamId, message: Vec<u8>) {
        if let Some(stream) = self.open.get_mut(&id) {
            self.bytes += message.len();
            stream.unsaid = message;
        }
    }

    fn take_unsaid(&mut self, id: StreamId) -> Vec<u8> {
        let unsaid = self.open.get_mut(&id).map(|stream| core::mem::take(&mut stream.unsaid)).unwrap_or_default();
        self.bytes -= unsaid.len();
        unsaid
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn check(&self, timers: &crate::timers::Timers) {
        let bytes: usize = self.open.values().map(Stream::held).sum();
        assert_eq!(bytes, self.bytes, "every byte is accounted for");
        assert!(self.open.keys().all(|id| timers.deadline(Timer::Stream(*id)).is_some()), "every stream has its timer");
        assert_eq!(self.open.values().filter(|stream| stream.role == Role::Accepted).count(), self.accepted);
        let messages = self.open.values().filter(|stream| matches!(stream.role, Role::Message(_))).count();
        assert_eq!(messages, self.messages);
        assert!(messages <= MESSAGES_MAX, "{messages} messages are under way");
    }
}

impl Stream {
    /// Bytes that it keeps.
    fn held(&self) -> usize {
        self.reader.buffered() + self.unsaid.len() + self.sending
    }
}

impl Core {
    pub(super) fn accept_stream(&mut self, now: Instant, from: SocketAddr) -> Option<StreamId> {
        if self.streams.accepted >= self.streams.accepted_max {
            self.stats.streams_over_limit += 1;
            return None;
        }
        let id = self.streams.insert(from, Role::Accepted);
        self.timers.arm(Timer::Stream(id), now + self.streams.timeout);
        Some(id)
    }

    /// SWIM wants a stream.
    pub(super) fn start_exchange(&mut self, now: Instant, exchange: Exchange) {
        match exchange {
            Exchange::Probe { seq, target } => {
                // It ends with the probe, whatever streams may take otherwise.
                let Some(end) = self.timers.deadline(Timer::ProbeEnd) else { return };
                self.dial(self.roster.address(target), Role::Probe(seq), end);
            }
            Exchange::PushPull { peer, join } => self.dial_exchange(now, peer, join, None),
        }
    }

    pub(super) fn start_join_exchange(&mut self, now: Instant, command: CommandId, seed: SocketAddr) {
        self.dial_exchange(now, seed, true, Some(command));
    }

    fn dial_exchange(&mut self, now: Instant, peer: SocketAddr, join: bool, command: Option<CommandId>) {
        self.stats.push_pulls_started += 1;
        let alone = self.swim.active() == 0;
        self.dial(peer, Role::PushPull { join, alone, command }, now + self.streams.timeout);
    }

    /// Dials for an encoded message of the application; false when too much is under way already.
    pub(super) fn start_message(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        command: CommandId,
        message: Vec<u8>,
    ) -> bool {
        // Half of the room is left to membership.
        if self.streams.messages >= MESSAGES_MAX || self.streams.bytes > self.streams.bytes_max / 2 {
            return false;
        }
        let id = self.dial(peer, Role::Message(command), now + self.streams.timeout);
        self.streams.keep_unsaid(id, message);
        true
    }

    fn dial(&mut self, peer: SocketAddr, role: Role, deadline: Instant) -> StreamId {
        if let Role::PushPull { .. } = role {
            log!(DEBUG, "exchange_started", peer = peer);
        }
        let id = self.streams.insert(peer, role);
        self.timers.arm(Timer::Stream(id), deadline);
        self.streams.actions.push_back(StreamAction::Open { id, peer });
        id
    }

    pub(super) fn handle_stream(&mut self, envelope: &Envelope, now: Instant, id: StreamId, input: StreamInput<'_>) {
        let Some(stream) = self.streams.open.get_mut(&id) else { return };
        let role = stream.role;
        match input {
            StreamInput::Opened => {
                if !core::mem::replace(&mut stream.opened, true) {
                    self.stream_opened(envelope, now, id, role);
                }
            }
            StreamInput::Data(data) => self.stream_data(envelope, now, id, data),
            StreamInput::Sent => {
                self.streams.bytes -= core::mem::take(&mut stream.sending);
                if stream.closing {
                    self.finish(id);
                } else if let Role::PushPull { .. } | Role::Message(_) = role {
                    self.timers.arm(Timer::Stream(id), now + self.streams.timeout);
                }
            }
            StreamInput::Finished => {
                // A dialler that has said all it wants may close its half; we may still be answering.
                if !stream.closing {
                    self.abort(now, id, ExchangeError::Closed);
                }
            }
            StreamInput::Failed(failure) => {
                self.streams_failed(now, id, failure);
            }
        }
    }

    fn stream_opened(&mut self, envelope: &Envelope, now: Instant, id: StreamId, role: Role) {
        let codec = envelope.config().codec;
        let mut message = Vec::new();
        match role {
            Role::Accepted => return,
            Role::Probe(seq) => {
                let Some(target) = self.swim.probe(seq).map(|probe| probe.target) else {
                    self.abort(now, id, ExchangeError::TimedOut);
                    return;
                };
                let node = self.roster.slot(target).name.as_bytes();
                let ping = Ping { seq, node, source: self.swim.source(&self.roster) };
                codec.encode_stream_ping(&ping, &mut message);
            }
            Role::PushPull { join, .. } => {
                self.timers.arm(Timer::Stream(id), now + self.streams.timeout);
                self.encode_state(codec, join, &mut message);
            }
            Role::Message(_) => {
                self.timers.arm(Timer::Stream(id), now + self.streams.timeout);
                self.stats.messages_direct_sent += 1;
                codec.encode_stream_user(&self.streams.take_unsaid(id), &mut message);
            }
        }
        self.send(envelope, now, id, Side::Dialler, message, false);
    }

    fn stream_data(&mut self, envelope: &Envelope, now: Instant, id: StreamId, data: &[u8]) {
        let Some(stream) = self.streams.open.get_mut(&id) else { return };
        self.stats.stream_bytes_received += data.len() as u64;
        if stream.closing {
            return;
        }
        if self.streams.bytes.saturating_add(data.len()) > self.streams.bytes_max {
            self.stats.stream_bytes_over_limit += 1;
            self.abort(now, id, ExchangeError::Busy);
            return;
        }
        let before = stream.reader.buffered();
        let taken = stream.reader.push(envelope, data);
        let after = stream.reader.buffered();
        self.streams.bytes = self.streams.bytes - before + after;
        let (peer, role) = (stream.peer, stream.role);
        match taken {
            Ok(None) => {}
            Ok(Some(message)) => {
                let refused = self.stats.refusals();
                self.stream_message(envelope, now, id, (peer, role), &message);
                self.log_refused(now, peer, refused);
            }
            Err(error) => {
                let (cx, ..) = self.parts(now);
                log_some!(cx, DEBUG, "stream_dropped", peer = peer, error = error);
                if let Some(error) = as_datagram_error(error) {
                    self.report_rejected(now, peer, error);
                }
                match error.answer().filter(|_| role == Role::Accepted) {
                    Some(text) => {
                        let mut message = Vec::new();
                        envelope.config().codec.encode_stream_error(text, &mut message);
                        self.send(envelope, now, id, Side::Acceptor, message, true);
                    }
                    None => self.abort(now, id, ExchangeError::Frame(error)),
                }
            }
        }
    }

    /// Somebody's message has arrived whole.
    fn stream_message(
        &mut self,
        envelope: &Envelope,
        now: Instant,
        id: StreamId,
        (peer, role): (SocketAddr, Role),
        message: &[u8],
    ) {
        match envelope.config().codec.decode_stream(message) {
            Ok(decoded) => match role {
                Role::Accepted => self.answer(envelope, now, id, peer, decoded),
                Role::Probe(seq) => {
                    if let StreamMessage::Ack(ack) = decoded
                        && ack.seq == seq
                    {
                        self.swim.handle_stream_ack(seq);
                    }
                    self.finish(id);
                }
                Role::PushPull { join, alone, command } => {
                    let manner = Manner {
                        ignore_old: command.is_some_and(|command| self.ignores_old(command)),
                        newcomer: join && alone,
                    };
                    self.handle_state_reply(now, id, decoded, manner);
                }
                Role::Message(command) => match direct::read_answer(envelope.config().codec, &decoded) {
                    Ok(refusal) => {
                        self.finish(id);
                        self.direct_over(command, refusal.map_or(Ok(()), |why| Err(CommandError::Refused(why))));
                    }
                    Err(error) => self.abort(now, id, error),
                },
            },
            Err(error) => {
                self.stats.messages_malformed += 1;
                self.abort(now, id, ExchangeError::Frame(StreamError::Message(error)));
            }
        }
    }

    /// Answers what somebody who dialled us wants.
    fn answer(
        &mut self,
        envelope: &Envelope,
        now: Instant,
        id: StreamId,
        peer: SocketAddr,
        message: StreamMessage<'_>,
    ) {
        let codec = envelope.config().codec;
        match message {
            StreamMessage::Ping(ping) if self.is_for_us(&ping) => {
                let mut answer = Vec::new();
                codec.encode_stream_ack(&Ack { seq: ping.seq, payload: None }, &mut answer);
                self.send(envelope, now, id, Side::Acceptor, answer, true);
            }
            StreamMessage::Ping(_) => {
                self.stats.misaddressed_pings += 1;
                self.finish(id);
            }
            StreamMessage::PushPull(state) => {
                self.stats.push_pulls_accepted += 1;
                // Our state as it was before the other's, as memberlist: the joiner is not in it yet.
                let mut answer = Vec::new();
                self.encode_state(codec, state.join, &mut answer);
                self.timers.arm(Timer::Stream(id), now + self.streams.timeout);
                self.send(envelope, now, id, Side::Acceptor, answer, true);
                let (cx, ..) = self.parts(now);
                log_some!(cx, DEBUG, "exchange_answered", peer = peer);
                if let Err(error) = self.merge(now, &state, Manner::default()) {
                    let (cx, ..) = self.parts(now);
                    log_some!(cx, ERROR, "merge_refused", peer = peer, error = error);
                }
            }
            StreamMessage::User(bytes) => {
                if let Ok(SerfMessage::Direct(message)) = codec.decode_serf(bytes) {
                    let mut answer = Vec::new();
                    codec.encode_stream_user(&self.take_direct(now, &message), &mut answer);
                    self.timers.arm(Timer::Stream(id), now + self.streams.timeout);
                    self.send(envelope, now, id, Side::Acceptor, answer, true);
                    return;
                }
                let (mut cx, swim, serf) = self.parts(now);
                serf.begin_packet();
                serf.handle_message(&mut cx, swim, bytes);
                self.finish(id);
            }
            // Nobody dials to say these.
            StreamMessage::Ack(_) | StreamMessage::Error(_) => {
                self.finish(id);
            }
        }
    }

    /// The answer to our full state has arrived whole.
    fn handle_state_reply(&mut self, now: Instant, id: StreamId, message: StreamMessage<'_>, manner: Manner) {
        let result = match message {
            StreamMessage::PushPull(state) => self.merge(now, &state, manner).map_err(ExchangeError::Merge),
            StreamMessage::Error(_) => Err(ExchangeError::Rejected),
            StreamMessage::Ping(_) | StreamMessage::Ack(_) | StreamMessage::User(_) => Err(ExchangeError::Unexpected),
        };
        match result {
            Ok(()) => {
                if let Some(Stream { role: Role::PushPull { command: Some(command), .. }, peer, .. }) = self.finish(id)
                {
                    self.seed_over(now, command, peer, Ok(()));
                }
            }
            Err(error) => self.abort(now, id, error),
        }
    }

    /// Both layers take in the state of another node.
    fn merge(&mut self, now: Instant, state: &PushPull<'_>, manner: Manner) -> Result<(), MergeError> {
        let (mut cx, swim, serf) = self.parts(now);
        let merged = swim.merge(&mut cx, state);
        if merged.is_err() {
            self.stats.push_pulls_refused += 1;
            return merged;
        }
        // Serf must know the members before it hears what they mean to do.
        while let Some(change) = swim.poll_change() {
            serf.handle_change(&mut cx, swim, change);
        }
        if !state.user_state.is_empty() {
            if manner.newcomer {
                serf.adopt_clocks(state.user_state);
            }
            serf.merge(&mut cx, swim, state.user_state, manner.ignore_old);
        }
        self.stats.push_pulls_merged += 1;
        Ok(())
    }

    /// Our full state, both layers, no longer than whoever gets it takes.
    fn encode_state(&mut self, codec: Codec, join: bool, out: &mut Vec<u8>) {
        let mut user_state = Vec::new();
        let room = message_len_max(codec).saturating_sub(self.swim.push_pull_len_max(&self.roster));
        self.stats.state_over_limit += self.serf.encode_state(&self.roster, room, &mut user_state);
        self.swim.encode_push_pull(&self.roster, join, &user_state, out);
    }

    /// Hands a message out to be written; with `closing` it is the last.
    fn send(&mut self, envelope: &Envelope, now: Instant, id: StreamId, side: Side, message: Vec<u8>, closing: bool) {
        let data = frame(envelope, side, message, &mut self.stream_nonces);
        if self.streams.bytes.saturating_add(data.len()) > self.streams.bytes_max {
            self.stats.stream_bytes_over_limit += 1;
            self.abort(now, id, ExchangeError::Busy);
            return;
        }
        let Some(stream) = self.streams.open.get_mut(&id) else { return };
        stream.sending = data.len();
        stream.closing = closing;
        self.streams.bytes += data.len();
        self.stats.stream_bytes_sent += data.len() as u64;
        self.streams.actions.push_back(StreamAction::Send { id, data });
    }

    pub(super) fn stream_timed_out(&mut self, now: Instant, id: StreamId) {
        self.abort(now, id, ExchangeError::TimedOut);
    }

    fn streams_failed(&mut self, now: Instant, id: StreamId, failure: StreamFailure) {
        self.timers.disarm(Timer::Stream(id));
        if let Some(stream) = self.streams.remove(id) {
            self.exchange_failed(now, &stream, ExchangeError::Stream(failure));
        }
    }

    /// All is said: the driver flushes and closes, and we forget the stream.
    fn finish(&mut self, id: StreamId) -> Option<Stream> {
        self.timers.disarm(Timer::Stream(id));
        let stream = self.streams.remove(id)?;
        self.streams.actions.push_back(StreamAction::Finish { id });
        Some(stream)
    }

    fn abort(&mut self, now: Instant, id: StreamId, error: ExchangeError) {
        self.timers.disarm(Timer::Stream(id));
        if let Some(stream) = self.streams.remove(id) {
            self.streams.actions.push_back(StreamAction::Abort { id });
            self.exchange_failed(now, &stream, error);
        }
    }

    fn exchange_failed(&mut self, now: Instant, stream: &Stream, error: ExchangeError) {
        match stream.role {
            Role::Accepted | Role::Probe(_) => {}
            Role::PushPull { command, .. } => {
                self.stats.push_pulls_failed += 1;
                log!(WARN, "exchange_failed", peer = stream.peer, error = error);
                if let Some(command) = command {
                    self.seed_over(now, command, stream.peer, Err(error));
                }
            }
            Role::Message(command) => self.direct_over(
                command,
                Err(if error == ExchangeError::TimedOut {
                    CommandError::TimedOut
                } else {
                    CommandError::Exchange(error)
                }),
            ),
        }
    }
}

/// Streams of our own with messages of the application at the same time.
const MESSAGES_MAX: usize = 128;

/// The same trouble in the words of datagrams, where it is one that a change of configuration would mend.
fn as_datagram_error(error: StreamError) -> Option<DatagramError> {
    match error {
        StreamError::LabelMissing => Some(DatagramError::LabelMissing),
        StreamError::LabelWrong => Some(DatagramError::LabelWrong),
        StreamError::ForeignWire => Some(DatagramError::ForeignWire),
        StreamError::NotSealed => Some(DatagramError::NotSealed),
        StreamError::NotOpened => Some(DatagramError::NotOpened),
        StreamError::SealedWithoutKeys => Some(DatagramError::SealedWithoutKeys),
        StreamError::LabelMalformed
        | StreamError::Checksum
        | StreamError::Decompression
        | StreamError::TooLarge
        | StreamError::Unsupported
        | StreamError::Malformed
        | StreamError::Message(_) => None,
    }
}
