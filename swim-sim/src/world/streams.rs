//! Streams between hosts, as the kernels on both sides would carry them.
//!
//! A pipe has two lanes, one per direction, each a queue: nothing overtakes. What the network loses or a partition
//! holds back is sent again, later and later, until the sender's kernel gives up. The accepting kernel completes a
//! connection also for a process that is frozen; data and the accept itself then wait in its inbox.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use swim_core::Instant;
use swim_core::ids::StreamId;
use swim_core::node::input::{StreamAction, StreamFailure, StreamInput};

use super::host::{Arrival, Role};
use super::{HostId, World};

/// One connection, by its place in the table.
pub(super) type Pipe = usize;

/// The end of a pipe: 0 dialled, 1 accepted. Also names the lane on which that end writes.
pub(super) type Side = usize;

const DIALLER: Side = 0;
const ACCEPTOR: Side = 1;

/// All pipes.
#[derive(Debug)]
pub(super) struct Streams {
    pipes: Vec<State>,
    free: Vec<Pipe>,
    chunk: usize,
    next_id: u64,
}

impl Default for Streams {
    fn default() -> Self {
        Self { pipes: Vec::new(), free: Vec::new(), chunk: CHUNK, next_id: SCRIPT_IDS }
    }
}

impl Streams {
    pub(super) fn set_chunk(&mut self, bytes: usize) {
        self.chunk = bytes.max(1);
    }

    pub(super) fn fresh_id(&mut self) -> StreamId {
        self.next_id += 1;
        StreamId(self.next_id)
    }

    fn add(&mut self, state: State) -> Pipe {
        if let Some(pipe) = self.free.pop() {
            self.pipes[pipe] = state;
            return pipe;
        }
        self.pipes.push(state);
        self.pipes.len() - 1
    }
}

#[derive(Debug)]
struct State {
    ends: [End; 2],
    lanes: [Lane; 2],
    /// Happenings in the heap that speak of this pipe; its place is free when there are none and both ends closed.
    pending: u32,
}

#[derive(Debug)]
struct End {
    host: Option<HostId>,
    address: SocketAddr,
    /// The host's name for the stream, while the host knows it.
    id: Option<StreamId>,
    /// Reported to be gone, or given up by the host.
    closed: bool,
}

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<(Instant, Segment)>,
    /// Arrival of the last one put down: the next comes no earlier.
    last: Instant,
    tries: u32,
}

#[derive(Debug)]
enum Segment {
    Data(Vec<u8>),
    Finish,
    Reset,
}

/// Of a stream, for the world's agenda.
pub(super) enum Happening {
    /// A dial reaches the other side, for the nth time.
    Dial { pipe: Pipe, tries: u32 },
    /// The head of a lane arrives.
    Lane { pipe: Pipe, side: Side },
    /// An end hears something from its own kernel.
    News { pipe: Pipe, side: Side, news: News },
}

/// [`StreamInput`], owned.
#[derive(Debug)]
pub(super) enum News {
    Opened,
    Data(Vec<u8>),
    Sent,
    Finished,
    Failed(StreamFailure),
}

impl News {
    pub(super) fn as_input(&self) -> StreamInput<'_> {
        match self {
            Self::Opened => StreamInput::Opened,
            Self::Data(bytes) => StreamInput::Data(bytes),
            Self::Sent => StreamInput::Sent,
            Self::Finished => StreamInput::Finished,
            Self::Failed(failure) => StreamInput::Failed(*failure),
        }
    }
}

impl World {
    pub(super) fn act(&mut self, host: HostId, action: StreamAction) {
        match action {
            StreamAction::Open { id, peer } => self.open_stream(host, id, peer),
            StreamAction::Send { id, data } => self.write_stream(host, id, data),
            StreamAction::Finish { id } => self.finish_stream(host, id),
            StreamAction::Abort { id } => self.abort_stream(host, id),
        }
    }

    pub(super) fn open_stream(&mut self, host: HostId, id: StreamId, peer: SocketAddr) {
        let address = self.host(host).address;
        let pipe = self.streams.add(State {
            ends: [
                End { host: Some(host), address, id: Some(id), closed: false },
                End { host: None, address: peer, id: None, closed: true },
            ],
            lanes: Default::default(),
            pending: 0,
        });
        let taken = self.host_mut(host).streams.insert(id, (pipe, DIALLER));
        assert!(taken.is_none(), "{id:?} is named twice by one node");
        let at = self.now + self.network.latency(&mut self.rng, address, peer);
        self.put_down(at, Happening::Dial { pipe, tries: 0 });
    }

