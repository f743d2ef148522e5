//! The core and the tokio adapter beside their peers. See README.md.

mod alloc;
mod cases;
mod chitchat;
mod cluster;
mod clusters;
mod embedded;
mod foca;
mod instance;
mod memberlist;
mod ours;
mod samples;
mod table;

#[path = "../../swim-core/benches/scene/mod.rs"]
#[allow(dead_code, reason = "the core's own benchmarks use the rest")]
mod scene;

use core::time::Duration;
use std::process::ExitCode;

use clap::Parser;
use table::Peer;

/// Measures swim and its peers in one run, and prints one table in Markdown.
#[derive(Debug, Parser)]
struct Args {
    /// A minute instead of many: fewer samples, at most 10 000 members. Says whether it works, not much more.
    #[arg(long)]
    quick: bool,
    /// Only this: known, fresh, ticks, heap, joins, load, reply, growth, speed or loss. May be given several times.
    #[arg(long = "case", value_parser = CASES)]
    cases: Vec<String>,
    /// Sizes of the cluster.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    members: Vec<u32>,
    /// Instead: nodes with sockets, in one process on tokio, on loopback addresses. Linux.
    #[arg(long)]
    embedded: bool,
    /// One cluster, for whom `--embedded` starts.
    #[arg(long, hide = true)]
    embedded_child: Option<embedded::Kind>,
}

const CASES: [&str; 10] = ["known", "fresh", "ticks", "heap", "joins", "load", "reply", "growth", "speed", "loss"];

/// Packets name fifteen, and four of them are to differ.
const MEMBERS_MIN: usize = 50;

fn main() -> ExitCode {
    let args = Args::parse();
    let mut members: Vec<usize> = args.members.iter().map(|size| *size as usize).collect();
    if let Some(kind) = args.embedded_child {
        return embedded::child(kind, members[0], args.quick);
    }
    if args.embedded {
        return embedded::run(&members, args.quick);
    }
    if members.is_empty() {
        members = vec![100, 1_000, 10_000];
        if !args.quick {
            members.push(100_000);
        }
    }
    if let Some(few) = members.iter().find(|size| **size < MEMBERS_MIN) {
        eprintln!("{few} members are fewer than a few packets name: {MEMBERS_MIN} is the least");
        return ExitCode::FAILURE;
    }
    let wanted = |case: &str| args.cases.is_empty() || args.cases.iter().any(|one| one == case);
    let effort = samples::Effort {
        samples: if args.quick { 9 } else { 41 },
        sample_time: Duration::from_millis(if args.quick { 1 } else { 4 }),
        subject_time: Duration::from_secs(3),
    };
    let mut lines = cases::run(&members, &wanted, effort);
    let alone = effort;
    let effort = clusters::Effort {
        runs: if args.quick { 1 } else { 5 },
        lossy: Duration::from_secs(if args.quick { 60 } else { 300 }),
        quiet: Duration::from_secs(if args.quick { 1 } else { 5 }),
    };
    if wanted("speed") {
        lines.extend(clusters::speeds(&members, effort));
    }
    if wanted("loss") {
        lines.extend(clusters::losses(effort));
    }
    println!("{}", table::print(&lines));
    if wanted("growth") {
        let lines = cases::growth(&members, alone);
        println!("Ours alone:\n\n{}", table::print(&lines));
        let figures = [cases::KNOWN, cases::FRESH, cases::PROBE, cases::GOSSIP];
        if let Some(chart) = table::growth(&lines, &figures, Peer::Ours) {
            println!("{chart}");
        }
    }
    ExitCode::SUCCESS
}
