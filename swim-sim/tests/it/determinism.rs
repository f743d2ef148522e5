//! The same seed and the same inputs give the same bytes.

use swim_core::node::trace::{Output, Replay, ReplayError, Step};
use swim_core::wire::keyring::Keyring;
use swim_sim::digest::Digest;
use swim_sim::world::Verdict;
use swim_sim::{TestNet, ms, secs};

/// A life with everything in it.
fn eventful(seed: u64, recorded: bool) -> TestNet {
    let mut net = TestNet::lan(11, seed);
    if recorded {
        net.start_recorded("n12");
    } else {
        net.start("n12");
    }
    net = net.converged();
    net.set_loss(0.1);
    net.pause("n3", secs(4));
    net.set_tag("n12", "role", "web");
    net.run_for(secs(20));
    net.crash("n5");
    net.partition(&[&["n1", "n2", "n3"]]);
    net.run_for(secs(10));
    net.heal();
    net.restart("n5");
    net.join("n5", "n12");
    net.run_for(secs(20));
    net.leave("n7");
    net.ping("n12", "n1");
    net.run_for(secs(30));
    net
}

/// Two runs from one seed send the same packets at the same times; another seed gives another run (design 3.1).
#[test]
fn a_seed_is_a_run() {
    let (first, second) = (eventful(1, false), eventful(1, false));
    assert!(first.world().datagrams_sent() > 1000);
    assert_eq!(first.world().digest(), second.world().digest());
    assert_eq!(first.deaths(), second.deaths());
    for name in first.names() {
        assert_eq!(first.events(&name), second.events(&name), "{name}");
        assert_eq!(first.stats(&name), second.stats(&name), "{name}");
    }
    assert_ne!(first.world().digest(), eventful(2, false).world().digest());
}

/// Being recorded changes nothing (design 3.1).
#[test]
fn recording_changes_nothing() {
    assert_eq!(eventful(1, false).world().digest(), eventful(1, true).world().digest());
}

/// When somebody looks changes nothing: time passes in one step or in many.
#[test]
fn looking_changes_nothing() {
    let run = |step| {
        let mut net = TestNet::lan(6, 1).converged();
        net.set_loss(0.1);
        let until = net.now() + secs(30);
        while net.now() < until {
            net.run_for(step);
        }
        net.world().digest()
    };
    assert_eq!(run(secs(30)), run(ms(3)));
}

/// A recorded life replays to the same bytes in the same order, and every checkpoint in the trace agrees (design 3.1).
#[test]
fn a_trace_replays_to_the_same_bytes() {
    let sent = std::rc::Rc::new(core::cell::RefCell::new((0_u64, Digest::default())));
    let mut net = TestNet::lan(5, 1);
    let host = net.start_recorded("n6");
    let (own, seen) = (net.address("n6"), std::rc::Rc::clone(&sent));
    net.world_mut().tap(move |_, from, to, bytes| {
        if from == own {
            let (count, digest) = &mut *seen.borrow_mut();
            *count += 1;
            digest.add(to.to_string().as_bytes());
            digest.add(bytes);
        }
        Verdict::Pass
    });
    net = net.converged();
    net.set_loss(0.1);
    net.pause("n6", secs(3));
    net.run_for(secs(20));
    net.crash("n2");
    net.set_tag("n6", "role", "web");
    net.ping("n6", "n1");
    net.run_for(secs(40));
    net.leave("n6");
    net.run_for(secs(20));
    let trace = net.world_mut().take_trace(host);

    let mut replay = Replay::new(&trace, Keyring::new(), None).expect("a trace of this build");
    let (mut count, mut digest, mut inputs, mut checkpoints) = (0, Digest::default(), 0, 0);
    loop {
        let step = replay.step(|output| {
            if let Output::Datagram { destination, datagram } = output {
                count += 1;
                digest.add(destination.to_string().as_bytes());
                digest.add(datagram);
            }
        });
        match step.expect("the node does what it did then") {
            Step::Input(_) => inputs += 1,
            Step::Checkpoint => checkpoints += 1,
            Step::End => break,
        }
    }
    assert_eq!((count, digest), *sent.borrow());
    assert!(
        count > 100 && inputs > count && checkpoints > 0,
        "{count} sent, {inputs} inputs, {checkpoints} checkpoints"
    );
}

/// A trace that was tampered with is found out (design 3.1: a running hash of the outputs).
#[test]
fn a_changed_trace_diverges() {
    let mut net = TestNet::lan(2, 1);
    let host = net.start_recorded("n3");
    net = net.converged();
    net.run_for(secs(30));
    let trace = net.world_mut().take_trace(host);
    // The seed stands somewhere in the header; whatever is changed there, the life is another one, or none.
    let mut diverged = 0;
    for at in 0..trace.len().min(400) {
        let mut changed = trace.clone();
        changed[at] ^= 0x40;
        if let Ok(mut replay) = Replay::new(&changed, Keyring::new(), None) {
            diverged += usize::from(matches!(replay.run(), Err(ReplayError::Diverged { .. })));
        }
    }
    assert!(diverged >= 32, "each byte of the seed matters at least: {diverged}");
}
