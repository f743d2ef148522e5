//! Body of the fuzz target with several nodes, here so that the ordinary test run compiles it and replays its corpus.

use core::time::Duration;

use crate::network::Latency;
use crate::plan::{Act, Failure, Memory, Plan, Preset, Setting, Step};
use crate::world::First;

/// A body: it panics when its law is broken. See [`TARGETS`].
pub type Body = fn(&[u8]);

/// Every target of this crate, by name; the corpus of each is `fuzz/corpus/` and its name.
pub const TARGETS: &[(&str, Body)] = &[("cluster", cluster)];

/// Lets two to five nodes meet, does to them and their network whatever the input says, makes all well again, and looks
/// on with every checker.
///
/// ```text
/// input:    nodes(u8) setting(u8) latency(u8) seed(u16, little endian) step*
/// nodes:    2 to 5, by the remainder
/// setting:  bit 0 Serf's wire, 1 sealed, 2 seeds are known, 3 mixed versions, 4 the constants of one machine, 7 runs twice
/// latency:  by the remainder the default, 1 ms, 10 to 60 ms, or about 5 ms
/// step:     what(u8) when(u8) how long(u8) who(u8) how(u8)
/// when:     so many half seconds after the last one
/// how long: 50 ms times two to the power of its low three bits, and as many 50 ms more as the others say
/// who:      low four bits a node, high four bits another one, each by the remainder
/// ```
///
/// What there is, and what `how` means to it, stands in [`Act`]: all of it but a clock that drifts, which is what a
/// swarm of seeds is for.
///
/// # Panics
///
/// When a rule of [`RULES`](crate::checks::RULES) is broken.
///
/// ```
/// // Three nodes; the second crashes, and comes back elsewhere without a memory.
/// swim_sim::fuzzing::cluster(b"\x01\x04\x00\x07\x00\x00\x04\x00\x01\x00\x01\x60\x00\x01\x04");
/// ```
pub fn cluster(bytes: &[u8]) {
    let plan = plan(bytes);
    let outcome = if bytes.get(1).is_some_and(|setting| setting & 0x80 != 0) { plan.run_twice() } else { plan.run() };
    match outcome {
        Ok(_) => {}
        Err(Failure::Rule(violation)) => panic!("{violation}\n{}", plan.to_json()),
        Err(Failure::Plan(error)) => panic!("no plan: {error}\n{}", plan.to_json()),
    }
}

fn plan(bytes: &[u8]) -> Plan {
    let mut input = Bytes(bytes);
    let nodes = 2 + u32::from(input.u8() % 4);
    let (flags, latency) = (input.u8(), input.u8());
    let seed = u64::from(input.u8()) | u64::from(input.u8()) << 8;
    let has = |bit: u8| flags & 1 << bit != 0;
    let ms = Duration::from_millis;
    let preset = if has(4) { Preset::Local } else { Preset::Lan };
    let latency = match latency % 4 {
        1 => Some(Latency::Constant(ms(1))),
        2 => Some(Latency::Uniform(ms(10), ms(60))),
        3 => Some(Latency::LogNormal { median: ms(5), sigma: 0.8 }),
        _ => None,
    };
    // The constants of one machine are none for the distances of many.
    let latency = latency.filter(|_| preset == Preset::Lan);
    let setting = Setting { latency, preset, serf_wire: has(0), sealed: has(1), seeds: has(2), mixed: has(3) };
    let (mut steps, mut at) = (Vec::new(), 0);
    while steps.len() < STEPS_MAX && !input.0.is_empty() {
        let [what, when, long, who, how] = [(); 5].map(|()| input.u8());
        at += u64::from(when) * 500;
        let lasts = (50 << (long & 7)) + u64::from(long >> 3) * 50;
        let node = |number: u8| 1 + u32::from(number) % nodes;
        let (what, lasts) = act(what, lasts, [node(who & 0x0f), node(who >> 4)], how, nodes, setting.sealed);
        steps.push(Step { at, lasts, what });
    }
    Plan { seed, nodes, setting, steps, seconds: 0 }
}

