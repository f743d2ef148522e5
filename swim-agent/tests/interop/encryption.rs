//! Clusters with a key: AES-128, AES-192 and AES-256, and what a wrong key leads to.

use std::thread::sleep;

use crate::harness::{Agent, Kind, secs, wait_until};
use crate::join::joins;

// 16, 24 and 32 bytes counting up from 0.
const AES_128: &str = "AAECAwQFBgcICQoLDA0ODw==";
const AES_192: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const AES_256: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn sealed_join(key: &str) {
    let key = format!("-encrypt={key}");
    for joiner in [Kind::Serf, Kind::Swim] {
        let agents = joins(joiner, &[&key], &[&key]);
        for agent in &agents {
            assert_eq!(agent.info("serf", "encrypted"), "true", "{}", agent.name);
        }
    }
}

#[test]
fn aes_128() {
    sealed_join(AES_128);
}

#[test]
fn aes_192() {
    sealed_join(AES_192);
}

#[test]
fn aes_256() {
    sealed_join(AES_256);
}

#[test]
fn aes_256_without_compression() {
    let key = format!("-encrypt={AES_256}");
    joins(Kind::Swim, &[&key, "-disable-compression"], &[&key, "-disable-compression"]);
}

/// Two agents that cannot read each other do not become a cluster, and whoever looks into either finds out why.
fn stays_apart(serf_args: &[&str], swim_args: &[&str]) {
    for joiner in [Kind::Serf, Kind::Swim] {
        let serf = Agent::start(Kind::Serf, "one", &[&["-profile=local"], serf_args].concat());
        let swim = Agent::start(Kind::Swim, "two", &[&["-profile=local"], swim_args].concat());
        let (from, to) = if joiner == Kind::Serf { (&serf, &swim) } else { (&swim, &serf) };
        let output = from.ask(joiner, "join", &[&to.bind.to_string()]);
        assert!(!output.success, "joined across different keys: {}", output.stdout);
        assert!(output.stdout.contains("Error joining the cluster: 1 error occurred:"), "{:?}", output.stdout);
        if joiner.is_ours() {
            assert!(tells_of_a_key(&output.stdout), "the refusal does not speak of keys: {:?}", output.stdout);
        }
        wait_until("the agent that was to be joined logs the reason", secs(10), || {
            let lines = to.log_lines(&["[ERR]", "[WARN]"]);
            if lines.iter().any(|line| tells_of_a_key(line)) { Ok(()) } else { Err(format!("it logs {lines:?}")) }
        });
        // Long enough for gossip, had there been any.
        sleep(secs(2));
        for (agent, stranger) in [(&serf, &swim), (&swim, &serf)] {
            let members = agent.members().expect("the agent answers");
            assert_eq!(members.status(&stranger.name), "none", "{} knows {}", agent.name, stranger.name);
        }
    }
}

fn tells_of_a_key(text: &str) -> bool {
    ["key", "crypt"].iter().any(|word| text.to_lowercase().contains(word))
}

#[test]
fn another_key() {
    stays_apart(&[&format!("-encrypt={AES_256}")], &[&format!("-encrypt={AES_128}")]);
}

#[test]
fn key_on_the_serf_side_only() {
    stays_apart(&[&format!("-encrypt={AES_256}")], &[]);
}

#[test]
fn key_on_the_swim_side_only() {
    stays_apart(&[], &[&format!("-encrypt={AES_256}")]);
}
