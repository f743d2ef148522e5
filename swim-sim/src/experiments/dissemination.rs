//! How fast one update reaches everybody by gossip, against the optimum of unsynchronised push.
//!
//! Real nodes with everything off that carries updates beside the gossip tick: probes, full exchanges, coordinates. One
//! of them tells everybody something (a user event), again and again, each time another one, on a calm cluster.

use core::time::Duration;

use swim_core::{Config, Event, Instant};

use super::formulas::Push;
use super::results::{Axis, Chart, Results, Series, Style, Table, row};
use super::statistics::{bootstrap, mean, quantile, sorted};
use super::{Options, jobs};
use crate::network::Latency;
use crate::test_net::TestNet;
use crate::world::HostId;

/// The cluster and its network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scene {
    /// Members.
    pub nodes: usize,
    /// Packets per interval.
    pub fanout: usize,
    /// Time between two gossip ticks.
    pub interval: Duration,
    /// How likely a packet is lost.
    pub loss: f64,
    /// Part of the members that has crashed, and nobody knows yet.
    pub failed: f64,
    /// One way.
    pub delay: Duration,
    /// Of the cluster.
    pub seed: u64,
    /// How many updates, one after the other.
    pub updates: usize,
}

/// How one update spread.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// Seconds until each member that heard of it did, in ascending order, the teller included.
    pub times: Vec<f64>,
    /// Those who were there to hear of it.
    pub live: usize,
    /// Packets per member until the last one heard of it.
    pub packets: f64,
    /// Packets per member until nobody had anything to say any more.
    pub packets_until_quiet: f64,
}

impl Spread {
    /// When this part of those who are there knew it; `None`: never.
    pub fn time_of(&self, part: f64) -> Option<f64> {
        let needed = (part * self.live as f64).ceil().max(1.0) as usize;
        self.times.get(needed - 1).copied()
    }

    /// Part of those who are there that knew it at this time.
    pub fn known_at(&self, time: f64) -> f64 {
        self.times.partition_point(|heard| *heard <= time) as f64 / self.live as f64
    }
}

/// Lets a cluster hear of some updates.
pub fn play(scene: &Scene) -> Vec<Spread> {
    let Scene { fanout, interval, .. } = *scene;
    let preset = |name: &str, address| Config::lan(name, address);
    let mut net = TestNet::preset(scene.nodes, scene.seed, preset, move |config| gossip_only(config, fanout, interval));
    if scene.nodes > SMALL {
        net = net.acquainted();
    } else {
        net = net.converged();
    }
    let names = net.names();
    let hosts: Vec<HostId> = names.iter().map(|name| net.host(name)).collect();
    let world = net.world_mut();
    world.set_digesting(false);
    world.network_mut().default_link_mut().latency = Latency::Constant(scene.delay);
    world.network_mut().default_link_mut().loss = scene.loss;
    // Whom the dice choose is as good as whom anybody else does.
    let crashed = (scene.failed * scene.nodes as f64).round() as usize;
    for host in hosts.iter().skip(scene.nodes - crashed) {
        world.crash(*host);
    }
    let live = &hosts[..scene.nodes - crashed];
    let mut spreads = Vec::with_capacity(scene.updates);
    for update in 0..scene.updates {
        // Not in step with anybody's clock.
        let pause = world.rng_mut().duration_between(Duration::ZERO, interval);
        world.run_for(interval + pause);
        world.forget_events();
        let teller = live[world.rng_mut().below(live.len() as u64) as usize];
        let (start, before) = (world.now(), world.datagrams_sent());
        let name = format!("update-{update}");
        let event = swim_core::serf::user_event::UserEvent { name: name.as_bytes(), payload: None, coalesce: false };
        world.user_event(teller, event).expect("it fits");
        let heard = |world: &crate::World, host: HostId| -> Option<Instant> {
            let events = world.events(host).iter();
            events.filter(|(_, event)| matches!(event, Event::User { .. })).map(|(at, _)| *at).next()
        };
        let mut missing: Vec<HostId> = live.to_vec();
        let mut packets = None;
        let step = interval / 20;
        let quiet = |world: &crate::World| {
            live.iter().filter_map(|host| world.node(*host)).all(|node| node.summary().event_queue == 0)
        };
        loop {
            for _ in 0..20 {
                world.run_for(step);
                missing.retain(|host| heard(world, *host).is_none());
                if missing.is_empty() && packets.is_none() {
                    packets = Some(world.datagrams_sent() - before);
                }
            }
            if quiet(world) {
                break;
            }
        }
        let all = world.datagrams_sent() - before;
        let per_member = |packets: u64| packets as f64 / live.len() as f64;
        let times = live.iter().filter_map(|host| heard(world, *host)).map(|at| (at - start).as_secs_f64());
        spreads.push(Spread {
            times: sorted(times.collect()),
            live: live.len(),
            packets: per_member(packets.unwrap_or(all)),
            packets_until_quiet: per_member(all),
        });
    }
    spreads
}

