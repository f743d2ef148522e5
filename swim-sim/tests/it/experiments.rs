//! Each experiment at toy size: it repeats from its seed, whatever the number of threads, and finds what it must.

use core::time::Duration;
use std::fs;
use std::process::Command;

use swim_sim::experiments::baselines::Mode;
use swim_sim::experiments::dissemination::{self, convergence};
use swim_sim::experiments::lifeguard::{self, Outcome};
use swim_sim::experiments::results::{Cell, Results};
use swim_sim::experiments::statistics::mean;
use swim_sim::experiments::{EXPERIMENTS, Options, find, idle, loss, partition, start};
use swim_sim::world::gate::READING_TIME;
use swim_sim::{ms, secs};

fn options() -> Options {
    Options { seed: 5, fraction: 0.000_1, nodes: vec![8], ..Options::default() }
}

/// 16 members, of which some are blocked for `blocked`, again and again if there are pauses.
fn lifeguard(mode: Mode, disturbed: usize, blocked: Duration, free: Option<Duration>) -> Outcome {
    lifeguard::play(
        mode,
        &lifeguard::Scene { members: 16, disturbed, blocked, free, reading_time: READING_TIME, seed: 9 },
    )
}

#[test]
fn names_are_unique_and_found() {
    for experiment in EXPERIMENTS {
        assert_eq!(find(experiment.name).map(|found| found.about), Some(experiment.about), "{}", experiment.name);
    }
    assert!(find("list").is_none(), "that is a command");
}

/// What is found depends on the seed and not on who looks for it.
#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let scene = dissemination::Scene {
        nodes: 20,
        fanout: 3,
        interval: ms(200),
        loss: 0.1,
        failed: 0.1,
        delay: ms(1),
        seed: 0,
        updates: 60,
    };
    let run = |jobs, seed| convergence(&Options { jobs, seed, ..options() }, &scene);
    assert_eq!(run(1, 5), run(3, 5));
    assert_ne!(run(1, 5).tables, run(1, 6).tables);
}

/// 200 updates among 30: within a few percent of Monte Carlo's 242, 496 and 496 ms.
#[test]
fn gossip_is_as_fast_as_theory_says() {
    let (interval, delay) = (ms(200), ms(1));
    let scene =
        dissemination::Scene { nodes: 30, fanout: 3, interval, loss: 0.0, failed: 0.0, delay, seed: 3, updates: 200 };
    let spreads = dissemination::play(&scene);
    let time = |part| mean(&spreads.iter().filter_map(|spread| spread.time_of(part)).collect::<Vec<_>>());
    assert!((0.225..0.260).contains(&time(0.5)), "{}", time(0.5));
    assert!((0.465..0.530).contains(&time(1.0)), "{}", time(1.0));
    assert!(spreads.iter().all(|spread| spread.packets <= spread.packets_until_quiet));
    assert!(spreads.iter().all(|spread| spread.packets_until_quiet <= 8.0), "the limit of transmissions");
}

/// A member that is blocked for long is found out: after its probe, which takes up to a second to begin and one to fail,
/// and the shortest suspicion, 5·log10(16) s.
#[test]
fn who_is_blocked_is_found_out() {
    let outcome = lifeguard(Mode::Swim, 2, secs(30), None);
    assert_eq!(outcome, lifeguard(Mode::Swim, 2, secs(30), None));
    assert_eq!(outcome.detections.len(), 2);
    for (first, all) in outcome.detections {
        assert!((7.0..12.0).contains(&first), "{first}");
        assert!(all.is_some_and(|all| all >= first && all < first + 2.0), "{all:?}");
    }
    assert!(lifeguard(Mode::Swim, 2, secs(2), None).detections.is_empty(), "a short stall is none of it");
}

/// Members that are blocked nearly all the time never hear the refutations of those whom they accuse. Doubt about
/// oneself, and a suspicion that lasts until others agree, are for that.
#[test]
fn lifeguard_guards() {
    let count = |mode| lifeguard(mode, 6, ms(2048), Some(ms(1))).false_positives;
    let (swim, lifeguard, ours) = (count(Mode::Swim), count(Mode::Lifeguard), count(Mode::Ours));
    assert!(swim > 50, "{swim}");
    assert!(lifeguard < swim / 4, "{lifeguard} of {swim}");
    assert!(ours <= lifeguard, "{ours} of {lifeguard}");
}

#[test]
fn peace_brings_no_failures() {
    let outcome = lifeguard(Mode::Swim, 4, ms(128), Some(secs(16)));
    assert_eq!((outcome.false_positives, outcome.detections.len()), (0, 0));
    assert!(outcome.seconds > 100.0 && outcome.datagrams > 0 && outcome.bytes > 28 * outcome.datagrams);
}

