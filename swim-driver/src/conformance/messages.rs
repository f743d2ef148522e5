//! User events and queries between running members.

use core::time::Duration;

use swim_core::Event;
use swim_core::serf::member::Status;
use swim_core::serf::query::Query;

use crate::cluster::{AnswerError, AskError, UserEventError};
use crate::conformance::Harness;
use crate::conformance::support::*;
use crate::query::QueryAnswer;

pub(super) async fn user_events_are_heard_by_all<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let mut heard = [a.events(), b.events()];
    let time = a.user_event(b"deploy", Some(b"now"), false).expect("it is short");
    for events in &mut heard {
        let told = within("the event", async {
            loop {
                if let Some(Event::User { ltime, name, payload, coalesce }) = events.next().await {
                    return (ltime, name, payload, coalesce);
                }
            }
        });
        let (ltime, name, payload, coalesce) = told.await;
        assert_eq!((ltime, &*name, payload.as_deref(), coalesce), (time, &b"deploy"[..], Some(&b"now"[..]), false));
    }
    let error = a.user_event(&[b'x'; 600], None, false);
    assert!(matches!(error, Err(UserEventError::TooLarge(_))), "{error:?}");
    within("shutdown", a.shutdown()).await;
    assert_eq!(a.user_event(b"late", None, false), Err(UserEventError::Stopped));
    assert_eq!(a.query(Query::default()).err(), Some(AskError::Stopped));
}

/// Acks and responses come one by one, and end with the query; an answer can be given once.
pub(super) async fn queries_are_answered<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let mut asked = b.events();
    let query = Query { name: b"load", request_ack: true, timeout: Some(Duration::from_secs(6)), ..Query::default() };
    let mut answers = a.query(query).expect("it is short");
    let id = within("the query", async {
        loop {
            if let Some(Event::Query { id, name, .. }) = asked.next().await {
                assert_eq!(name.as_bytes(), b"load");
                return id;
            }
        }
    })
    .await;
    b.respond(id, b"0.7").expect("it is asked for");
    assert!(matches!(b.respond(id, b"0.8"), Err(AnswerError::Respond(_))), "once");
    let (mut acks, mut responses) = (Vec::new(), Vec::new());
    within("the end of the query", async {
        while let Some(answer) = answers.next().await {
            match answer {
                QueryAnswer::Ack { from } => acks.push(from.to_string()),
                QueryAnswer::Response { from, payload } => responses.push((from.to_string(), payload)),
            }
        }
    })
    .await;
    acks.sort();
    assert_eq!(acks, ["a", "b"]);
    assert_eq!(responses, [("b".to_owned(), Box::from(&b"0.7"[..]))]);
    assert_eq!(within("nothing more", answers.next()).await, None);
    // Whoever does not want the answers drops them.
    drop(a.query(query).expect("it is short"));
}

pub(super) async fn the_failed_are_forced_to_leave<H: Harness>() {
    let (a, b) = pair::<H>().await;
    let mut events = a.events();
    within("shutdown", b.shutdown()).await;
    until("it has failed", &mut events, || status(&a, "b") == Some(Status::Failed)).await;
    within("force-leave", a.force_leave(b"b", false)).await.expect("it is done at once");
    assert_eq!(status(&a, "b"), Some(Status::Left));
    within("prune", a.force_leave(b"b", true)).await.expect("it is done at once");
    assert_eq!(a.member(b"b"), None);
    within("nobody", a.force_leave(b"nobody", true)).await.expect("unknown names are no error");
}
