//! Network coordinates: every node places itself in a space in which distances are round-trip times, so that the time
//! between any two members can be estimated without measuring it.
//!
//! The springs are Vivaldi's (Dabek et al., SIGCOMM 2004), the adjustment term is Lee et al.'s ("On Suitability of
//! Euclidean Embedding for Host-Based Network Coordinate Systems"), the latency filter and gravity are Ledlie et al.'s
//! ("Network Coordinates in the Wild", NSDI 2007); constants and order of the operations are those of Serf
//! (`coordinate/client.go`), so that the same pings lead to the same floats.

use alloc::vec::Vec;
use core::array;
use core::fmt;
use core::time::Duration;

use crate::cx::Cx;
use crate::ids::MemberId;
use crate::log::log_some;
use crate::rng::Rng;
use crate::roster::push_tight;
use crate::serf::Serf;
use crate::swim::probe::ProbeCompleted;
use crate::wire::serf::{self as wire, WireCoordinate};

/// Where a node stands in the space of round-trip times. Every part is finite. See
/// [`Node::coordinate`](crate::Node::coordinate).
///
/// The vector is the place in the core of the network, the height what it takes to get there (the access link, which
/// all paths of a node share), the adjustment corrects for what a Euclidean space cannot express.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinate {
    vec: [f64; DIMENSIONS],
    error: f64,
    adjustment: f64,
    height: f64,
}

impl Coordinate {
    /// Where every node begins: at the origin and sure of nothing.
    pub(crate) const ORIGIN: Self =
        Self { vec: [0.0; DIMENSIONS], error: ERROR_MAX, adjustment: 0.0, height: HEIGHT_MIN };

