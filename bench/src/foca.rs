//! foca 2, with identities of two kinds.

use core::convert::Infallible;
use core::num::{NonZeroU8, NonZeroU32};
use core::time::Duration;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;

use foca::{Codec, Config, Foca, Header, Identity, Member, Message, NoCustomBroadcast, Notification, PostcardCodec};
use foca::{Runtime, State, Timer};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cluster::{self, Out};
use crate::instance::Instance;
use crate::samples::timed;
use crate::scene;

/// What distinguishes the two kinds.
pub(crate) trait Id: Identity + Serialize + DeserializeOwned + 'static {
    fn of(member: usize) -> Self;
    fn member(&self) -> usize;
}

/// What a member of ours is, too: a name, an address, two tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    name: String,
    address: SocketAddr,
    tags: Vec<(String, String)>,
    /// Raised when it comes back after it was declared down.
    life: u16,
}

impl Identity for Named {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Self> {
        Some(Self { life: self.life.wrapping_add(1), ..self.clone() })
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.life > adversary.life
    }
}

impl Id for Named {
    fn of(member: usize) -> Self {
        let tags = [("role", "web"), ("dc", "east")].map(|(key, value)| (key.into(), value.into())).into();
        Self { name: scene::name(member), address: scene::address(member), tags, life: 0 }
    }

    fn member(&self) -> usize {
        cluster::member_at(self.address)
    }
}

/// The least: an IPv4 address, a port, and the life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Short {
    ip: [u8; 4],
    port: u16,
    life: u16,
}

impl Identity for Short {
    type Addr = ([u8; 4], u16);

    fn renew(&self) -> Option<Self> {
        Some(Self { life: self.life.wrapping_add(1), ..*self })
    }

    fn addr(&self) -> Self::Addr {
        (self.ip, self.port)
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.life > adversary.life
    }
}

impl Id for Short {
    fn of(member: usize) -> Self {
        let SocketAddr::V4(address) = scene::address(member) else { unreachable!("the set-up is of IPv4") };
        Self { ip: address.ip().octets(), port: address.port(), life: 0 }
    }

    fn member(&self) -> usize {
        cluster::member_at(SocketAddr::new(self.ip.into(), self.port))
    }
}

/// What foca asks for during one call.
struct Wishes<T> {
    sent: VecDeque<(T, Vec<u8>)>,
    timers: Vec<(Duration, Timer<T>)>,
    /// Members declared down.
    down: u64,
    spare: Vec<Vec<u8>>,
}

impl<T> Default for Wishes<T> {
    fn default() -> Self {
        Self { sent: VecDeque::new(), timers: Vec::new(), down: 0, spare: Vec::new() }
    }
}

impl<T: Identity> Runtime<T> for Wishes<T> {
    fn notify(&mut self, notification: Notification<'_, T>) {
        match notification {
            Notification::MemberDown(_) => self.down += 1,
            Notification::MemberUp(_)
            | Notification::Rename(..)
            | Notification::Active
            | Notification::Idle
            | Notification::Defunct
            | Notification::Rejoin(_) => {}
        }
    }

    fn send_to(&mut self, to: T, data: &[u8]) {
        let mut buf = self.spare.pop().unwrap_or_default();
        buf.clear();
        buf.extend_from_slice(data);
        self.sent.push_back((to, buf));
    }

    fn submit_after(&mut self, event: Timer<T>, after: Duration) {
        self.timers.push((after, event));
    }
}

/// By time, then in foca's own order.
type Agenda<T> = BinaryHeap<Reverse<(Duration, Timer<T>)>>;

/// A node, its timers, and what time it is there.
pub(crate) struct Peer<T: Id> {
    foca: Foca<T, PostcardCodec, SmallRng, NoCustomBroadcast>,
    agenda: Agenda<T>,
    wishes: Wishes<T>,
    now: Duration,
}

impl<T: Id> Peer<T> {
    fn new(member: usize, config: Config, seed: u64) -> Self {
        let foca = Foca::new(T::of(member), config, SmallRng::seed_from_u64(seed), PostcardCodec);
        Self { foca, agenda: BinaryHeap::new(), wishes: Wishes::default(), now: Duration::ZERO }
    }

