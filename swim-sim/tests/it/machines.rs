//! What machines do to their nodes: frozen, slow, with bad clocks, and restarted with what they remember.

use swim_core::Event;
use swim_core::ids::CommandId;
use swim_core::node::input::Reply;
use swim_core::serf::member::Status;
use swim_core::serf::snapshot::Record;
use swim_sim::application::{Application, Desk};
use swim_sim::network::{Bandwidth, Bursts};
use swim_sim::world::First;
use swim_sim::{Latency, TestNet, ms, secs};

const SEED: u64 = 1;

/// A stall that is over before anybody could be declared dead kills nobody, in whichever order its end is handled:
/// neither the member nor those whose acks lie in its socket (SWIM §4.2; Lifeguard, LHA-Probe).
#[test]
fn a_short_stall_kills_nobody_in_either_order() {
    for first in [First::Arrivals, First::Timers] {
        let mut net = TestNet::lan(8, SEED).converged();
        let host = net.host("n3");
        net.world_mut().pause_then(host, secs(3), first);
        net.run_for(secs(60));
        assert_eq!(net.deaths(), [], "{first:?}");
        assert!(net.all_agree());
    }
}

/// An ack that lies in the socket of a frozen host keeps it from asking relays only if it comes before what is due.
#[test]
fn a_frozen_host_goes_on_in_the_order_asked_for() {
    let sent = |first| {
        let mut net = TestNet::lan(4, SEED).converged();
        net.set_latency(Latency::Constant(ms(200)));
        let host = net.host("n3");
        for _ in 0..40 {
            net.world_mut().pause_then(host, ms(2300), first);
            net.run_for(ms(3700));
        }
        assert_eq!(net.stats("n3").probes_failed, 0);
        net.stats("n3").datagrams_sent
    };
    assert!(sent(First::Arrivals) < sent(First::Timers));
}

/// Messages are handled one after the other, each in its time; what waits in vain is lost.
#[test]
fn a_slow_host_takes_its_time() {
    let mut net = TestNet::lan(4, SEED).converged();
    let host = net.host("n2");
    net.world_mut().set_service_time(host, ms(150));
    let ping = net.ping("n1", "n2");
    let asked = net.now();
    net.run_for(secs(2));
    let (at, _) = net.replies("n1", ping).into_iter().find(|(_, reply)| *reply == Reply::Done(Ok(()))).expect("an ack");
    assert!(at - asked >= ms(150), "{:?}", at - asked);
    net.world_mut().set_service_time(host, ms(0));
    net.run_for(secs(30));
    assert!(net.all_agree());
}

/// One clock in a hundred is wrong by so much, and nobody is the worse for it (experiment E11).
#[test]
fn clocks_that_drift_kill_nobody() {
    let mut net = TestNet::lan(8, SEED).converged();
    let (fast, slow) = (net.host("n2"), net.host("n5"));
    net.world_mut().set_drift(fast, 10_000);
    net.world_mut().set_drift(slow, -10_000);
    let began = net.now();
    net.run_for(secs(300));
    assert_eq!(net.deaths(), []);
    let ahead = net.world().local_time(fast) - began;
    assert_eq!(ahead.as_millis(), 303_000);
}

/// A clock that jumps by a minute is like a stall, for those who see it: what was under way is over.
#[test]
fn a_clock_that_jumps_is_survived() {
    let mut net = TestNet::lan(8, SEED).converged();
    let host = net.host("n4");
    net.world_mut().jump_clock(host, secs(60));
    net.run_for(secs(60));
    assert!(net.all_agree(), "{net:?}");
}

/// A machine with two members sleeps, and its clock with it. The others have it failed; awake it accuses nobody, and is back
/// as soon as it hears of that.
#[test]
fn a_machine_that_sleeps_comes_back() {
    for slept in [secs(10), secs(600), secs(7 * 3600)] {
        let mut net = TestNet::lan(6, SEED).converged();
        let sleepers = ["n2", "n5"];
        for name in sleepers {
            let (host, address) = (net.host(name), net.address(name));
            let shown = net.world().local_time(host);
            net.world_mut().suspend(host, slept);
            let network = net.world_mut().network_mut();
            network.deafen(address);
            network.mute(address);
            assert_eq!(net.world().local_time(host), shown);
        }
        net.run_for(slept);
        if slept > secs(60) {
            assert_eq!(net.status_at("n1", "n2"), Some(Status::Failed));
        }
        net.heal();
        net.run_until(TestNet::all_agree, secs(120));
        // Longer, and an accusation would have become a death.
        net.run_for(secs(120));
        for name in ["n1", "n3", "n4", "n6"] {
            assert!(net.deaths().iter().all(|death| death.member != name), "{slept:?}: {:?}", net.deaths());
        }
    }
}