    /// A coordinate that somebody has told, its parts as [`vec`](Self::vec), [`error`](Self::error),
    /// [`adjustment`](Self::adjustment) and [`height`](Self::height) return them.
    ///
    /// # Errors
    ///
    /// [`CoordinateError::Dimensions`] unless `vec` has 8 components, [`CoordinateError::InvalidValue`] when a part is
    /// not a number or infinite.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::serf::coordinate::{Coordinate, CoordinateError};
    ///
    /// let here = Coordinate::from_parts(&[0.0; 8], 1.5, 0.0, 1e-5)?;
    /// assert_eq!(here.vec(), &[0.0; 8]);
    /// assert_eq!(Coordinate::from_parts(&[0.0; 3], 1.5, 0.0, 1e-5), Err(CoordinateError::Dimensions));
    /// assert_eq!(Coordinate::from_parts(&[f64::NAN; 8], 1.5, 0.0, 1e-5), Err(CoordinateError::InvalidValue));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_parts(vec: &[f64], error: f64, adjustment: f64, height: f64) -> Result<Self, CoordinateError> {
        let vec = vec.try_into().map_err(|_| CoordinateError::Dimensions)?;
        let coordinate = Self { vec, error, adjustment, height };
        if coordinate.is_finite() { Ok(coordinate) } else { Err(CoordinateError::InvalidValue) }
    }

    /// The estimated round-trip time between the two nodes, truncated to whole nanoseconds.
    ///
    /// Zero at least, whatever the coordinates hold, and the same in both directions but for the last bit of the sum.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// use swim_core::serf::coordinate::Coordinate;
    ///
    /// let here = Coordinate::from_parts(&[0.0; 8], 0.1, 0.0, 0.001)?;
    /// let there = Coordinate::from_parts(&[0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0.1, 0.0, 0.001)?;
    /// // Across the core, and through both access links.
    /// let estimate = here.distance_to(&there);
    /// assert!(estimate.abs_diff(Duration::from_millis(252)) < Duration::from_micros(1), "{estimate:?}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn distance_to(&self, other: &Self) -> Duration {
        Duration::from_nanos(self.nanos_to(other).try_into().unwrap_or(0))
    }

    /// The place, in seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::serf::coordinate::Coordinate;
    /// let coordinate = Coordinate::from_parts(&[0.25; 8], 1.5, 0.0, 1e-5)?;
    /// assert_eq!(coordinate.vec()[7], 0.25);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn vec(&self) -> &[f64; 8] {
        &self.vec
    }

    /// How wrong the node believes its coordinate to be, relative to the times that it measures: 0 for certain. Our own
    /// is 1.5 at most; others say what they like.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// let error = |node: &swim_core::Node| node.coordinate(b"a").map(|coordinate| coordinate.error());
    /// let before = error(&a);
    /// # run(&mut now, [&mut a, &mut b], 60);
    /// assert!(error(&a) != before && error(&a) <= Some(1.5));
    /// ```
    pub fn error(&self) -> f64 {
        self.error
    }

    /// Half of what this node's measurements exceeded the distances by, on average, in seconds; negative when they fell
    /// short.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::serf::coordinate::Coordinate;
    /// let coordinate = Coordinate::from_parts(&[0.0; 8], 1.5, -0.002, 1e-5)?;
    /// assert_eq!(coordinate.adjustment(), -0.002);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adjustment(&self) -> f64 {
        self.adjustment
    }

    /// The part of each round trip that is the node's own, in seconds. Our own is 10 µs at least; others say what they
    /// like.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod pair { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pair.rs")); }
    /// # use pair::*;
    /// # let (mut now, mut a, mut b) = two();
    /// # run(&mut now, [&mut a, &mut b], 10);
    /// let coordinate = a.coordinate(b"a").expect("coordinates are on");
    /// assert!(coordinate.height() >= 10e-6);
    /// ```
    pub fn height(&self) -> f64 {
        self.height
    }

    /// As Serf knows distances, in nanoseconds. Negative only if a peer claims a negative height.
    fn nanos_to(&self, other: &Self) -> i64 {
        let raw = self.raw_distance_to(other);
        let adjusted = raw + self.adjustment + other.adjustment;
        let seconds = if adjusted > 0.0 { adjusted } else { raw };
        (seconds * 1e9) as i64 // truncates, saturates
    }

    /// What the steps below call the distance: it has been through whole nanoseconds and back to seconds.
    fn seconds_to(&self, other: &Self) -> f64 {
        let nanos = self.nanos_to(other);
        (nanos / 1_000_000_000) as f64 + (nanos % 1_000_000_000) as f64 / 1e9
    }

    fn raw_distance_to(&self, other: &Self) -> f64 {
        magnitude(&difference(&self.vec, &other.vec)) + self.height + other.height
    }

    /// Moves by `force` seconds away from `other`, or towards it if negative.
    fn apply(&mut self, rng: &mut Rng, force: f64, other: &Self) {
        let between = difference(&self.vec, &other.vec);
        let distance = magnitude(&between);
        if distance > ZERO_THRESHOLD {
            self.shift(&between, 1.0 / distance, force);
            let height = (self.height + other.height) * force / distance + self.height;
            // Not `max`, which would take the bound for NaN: that must show, and lead to a reset.
            self.height = if height < HEIGHT_MIN { HEIGHT_MIN } else { height };
            return;
        }
        // On top of each other, as all are at first: any direction will do, if only they differ.
        let random: [f64; DIMENSIONS] = array::from_fn(|_| rng.f64_unit() - 0.5);
        let length = magnitude(&random);
        if length > ZERO_THRESHOLD {
            self.shift(&random, 1.0 / length, force);
        } else {
            self.vec[0] += force;
        }
    }

    fn shift(&mut self, direction: &[f64; DIMENSIONS], scale: f64, force: f64) {
        for (own, component) in self.vec.iter_mut().zip(direction) {
            *own += component * scale * force;
        }
    }

    fn is_finite(&self) -> bool {
        self.vec.iter().chain([&self.error, &self.adjustment, &self.height]).all(|part| part.is_finite())
    }

    /// Whether updates with honest peers will improve it, however bad it is.
    ///
    /// From beyond [`GRAVITY_REACH`] gravity pulls to the far side of the origin, and so on for ever; a negative error
    /// feeds on itself. Either takes a peer that lies.
    fn is_recoverable(&self) -> bool {
        self.is_finite() && self.error >= 0.0 && Self::ORIGIN.seconds_to(self) <= GRAVITY_REACH
    }
}