    fn schedule(&mut self) {
        for (after, timer) in self.wishes.timers.drain(..) {
            self.agenda.push(Reverse((self.now + after, timer)));
        }
    }

    /// Fires the next timer, with everybody answering pings at once. Says what kind it was and whether anything was sent.
    fn wake(&mut self) -> Fired {
        let Reverse((at, timer)) = self.agenda.pop().expect("there is always a next probe");
        self.now = at;
        let kind = Kind::of(&timer);
        // foca calls what comes out of order an error, and goes on; nothing does here.
        self.foca.handle_timer(timer, &mut self.wishes).expect("timers fire in order");
        let sent = !self.wishes.sent.is_empty();
        self.answer_pings();
        self.schedule();
        Fired { kind, sent }
    }

    fn answer_pings(&mut self) {
        while let Some((to, data)) = self.wishes.sent.pop_front() {
            let header: Header<T> = PostcardCodec.decode_header(&data[..]).expect("what foca writes can be read");
            self.wishes.spare.push(data);
            if let Message::Ping(number) = header.message {
                let mut ack = self.wishes.spare.pop().unwrap_or_default();
                ack.clear();
                let message = Message::Ack(number);
                let header = Header { src: to, src_incarnation: 0, dst: header.src, message };
                PostcardCodec.encode_header(&header, &mut ack).expect("a buffer grows");
                self.foca.handle_data(&ack, &mut self.wishes).expect("the ack is good");
                self.wishes.spare.push(ack);
            }
        }
    }
}

struct Fired {
    kind: Kind,
    sent: bool,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Probe,
    EndOfPing,
    Gossip,
    Other,
}

impl Kind {
    fn of<T>(timer: &Timer<T>) -> Self {
        match timer {
            Timer::ProbeRandomMember(_) => Self::Probe,
            Timer::SendIndirectProbe { .. } => Self::EndOfPing,
            Timer::PeriodicGossip(_) => Self::Gossip,
            Timer::ChangeSuspectToDown { .. }
            | Timer::PeriodicAnnounce(_)
            | Timer::PeriodicAnnounceDown(_)
            | Timer::RemoveDown(_) => Self::Other,
        }
    }
}

fn config(members: usize) -> Config {
    let members = u32::try_from(members).ok().and_then(NonZeroU32::new).expect("a cluster has members");
    Config::new_lan(members)
}

fn message<T: Id>(from: usize, to: usize, message: Message<T>) -> Vec<u8> {
    let mut buf = Vec::new();
    let header = Header { src: T::of(from), src_incarnation: 0, dst: T::of(to), message };
    PostcardCodec.encode_header(&header, &mut buf).expect("a buffer grows");
    buf
}

impl<T: Id> Instance for Peer<T> {
    type Load = Vec<Member<T>>;

    fn alone(members: usize) -> Self {
        // One transmission of each piece of news instead of a dozen, until it has settled: how often it is sent does not
        // matter before, and so it takes seconds instead of minutes.
        let once = Config { max_transmissions: NonZeroU8::MIN, ..config(members) };
        Self::new(0, once, 1)
    }

    fn packet(members: impl Iterator<Item = usize>, version: u32) -> Vec<u8> {
        let mut buf = message::<T>(1, 0, Message::Gossip);
        let count_at = buf.len();
        buf.extend_from_slice(&[0, 0]);
        let mut count = 0_u16;
        for member in members {
            let incarnation = u16::try_from(version).expect("foca's incarnations are so short");
            let update = Member::new(T::of(member), incarnation, State::Alive);
            PostcardCodec.encode_member(&update, &mut buf).expect("a buffer grows");
            count += 1;
        }
        buf[count_at..count_at + 2].copy_from_slice(&count.to_be_bytes());
        buf
    }

    fn handle(&mut self, packet: &mut [u8]) {
        self.foca.handle_data(packet, &mut self.wishes).expect("the packet is good");
        self.schedule();
    }