#[test]
fn idle_traffic_is_counted() {
    let scene = |mode| idle::Scene { mode, nodes: 10, names: idle::Names::Random, crashes: 0, time: secs(60), seed: 4 };
    let (memberlist, ours) = (idle::play(&scene(Mode::Memberlist)), idle::play(&scene(Mode::Ours)));
    assert_eq!((memberlist.sent.len(), memberlist.false_failures), (600, 0));
    // A ping and an ack a second.
    assert!((1.9..2.1).contains(&ours.datagrams), "{}", ours.datagrams);
    assert!((mean(&ours.sent) / mean(&ours.received) - 1.0).abs() < 0.02, "what is sent is received");
    assert!(mean(&ours.sent) > 2.0 * 28.0);
}

#[test]
fn halves_come_together() {
    let outcome = partition::play(Mode::Ours, 8, 0.5, secs(60), 3);
    assert_eq!(outcome, partition::play(Mode::Ours, 8, 0.5, secs(60), 3));
    let healed = outcome.healed.expect("in time");
    assert_eq!(outcome.alive.len(), (healed * 10.0).round() as usize, "looked at each 100 ms");
    assert!(outcome.alive[0] < 1.0 && outcome.alive.last() == Some(&1.0));
}

#[test]
fn loss_costs() {
    let (calm, lossy) = (loss::play(Mode::Ours, 8, 0.0, secs(30), 3), loss::play(Mode::Ours, 8, 0.4, secs(30), 3));
    assert_eq!((calm.failures, calm.suspicions), (0, 0));
    assert!(lossy.suspicions > 0 && lossy.bytes > 0.0);
}

#[test]
fn a_cold_start_is_seen_to_its_end() {
    let outcome = start::play(Mode::Ours, 12, 3);
    assert!(outcome.complete.is_some_and(|time| time < 10.0), "{:?}", outcome.complete);
    assert!(outcome.sizes >= 2 && outcome.seed_burden > 1.0);
}

/// `run --json`, then `report` from what it wrote; the page and the tables hold the same figures.
#[test]
fn the_program_keeps_what_it_found() {
    let folder = std::env::temp_dir().join(format!("swim-sim-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let path = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let swim_sim = |arguments: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_swim-sim")).args(arguments).output().expect("it runs");
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    };
    let (code, list, _) = swim_sim(&["run", "list"]);
    assert!(code == Some(0) && EXPERIMENTS.iter().all(|experiment| list.contains(experiment.name)), "{list}");

    let (json, csv, html) = (path("loss.json"), path("loss.csv"), path("report.html"));
    let run = ["run", "partition", "--fraction", "0.1", "--seed", "3", "--nodes", "6", "--modes", "ours", "--quiet"];
    let (code, shown, said) = swim_sim(&[&run[..], &["--json", &json, "--csv", &csv]].concat());
    assert_eq!((code, said.as_str()), (Some(0), ""), "{shown}");
    let results: Results = serde_json::from_slice(&fs::read(&json).expect("written")).expect("results");
    assert_eq!(results.to_csv(), fs::read_to_string(&csv).expect("written"));
    assert_eq!(results.to_string(), shown);
    let mean = match &results.tables[0].rows[0][4] {
        Cell::Number(mean) => Cell::Number(*mean).to_string(),
        Cell::Text(text) => panic!("no figure but {text}"),
    };
    let (code, _, _) = swim_sim(&["report", &json, "-o", &html]);
    let page = fs::read_to_string(&html).expect("written");
    assert!(code == Some(0) && page.contains(&format!("<td class=\"number\">{mean}</td>")), "{mean} in\n{page}");

    let convergence = path("convergence.html");
    let (code, shown, _) =
        swim_sim(&["convergence", "--nodes", "12", "--updates", "5", "--quiet", "--html", &convergence]);
    assert!(code == Some(0) && shown.contains("328.1 kbit/s"), "{shown}");
    assert!(fs::read_to_string(&convergence).expect("written").contains("unsynchronised push"));

    for (arguments, complaint) in [
        (&["run", "nothing"][..], "there is no experiment \"nothing\""),
        (&["run", "loss", "--fraction", "0"], "expected a number above 0"),
        (&["run", "loss", "--modes", "raft"], "expected one of: SWIM"),
        (&["report", "/does/not/exist"], "/does/not/exist"),
        (&["report", csv.as_str()], "not results of an experiment"),
        (&["convergence", "--loss", "95"], "expected a percentage from 0 to 90"),
    ] {
        let (code, _, said) = swim_sim(arguments);
        assert!(code.is_some_and(|code| code > 0) && said.contains(complaint), "{arguments:?}: {said}");
    }
    fs::remove_dir_all(&folder).expect("removed");
}
