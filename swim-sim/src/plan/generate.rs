//! Plans drawn from a seed: mostly a handful of nodes and a few faults that overlap, now and then a large cluster.

use core::time::Duration;

use super::{Act, Memory, Plan, Preset, Setting, Step};
use crate::network::Latency;
use crate::rng::Rng;
use crate::world::First;

impl Plan {
    /// The plan of a seed: 97 % have 3 to 8 nodes and 300 seconds, 2.8 % 64 nodes and as long, 0.2 % 1000 nodes and 60
    /// seconds.
    pub fn generate(seed: u64) -> Self {
        let nodes = match Rng::new(seed ^ SIZES).below(1000) {
            0..970 => 3 + seed as u32 % 6,
            970..998 => 64,
            _ => 1000,
        };
        Self::generate_for(seed, nodes)
    }

    /// A plan of this seed with so many nodes.
    pub fn generate_for(seed: u64, nodes: u32) -> Self {
        let mut rng = Rng::new(seed ^ DOMAIN);
        let (seconds, faults) = match nodes {
            0..=16 => (300, 1 + rng.below(10)),
            17..=200 => (300, 1 + rng.below(6)),
            _ => (60, 1 + rng.below(2)),
        };
        let mut draw = Draw { rng, nodes, setting: Setting::default(), steps: Vec::new(), end: seconds * 1000 / 2 };
        draw.set();
        for _ in 0..faults {
            draw.fault();
        }
        for _ in 0..draw.rng.below(6) {
            draw.speak();
        }
        draw.steps.sort_by_key(|step| step.at);
        Self { seed, nodes, setting: draw.setting, steps: draw.steps, seconds: seconds as u32 }
    }
}

struct Draw {
    rng: Rng,
    nodes: u32,
    setting: Setting,
    steps: Vec<Step>,
    /// In milliseconds: faults begin before.
    end: u64,
}

impl Draw {
    fn set(&mut self) {
        let is_large = self.nodes > 100;
        let ms = Duration::from_millis;
        self.setting = Setting {
            latency: match self.rng.below(6) {
                0 => Some(Latency::Constant(ms(1))),
                1 => Some(Latency::Uniform(ms(10), ms(60))),
                2 => Some(Latency::LogNormal { median: ms(5), sigma: 0.8 }),
                _ => None,
            },
            preset: match self.rng.below(20) {
                0 if !is_large => Preset::Wan,
                1 | 2 => Preset::Local,
                _ => Preset::Lan,
            },
            serf_wire: self.one_in(4),
            sealed: !is_large && self.one_in(4),
            seeds: self.one_in(2),
            mixed: self.one_in(4),
        };
        if self.setting.preset == Preset::Local {
            self.setting.latency = None;
        }
    }

