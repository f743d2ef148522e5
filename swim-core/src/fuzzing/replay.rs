//! Traces: whatever stands in the file, a replay ends, and ends the same way each time.

use alloc::vec::Vec;

use super::bytes::Bytes;
use super::node;
use crate::node::trace::{Replay, ReplayError, Step};
use crate::wire::keyring::Keyring;

/// Replays a trace of a node without keys.
///
/// With an even first byte the rest is the file. With an odd one a file is made: so many bytes of it are damaged as the next
/// byte, modulo 8, says, each at the place that two bytes name, little endian, by XOR with a third; what then follows is an
/// input of [`node`](super::node::run), whose run is recorded. So the corpus stays what it is when the format changes.
///
/// # Panics
///
/// When a file without damage does not replay to its end; when a step goes back in the file or beyond its end; when a
/// second replay does anything else; when the same file, cut off after a record, does anything else up to there; when the
/// node contradicts itself.
///
/// # Examples
///
/// ```
/// swim_core::fuzzing::replay::run(b"\0swimtrc1 and then something else");
/// // Half a minute of a node alone, with the last bit of the seventieth byte turned over.
/// swim_core::fuzzing::replay::run(b"\x01\x01\x46\0\x01\0\x08\x0f");
/// ```
pub fn run(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    if !input.flag() {
        look(input.0);
        return;
    }
    let damages: Vec<_> = (0..input.u8() % 8).map(|_| (input.u16(), input.u8())).collect();
    let mut trace = node::record(input.0);
    for (at, change) in &damages {
        if let Some(byte) = trace.get_mut(usize::from(*at)) {
            *byte ^= change;
        }
    }
    let seen = look(&trace);
    if damages.is_empty() {
        assert_eq!(seen.map(|seen| seen.end), Some(Ok(())), "of what has just been recorded");
    }
}

fn look(trace: &[u8]) -> Option<Seen> {
    let first = replay(trace)?;
    let second = replay(trace);
    assert!(second.as_ref() == Some(&first), "the same trace, and not the same replay: {first:?} {second:?}");
    if let Some((end, _)) = first.steps.get(first.steps.len() / 2) {
        let cut = replay(&trace[..*end]).expect("its header is the same");
        let steps = first.steps.len() / 2 + 1;
        assert!(cut.steps[..] == first.steps[..steps], "cut off after a record: {cut:?} {first:?}");
        assert_eq!(cut.end, Ok(()), "cut off after a record, there is nothing to complain of");
    }
    Some(first)
}

/// All that can be seen of a replay.
#[derive(Debug, PartialEq)]
struct Seen {
    /// After each step: how far in the file, and the hash of all outputs.
    steps: Vec<(usize, u64)>,
    end: Result<(), ReplayError>,
}

/// `None`: not even the beginning can be read, which a replay says before it has done anything.
fn replay(trace: &[u8]) -> Option<Seen> {
    let mut replay = Replay::new(trace, Keyring::new(), None).ok()?.with_keys(node::keys());
    let mut steps = Vec::new();
    let mut last = replay.position();
    for _ in 0..STEPS_MAX {
        let announced = replay.peek().map(|(at, _)| at);
        match replay.step(|_| ()) {
            Ok(Step::End) => break,
            Ok(Step::Checkpoint) => {}
            Ok(Step::Input(at)) => assert_eq!(Some(at), announced, "what was announced is what happens"),
            Err(error) => return Some(Seen { steps, end: Err(error) }),
        }
        let position = replay.position();
        assert!(last < position && position <= trace.len(), "from {last} to {position} of {}", trace.len());
        last = position;
        steps.push((position, replay.digest()));
        replay.node().check();
    }
    assert_eq!(replay.position() + replay.rest(), trace.len(), "all of the file is read, or left");
    Some(Seen { steps, end: Ok(()) })
}

const STEPS_MAX: usize = 2_000;
