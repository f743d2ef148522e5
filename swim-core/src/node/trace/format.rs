//! What recording and replaying have in common: how a trace is written (see [`trace`](crate::node::trace)), and the hash of
//! what a node puts out.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::node::config::Config;
use crate::node::input::StreamAction;
use crate::node::trace::replay::ReplayError;
use crate::time::Instant;

#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) version: u16,
    pub(super) build: String,
    pub(super) config: Config,
    /// One-way: they tell whether the right keys are given, not what they are.
    pub(super) key_ids: Vec<[u8; 8]>,
    pub(super) admission: Option<String>,
    pub(super) seed: [u8; 32],
    pub(super) start: Instant,
}

/// Everything a node has put out, in two hashes: datagrams and stream actions may be taken in any order to each other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outputs {
    pub(super) datagrams: Running,
    pub(super) actions: Running,
}

/// FNV-1a over a sequence of things: stable for ever, which is all that is asked of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) count: u64,
    pub(super) hash: u64,
}

impl Outputs {
    pub(super) fn datagram(&mut self, destination: SocketAddr, datagram: &[u8]) {
        self.datagrams.add_address(destination);
        self.datagrams.add(datagram);
        self.datagrams.count += 1;
    }

    pub(super) fn action(&mut self, action: &StreamAction) {
        let (kind, id) = match action {
            StreamAction::Open { id, .. } => (0, id),
            StreamAction::Send { id, .. } => (1, id),
            StreamAction::Finish { id } => (2, id),
            StreamAction::Abort { id } => (3, id),
        };
        self.actions.add(&[kind]);
        self.actions.add(&id.0.to_le_bytes());
        match action {
            StreamAction::Open { peer, .. } => self.actions.add_address(*peer),
            StreamAction::Send { data, .. } => self.actions.add(data),
            StreamAction::Finish { .. } | StreamAction::Abort { .. } => {}
        }
        self.actions.count += 1;
    }
}

impl Running {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
        self.hash = (self.hash ^ bytes.len() as u64).wrapping_mul(FNV_PRIME);
    }

    pub(super) fn add_address(&mut self, address: SocketAddr) {
        match address.ip() {
            core::net::IpAddr::V4(ip) => self.add(&ip.octets()),
            core::net::IpAddr::V6(ip) => self.add(&ip.octets()),
        }
        self.add(&address.port().to_le_bytes());
    }
}

pub(super) const MAGIC: &[u8; 8] = b"swimtrc1";
/// Raised with every change of what a header or an input is made of: neither says by itself where its parts begin.
pub(super) const VERSION: u16 = 2;
pub(super) const CHECKPOINT_EVERY: u32 = 64;
/// The length of nothing, which begins a checkpoint.
pub(super) const MARKER_LEN: usize = 4;
pub(super) const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Appends a length and `value`.
pub(super) fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
    let body = bincode::serde::encode_to_vec(value, bincode::config::standard())
        .expect("the types of a trace can all be encoded, and memory is the only limit");
    let at = out.len() - 4;
    out[at..].copy_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&body);
}

/// Texts are owned, and bincode makes room for as many bytes as are announced: so what may be announced is bounded, in two
/// steps, because a bound must be known to the compiler.
pub(super) fn decode<'t, T: Deserialize<'t>>(bytes: &'t [u8]) -> Option<T> {
    let config = bincode::config::standard();
    let decoded = if bytes.len() <= RECORD_SHORT {
        bincode::serde::borrow_decode_from_slice(bytes, config.with_limit::<DECODED_SHORT>())
    } else {
        bincode::serde::borrow_decode_from_slice(bytes, config.with_limit::<DECODED_LONG>())
    };
    decoded.ok().map(|(value, _)| value)
}

/// Nearly all records are no longer than that; what they decode to takes more room than they do, but not this much more.
pub(super) const RECORD_SHORT: usize = 64 * 1024;
pub(super) const DECODED_SHORT: usize = 16 * RECORD_SHORT;
/// A snapshot of very many members, restored, is one record.
pub(super) const DECODED_LONG: usize = 1 << 30;

/// What a trace begins with, and what follows it.
pub(super) fn header(trace: &[u8]) -> Result<(Header, &[u8]), ReplayError> {
    let rest = trace.strip_prefix(MAGIC).ok_or(ReplayError::NoTrace)?;
    let (encoded, rest) = split(rest).ok_or(ReplayError::NoTrace)?;
    // The version comes first, whatever follows it in another one.
    let version: u16 = decode(encoded).ok_or(ReplayError::NoTrace)?;
    if version != VERSION {
        return Err(ReplayError::Version(version));
    }
    Ok((decode(encoded).ok_or(ReplayError::NoTrace)?, rest))
}

/// The next length-prefixed part, and what follows it.
pub(super) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}