    /// One fault, and what belongs to it.
    fn fault(&mut self) {
        let (at, node) = (self.rng.below(self.end), self.node());
        let lasts = self.lasts();
        if self.nodes > 100 {
            // Each of these is for a few nodes; what befalls all of them takes hours to compute.
            return match self.rng.below(4) {
                0 => self.add(at, lasts, Act::Freeze { node, first: First::Arrivals }),
                1 => self.add(at, lasts, Act::Loss { rate: 0.01 }),
                _ => self.crash(at, node),
            };
        }
        match self.rng.below(24) {
            0..4 => self.crash(at, node),
            4 => {
                let address = self.node();
                self.add(at, 0, Act::Impostor { node: address });
            }
            5 | 6 => {
                let first = if self.one_in(2) { First::Timers } else { First::Arrivals };
                self.add(at, lasts, Act::Freeze { node, first });
            }
            7 => {
                let service_us = 100 << self.rng.below(9);
                self.add(at, lasts, Act::Slow { node, service_us });
            }
            8 => {
                let ppm = self.rng.below(20_001) as i32 - 10_000;
                self.add(at, lasts, Act::Drift { node, ppm });
            }
            9 => {
                let by = 100 << self.rng.below(10);
                self.add(at, 0, Act::Jump { node, by });
            }
            10 => self.add(at, lasts, Act::BlockSending { node }),
            11 => self.add(at, lasts, Act::Deaf { node }),
            12 => self.add(at, lasts, Act::Mute { node }),
            13 => {
                let (to, both) = (self.node(), self.one_in(2));
                self.add(at, lasts, Act::Cut { from: node, to, both });
            }
            14..17 => {
                let group = (1..=self.nodes).filter(|_| self.rng.below(2) == 0).collect();
                self.add(at, lasts, Act::Partition { group });
            }
            17 => {
                let rate = self.rate(0.5);
                self.add(at, lasts, Act::Loss { rate });
            }
            18 => {
                let (every, last, rate) = (500 << self.rng.below(5), 50 << self.rng.below(6), self.rate(1.0));
                self.add(at, lasts, Act::Bursts { every, last, rate });
            }
            19 => {
                let rate = self.rate(0.5);
                self.add(at, lasts, Act::Duplication { rate });
            }
            20 => {
                let (rate, by) = (self.rate(0.5), 50 << self.rng.below(8));
                self.add(at, lasts, Act::Reordering { rate, by });
            }
            21 if self.setting.sealed => {
                let rate = self.rate(0.3);
                self.add(at, lasts, Act::Corruption { rate });
            }
            21 => {
                let (rate, queue) = (500 << self.rng.below(8), 2000 << self.rng.below(6));
                self.add(at, lasts, Act::Bandwidth { rate, queue });
            }
            22 => {
                let bytes = 100 + self.rng.below(1300) as usize;
                self.add(at, lasts, Act::Mtu { bytes });
            }
            _ => {
                let median = Duration::from_millis(10 << self.rng.below(7));
                self.add(at, lasts, Act::Delay { latency: Latency::LogNormal { median, sigma: 0.7 } });
            }
        }
    }

    fn crash(&mut self, at: u64, node: u32) {
        if self.one_in(4) {
            self.add(at, 0, Act::Leave { node });
        } else {
            self.add(at, 0, Act::Crash { node });
        }
        if self.one_in(4) {
            let by = self.node();
            let later = at + self.rng.below(40_000);
            self.add(later, 0, Act::ForceLeave { node: by, member: node });
        }
        if !self.one_in(3) {
            let memory = match self.rng.below(3) {
                0 => Memory::Nothing,
                1 => Memory::Snapshot,
                _ => Memory::OldSnapshot,
            };
            let later = at + 1 + self.lasts();
            let moved = self.one_in(4);
            self.add(later, 0, Act::Restart { node, memory, moved });
        }
    }

    /// Something that an application may want.
    fn speak(&mut self) {
        let (at, node) = (self.rng.below(self.end), self.node());
        let what = match self.rng.below(5) {
            0 | 1 => Act::UserEvent { node, bytes: self.rng.below(300) as usize },
            2 => Act::Query { node },
            3 => Act::SetTag { node, value: self.rng.below(1000) as u32 },
            _ => Act::Send { node, to: self.node(), by_stream: self.one_in(2) },
        };
        self.add(at, 0, what);
    }

    fn add(&mut self, at: u64, lasts: u64, what: Act) {
        self.steps.push(Step { at, lasts, what });
    }

    /// Mostly seconds, sometimes a minute, seldom more: as many short ones as long ones.
    fn lasts(&mut self) -> u64 {
        let doublings = self.rng.below(11);
        (50 << doublings) + self.rng.below(50 << doublings)
    }

    fn rate(&mut self, max: f64) -> f64 {
        // In hundredths, so that it is short to write.
        (1 + self.rng.below((max * 100.0) as u64)) as f64 / 100.0
    }

    fn node(&mut self) -> u32 {
        1 + self.rng.below(self.nodes.into()) as u32
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.rng.below(n) == 0
    }
}

/// So that the dice of a plan are not those of its world, nor those that say how large it is.
const DOMAIN: u64 = 0x706c_616e_706c_616e;
const SIZES: u64 = 0x7369_7a65_7369_7a65;
