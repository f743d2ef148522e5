//! `swim-sim bench`: how many node-seconds pass in one second of this machine.

use core::time::Duration;
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args as ClapArgs;
use swim_sim::TestNet;

/// Measures the speed of the simulator: node-seconds of a quiet cluster per second, on one core.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Members of the cluster.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=20_000))]
    nodes: u32,
    /// Virtual seconds to measure, after the cluster has come together and is quiet.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Seed of the run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let began = Instant::now();
    let mut net = TestNet::lan(args.nodes as usize, args.seed).converged();
    net.world_mut().forget_events();
    let (met, virtual_time, sent) = (began.elapsed(), net.now(), net.world().datagrams_sent());
    let began = Instant::now();
    net.world_mut().run_for(Duration::from_secs(args.seconds));
    let took = began.elapsed().as_secs_f64();
    let node_seconds = f64::from(args.nodes) * args.seconds as f64;
    let datagrams = net.world().datagrams_sent() - sent;
    println!("{} nodes were quiet after {met:.1?} ({virtual_time:?} virtual)", args.nodes);
    println!("{} virtual seconds in {took:.3} s: {:.0} node-seconds per second", args.seconds, node_seconds / took);
    println!(
        "{:.2} datagrams per node-second, {:.0} ns each; digest {:016x}",
        datagrams as f64 / node_seconds,
        took * 1e9 / datagrams as f64,
        net.world().digest()
    );
    if let Some(peak) = peak_memory() {
        println!("peak memory: {peak}");
    }
    ExitCode::SUCCESS
}

/// Linux keeps count of it; elsewhere it is not told.
fn peak_memory() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().to_owned())
}