/// Why a coordinate was not used. Texts are Serf's. See [`Coordinate::from_parts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoordinateError {
    /// A part of it is not a number, or infinite.
    InvalidValue,
    /// It does not have 8 dimensions.
    Dimensions,
    /// The ping took more than 10 s.
    RttOutOfRange {
        /// How long it took.
        rtt: Duration,
    },
}

impl fmt::Display for CoordinateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidValue => f.write_str("coordinate is invalid"),
            Self::Dimensions => f.write_str("dimensions aren't compatible"),
            Self::RttOutOfRange { rtt } => {
                f.write_str("round trip time not in valid range, duration ")?;
                fmt_as_go(*rtt, f)?;
                f.write_str(" is not a positive value less than 10s ")
            }
        }
    }
}

impl core::error::Error for CoordinateError {}

/// The coordinates that one node knows: its own and, of each member that it has pinged, the last one heard.
///
/// About 110 bytes for each of these, 88 of them the coordinate, and four for other members. There are never more than
/// members, because [`forget`](Self::forget) goes with each that is forgotten.
#[derive(Debug)]
pub(crate) struct Coordinates {
    local: MemberId,
    own: Coordinate,
    /// By how much the last measurements exceeded the distances, in seconds; a ring.
    excesses: [f64; ADJUSTMENT_WINDOW],
    excess_next: u8,
    resets: u64,
    peers: Vec<Peer>,
    /// Where each member's peer is, by its slot.
    by_member: Vec<u32>,
}

impl Coordinates {
    /// A node without knowledge; `local` is the slot of the node itself.
    pub(crate) fn new(local: MemberId) -> Self {
        Self {
            local,
            own: Coordinate::ORIGIN,
            excesses: [0.0; ADJUSTMENT_WINDOW],
            excess_next: 0,
            resets: 0,
            peers: Vec::new(),
            by_member: Vec::new(),
        }
    }

    /// Learns from an ack: `member`, who stands at `other`, answered within `rtt`. Returns how far we have moved.
    ///
    /// # Errors
    ///
    /// [`CoordinateError::RttOutOfRange`] when `rtt` is more than 10 s; then nothing has changed. Zero is fine.
    pub(crate) fn update(
        &mut self,
        rng: &mut Rng,
        member: MemberId,
        other: &Coordinate,
        rtt: Duration,
    ) -> Result<Duration, CoordinateError> {
        if rtt > RTT_MAX {
            return Err(CoordinateError::RttOutOfRange { rtt });
        }
        let before = self.own;
        let peer = self.peer_mut(member);
        peer.coordinate = *other;
        let rtt = peer.filter(rtt).as_secs_f64();
        self.stretch(rng, other, rtt);
        self.adjust(other, rtt);
        self.gravitate(rng);
        if !self.own.is_recoverable() {
            self.reset();
        }
        Ok(before.distance_to(&self.own))
    }

    /// Forgets what `member` has told and how long its pings took.
    pub(crate) fn forget(&mut self, member: MemberId) {
        let Some(at) = self.find(member) else { return };
        self.by_member[member.index()] = NOWHERE;
        self.peers.swap_remove(at);
        // The last one has taken the place that became free.
        if let Some(moved) = self.peers.get(at) {
            self.by_member[moved.member.index()] = at as u32;
        }
    }

    /// The coordinate of `member`, if it is the node itself or has been pinged.
    pub(crate) fn get(&self, member: MemberId) -> Option<Coordinate> {
        if member == self.local { Some(self.own) } else { self.find(member).map(|at| self.peers[at].coordinate) }
    }

    /// The node's own coordinate, which goes out with every ack.
    pub(crate) fn own(&self) -> Coordinate {
        self.own
    }

    /// How often the own coordinate had become unusable and was started afresh.
    pub(crate) fn resets(&self) -> u64 {
        self.resets
    }

