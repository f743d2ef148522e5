//! Clusters with other wrappings: keys, labels, compression, the two encodings. What the bytes look like is tested in
//! the core; here it is that whole clusters live with them, and who is kept out.

use swim_core::Config;
use swim_core::Event;
use swim_core::wire;
use swim_core::wire::codec::Codec;
use swim_core::wire::envelope::DatagramError;
use swim_core::wire::keyring::Key;
use swim_core::wire::message::State;
use swim_sim::{TestNet, secs};

const SEED: u64 = 2;

type Tune = fn(&mut Config);

fn with_key(config: &mut Config, byte: u8) {
    let key = Key::new(&[byte; 32]).expect("32 bytes");
    config.wire.keyring.add(key).expect("there is room");
}

/// Membership works the same in every wrapping: joins, tags, a crash that is found out (memberlist-wire 6 to 9).
#[test]
fn every_wrapping_carries_a_cluster() {
    let table: [(&str, Tune); 7] = [
        ("native", |_| {}),
        ("native, plain", |config| config.wire.compression = false),
        ("native, sealed", |config| with_key(config, 1)),
        ("native, labelled", |config| config.wire.label = "blue".into()),
        ("serf", |config| config.wire = wire::Config::serf()),
        ("serf, sealed", |config| {
            config.wire = wire::Config::serf();
            with_key(config, 1);
        }),
        ("serf, sealed and labelled", |config| {
            config.wire = wire::Config::serf();
            with_key(config, 1);
            config.wire.label = "blue".into();
        }),
    ];
    for (what, tune) in table {
        let mut net = TestNet::tuned(5, SEED, tune).converged();
        net.set_tag("n2", "role", "web");
        net.crash("n4");
        net.run_until(|net| net.all_agree(), secs(60));
        for name in net.names() {
            let member = net[name.as_str()].member(b"n2").expect("it agreed");
            assert_eq!(member.tags().get("role"), Some("web"), "{what}");
            let stats = net.stats(&name);
            let bad = stats.datagrams_malformed + stats.datagrams_not_opened + stats.messages_malformed;
            assert_eq!(bad, 0, "{what}: {stats:?}");
        }
    }
}

/// Compression is the sender's business: those who use it and those who do not form one cluster (memberlist-wire 6).
#[test]
fn compression_need_not_be_agreed_on() {
    for codec in [Codec::Native, Codec::Serf] {
        let net = TestNet::tuned(6, SEED, move |config| {
            if codec == Codec::Serf {
                config.wire = wire::Config::serf();
            }
            config.wire.compression = config.name.as_str().is_some_and(|name| name < "n4");
        });
        assert!(net.converged().all_agree(), "{codec:?}");
    }
}

/// Who has another key, none, another label or another encoding does not get in, harms nobody, and is reported once in
/// a minute (memberlist-wire 8.2, 9; design 4).
#[test]
fn strangers_are_kept_out_and_reported() {
    let table: [(&str, Tune, Tune, DatagramError); 5] = [
        ("another key", |c| with_key(c, 1), |c| with_key(c, 2), DatagramError::NotOpened),
        ("no key", |c| with_key(c, 1), |_| {}, DatagramError::NotSealed),
        ("no label", |c| c.wire.label = "blue".into(), |_| {}, DatagramError::LabelMissing),
        ("another label", |c| c.wire.label = "blue".into(), |c| c.wire.label = "red".into(), DatagramError::LabelWrong),
        ("another encoding", |_| {}, |c| c.wire = wire::Config::serf(), DatagramError::ForeignWire),
    ];
    for (what, ours, theirs, error) in table {
        let mut net = TestNet::tuned(
            3,
            SEED,
            move |config| {
                if config.name == *"stranger" { theirs(config) } else { ours(config) }
            },
        )
        .converged();
        net.start("stranger");
        net.join("stranger", "n1");
        // Its dials are not understood; it goes on with datagrams.
        let to = net.address("n1");
        let from = net.address("stranger");
        for second in 0..100 {
            if second % 10 == 0 {
                net.world_mut().inject(from, to, &stray(theirs));
            }
            net.run_for(secs(1));
        }
        for name in ["n1", "n2", "n3"] {
            assert_eq!(net.state_at(name, "stranger"), None, "{what}");
            assert_eq!(net.state_at("stranger", name), None, "{what}");
            assert_eq!(net.state_at(name, "n1"), Some((State::Alive, 1)), "{what}");
        }
        let reports: Vec<_> = net
            .events("n1")
            .iter()
            .filter_map(|(at, event)| {
                let Event::Rejected { from: who, error: why } = event else { return None };
                (*who == from).then_some((*at, *why))
            })
            .collect();
        assert_eq!(reports.len(), 2, "{what}: 100 s, one report a minute: {reports:?}");
        assert!(reports.iter().all(|(_, why)| *why == error), "{what}: {reports:?}");
        assert!(reports[1].0 - reports[0].0 >= secs(60), "{what}");
    }
}

/// A ping as the stranger would send it.
fn stray(theirs: Tune) -> Vec<u8> {
    let mut config = Config::lan("stranger", "10.0.0.9:7946".parse().expect("an address"));
    theirs(&mut config);
    let ping = swim_sim::Said::Ping { seq: 1, node: String::new(), source: None, source_node: String::new() };
    swim_sim::speech::Speech::new(&config.wire).datagram(&[ping])
}
