//! The first five minutes in README.md, as somebody new to it would type them.
#![cfg(target_os = "linux")] // Where all of 127.0.0.0/8 is there.

use core::time::Duration;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::support::{Directory, PATIENCE, Running, run};

/// A command and what it should print.
struct Step {
    command: String,
    prints: String,
}

/// The lines behind a prompt, in the blocks marked `console` under the heading.
fn steps() -> Vec<Step> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## The first five minutes\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for block in section.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.to_owned(), prints: String::new() });
                continue;
            }
            let step = steps.last_mut().unwrap();
            match line.strip_prefix("> ") {
                Some(more) => step.command += &format!("\n{more}"),
                None => step.prints += &format!("{line}\n"),
            }
        }
    }
    steps
}

/// Lines without an order, columns without a width.
fn comparable(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    lines.sort();
    lines
}

#[test]
fn the_first_five_minutes() {
    let directory = Directory::new("tour");
    // Addresses of this run's own, because others may be trying the same.
    let [.., a, b] = std::process::id().to_be_bytes();
    let net = format!("127.{}.{b}.", 128 | a);
    let program = Path::new(env!("CARGO_BIN_EXE_swim")).parent().unwrap();
    let shell = |script: &str| {
        let mut command = Command::new("bash");
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
        command.args(["-c", script]).current_dir(directory.path()).env("PATH", path);
        command.env("SERF_RPC_ADDR", format!("{net}1:7373")).env_remove("SERF_RPC_AUTH");
        command
    };
    let (mut agents, steps) = (Vec::new(), steps());
    assert!(steps.len() >= 10, "only {} commands", steps.len());
    for Step { command, prints } in steps {
        let script = command.replace("127.0.0.", &net);
        if let Some(agent) = script.strip_suffix(" &") {
            let agent = agent.replace("swim agent -node=one", &format!("swim agent -rpc-addr={net}1:7373 -node=one"));
            agents.push(Running::spawn(shell(&format!("exec {agent}"))));
            continue;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let finished = run(shell(&script));
            let found = finished.stdout.replace(&net, "127.0.0.");
            if comparable(&found) == comparable(&prints) && finished.stderr.is_empty() {
                break;
            }
            // Whoever types is slower than an agent that starts. Events alone must not be sent again.
            let again = !script.starts_with("swim event") && Instant::now() < deadline;
            assert!(again, "$ {command}\nshould print\n{prints}but printed\n{found}{}", finished.stderr);
            thread::sleep(Duration::from_millis(100));
        }
    }
    for mut agent in agents {
        assert_eq!(agent.ended(), Some(0), "an agent that has left");
    }
}
