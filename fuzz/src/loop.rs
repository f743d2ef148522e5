//! Very many inputs through the decoders of datagrams and streams, without an engine: files of the corpus, changed here and
//! there, as fast as two threads go.
//!
//! The n-th input of a seed is always the same, so what has been done is two numbers, which are kept in a file, and what
//! has panicked is repeated by naming them. The corpus is part of the seed: whoever changes it draws other inputs.
//!
//! With `--bodies` it does the same for every other body of this build in turn, for a look without an engine.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::fs;
use std::panic;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use swim_core::fuzzing::datagram::Datagrams;
use swim_core::fuzzing::stream::Streams;

const USAGE: &str = "\
usage: loop [--inputs N] [--seconds N] [--threads N] [--state FILE]    goes on where FILE says
       loop --repeat INDEX [--seed N]                                  runs one input, and shows it
       loop --bodies SECONDS                                           every body for so long";

/// What is asked for.
struct Arguments {
    inputs: u64,
    seconds: u64,
    threads: u64,
    state: String,
    seed: u64,
    repeat: Option<u64>,
    bodies: Option<u64>,
}

fn main() -> ExitCode {
    let Some(arguments) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let material = Material::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    if let Some(index) = arguments.repeat {
        let mut bytes = Vec::new();
        let decoder = material.draw(arguments.seed, index, &mut bytes);
        println!("{decoder:?}: b\"{}\"", bytes.escape_ascii());
        Workers::default().attack(decoder, &bytes);
        return ExitCode::SUCCESS;
    }
    if let Some(seconds) = arguments.bodies {
        bodies(&arguments, &material, Duration::from_secs(seconds));
        return ExitCode::SUCCESS;
    }
    run(&arguments, &material)
}

/// Each body of this build, one after the other.
fn bodies(arguments: &Arguments, material: &Material, lasts: Duration) {
    let targets = swim_core::fuzzing::TARGETS.iter();
    #[cfg(feature = "sim")]
    let targets = targets.chain(swim_sim::fuzzing::TARGETS);
    #[cfg(feature = "agent")]
    let targets = targets.chain(swim_agent::fuzzing::TARGETS);
    let ordinary = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        ordinary(info);
        INPUT.with_borrow(|bytes| eprintln!("the input: b\"{}\"", bytes.escape_ascii()));
        std::process::exit(101);
    }));
    for (target, body) in targets {
        let files = Material::corpus(Path::new(env!("CARGO_MANIFEST_DIR")), target);
        let (began, done) = (Instant::now(), AtomicU64::new(0));
        thread::scope(|scope| {
            for thread in 0..arguments.threads {
                let (files, done) = (&files, &done);
                scope.spawn(move || {
                    for index in (thread..).step_by(arguments.threads as usize) {
                        let mut bytes = Vec::new();
                        material.draw_of(files, arguments.seed, index, &mut bytes);
                        INPUT.set(bytes.clone());
                        body(&bytes);
                        done.fetch_add(1, Ordering::Relaxed);
                        if began.elapsed() >= lasts {
                            return;
                        }
                    }
                });
            }
        });
        println!("{target:<14}{:>10} inputs", done.into_inner());
    }
}

