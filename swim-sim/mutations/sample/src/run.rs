//! Asks the tests. First each test by itself, without a mutant: how long it takes and which mutants it comes by. Then each
//! mutant the tests that come by it, the quick ones first, until one fails; and if none does, the examples of the
//! documentation.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::viable::{Copy, Program};

/// They read the sources as text, and the text has changed.
const TESTS_OF_TEXT: [&str; 2] = ["swim-core/documented", "swim-core/layers"];
/// A test that takes more times as long, in processor seconds, does not end.
const SLOWER: f64 = 8.0;
const SECONDS_AT_LEAST: f64 = 10.0;
/// KiB of address space: a mutant that never ends may want all there is.
const MEMORY: u64 = 6 << 20;

/// What the tests did without a mutant, kept between runs.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// By program: which build of it this was.
    builds: BTreeMap<String, String>,
    /// By program and name.
    tests: BTreeMap<String, BTreeMap<String, Test>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Test {
    seconds: f64,
    /// The mutants that it comes by.
    reached: Vec<u32>,
}

/// What became of a mutant.
pub(crate) struct Verdict {
    pub(crate) result: &'static str,
    /// The test, or why there is none.
    pub(crate) by: String,
}

/// How much time there is, and how many work at once.
pub(crate) struct Effort {
    pub(crate) jobs: usize,
    pub(crate) until: Option<Instant>,
}

impl Effort {
    /// Does all of `work`, or as much as time allows; whether that was all.
    fn share<T: Send>(&self, work: Vec<T>, step: impl Fn(T) -> Result<(), Failure> + Sync) -> Result<bool, Failure> {
        let queue = Mutex::new(VecDeque::from(work));
        let failure = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(|| {
                    while self.until.is_none_or(|until| Instant::now() < until)
                        && let Some(next) = { queue.lock().expect("nobody panics").pop_front() }
                    {
                        if let Err(error) = step(next) {
                            queue.lock().expect("nobody panics").clear();
                            *failure.lock().expect("nobody panics") = Some(error);
                        }
                    }
                });
            }
        });
        match failure.into_inner()? {
            Some(error) => Err(error),
            None => Ok(queue.into_inner().expect("nobody panics").is_empty()),
        }
    }
}

impl Baseline {
    /// Runs what has not run since it was built. `false`: time is over.
    pub(crate) fn record(&mut self, programs: &[Program], scratch: &Path, effort: &Effort) -> Result<bool, Failure> {
        let mut work = Vec::new();
        for program in programs.iter().filter(|program| !TESTS_OF_TEXT.contains(&&*program.name)) {
            let file = fs::metadata(&program.path)?;
            let build = format!("{} {} {:?}", program.path.display(), file.len(), file.modified()?);
            if self.builds.get(&program.name) != Some(&build) {
                self.builds.insert(program.name.clone(), build);
                self.tests.insert(program.name.clone(), BTreeMap::new());
            }
            let listed = Command::new(&program.path).args(["--list", "--format", "terse"]).output()?;
            for test in String::from_utf8(listed.stdout)?.lines().filter_map(|line| line.strip_suffix(": test")) {
                if !self.tests[&program.name].contains_key(test) {
                    work.push((program, test.to_owned()));
                }
            }
        }
        let records = scratch.join("reached");
        fs::create_dir_all(&records)?;
        let done = Mutex::new(Vec::new());
        let complete = effort.share(work, |(program, test)| {
            let record = records.join(format!("{}-{test}", program.name).replace(['/', ':', ' '], "-"));
            fs::write(&record, [])?;
            let started = Instant::now();
            let status = Command::new(&program.path)
                .args(["--exact", &test, "--test-threads=1"])
                .current_dir(&program.package)
                .envs(ALWAYS)
                .env("CARGO_MANIFEST_DIR", &program.package)
                .env("SWIM_MUTANTS_REACHED", &record)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            if !status.success() {
                return Err(format!("{} {test} fails without a mutant", program.name).into());
            }
            let seconds = started.elapsed().as_secs_f64();
            let reached = fs::read(&record)?.as_chunks().0.iter().map(|&number| u32::from_le_bytes(number)).collect();
            fs::remove_file(&record)?;
            done.lock().expect("nobody panics").push((program.name.clone(), test, Test { seconds, reached }));
            Ok(())
        })?;
        for (program, name, test) in done.into_inner()? {
            self.tests.entry(program).or_default().insert(name, test);
        }
        Ok(complete)
    }

    /// How many tests there are, and how long they take one after the other.
    pub(crate) fn size(&self) -> (usize, f64) {
        let tests = || self.tests.values().flat_map(BTreeMap::values);
        (tests().count(), tests().map(|test| test.seconds).sum())
    }