fn gossip_only(config: &mut Config, fanout: usize, interval: Duration) {
    config.swim.gossip_nodes = fanout;
    config.swim.gossip_interval = interval;
    config.swim.probe_interval = Duration::ZERO;
    config.swim.push_pull_interval = Duration::ZERO;
    config.serf.reconnect_interval = Duration::ZERO;
    config.serf.heal_interval = Duration::ZERO;
    config.serf.coordinates = false;
    // So that large clusters are acquainted soon. What is measured is one short message per packet.
    config.wire.datagram_len_max = 65_000;
    config.wire.compression = false;
}

/// What Monte Carlo of an idealised cluster gave: members, loss, t50, t99, mean of all, in seconds, packets per member.
pub const MONTE_CARLO: [(usize, f64, f64, f64, f64, f64); 7] = [
    (30, 0.0, 0.242, 0.496, 0.496, 3.8),
    (128, 0.0, 0.352, 0.642, 0.708, 5.3),
    (128, 0.3, 0.494, 0.912, 1.000, 7.6),
    (1_000, 0.0, 0.498, 0.802, 0.998, 7.5),
    (1_000, 0.3, 0.700, 1.134, 1.416, 10.7),
    (5_000, 0.0, 0.610, 0.916, 1.218, 9.1),
    (5_000, 0.3, 0.856, 1.294, 1.728, 13.1),
];

/// `swim-sim run dissemination`
pub fn run(options: &Options) -> Results {
    let mut results = Results::new("dissemination", options);
    results.set("one way", "1 ms");
    results.set("gossip", "3 packets each 200 ms, at most 4·⌈log10(n+1)⌉ of one update by each member");
    results.set("off", "probes, full exchanges, reconnects: gossip ticks alone carry the update");
    let mut table = Table::new(
        "One update to all members: mean times, seconds",
        &[
            "members",
            "loss, %",
            "updates",
            "t50",
            "formula",
            "Monte Carlo",
            "t99",
            "Monte Carlo ",
            "all",
            "95 % interval",
            "formula ",
            "Monte Carlo  ",
            "packets/member",
            "until quiet",
            "reached all",
        ],
    );
    for nodes in options.sizes(&[128, 1_000, 5_000]) {
        for loss in [0.0, 0.3] {
            // Few large clusters, many updates each.
            let (clusters, updates) = match nodes {
                0..=300 => (40, 25),
                301..=2_000 => (8, 50),
                _ => (1, 60),
            };
            let clusters = options.runs(clusters);
            let spreads = jobs::run_all(options, clusters, &format!("{nodes} members, loss {loss}"), |run| {
                let seed = options.seed_of("dissemination", run);
                let (interval, delay) = (Duration::from_millis(200), Duration::from_millis(1));
                play(&Scene { nodes, fanout: 3, interval, loss, failed: 0.0, delay, seed, updates })
            })
            .concat();
            let times = |part: f64| spreads.iter().filter_map(|spread| spread.time_of(part)).collect::<Vec<f64>>();
            let (half, most, all) = (mean(&times(0.5)), mean(&times(0.99)), mean(&times(1.0)));
            let (low, high) = bootstrap(&times(1.0), options.seed, |sample| {
                sample.iter().copied().sum::<f64>() / sample.len().max(1) as f64
            });
            let push = Push { nodes, fanout: 3.0, loss, failed: 0.0, delay: 1.0 / 200.0 };
            let carlo = MONTE_CARLO.iter().find(|row| (row.0, row.1) == (nodes, loss));
            let reached = spreads.iter().filter(|spread| spread.times.len() == spread.live).count();
            table.push(row![
                nodes,
                100.0 * loss,
                spreads.len(),
                half,
                push.half() * 0.2,
                carlo.map(|row| row.2),
                most,
                carlo.map(|row| row.3),
                all,
                format!("{low:.3} … {high:.3}"),
                push.all() * 0.2,
                carlo.map(|row| row.4),
                mean(&spreads.iter().map(|spread| spread.packets).collect::<Vec<_>>()),
                mean(&spreads.iter().map(|spread| spread.packets_until_quiet).collect::<Vec<_>>()),
                format!("{reached} of {}", spreads.len()),
            ]);
            if loss == 0.0 {
                let off = 100.0 * (all / (push.all() * 0.2) - 1.0);
                results.gate(
                    format!("{nodes} members: mean time to all within 5 % of the curve"),
                    format!("{all:.3} s for {:.3} s ({off:+.1} %)", push.all() * 0.2),
                    off.abs() <= 5.0,
                );
                results.charts.push(chart(&push, 0.2, &spreads));
            }
        }
    }
    results.tables.push(table);
    results.notes.push(
        "“reached all” counts gossip alone, with the ordinary limit of transmissions; what it misses under loss, full \
         exchanges repair."
            .into(),
    );
    results
}