    fn members(&self) -> usize {
        self.foca.num_members() + 1
    }

    fn news(&self) -> usize {
        self.foca.updates_backlog()
    }

    fn settle(&mut self) {
        while self.news() > 0 {
            self.wake();
        }
        self.foca.set_config(config(self.members())).expect("only the number of transmissions differs");
    }

    fn probe_round(&mut self) -> Duration {
        // What is not part of a probe is not counted.
        let mut took = Duration::ZERO;
        let mut begun = false;
        loop {
            let (fired, this) = timed(|| self.wake());
            match fired.kind {
                Kind::Probe => {
                    begun = true;
                    took += this;
                }
                Kind::EndOfPing if begun => return took + this,
                Kind::EndOfPing | Kind::Gossip | Kind::Other => {}
            }
        }
    }

    fn gossip_tick(&mut self) -> Duration {
        loop {
            let (fired, took) = timed(|| self.wake());
            if fired.kind == Kind::Gossip && fired.sent {
                return took;
            }
        }
    }

    fn join_reply(&mut self) -> (Duration, usize) {
        let request = message::<T>(1, 0, Message::Announce);
        let ((), took) = timed(|| self.foca.handle_data(&request, &mut self.wishes).expect("the request is good"));
        let len = self.wishes.sent.iter().map(|(_, data)| data.len()).sum();
        self.answer_pings();
        (took, len)
    }

    fn prepare_load(members: usize) -> (Vec<Member<T>>, Option<usize>) {
        ((1..members).map(|member| Member::alive(T::of(member))).collect(), None)
    }

    fn load(load: Vec<Member<T>>) -> Self {
        let mut peer = Self::alone(load.len() + 1);
        peer.foca.apply_many(load.into_iter(), false, &mut peer.wishes).expect("the members are good");
        peer.schedule();
        peer
    }
}

/// A node of foca in a simulated cluster.
pub(crate) struct Simulated<T: Id>(Peer<T>);

impl<T: Id> Simulated<T> {
    fn carry(&mut self, out: &mut Out<Infallible>) {
        let Peer { wishes, .. } = &mut self.0;
        while let Some((to, datagram)) = wishes.sent.pop_front() {
            out.datagram(to.member(), &datagram);
            wishes.spare.push(datagram);
        }
        self.0.schedule();
    }
}

impl<T: Id> cluster::Member for Simulated<T> {
    type Segment = Infallible;

    fn start(number: usize, members: usize, seed: u64) -> Self {
        Self(Peer::new(number, config(members), seed.wrapping_mul(1 << 20) + number as u64))
    }

    fn join(&mut self, now: Duration, out: &mut Out<Infallible>) {
        self.0.now = now;
        self.0.foca.announce(T::of(0), &mut self.0.wishes).expect("anybody can be asked");
        self.carry(out);
    }

    fn datagram(&mut self, now: Duration, _: usize, datagram: &mut [u8], out: &mut Out<Infallible>) {
        self.0.now = now;
        // A node that was declared down and came back under another identity still hears what was meant for the old one.
        let _not_for_us = self.0.foca.handle_data(datagram, &mut self.0.wishes);
        self.carry(out);
    }

    fn segment(&mut self, _: Duration, _: usize, segment: Infallible, _: &mut Out<Infallible>) {
        match segment {}
    }

    fn fire(&mut self, now: Duration, out: &mut Out<Infallible>) {
        self.0.now = now;
        while let Some(Reverse((at, _))) = self.0.agenda.peek()
            && *at <= now
        {
            let Some(Reverse((_, timer))) = self.0.agenda.pop() else { break };
            // Timers of a former identity are out of order, which foca reports and survives.
            let _out_of_order = self.0.foca.handle_timer(timer, &mut self.0.wishes);
            self.carry(out);
        }
    }

    fn next(&self) -> Option<Duration> {
        self.0.agenda.peek().map(|Reverse((at, _))| *at)
    }

    fn alive(&self) -> usize {
        self.0.foca.num_members() + 1
    }

    fn failures(&self) -> u64 {
        self.0.wishes.down
    }
}
