//! One cluster of members on tokio, smol and async-std, in one process.

use swim_driver::conformance::support::*;
use swim_driver::swim_core::Event;
use swim_driver::swim_core::ids::QueryId;
use swim_driver::swim_core::serf::member::Status;
use swim_driver::swim_core::serf::query::Query;
use swim_driver::{Answers, Cluster, Events, QueryAnswer, Runtime};

/// Every one hears every one, and answers every one.
#[test]
fn three_runtimes_form_one_cluster() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    tokio.expect("a runtime").block_on(async {
        let a: swim_tokio::Cluster = start_with(options("a")).await;
        let b: swim_smol::Cluster = start_with(options("b")).await;
        let c: swim_asyncstd::Cluster = start_with(options("c")).await;
        join(&b, &a).await;
        // By way of a member on another runtime than the first.
        join(&c, &b).await;
        sees_all(&a).await;
        sees_all(&b).await;
        sees_all(&c).await;

        let mut heard = [a.events(), b.events(), c.events()];
        within("set_tags", b.set_tags([("role", "web")].into_iter().collect())).await.expect("they fit");
        eventually("a sees the tag", || a.member(b"b").expect("known").tags() == b.tags()).await;
        eventually("c sees the tag", || c.member(b"b").expect("known").tags() == b.tags()).await;

        a.user_event(b"from", Some(b"a"), false).expect("it is short");
        b.user_event(b"from", Some(b"b"), false).expect("it is short");
        c.user_event(b"from", Some(b"c"), false).expect("it is short");
        for events in &mut heard {
            hears_all(events).await;
        }

        let query = Query { name: b"load", timeout: Some(DEADLINE), ..Query::default() };
        for asker in 0..3 {
            let [first, second, third] = &mut heard;
            let answers = async {
                match asker {
                    0 => all_answers(a.query(query).expect("it is short")).await,
                    1 => all_answers(b.query(query).expect("it is short")).await,
                    _ => all_answers(c.query(query).expect("it is short")).await,
                }
            };
            let answering = async {
                a.respond(asked(first).await, b"1").expect("it is asked for");
                b.respond(asked(second).await, b"2").expect("it is asked for");
                c.respond(asked(third).await, b"3").expect("it is asked for");
            };
            let (answers, ()) = futures_lite::future::zip(answers, answering).await;
            assert_eq!(answers, [("a", "1"), ("b", "2"), ("c", "3")].map(|(name, load)| (name.into(), load.into())));
        }

        for (from, to) in [(b"a", b"b"), (b"b", b"c"), (b"c", b"a")] {
            match from {
                b"a" => reaches(&a, to).await,
                b"b" => reaches(&b, to).await,
                _ => reaches(&c, to).await,
            };
        }

        // One goes with a word, one without; the third can tell.
        within("leave", c.leave()).await.expect("the others hear it");
        eventually("a sees c leave", || status(&a, "c") == Some(Status::Left)).await;
        within("shutdown", c.shutdown()).await;
        within("shutdown", b.shutdown()).await;
        eventually("a sees b fail", || status(&a, "b") == Some(Status::Failed)).await;
        assert_eq!(status(&a, "c"), Some(Status::Left));
        within("shutdown", a.shutdown()).await;
    });
}

async fn sees_all<R: Runtime>(cluster: &Cluster<R>) {
    let all = || ["a", "b", "c"].into_iter().all(|name| status(cluster, name) == Some(Status::Alive));
    eventually("all know all", all).await;
}

async fn hears_all(events: &mut Events) {
    let mut from = Vec::new();
    within("all events", async {
        while from.len() < 3 {
            if let Event::User { payload: Some(payload), .. } = events.next().await.expect("it goes on") {
                from.push(String::from_utf8(payload.to_vec()).expect("a name"));
            }
        }
    })
    .await;
    from.sort();
    assert_eq!(from, ["a", "b", "c"]);
}

async fn asked(events: &mut Events) -> QueryId {
    within("the query", async {
        loop {
            if let Event::Query { id, .. } = events.next().await.expect("it goes on") {
                return id;
            }
        }
    })
    .await
}

/// Three are enough: nobody waits for the query's end.
async fn all_answers<R: Runtime>(mut answers: Answers<R>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    within("the answers", async {
        while all.len() < 3 {
            if let QueryAnswer::Response { from, payload } = answers.next().await.expect("the query runs") {
                all.push((from.to_string(), String::from_utf8(payload.to_vec()).expect("a digit")));
            }
        }
    })
    .await;
    all.sort();
    all
}