/// When all machines sleep, nobody has noticed anything.
#[test]
fn a_cluster_that_sleeps_wakes_up_whole() {
    let mut net = TestNet::lan(5, SEED).converged();
    for name in net.names() {
        let host = net.host(&name);
        net.world_mut().suspend(host, secs(3600));
    }
    let sent = net.world().datagrams_sent();
    net.run_for(secs(3600) - ms(1));
    assert_eq!(net.world().datagrams_sent(), sent, "all sleep");
    net.run_for(secs(60));
    assert!(net.world().datagrams_sent() > sent);
    assert_eq!(net.deaths(), []);
    assert!(net.all_agree());
}

/// A snapshot outlives its process, and leads the next one home.
#[test]
fn a_snapshot_leads_home() {
    let mut net = TestNet::tuned(3, SEED, |config| config.serf.snapshot = true).converged();
    let host = net.host("n2");
    net.crash("n2");
    let lines = net.world().snapshot(host).to_vec();
    assert!(lines.iter().any(|line| matches!(line, Record::Alive { name, .. } if **name == *b"n3")));
    net.run_for(secs(30));
    let host = net.restart("n2");
    net.world_mut().restore(host, &lines);
    net.run_until(TestNet::all_agree, secs(10));
}

/// Bursts lose packets together, and a cluster lives with short ones.
#[test]
fn a_cluster_lives_with_bursts_and_narrow_links() {
    let mut net = TestNet::lan(6, SEED).converged();
    let link = net.world_mut().network_mut().default_link_mut();
    link.bursts = Some(Bursts { every: secs(20), last: ms(200), loss: 1.0 });
    link.bandwidth = Some(Bandwidth { rate: 20_000, queue: 20_000 });
    link.latency = Latency::LogNormal { median: ms(20), sigma: 0.5 };
    let lost = net.world().datagrams_lost();
    net.run_for(secs(300));
    assert!(net.world().datagrams_lost() > lost);
    assert_eq!(net.deaths(), []);
}

/// A stream takes as long as its bytes need on a narrow link.
#[test]
fn streams_are_as_narrow_as_their_link() {
    let took = |rate| {
        let mut net = TestNet::lan(2, SEED);
        net.world_mut().network_mut().default_link_mut().bandwidth = Some(Bandwidth { rate, queue: 100_000 });
        net.join("n2", "n1");
        net.run_until(TestNet::all_agree, secs(10))
    };
    assert!(took(300) > took(1_000_000) + ms(300));
}

/// Counts what it hears, and asks to be woken.
struct Diary {
    pages: std::rc::Rc<core::cell::RefCell<Vec<String>>>,
}

impl Application for Diary {
    fn on_start(&mut self, desk: &mut Desk<'_>) {
        desk.wake_in(secs(10));
    }

    fn on_event(&mut self, _desk: &mut Desk<'_>, event: &Event) {
        if let Event::Member { kind, member } = event {
            self.pages.borrow_mut().push(format!("{} {}", kind.as_str(), member.name));
        }
    }

    fn on_reply(&mut self, _desk: &mut Desk<'_>, _command: CommandId, reply: &Reply) {
        if let Reply::Done(result) = reply {
            self.pages.borrow_mut().push(format!("done {}", result.is_ok()));
        }
    }

    fn on_wake(&mut self, desk: &mut Desk<'_>) {
        self.pages.borrow_mut().push(format!("awake, {} members", desk.node().members().count()));
        desk.ping(b"n2");
    }
}

/// An application is told everything in order, and its commands are carried out.
#[test]
fn an_application_lives_on_a_node() {
    let mut net = TestNet::lan(2, SEED);
    let (host, pages) = (net.host("n1"), std::rc::Rc::default());
    net.world_mut().run_application(host, Diary { pages: std::rc::Rc::clone(&pages) });
    net.join("n2", "n1");
    net.run_for(secs(12));
    net.crash("n2");
    net.run_for(secs(60));
    assert_eq!(net.status_at("n1", "n2"), Some(Status::Failed));
    assert_eq!(*pages.borrow(), ["member-join n2", "awake, 2 members", "done true", "member-failed n2"]);
}
