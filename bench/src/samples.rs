//! Repeated measurements and what is told of them.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::alloc::uncounted;

/// What came out, each time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, sample: f64) {
        let at = self.0.partition_point(|other| *other < sample);
        self.0.insert(at, sample);
    }

    pub(crate) fn one(sample: f64) -> Self {
        Self(vec![sample])
    }

    pub(crate) fn median(&self) -> Option<f64> {
        let middle = self.0.len() / 2;
        let upper = *self.0.get(middle)?;
        Some(if self.0.len() % 2 == 1 { upper } else { (self.0[middle - 1] + upper) / 2.0 })
    }

    pub(crate) fn min(&self) -> Option<f64> {
        self.0.first().copied()
    }

    pub(crate) fn max(&self) -> Option<f64> {
        self.0.last().copied()
    }

    pub(crate) fn map(&self, each: impl Fn(f64) -> f64) -> Self {
        let mut mapped = Self::default();
        self.0.iter().for_each(|sample| mapped.push(each(*sample)));
        mapped
    }

    /// Of two costs that are paid together: as if the dearest of each had met.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a + b).collect())
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        let mut all = Self::default();
        samples.into_iter().for_each(|sample| all.push(sample));
        all
    }
}

/// How often a thing is measured, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Samples of each subject.
    pub(crate) samples: usize,
    /// Of one sample, about: so many operations are made as fit, at least one.
    pub(crate) sample_time: Duration,
    /// After this, no further sample of the subject is taken.
    pub(crate) subject_time: Duration,
}

/// One thing to be measured: makes so many operations and says how long these took, their preparation left out.
pub(crate) type Subject<'a> = Box<dyn FnMut(usize) -> Duration + 'a>;

/// Nanoseconds per operation. The subjects take turns, so that whatever else the machine does hits all alike.
pub(crate) fn in_turns<const N: usize>(mut subjects: [Subject<'_>; N], effort: Effort) -> [Samples; N] {
    let mut samples = [const { Samples(Vec::new()) }; N];
    let mut passed = [Duration::ZERO; N];
    uncounted(|| {
        let counts = subjects.each_mut().map(|subject| fitting(subject, effort.sample_time));
        for _ in 0..effort.samples {
            for (number, subject) in subjects.iter_mut().enumerate() {
                if passed[number] > effort.subject_time {
                    continue;
                }
                let (took, all) = timed(|| subject(counts[number]));
                passed[number] += all;
                samples[number].push(took.as_secs_f64() * 1e9 / counts[number] as f64);
            }
        }
    });
    samples
}

/// How many operations fill the time. Warms the caches by the way.
fn fitting(subject: &mut Subject<'_>, time: Duration) -> usize {
    let mut count = 1;
    loop {
        let took = subject(count);
        if took >= time / 4 || count >= OPERATIONS_MAX {
            let per_operation = took.as_secs_f64() / count as f64;
            return ((time.as_secs_f64() / per_operation) as usize).clamp(1, OPERATIONS_MAX);
        }
        count *= 2;
    }
}

/// Of one sample. Their inputs are made before, and should not push what is measured out of the caches.
const OPERATIONS_MAX: usize = 256;

/// What this thread has spent on a processor. Reading it takes a quarter of a microsecond, so it is for what takes long;
/// and what takes long on a busy machine is interrupted.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("it is not negative")
}

/// How long a long operation kept a processor busy.
pub(crate) fn spent<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = cpu_time();
    let result = work();
    (result, cpu_time() - before)
}

/// How long a short operation takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}