    pub(super) fn write_stream(&mut self, host: HostId, id: StreamId, data: Vec<u8>) {
        let Some(&(pipe, side)) = self.host(host).streams.get(&id) else { return };
        let chunk = self.streams.chunk;
        for piece in data.chunks(chunk) {
            self.push_segment(pipe, side, Segment::Data(piece.to_vec()));
        }
        // The kernel's buffer takes it all; the answer is still an event of its own, as in a driver.
        self.put_down(self.now, Happening::News { pipe, side, news: News::Sent });
    }

    pub(super) fn finish_stream(&mut self, host: HostId, id: StreamId) {
        let Some((pipe, side)) = self.host_mut(host).streams.remove(&id) else { return };
        self.forget_end(pipe, side);
        self.push_segment(pipe, side, Segment::Finish);
    }

    pub(super) fn abort_stream(&mut self, host: HostId, id: StreamId) {
        let Some((pipe, side)) = self.host_mut(host).streams.remove(&id) else { return };
        self.forget_end(pipe, side);
        self.push_segment(pipe, side, Segment::Reset);
    }

    /// The process is gone: its kernel resets what was open, and whoever had not been accepted yet.
    pub(super) fn reset_streams_of(&mut self, host: HostId) {
        let open = core::mem::take(&mut self.host_mut(host).streams);
        for (pipe, side) in open.into_values() {
            self.forget_end(pipe, side);
            self.push_segment(pipe, side, Segment::Reset);
        }
        for pipe in 0..self.streams.pipes.len() {
            let acceptor = &self.streams.pipes[pipe].ends[ACCEPTOR];
            if acceptor.host == Some(host) && acceptor.id.is_none() && !acceptor.closed {
                self.refused(pipe);
            }
        }
    }

    /// The acceptor has taken the stream; what came before it did waits in the inbox no longer.
    pub(super) fn accepted(&mut self, host: HostId, id: StreamId, pipe: Pipe) {
        let end = &mut self.streams.pipes[pipe].ends[ACCEPTOR];
        if end.closed {
            return;
        }
        end.id = Some(id);
        self.host_mut(host).streams.insert(id, (pipe, ACCEPTOR));
        self.start_lane(pipe, DIALLER);
    }

    /// The acceptor does not want the stream.
    pub(super) fn refused(&mut self, pipe: Pipe) {
        self.forget_end(pipe, ACCEPTOR);
        self.push_segment(pipe, ACCEPTOR, Segment::Reset);
    }

    pub(super) fn stream_happens(&mut self, happening: Happening) {
        let pipe = match happening {
            Happening::Dial { pipe, .. } | Happening::Lane { pipe, .. } | Happening::News { pipe, .. } => pipe,
        };
        self.streams.pipes[pipe].pending -= 1;
        match happening {
            Happening::Dial { pipe, tries } => self.dial_arrives(pipe, tries),
            Happening::Lane { pipe, side } => self.head_arrives(pipe, side),
            Happening::News { pipe, side, news } => self.tell(pipe, side, news),
        }
        self.free_if_done(pipe);
    }

    fn dial_arrives(&mut self, pipe: Pipe, tries: u32) {
        let [dialler, acceptor] = &self.streams.pipes[pipe].ends;
        let (from, to) = (dialler.address, acceptor.address);
        if dialler.closed {
            return; // Given up meanwhile.
        }
        if self.blocked_once(from, to) || !self.network.connects(to, from) {
            if tries == DIAL_TRIES {
                self.tell(pipe, DIALLER, News::Failed(StreamFailure::TimedOut));
            } else {
                self.put_down(self.now + DIAL_RETRY * (1 << tries), Happening::Dial { pipe, tries: tries + 1 });
            }
            return;
        }
        let back = self.now + self.network.latency(&mut self.rng, to, from);
        let host = self.tenant(to).filter(|host| match &self.host(*host).role {
            Role::Node(_) => true,
            Role::Script(script) => script.listens(),
            Role::Gone | Role::OnStage => false,
        });
        let Some(host) = host else {
            let news = News::Failed(StreamFailure::Refused);
            self.put_down(back, Happening::News { pipe, side: DIALLER, news });
            return;
        };
        let acceptor = &mut self.streams.pipes[pipe].ends[ACCEPTOR];
        acceptor.host = Some(host);
        acceptor.closed = false;
        self.streams.pipes[pipe].lanes[ACCEPTOR].last = back;
        self.put_down(back, Happening::News { pipe, side: DIALLER, news: News::Opened });
        self.arrive(host, Arrival::Accept { pipe, from });
    }