/// What happens, and for how long: some things have no end.
fn act(what: u8, lasts: u64, [node, other]: [u32; 2], how: u8, nodes: u32, sealed: bool) -> (Act, u64) {
    // Half of what is sent may be lost, twice there, or late; more, and nothing need hold.
    let rate = |most: f64| (1.0 + f64::from(how)) / 256.0 * most;
    let number = u64::from(how);
    let once = |act: Act| (act, 0);
    let for_a_while = |act: Act| (act, lasts);
    match what % 24 {
        0 => once(Act::Crash { node }),
        1 | 2 => {
            let memory = [Memory::Nothing, Memory::Snapshot, Memory::OldSnapshot][usize::from(how % 3)];
            once(Act::Restart { node, memory, moved: how & 4 != 0 })
        }
        3 => once(Act::Impostor { node }),
        4 => {
            let first = if how & 1 == 0 { First::Timers } else { First::Arrivals };
            for_a_while(Act::Freeze { node, first })
        }
        5 => for_a_while(Act::Slow { node, service_us: 100 << (how % 9) }),
        6 => once(Act::Jump { node, by: 100 << (how % 10) }),
        7 => for_a_while(Act::BlockSending { node }),
        8 => for_a_while(Act::Deaf { node }),
        9 => for_a_while(Act::Mute { node }),
        10 => for_a_while(Act::Cut { from: node, to: other, both: how & 1 == 1 }),
        11 => for_a_while(Act::Partition { group: (1..=nodes).filter(|node| how >> (node - 1) & 1 == 1).collect() }),
        12 => for_a_while(Act::Loss { rate: rate(0.5) }),
        13 => for_a_while(Act::Bursts { every: 500 << (how & 3), last: 50 << (how >> 2 & 7), rate: rate(1.0) }),
        14 => for_a_while(Act::Duplication { rate: rate(0.5) }),
        15 => for_a_while(Act::Reordering { rate: 0.3, by: 50 << (how % 8) }),
        // Without a key there is damage that nobody can notice.
        16 if sealed => for_a_while(Act::Corruption { rate: rate(0.3) }),
        16 => for_a_while(Act::Bandwidth { rate: 500 << (how & 7), queue: 2000 << (how >> 3 & 3) }),
        17 => for_a_while(Act::Mtu { bytes: 100 + 5 * usize::from(how) }),
        18 => {
            let median = Duration::from_millis(10 << (how % 7));
            for_a_while(Act::Delay { latency: Latency::LogNormal { median, sigma: 0.7 } })
        }
        19 => once(Act::UserEvent { node, bytes: usize::from(how) }),
        20 => once(Act::Query { node }),
        21 => once(Act::SetTag { node, value: number as u32 }),
        22 if how & 2 == 0 => once(Act::Send { node, to: other, by_stream: how & 1 == 1 }),
        22 => once(Act::Join { node, via: other }),
        _ if how & 1 == 0 => once(Act::Leave { node }),
        _ => once(Act::ForceLeave { node, member: other }),
    }
}

/// Takes values off the front; what is missing at the end is zero.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn u8(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }
}

/// More than that, and a run takes too long for a fuzzer.
const STEPS_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::{Instant, UNIX_EPOCH};

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn corpus() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        if !fuzz.exists() {
            return; // Packaged.
        }
        let folder = fuzz.join("corpus/cluster");
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty());
        for path in paths {
            println!("{}", path.display()); // Shown when it is the one that fails.
            cluster(&fs::read(path).unwrap());
        }
    }

    #[test]
    fn random_inputs() {
        let mut rng = Rng::new(1);
        for round in 0..ROUNDS {
            let len = rng.below(5 + 5 * STEPS_MAX as u64);
            let bytes: Vec<u8> = (0..len).map(|_| rng.below(256) as u8).collect();
            println!("round {round}: b\"{}\"", bytes.escape_ascii());
            cluster(&bytes);
        }
    }

    /// Other inputs each day: the committed ones, changed, and longer.
    #[test]
    #[ignore = "it takes ten seconds"]
    fn each_for_ten_seconds() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let paths = fs::read_dir(fuzz.join("corpus/cluster")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = paths.map(|path| fs::read(path).unwrap()).collect();
        files.sort();
        let (today, began) = (UNIX_EPOCH.elapsed().unwrap().as_secs() / 86_400, Instant::now());
        let (mut rng, mut round) = (Rng::new(today), 0);
        while began.elapsed() < Duration::from_secs(10) {
            let mut bytes = files[rng.below(files.len() as u64) as usize].clone();
            for _ in 0..=rng.below(4) {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] = rng.below(256) as u8;
            }
            bytes.extend((0..5 * rng.below(3)).map(|_| rng.below(256) as u8));
            println!("round {round}: b\"{}\"", bytes.escape_ascii());
            cluster(&bytes);
            round += 1;
        }
        println!("cluster: {round} inputs");
    }

    /// Whatever the input says is a plan that can be run.
    #[test]
    fn every_input_is_a_plan() {
        let mut rng = Rng::new(2);
        for _ in 0..10_000 {
            let len = rng.below(100);
            let bytes: Vec<u8> = (0..len).map(|_| rng.below(256) as u8).collect();
            assert_eq!(plan(&bytes).check(), Ok(()), "{}", bytes.escape_ascii());
        }
    }

    const ROUNDS: usize = 60;
}