fn run(arguments: &Arguments, material: &Material) -> ExitCode {
    let mut state = State::read(&arguments.state);
    name_what_panics(state.seed);
    let began = Instant::now();
    let mut done = 0;
    while done < arguments.inputs && began.elapsed() < Duration::from_secs(arguments.seconds) {
        let round = ROUND.min(arguments.inputs - done);
        let started = Instant::now();
        let understood = AtomicU64::new(0);
        thread::scope(|scope| {
            for thread in 0..arguments.threads {
                let (understood, state) = (&understood, &state);
                scope.spawn(move || {
                    let mut workers = Workers::default();
                    let mut bytes = Vec::new();
                    for index in (state.inputs + thread..state.inputs + round).step_by(arguments.threads as usize) {
                        CURRENT.set(index);
                        let decoder = material.draw(state.seed, index, &mut bytes);
                        workers.attack(decoder, &bytes);
                    }
                    understood.fetch_add(workers.understood, Ordering::Relaxed);
                });
            }
        });
        done += round;
        state.inputs += round;
        state.understood += understood.into_inner();
        state.seconds += started.elapsed().as_secs_f64();
        state.peak_kib = state.peak_kib.max(peak_kib());
        state.write(&arguments.state);
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{done} inputs in {seconds:.0} s: {:.0} a second; peak memory {} KiB", done as f64 / seconds, peak_kib());
    println!("in all {} inputs of seed {}, {} of them understood", state.inputs, state.seed, state.understood);
    ExitCode::SUCCESS
}

fn arguments(mut given: impl Iterator<Item = String>) -> Option<Arguments> {
    let state = concat!(env!("CARGO_MANIFEST_DIR"), "/loop.txt").to_owned();
    let mut arguments =
        Arguments { inputs: u64::MAX, seconds: 10, threads: 2, state, seed: SEED, repeat: None, bodies: None };
    while let Some(name) = given.next() {
        let value = given.next()?;
        match &*name {
            // Without a bound of time, unless one is given as well.
            "--inputs" => (arguments.inputs, arguments.seconds) = (value.parse().ok()?, u64::MAX),
            "--seconds" => arguments.seconds = value.parse().ok()?,
            "--threads" => arguments.threads = value.parse().ok().filter(|threads| *threads > 0)?,
            "--state" => arguments.state = value,
            "--seed" => arguments.seed = value.parse().ok()?,
            "--bodies" => arguments.bodies = Some(value.parse().ok()?),
            "--repeat" => arguments.repeat = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some(arguments)
}

thread_local! {
    static CURRENT: Cell<u64> = const { Cell::new(0) };
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The first panic ends the process, and says how to have it again.
fn name_what_panics(seed: u64) {
    let ordinary = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        ordinary(info);
        eprintln!("to repeat it: loop --seed {seed} --repeat {}", CURRENT.get());
        std::process::exit(101);
    }));
}

/// How far it has come.
struct State {
    seed: u64,
    inputs: u64,
    understood: u64,
    seconds: f64,
    peak_kib: u64,
}

impl State {
    /// A file that is not there is a beginning.
    fn read(path: &str) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        let count = |name: &str| value(name).unwrap_or(0.0) as u64;
        Self {
            seed: value("seed").map_or(SEED, |seed| seed as u64),
            inputs: count("inputs"),
            understood: count("understood"),
            seconds: value("seconds").unwrap_or(0.0),
            peak_kib: count("peak KiB"),
        }
    }

    fn write(&self, path: &str) {
        let Self { seed, inputs, understood, seconds, peak_kib } = self;
        let mut text = String::new();
        for (name, value) in
            [("seed", *seed), ("inputs", *inputs), ("understood", *understood), ("seconds", *seconds as u64)]
        {
            writeln!(text, "{name:<12}{value}").expect("a string takes everything");
        }
        writeln!(text, "{:<12}{peak_kib}", "peak KiB").expect("a string takes everything");
        // In one go, or an end in the middle would lose the count.
        let new = format!("{path}.new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, path)).expect("the state can be written");
    }
}

#[derive(Clone, Copy, Debug)]
enum Decoder {
    Datagram,
    Stream,
}

#[derive(Default)]
struct Workers {
    datagrams: Datagrams,
    streams: Streams,
    understood: u64,
}

impl Workers {
    fn attack(&mut self, decoder: Decoder, bytes: &[u8]) {
        let understood = match decoder {
            Decoder::Datagram => self.datagrams.run(bytes) > 0,
            Decoder::Stream => self.streams.run(bytes),
        };
        self.understood += u64::from(understood);
    }
}

/// What inputs are made of.
struct Material {
    datagrams: Vec<Vec<u8>>,
    streams: Vec<Vec<u8>>,
    tokens: Vec<Vec<u8>>,
}

impl Material {
    fn read(fuzz: &Path) -> Self {
        let dictionary = fs::read_to_string(fuzz.join("dictionary.txt")).expect("the dictionary is there");
        let tokens = dictionary.lines().filter_map(token).collect();
        Self { datagrams: Self::corpus(fuzz, "datagram"), streams: Self::corpus(fuzz, "stream"), tokens }
    }

    /// The committed files of a target, in the order of their names.
    fn corpus(fuzz: &Path, target: &str) -> Vec<Vec<u8>> {
        let folder = fuzz.join("corpus").join(target);
        let entries = fs::read_dir(folder).expect("the corpus is there");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).expect("readable")).filter(|file| !file.is_empty()).collect()
    }

    /// The input of this number: even ones are datagrams, odd ones streams.
    fn draw(&self, seed: u64, index: u64, bytes: &mut Vec<u8>) -> Decoder {
        let (decoder, files) =
            if index % 2 == 0 { (Decoder::Datagram, &self.datagrams) } else { (Decoder::Stream, &self.streams) };
        self.draw_of(files, seed, index, bytes);
        decoder
    }

    fn draw_of(&self, files: &[Vec<u8>], seed: u64, index: u64, bytes: &mut Vec<u8>) {
        let rng = &mut Rng(seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        bytes.clear();
        bytes.extend_from_slice(&files[rng.below(files.len())]);
        if rng.below(8) == 0 {
            // Mostly a setting: another way of wrapping, say.
            bytes[0] = rng.next() as u8;
        }
        for _ in 0..=rng.below(4) {
            self.change(rng, files, bytes);
        }
        bytes.truncate(LEN_MAX);
    }

    fn change(&self, rng: &mut Rng, files: &[Vec<u8>], bytes: &mut Vec<u8>) {
        let at = rng.below(bytes.len());
        match rng.below(10) {
            0..=2 if !bytes.is_empty() => bytes[at] ^= 1 << rng.below(8),
            3 if !bytes.is_empty() => bytes[at] = rng.next() as u8,
            4 => bytes.truncate(at),
            5 => {
                let other = &files[rng.below(files.len())];
                let from = rng.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            6 => {
                let token = &self.tokens[rng.below(self.tokens.len())];
                bytes.splice(at..at, token.iter().copied());
            }
            7 => {
                // A length, or another number, that is wrong by little or by much.
                let number = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x7fff_ffff, u64::MAX][rng.below(9)];
                let width = 1 << rng.below(4);
                let octets = if rng.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
                let octets = if rng.below(2) == 0 { &octets[..width] } else { &octets[8 - width..] };
                for (to, from) in bytes.iter_mut().skip(at).zip(octets) {
                    *to = *from;
                }
            }
            8 => {
                let len = 1 + rng.below(16);
                let again: Vec<u8> = bytes.iter().skip(at).take(len).copied().collect();
                bytes.splice(at..at, again);
            }
            _ => {
                let end = (at + 1 + rng.below(8)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
        }
    }
}

/// The bytes of one line `name="…"` of a dictionary as libFuzzer reads it.
fn token(line: &str) -> Option<Vec<u8>> {
    let text = line.split_once('"')?.1.rsplit_once('"')?.0;
    let mut token = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                token.push(u8::from_str_radix(core::str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = after;
            }
            (b'\\', [escaped, after @ ..]) => {
                token.push(*escaped);
                rest = after;
            }
            _ => token.push(*first),
        }
    }
    Some(token).filter(|token| !token.is_empty())
}

/// SplitMix64: a good mix of whatever it starts with, and nothing to set up.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// In `0..bound`, and 0 if that is empty. That small numbers are a little more likely does no harm here.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 32).wrapping_mul(bound as u64).wrapping_shr(32) as usize
    }
}

/// The most memory that this process has had; 0 where the system does not say.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

const SEED: u64 = 1;
/// Inputs after which the state is written.
const ROUND: u64 = 1 << 20;
const LEN_MAX: usize = 4096;
