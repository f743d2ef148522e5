//! Messages from one member to another.

use futures_lite::future::{poll_once, zip};
use swim_core::Event;
use swim_core::node::input::CommandError;
use swim_core::serf::direct::{Delivery, SendError};
use swim_core::wire;
use swim_core::wire::keyring::Key;

use crate::cluster::MessageError;

use crate::conformance::Harness;
use crate::conformance::support::*;
use crate::events::Events;

/// The next message that comes.
async fn message(events: &mut Events) -> (String, Vec<u8>, Delivery) {
    within("the message", async {
        loop {
            match events.next().await {
                Some(Event::Message { from, payload, by }) => return (from.to_string(), payload.into(), by),
                Some(_) => {}
                None => panic!("the cluster stopped before"),
            }
        }
    })
    .await
}

/// Short and as long as is allowed, both ways at once, plain and sealed: they come, and what was confirmed lies there.
pub(super) async fn messages_come_as_they_were_sent<H: Harness>() {
    let key = Key::new(&[7; 32]).expect("a key of 32 bytes");
    for keys in [vec![], vec![key]] {
        let with_keys = |name: &str| {
            let mut options = options(name);
            for key in &keys {
                options.config.wire.keyring.add(key.clone()).expect("the first key");
            }
            options
        };
        let (a, b): (ClusterOn<H>, ClusterOn<H>) = (start_with(with_keys("a")).await, start_with(with_keys("b")).await);
        let mut known = a.events();
        join(&b, &a).await;
        until("both are known", &mut known, || a.members().len() == 2).await;
        let (mut at_a, mut at_b) = (a.events(), b.events());
        within("a datagram", a.send(b"b", b"hello", Delivery::Datagram)).await.expect("b is there");
        assert_eq!(message(&mut at_b).await, ("a".into(), b"hello".to_vec(), Delivery::Datagram));

        let long: Vec<u8> = (0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        let (there, back) = zip(a.send(b"b", &long, Delivery::Stream), b.send(b"a", b"short", Delivery::Stream)).await;
        assert_eq!((there, back), (Ok(()), Ok(())));
        assert_eq!(message(&mut at_a).await, ("b".into(), b"short".to_vec(), Delivery::Stream));
        assert!(message(&mut at_b).await == ("a".into(), long, Delivery::Stream), "a mebibyte, unchanged");
        assert_eq!((a.stats().messages_direct_confirmed, b.stats().messages_direct_confirmed), (1, 1));
    }
}

/// Whoever gives up waiting has sent it all the same.
pub(super) async fn giving_up_does_not_call_it_back<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let mut at_b = b.events();
    for by in [Delivery::Datagram, Delivery::Stream] {
        let mut sending = Box::pin(a.send(b"b", b"hello", by));
        // Where the driver is a thread of its own, it can be done by then.
        if let Some(sent) = poll_once(sending.as_mut()).await {
            assert_eq!(sent, Ok(()));
        }
        drop(sending);
        assert_eq!(message(&mut at_b).await, ("a".into(), b"hello".to_vec(), by));
    }
}

pub(super) async fn what_can_go_wrong<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let nobody = within("nobody", a.send(b"nobody", b"hello", Delivery::Stream)).await;
    assert_eq!(nobody, Err(MessageError::Send(SendError::NoMember)));
    let long = within("too long", a.send(b"b", &[7; 2000], Delivery::Datagram)).await;
    assert!(matches!(long, Err(MessageError::Send(SendError::TooLong { len: 2000, .. }))), "{long:?}");
    within("shutdown", b.shutdown()).await;
    // Nobody listens there any more, which the others do not know at once.
    let gone = within("gone", a.send(b"b", b"hello", Delivery::Stream)).await;
    assert!(
        matches!(gone, Err(MessageError::Command(CommandError::Exchange(_)) | MessageError::Send(SendError::NoMember))),
        "{gone:?}"
    );
    within("shutdown", a.shutdown()).await;
    let stopped = within("stopped", a.send(b"b", b"hello", Delivery::Datagram)).await;
    assert_eq!(stopped, Err(MessageError::Stopped));

    let mut options = options("serf");
    options.config.wire = wire::Config::serf();
    let serf: ClusterOn<H> = start_with(options).await;
    let refused = within("Serf's wire", serf.send(b"serf", b"hello", Delivery::Stream)).await;
    assert_eq!(refused, Err(MessageError::Send(SendError::SerfWire)));
}
