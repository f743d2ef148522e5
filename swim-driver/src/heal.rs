//! The names of the seeds, and their addresses as they were last. When they are to be resolved is the node's decision
//! (`poll_resolve`), and so is what is done with the addresses.

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_lite::future::or;
use tracing::debug;

use crate::join::Seeds;
use crate::runtime::Runtime;
use crate::shared::{Shared, lock};

/// Whom never to give up, by name.
#[derive(Debug)]
pub(crate) struct Names(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Of the configuration, in its order; each with the addresses that it had last.
    given: Vec<Named>,
    /// Of joins that reached them, at most [`KEPT_MAX`]; the oldest first.
    kept: VecDeque<Named>,
    /// A resolution is under way.
    resolving: bool,
}

#[derive(Debug)]
struct Named {
    text: String,
    addresses: Vec<SocketAddr>,
}

impl Names {
    pub(crate) fn new(given: Vec<String>) -> Self {
        let given = given.into_iter().map(|text| Named { text, addresses: Vec::new() }).collect();
        Self(Mutex::new(State { given, kept: VecDeque::new(), resolving: false }))
    }

    /// These were reached by a join, at these addresses.
    pub(crate) fn keep<'a>(&self, reached: impl Iterator<Item = (&'a str, Vec<SocketAddr>)>) {
        let mut state = lock(&self.0);
        for (text, addresses) in reached {
            if state.given.iter().any(|named| named.text == text) {
                continue;
            }
            state.kept.retain(|named| named.text != text);
            if state.kept.len() >= KEPT_MAX {
                state.kept.pop_front();
            }
            state.kept.push_back(Named { text: text.into(), addresses });
        }
    }

    /// What to resolve, if there is something and nobody does it yet.
    fn begin(&self) -> Option<Vec<String>> {
        let mut state = lock(&self.0);
        let texts: Vec<_> = state.given.iter().chain(&state.kept).map(|named| named.text.clone()).collect();
        if texts.is_empty() || core::mem::replace(&mut state.resolving, true) {
            return None;
        }
        Some(texts)
    }

    /// Every address now; names without news keep the ones that they had.
    fn enter(&self, news: Vec<(String, Vec<SocketAddr>)>) -> Vec<SocketAddr> {
        let mut state = lock(&self.0);
        for (text, addresses) in news {
            let State { given, kept, .. } = &mut *state;
            for named in given.iter_mut().chain(kept).filter(|named| named.text == text) {
                named.addresses.clone_from(&addresses);
            }
        }
        state.given.iter().chain(&state.kept).flat_map(|named| &named.addresses).copied().collect()
    }
}

/// Resolves all names in the background, side by side, and tells the node. Nothing happens while that goes on already, or
/// without names.
pub(crate) fn resolve<R: Runtime>(shared: &Arc<Shared<R>>) {
    let Some(texts) = shared.names.begin() else { return };
    // Made here, not in the task: a runtime that ends may drop that before it runs.
    let under_way = UnderWay(shared.clone());
    shared.spawn(|shared| async move {
        let _under_way = under_way;
        or(shared.stopping.wait(), resolve_now(&shared, &texts)).await;
    });
}

async fn resolve_now<R: Runtime>(shared: &Shared<R>, texts: &[String]) {
    let mut news = Vec::new();
    for (seed, addresses) in Seeds::look_up(shared, texts).await {
        match addresses {
            Ok(addresses) => news.push((seed, addresses)),
            Err(error) => debug!(%seed, %error, "no new addresses"),
        }
    }
    let mut addresses = shared.names.enter(news);
    // We may be known by another address than the one that we listen on.
    addresses.retain(|address| *address != shared.bound);
    shared.with(|guarded, now| {
        if !guarded.stopped {
            guarded.node.set_seeds(now, &addresses);
        }
    });
    shared.called.notify(1);
}

/// Ends with the resolution, however that ends.
struct UnderWay<R>(Arc<Shared<R>>);

impl<R> Drop for UnderWay<R> {
    fn drop(&mut self) {
        lock(&self.0.names.0).resolving = false;
    }
}

/// Names that joins have reached and that are kept.
const KEPT_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use futures_lite::future::block_on;

    use super::*;
    use crate::testing::{OWN, shared};

    fn at(port: u16) -> SocketAddr {
        ([10, 0, 0, 9], port).into()
    }

    fn kept(names: &Names) -> Vec<String> {
        lock(&names.0).kept.iter().map(|named| named.text.clone()).collect()
    }

    #[test]
    fn the_last_names_reached_are_kept() {
        let names = Names::new(vec!["given".into()]);
        names.keep([("given", vec![at(1)]), ("a", vec![at(1)]), ("b", vec![at(2)]), ("a", vec![at(3)])].into_iter());
        assert_eq!(kept(&names), ["b", "a"]);
        let many: Vec<_> = (0..KEPT_MAX).map(|n| n.to_string()).collect();
        names.keep(many[1..].iter().map(|text| (text.as_str(), vec![at(4)])));
        assert_eq!(kept(&names)[..2], ["a", "1"]);
        names.keep(many[..1].iter().map(|text| (text.as_str(), vec![at(4)])));
        assert_eq!(kept(&names).len(), KEPT_MAX);
        assert_eq!(kept(&names)[0], "1");
    }

    #[test]
    fn a_name_without_news_keeps_its_addresses() {
        let names = Names::new(vec!["a".into(), "b".into()]);
        assert_eq!(
            names.enter(vec![("a".into(), vec![at(1), at(2)]), ("b".into(), vec![at(3)])]),
            [at(1), at(2), at(3)]
        );
        assert_eq!(names.enter(vec![("a".into(), vec![at(5)])]), [at(5), at(3)]);
        assert_eq!(names.enter(Vec::new()), [at(5), at(3)]);
    }

    #[test]
    fn one_resolution_at_a_time() {
        assert_eq!(Names::new(Vec::new()).begin(), None);
        let shared = shared();
        shared.names.keep([("a", vec![at(1)])].into_iter());
        assert_eq!(shared.names.begin(), Some(vec!["a".into()]));
        assert_eq!(shared.names.begin(), None);
        drop(UnderWay(shared.clone()));
        assert_eq!(shared.names.begin(), Some(vec!["a".into()]));
        drop(UnderWay(shared.clone()));
        // The runtime of this test runs nothing: it drops the task.
        resolve(&shared);
        assert!(shared.names.begin().is_some(), "a task that is dropped has ended");
    }

    /// What is resolved becomes the node's seeds, ourselves left out; and it tries them.
    #[test]
    fn the_node_hears_of_the_addresses() {
        let shared = shared();
        let texts = ["10.0.0.9:7", "no.such.name", "not an address"].map(String::from);
        shared.names.keep(texts.iter().map(|text| (text.as_str(), vec![OWN, at(8)])));
        block_on(resolve_now(&shared, &texts));
        let tried = shared.with(|guarded, now| {
            // Nothing else opens a stream so early: there is nobody.
            guarded.node.handle_timeout(now + Duration::from_secs(2));
            core::iter::from_fn(|| guarded.node.poll_stream()).count()
        });
        assert_eq!(tried, 2, "the one that is an address, and what the others had");
    }
}