/// Serf's formula, the closed form, and what was simulated, in one picture.
pub fn chart(push: &Push, interval: f64, spreads: &[Spread]) -> Chart {
    const STEPS: usize = 150;
    let end = push.serf_page_time(0.9999).max(push.all() * 1.3) * interval;
    let times: Vec<f64> = (0..=STEPS).map(|step| end * step as f64 / STEPS as f64).collect();
    let curve = push.curve(end / interval / STEPS as f64, STEPS + 1);
    let percent = |parts: Vec<f64>| times.iter().copied().zip(parts.into_iter().map(|part| 100.0 * part)).collect();
    let simulated = times
        .iter()
        .map(|time| mean(&spreads.iter().map(|spread| spread.known_at(*time)).collect::<Vec<_>>()))
        .collect();
    Chart {
        title: format!("Convergence of {} members", push.nodes),
        caption: format!(
            "Part of the members that know of an update, by the time since one of them told it; the mean over {} \
             updates, by gossip alone. Dashed: the mean field of unsynchronised push, which is the optimum for these \
             packets, and the formula that Serf's page plotted, which is about twice too slow.",
            spreads.len()
        ),
        x: Axis::linear("seconds"),
        y: Axis::linear("members that know, %"),
        series: vec![
            Series::new("simulated, real nodes", Style::Line, percent(simulated)),
            Series::new("unsynchronised push", Style::Dashed, percent(curve)),
            Series::new(
                "Serf's page",
                Style::Dashed,
                percent(times.iter().map(|time| push.serf_page(time / interval)).collect()),
            ),
        ],
    }
}

/// `swim-sim convergence`: one scene, as Serf's page had it.
pub fn convergence(options: &Options, scene: &Scene) -> Results {
    let mut results = Results::new("convergence", options);
    results.command = format!(
        "swim-sim convergence --nodes {} --fanout {} --interval {} --loss {} --failed {} --delay {} --updates {} --seed {}",
        scene.nodes,
        scene.fanout,
        scene.interval.as_millis(),
        100.0 * scene.loss,
        100.0 * scene.failed,
        scene.delay.as_micros(),
        scene.updates,
        options.seed
    );
    let interval = scene.interval.as_secs_f64();
    let push = Push {
        nodes: scene.nodes,
        fanout: scene.fanout as f64,
        loss: scene.loss,
        failed: scene.failed,
        delay: scene.delay.as_secs_f64() / interval,
    };
    let clusters = scene.updates.div_ceil(UPDATES_EACH);
    let spreads = jobs::run_all(options, clusters, "clusters", |run| {
        let updates = UPDATES_EACH.min(scene.updates - run * UPDATES_EACH);
        play(&Scene { seed: options.seed_of("convergence", run), updates, ..*scene })
    })
    .concat();
    results.set("members", scene.nodes);
    results.set("fan-out", scene.fanout);
    results.set("interval", format!("{:?}", scene.interval));
    results.set("loss", scene.loss);
    results.set("failed", scene.failed);
    results.set("one way", format!("{:?}", scene.delay));
    results.set("updates", spreads.len());
    let page = super::formulas::serf_page_kilobits(push.fanout, interval);
    results.set("at most, says Serf's page", format!("{page:.1} kbit/s per member"));
    let mut table = Table::new(
        "Seconds until members know",
        &["part", "Serf's page", "unsynchronised push", "simulated, mean", "p99"],
    );
    for (name, part, formula) in [
        ("50 %", 0.5, Some(push.half())),
        ("99 %", 0.99, None),
        ("99.99 %", 0.9999, None),
        ("all", 1.0, Some(push.all())),
    ] {
        let times = sorted(spreads.iter().filter_map(|spread| spread.time_of(part)).collect());
        let page = (part < 1.0).then(|| push.serf_page_time(part) * interval);
        let simulated = (!times.is_empty()).then(|| mean(&times));
        table.push(row![name, page, formula.map(|time| time * interval), simulated, quantile(&times, 0.99)]);
    }
    results.tables.push(table);
    let reached = spreads.iter().filter(|spread| spread.times.len() == spread.live).count();
    results.notes.push(format!("Gossip alone reached all in {reached} of {} updates.", spreads.len()));
    results.charts.push(chart(&push, interval, &spreads));
    results
}

/// Up to here members meet as they would; above, as [`TestNet::acquainted`] says.
const SMALL: usize = 300;
/// Of one cluster, so that there are several.
const UPDATES_EACH: usize = 25;