    fn head_arrives(&mut self, pipe: Pipe, side: Side) {
        let other = 1 - side;
        let ends = &self.streams.pipes[pipe].ends;
        let (from, to) = (ends[side].address, ends[other].address);
        if self.blocked_once(from, to) {
            let now = self.now;
            let lane = &mut self.streams.pipes[pipe].lanes[side];
            if lane.tries == SEND_TRIES {
                lane.queue.clear();
                self.tell(pipe, side, News::Failed(StreamFailure::TimedOut));
                return;
            }
            let at = now + SEND_RETRY * (1 << lane.tries);
            lane.tries += 1;
            self.put_down(at, Happening::Lane { pipe, side });
            return;
        }
        let lane = &mut self.streams.pipes[pipe].lanes[side];
        lane.tries = 0;
        let Some((_, segment)) = lane.queue.pop_front() else { return };
        if !lane.queue.is_empty() {
            self.start_lane(pipe, side);
        }
        if self.streams.pipes[pipe].ends[other].closed {
            // A kernel answers data for a closed socket by a reset.
            if matches!(segment, Segment::Data(_)) && !self.streams.pipes[pipe].ends[side].closed {
                let back = self.now + self.network.latency(&mut self.rng, to, from);
                let news = News::Failed(StreamFailure::Reset);
                self.put_down(back, Happening::News { pipe, side, news });
            }
            return;
        }
        let news = match segment {
            Segment::Data(bytes) => News::Data(bytes),
            Segment::Finish => News::Finished,
            Segment::Reset => News::Failed(StreamFailure::Reset),
        };
        self.tell(pipe, other, news);
    }

    /// Whether the packet that would arrive now does not.
    fn blocked_once(&mut self, from: SocketAddr, to: SocketAddr) -> bool {
        !self.network.connects(from, to) || self.network.loses(&mut self.rng, self.now, from, to)
    }

    fn tell(&mut self, pipe: Pipe, side: Side, news: News) {
        let end = &mut self.streams.pipes[pipe].ends[side];
        let (Some(host), Some(id), false) = (end.host, end.id, end.closed) else { return };
        if matches!(news, News::Failed(_)) {
            self.forget_end(pipe, side);
            self.host_mut(host).streams.remove(&id);
        }
        self.arrive(host, Arrival::Stream { id, news });
    }

    fn push_segment(&mut self, pipe: Pipe, side: Side, segment: Segment) {
        let (from, to) = {
            let ends = &self.streams.pipes[pipe].ends;
            (ends[side].address, ends[1 - side].address)
        };
        if let Segment::Data(bytes) = &segment {
            self.digest.add_packet(self.now, from, to, bytes);
        }
        let len = if let Segment::Data(bytes) = &segment { bytes.len() } else { 0 };
        let wait = self.network.queue(self.now, from, to, len, true).unwrap_or_default();
        let at = self.now + wait + self.network.latency(&mut self.rng, from, to);
        let lane = &mut self.streams.pipes[pipe].lanes[side];
        let at = at.max(lane.last);
        lane.last = at;
        let first = lane.queue.is_empty();
        lane.queue.push_back((at, segment));
        // What is written before the accept is held until then: the accept is what gives the stream its name there.
        let named = side == ACCEPTOR || self.streams.pipes[pipe].ends[ACCEPTOR].id.is_some();
        if first && named {
            self.start_lane(pipe, side);
        }
    }

    fn start_lane(&mut self, pipe: Pipe, side: Side) {
        if let Some((at, _)) = self.streams.pipes[pipe].lanes[side].queue.front() {
            let at = (*at).max(self.now);
            self.put_down(at, Happening::Lane { pipe, side });
        }
    }

    fn put_down(&mut self, at: Instant, happening: Happening) {
        let pipe = match happening {
            Happening::Dial { pipe, .. } | Happening::Lane { pipe, .. } | Happening::News { pipe, .. } => pipe,
        };
        self.streams.pipes[pipe].pending += 1;
        self.schedule(at, super::Happening::Stream(happening));
    }

    fn forget_end(&mut self, pipe: Pipe, side: Side) {
        self.streams.pipes[pipe].ends[side].closed = true;
    }

    fn free_if_done(&mut self, pipe: Pipe) {
        let state = &mut self.streams.pipes[pipe];
        if state.pending == 0 && state.ends.iter().all(|end| end.closed) {
            // Marked, so that the place is not given away twice.
            state.pending = u32::MAX;
            self.streams.free.push(pipe);
        }
    }
}

/// Names of scripts' streams begin far from those that any node gives.
const SCRIPT_IDS: u64 = 1 << 32;

/// Of a stream's bytes, unless set otherwise: what fits into one packet on most networks.
const CHUNK: usize = 1460;

/// Linux: a lost SYN is repeated after 1, 2, 4, 8, 16, 32 seconds.
const DIAL_RETRY: Duration = Duration::from_secs(1);
const DIAL_TRIES: u32 = 6;

/// Linux: the least time after which a lost packet is sent again, doubled each time.
const SEND_RETRY: Duration = Duration::from_millis(200);
const SEND_TRIES: u32 = 12;