    /// Vivaldi's spring, stretched or compressed to the measured length: the less certain end moves more.
    fn stretch(&mut self, rng: &mut Rng, other: &Coordinate, rtt: f64) {
        let distance = self.own.seconds_to(other);
        let rtt = at_least(rtt, ZERO_THRESHOLD);
        let wrongness = (distance - rtt).abs() / rtt;
        let weight = self.own.error / at_least(self.own.error + other.error, ZERO_THRESHOLD);
        let error = CE * weight * wrongness + self.own.error * (1.0 - CE * weight);
        self.own.error = if error > ERROR_MAX { ERROR_MAX } else { error };
        self.own.apply(rng, CC * weight * (rtt - distance), other);
    }

    fn adjust(&mut self, other: &Coordinate, rtt: f64) {
        self.excesses[usize::from(self.excess_next)] = rtt - self.own.raw_distance_to(other);
        self.excess_next = (self.excess_next + 1) % ADJUSTMENT_WINDOW as u8;
        let sum = self.excesses.iter().fold(0.0, |sum, excess| sum + excess);
        // Half of the average: the other end contributes its own half.
        self.own.adjustment = sum / (2.0 * ADJUSTMENT_WINDOW as f64);
    }

    /// Keeps the whole cluster from drifting away from the origin.
    fn gravitate(&mut self, rng: &mut Rng) {
        let pull = Coordinate::ORIGIN.seconds_to(&self.own) / GRAVITY_RHO;
        self.own.apply(rng, -(pull * pull), &Coordinate::ORIGIN);
    }

    /// Starts afresh. Serf keeps the samples and resets on NaN and infinity only; but one infinite sample in there
    /// would cost the next 19 updates a reset each, and a coordinate may be lost while it is finite.
    fn reset(&mut self) {
        self.own = Coordinate::ORIGIN;
        self.excesses = [0.0; ADJUSTMENT_WINDOW];
        self.resets += 1;
    }

    fn find(&self, member: MemberId) -> Option<usize> {
        self.by_member.get(member.index()).filter(|at| **at != NOWHERE).map(|at| *at as usize)
    }

    fn peer_mut(&mut self, member: MemberId) -> &mut Peer {
        let at = self.find(member).unwrap_or_else(|| {
            while self.by_member.len() <= member.index() {
                push_tight(&mut self.by_member, NOWHERE);
            }
            self.by_member[member.index()] = self.peers.len() as u32;
            push_tight(&mut self.peers, Peer::new(member));
            self.peers.len() - 1
        });
        &mut self.peers[at]
    }
}

/// What is known of a member that was pinged. There may be as many as members, so every byte counts.
#[derive(Debug)]
struct Peer {
    coordinate: Coordinate,
    member: MemberId,
    // The last two round trips, the older first: the median of three needs no more than these and the newest. Seconds
    // and nanoseconds apart, since a `Duration` would take twice as much.
    secs: [u8; 2],
    nanos: [u32; 2],
}

impl Peer {
    fn new(member: MemberId) -> Self {
        Self { coordinate: Coordinate::ORIGIN, member, secs: [NO_SAMPLE; 2], nanos: [0; 2] }
    }

    /// Takes the newest round trip, at most [`RTT_MAX`]; returns the median of the last three, of two the longer.
    fn filter(&mut self, rtt: Duration) -> Duration {
        let [older, last] = array::from_fn(|at| {
            let known = self.secs[at] != NO_SAMPLE;
            known.then(|| Duration::new(self.secs[at].into(), self.nanos[at]))
        });
        self.secs = [self.secs[1], rtt.as_secs() as u8];
        self.nanos = [self.nanos[1], rtt.subsec_nanos()];
        match (older, last) {
            (_, None) => rtt,
            (None, Some(last)) => rtt.max(last),
            (Some(older), Some(last)) => rtt.clamp(older.min(last), older.max(last)),
        }
    }
}

fn difference(a: &[f64; DIMENSIONS], b: &[f64; DIMENSIONS]) -> [f64; DIMENSIONS] {
    array::from_fn(|at| a[at] - b[at])
}

fn magnitude(vec: &[f64; DIMENSIONS]) -> f64 {
    libm::sqrt(vec.iter().fold(0.0, |sum, component| sum + component * component))
}

/// `value`, or `min` if that is larger; NaN stays.
fn at_least(value: f64, min: f64) -> f64 {
    if value < min { min } else { value }
}