    /// What becomes of a mutant.
    fn judge(&self, copy: &Copy, programs: &[Program], number: u32) -> Result<Verdict, Failure> {
        let mut batches: BTreeMap<(usize, usize, usize), (Vec<&str>, f64)> = BTreeMap::new();
        for (place, program) in programs.iter().enumerate() {
            let Some(tests) = self.tests.get(&program.name) else { continue };
            for (name, test) in tests.iter().filter(|(_, test)| test.reached.contains(&number)) {
                // A slow one is asked alone, and in the order of how slow it is.
                let tier = TIERS.partition_point(|&seconds| seconds < test.seconds);
                let alone = if tier < TIERS.len() { 0 } else { (test.seconds * 1000.0) as usize };
                let (names, seconds) = batches.entry((tier, alone, place)).or_default();
                names.push(name);
                *seconds += test.seconds;
            }
        }
        let asked: usize = batches.values().map(|(names, _)| names.len()).sum();
        for ((_, _, place), (names, seconds)) in batches {
            let program = &programs[place];
            if let Some((result, test)) = ask(program, &names, number, seconds)? {
                return Ok(Verdict { result, by: format!("{}: {test}", program.name) });
            }
        }
        // They are built anew each time, which takes longer than all tests.
        Ok(match copy.ask_examples(number)? {
            Some(example) => Verdict { result: "caught", by: example },
            None => Verdict { result: "survived", by: format!("{asked} tests come by") },
        })
    }

    /// Asks for each of `numbers`, and tells `report` what became of it. `false`: time is over.
    pub(crate) fn judge_all(
        &self,
        copy: &Copy,
        programs: &[Program],
        numbers: Vec<u32>,
        effort: &Effort,
        report: impl Fn(u32, Verdict) -> Result<(), Failure> + Sync,
    ) -> Result<bool, Failure> {
        if !numbers.is_empty()
            && let Some(example) = copy.ask_examples(0)?
        {
            return Err(format!("{example} fails without a mutant").into());
        }
        effort.share(numbers, |number| report(number, self.judge(copy, programs, number)?))
    }
}

/// Tests of up to so many seconds are asked together, one program at a time.
const TIERS: [f64; 3] = [0.05, 0.3, 1.5];

/// The same random tests each time. That one failed is enough, and is not to be remembered for the next mutant.
const ALWAYS: [(&str, &str); 3] =
    [("PROPTEST_RNG_SEED", "1"), ("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true"), ("PROPTEST_MAX_SHRINK_ITERS", "0")];

/// Runs some tests of one program with a mutant: the first that fails, and how.
fn ask(
    program: &Program,
    names: &[&str],
    number: u32,
    seconds: f64,
) -> Result<Option<(&'static str, String)>, Failure> {
    let limit = (seconds * SLOWER + SECONDS_AT_LEAST).ceil();
    let mut child = Command::new("sh")
        .args(["-c", r#"ulimit -t "$1" && ulimit -v "$2" && ulimit -c 0 && shift 2 && exec "$@""#, "sh"])
        .args([limit.to_string(), MEMORY.to_string()])
        .arg(&program.path)
        .args(names)
        .args(["--exact", "--test-threads=1"])
        .current_dir(&program.package)
        .envs(ALWAYS)
        .env("CARGO_MANIFEST_DIR", &program.package)
        .env("SWIM_MUTANT", number.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take().expect("it is piped");
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut output = BufReader::new(output.take(1 << 24));
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
    // Processor time decides; this is for what waits for something that does not come.
    let deadline = Instant::now() + Duration::from_secs_f64(limit * 10.0);
    let mut failed = None;
    let mut last = String::new();
    loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(test) = line.trim_end().strip_suffix(" ... FAILED") {
                    failed = Some(("caught", test.trim_start_matches("test ").to_owned()));
                    break;
                }
                last = line;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                failed = Some(("timeout", begun(&last)));
                break;
            }
        }
    }
    if failed.is_some() {
        child.kill()?;
    }
    drop(receiver);
    let status = child.wait()?;
    reader.join().map_err(|_| "the reader of a test's output panicked")?;
    Ok(failed.or_else(|| ended(status, &last)))
}

/// How a program ended in which no test has said that it failed.
fn ended(status: ExitStatus, last: &str) -> Option<(&'static str, String)> {
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    match status.signal() {
        Some(SIGKILL | SIGXCPU) => Some(("timeout", begun(last))),
        None if status.success() => None,
        _ => Some(("caught", format!("{} (aborts)", begun(last)))),
    }
}

/// The test that had begun.
fn begun(last: &str) -> String {
    last.trim_start_matches("test ").split(" ... ").next().unwrap_or_default().trim().to_owned()
}
