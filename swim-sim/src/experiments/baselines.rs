//! The configurations that are compared: three that others have measured, with Lifeguard's parts one by one, and ours.
//!
//! They differ in the configuration of the core only. What the paper and memberlist do otherwise than we has a switch
//! there ([`Baseline`]); what is left of the differences is listed in `docs/simulator.md`.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;

use swim_core::Config;
use swim_core::swim::config::Baseline;
use swim_core::wire;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The Lifeguard paper's "SWIM": memberlist with all three parts of Lifeguard off, α = 5, β = 1.
    Swim,
    /// That with LHA-Probe: doubt about oneself stretches the probe.
    LhaProbe,
    /// That with LHA-Suspicion: suspicions run the shorter, the more members agree; α = 5, β = 6.
    LhaSuspicion,
    /// That with the Buddy System: the suspected are told along with the ping.
    Buddy,
    /// All three, with the constants of the paper.
    Lifeguard,
    /// memberlist as it is now: α = 4, β = 6, and a timeout for the direct ack that is not stretched.
    Memberlist,
    /// What our nodes do unless told otherwise, on the native wire.
    Ours,
}

impl Mode {
    /// The five rows of the paper's tables, in their order.
    pub const PAPER: [Self; 5] = [Self::Swim, Self::LhaProbe, Self::LhaSuspicion, Self::Buddy, Self::Lifeguard];
    /// Everything there is.
    pub const ALL: [Self; 7] =
        [Self::Swim, Self::LhaProbe, Self::LhaSuspicion, Self::Buddy, Self::Lifeguard, Self::Memberlist, Self::Ours];

    /// The configuration of one node.
    pub fn config(self, name: &str, address: SocketAddr) -> Config {
        let mut config = Config::lan(name, address);
        if self == Self::Ours {
            return config;
        }
        config.wire = wire::Config::serf();
        // Serf has nothing like it.
        config.serf.heal_interval = Duration::ZERO;
        let swim = &mut config.swim;
        swim.baseline = Baseline {
            stale_probe_on_release: true,
            buffered_ticks: true,
            newest_first_handoff: true,
            ignore_stale: true,
            ..Baseline::default()
        };
        if self == Self::Memberlist {
            // They are Serf's.
            config.serf.coordinates = false;
            return config;
        }
        swim.suspicion_mult = 5;
        let (probe, suspicion, buddy) = self.parts();
        if probe {
            swim.awareness_max_multiplier = 9;
            swim.baseline.scale_probe_timeout = true;
            swim.baseline.nack_at = Some(swim.probe_timeout * 4 / 5);
        } else {
            swim.awareness_max_multiplier = 1;
            swim.nacks = false;
        }
        swim.suspicion_max_timeout_mult = if suspicion { 6 } else { 1 };
        swim.buddy = buddy;
        config
    }

    /// [`Mode::config`] of this mode, as [`TestNet::preset`](crate::TestNet::preset) takes it.
    pub fn preset(self) -> fn(&str, SocketAddr) -> Config {
        match self {
            Self::Swim => |name, address| Self::Swim.config(name, address),
            Self::LhaProbe => |name, address| Self::LhaProbe.config(name, address),
            Self::LhaSuspicion => |name, address| Self::LhaSuspicion.config(name, address),
            Self::Buddy => |name, address| Self::Buddy.config(name, address),
            Self::Lifeguard => |name, address| Self::Lifeguard.config(name, address),
            Self::Memberlist => |name, address| Self::Memberlist.config(name, address),
            Self::Ours => |name, address| Self::Ours.config(name, address),
        }
    }

    /// Which parts of Lifeguard it has: LHA-Probe, LHA-Suspicion, Buddy System.
    fn parts(self) -> (bool, bool, bool) {
        match self {
            Self::Swim => (false, false, false),
            Self::LhaProbe => (true, false, false),
            Self::LhaSuspicion => (false, true, false),
            Self::Buddy => (false, false, true),
            Self::Lifeguard | Self::Memberlist | Self::Ours => (true, true, true),
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|mode| mode.to_string().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("expected one of: {}", Self::ALL.map(|mode| mode.to_string()).join(", ")))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Swim => "SWIM",
            Self::LhaProbe => "LHA-Probe",
            Self::LhaSuspicion => "LHA-Suspicion",
            Self::Buddy => "Buddy System",
            Self::Lifeguard => "Lifeguard",
            Self::Memberlist => "memberlist",
            Self::Ours => "ours",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> SocketAddr {
        ([10, 0, 0, 1], 7946).into()
    }

    #[test]
    fn every_mode_is_a_valid_configuration() {
        for mode in Mode::ALL {
            assert_eq!(mode.config("n1", address()).validate(), Ok(()), "{mode}");
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
    }

    #[test]
    fn ours_is_the_default() {
        let (ours, default) = (Mode::Ours.config("n1", address()), Config::lan("n1", address()));
        assert_eq!(ours.swim, default.swim);
        assert_eq!(ours.serf, default.serf);
        assert_eq!(default.swim.baseline, Baseline::default());
    }

    /// The constants of the paper's table, in the columns α, β, S, nacks, buddy.
    #[test]
    fn constants() {
        #[rustfmt::skip]
        let table = [
            (Mode::Swim,         (5, 1, 1, false, false)),
            (Mode::LhaProbe,     (5, 1, 9, true,  false)),
            (Mode::LhaSuspicion, (5, 6, 1, false, false)),
            (Mode::Buddy,        (5, 1, 1, false, true)),
            (Mode::Lifeguard,    (5, 6, 9, true,  true)),
            (Mode::Memberlist,   (4, 6, 8, true,  true)),
        ];
        for (mode, constants) in table {
            let swim = mode.config("n1", address()).swim;
            let (alpha, beta) = (swim.suspicion_mult, swim.suspicion_max_timeout_mult);
            assert_eq!((alpha, beta, swim.awareness_max_multiplier, swim.nacks, swim.buddy), constants, "{mode}");
        }
    }
}