/// As Go prints durations of a second or more: `10.5s`, `1m0s`, `1h0m0.25s`.
fn fmt_as_go(duration: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs() % 60);
    if minutes >= 60 {
        write!(f, "{}h", minutes / 60)?;
    }
    if minutes > 0 {
        write!(f, "{}m", minutes % 60)?;
    }
    write!(f, "{seconds}")?;
    let (mut fraction, mut digits) = (duration.subsec_nanos(), 9);
    if fraction > 0 {
        while fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, ".{fraction:0digits$}")?;
    }
    f.write_str("s")
}

/// What rides on acks (serf-layer.md 14).
impl Serf {
    /// Appends our coordinate, as the payload of an ack; nothing when coordinates are off.
    pub(crate) fn encode_ack_payload(&self, out: &mut Vec<u8>) {
        let Some(coordinates) = &self.coordinates else { return };
        let Coordinate { vec, error, adjustment, height } = coordinates.own();
        self.codec.encode_coordinate(&WireCoordinate { vec, error, adjustment, height }, out);
    }

    /// Reads what an ack of this member will change, and says something of it: for its way into the processor's caches.
    pub(crate) fn touch(&self, member: MemberId) -> u64 {
        let peer = self.coordinates.as_ref().and_then(|coordinates| coordinates.peers.get(coordinates.find(member)?));
        let known = peer.map_or(0, |peer| peer.coordinate.error.to_bits() ^ u64::from(peer.nanos[0]));
        self.records.get(member).status_time.0 ^ known
    }

    /// A member has answered a direct ping in time, and this is what its ack carried.
    pub(crate) fn handle_ack_payload(&mut self, cx: &mut Cx<'_>, completed: ProbeCompleted, payload: &[u8]) {
        let ProbeCompleted { member, rtt } = completed;
        // A coordinate must not outlive Serf's record of the member: its slot may become somebody else's.
        if self.records.get(member).status.is_none() {
            return;
        }
        let Some(coordinates) = &mut self.coordinates else { return };
        let other = match self.codec.decode_coordinate(payload) {
            Ok(None) => return,
            Ok(Some(WireCoordinate { vec, error, adjustment, height })) => {
                Coordinate::from_parts(&vec, error, adjustment, height)
            }
            Err(wire::CoordinateError::Dimensions(_)) => Err(CoordinateError::Dimensions),
            Err(wire::CoordinateError::Version(_) | wire::CoordinateError::Malformed(_)) => {
                Err(CoordinateError::InvalidValue)
            }
        };
        match other.and_then(|other| coordinates.update(&mut self.coordinate_rng, member, &other, rtt)) {
            Ok(_moved) => cx.stats.coordinates_zero_rtt += u64::from(rtt.is_zero()),
            Err(error) => {
                cx.stats.coordinates_rejected += 1;
                log_some!(cx, DEBUG, "coordinate_rejected", member = cx.roster.slot(member).name, error = error);
            }
        }
    }
}

/// Of a member that has not been pinged.
const NOWHERE: u32 = u32::MAX;
const DIMENSIONS: usize = 8;
/// Of the error, a relative one: this much at first.
const ERROR_MAX: f64 = 1.5;
/// How much one measurement changes the error.
const CE: f64 = 0.25;
/// How much of the way one measurement moves us.
const CC: f64 = 0.25;
const ADJUSTMENT_WINDOW: usize = 20;
/// In seconds. Heights must not reach zero, from where they could not grow.
const HEIGHT_MIN: f64 = 1.0e-5;
/// In seconds. At this distance from the origin gravity pulls by one second.
const GRAVITY_RHO: f64 = 150.0;
/// In seconds. Here gravity pulls exactly to the origin, further out beyond it.
const GRAVITY_REACH: f64 = GRAVITY_RHO * GRAVITY_RHO;
/// In seconds, or of the error: what is less is not divided by.
const ZERO_THRESHOLD: f64 = 1.0e-6;
const RTT_MAX: Duration = Duration::from_secs(10);
/// In place of the seconds of a round trip, which are 10 at most.
const NO_SAMPLE: u8 = u8::MAX;

#[cfg(test)]
mod tests;
