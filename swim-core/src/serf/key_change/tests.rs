//! serf-layer.md 10.5: a change that could not be stored is answered with why.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::iter;
use core::time::Duration;

use super::*;
use crate::ids::CommandId;
use crate::serf::config::Config;
use crate::serf::internal_query::{KeyBytes, KeyCommand, KeyOperation};
use crate::serf::query::Answer;
use crate::serf::query::tests::{Scene, asked, encoded};
use crate::wire::codec::Codec;
use crate::wire::keyring::{Key, Keyring};
use crate::wire::serf::{self, SerfMessage};

/// Somebody whose application stores the keys, and who has one.
struct Member {
    scene: Scene,
    keyring: Keyring,
    asked: u32,
}

impl Member {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let mut scene = Scene::new();
        scene.serf.config = Config { keyring_stored: true, ..config };
        let mut keyring = Keyring::new();
        keyring.add(Key::new(&[1; 32]).unwrap()).unwrap();
        Self { scene, keyring, asked: 0 }
    }

    /// `b` asks, and waits for five seconds.
    fn hear(&mut self, name: &str, key: u8) {
        self.asked += 1;
        let (name, mut payload) = (name.as_bytes(), Vec::new());
        Codec::Native.encode_key_request(&[key; 32], &mut payload);
        let time = self.scene.serf.query_clock.time().0;
        let payload = Some((&*payload).into());
        self.scene.receive(&encoded(&serf::Query { name, payload, ..asked(time, self.asked) }));
        self.run();
    }

    fn run(&mut self) {
        let Self { scene, keyring, .. } = self;
        scene.serf.run_key_tasks(&mut scene.parts.cx(), &mut scene.swim, keyring, true);
        scene.serf.queries.key_changes.check();
    }

    fn stored(&mut self, change: u64, result: Result<(), &str>) {
        let Self { scene, .. } = self;
        scene.serf.keyring_stored(&mut scene.parts.cx(), &mut scene.swim, KeyringChange(change), result);
        scene.serf.queries.key_changes.check();
    }

    /// What `b` has been told since.
    fn told(&mut self) -> Vec<(bool, String)> {
        let sent = self.scene.sent().into_iter();
        sent.map(|(_, message)| {
            assert!(message.len() <= self.scene.serf.config.query_response_size_limit);
            let Ok(SerfMessage::QueryResponse(response)) = Codec::Native.decode_serf(&message) else { panic!() };
            let response = response.payload.unwrap();
            let response = Codec::Native.decode_key_response(&response).unwrap();
            (response.result, core::str::from_utf8(response.message).unwrap().into())
        })
        .collect()
    }

    /// The changes that the application has been told of since.
    fn changes(&mut self) -> Vec<u64> {
        iter::from_fn(|| self.scene.serf.poll_event())
            .map(|event| {
                let Event::KeyringChanged { change } = event else { panic!("{event:?}") };
                change.0
            })
            .collect()
    }

    fn count(&self) -> usize {
        self.keyring.keys().len()
    }
}

fn ok() -> (bool, String) {
    (true, String::new())
}

fn not(text: &str) -> (bool, String) {
    (false, text.into())
}

#[test]
fn changes_are_answered_when_they_are_stored() {
    let mut member = Member::new();
    member.hear("_serf_install-key", 2);
    member.hear("_serf_use-key", 2);
    member.hear("_serf_remove-key", 1);
    assert_eq!((member.changes(), member.told()), (vec![1, 2, 3], vec![]));
    assert_eq!(member.count(), 1, "they are made, all the same");
    member.stored(2, Ok(()));
    assert_eq!(member.told(), [ok(), ok()], "those that the stored keyring has");
    // What has been answered, and what there has not been, is nobody's business.
    member.stored(2, Err("no"));
    member.stored(4, Ok(()));
    member.stored(u64::MAX, Ok(()));
    assert_eq!(member.told(), []);
    member.stored(3, Err("no space left on device"));
    assert_eq!(member.told(), [not("no space left on device")]);
    // It is made already; it is stored again.
    member.hear("_serf_remove-key", 1);
    assert_eq!((member.changes(), member.told()), (vec![4], vec![]));
    member.stored(4, Ok(()));
    assert_eq!(member.told(), [ok()]);
}

#[test]
fn what_fails_or_changes_nothing_is_answered_at_once() {
    let mut member = Member::new();
    member.hear("_serf_use-key", 2);
    member.hear("_serf_remove-key", 1);
    member.hear("_serf_list-keys", 0);
    let told = [not("Requested key is not in the keyring"), not("Removing the primary key is not allowed"), ok()];
    assert_eq!(member.told(), told);
    assert_eq!(member.changes(), [0; 0]);
    assert_eq!(member.scene.serf.last_keyring_change(), KeyringChange(0));
}

#[test]
fn changes_that_wait_are_bounded() {
    let mut member = Member::new();
    for _ in 0..HELD_MAX {
        member.hear("_serf_install-key", 2);
    }
    assert_eq!((member.told(), member.scene.parts.stats.queries_over_limit), (vec![], 0));
    member.hear("_serf_install-key", 3);
    assert_eq!(member.told(), [not("too many changes of keys are waiting")]);
    assert_eq!((member.count(), member.scene.parts.stats.queries_over_limit), (2, 1), "it is not made either");
    member.hear("_serf_list-keys", 0);
    assert_eq!(member.told(), [ok()]);
    assert_eq!(member.changes().len(), HELD_MAX);
    // Nobody waits for those any more.
    member.scene.parts.now += Duration::from_secs(5);
    member.hear("_serf_install-key", 3);
    assert_eq!((member.told(), member.count()), (vec![], 3));
    member.stored(HELD_MAX as u64 + 1, Ok(()));
    assert_eq!(member.told(), [ok()]);
}

#[test]
fn changes_wait_no_longer_than_who_asked() {
    for (wait, told) in [(4_999, vec![ok()]), (5_000, vec![])] {
        let mut member = Member::new();
        member.hear("_serf_install-key", 2);
        member.scene.parts.now += Duration::from_millis(wait);
        member.stored(1, Ok(()));
        assert_eq!(member.told(), told, "after {wait} ms");
    }
}

/// We ask ourselves, too: the command is not over before our own keys are stored, and then the next follows.
#[test]
fn our_own_change_waits_as_well() {
    let mut member = Member::new();
    for (id, operation) in [(1, KeyOperation::Install), (2, KeyOperation::Use)] {
        let command = KeyCommand { operation, key: KeyBytes(vec![2; 32].into()) };
        let scene = &mut member.scene;
        scene.serf.key_command(&mut scene.parts.cx(), &mut scene.swim, CommandId(id), command).unwrap();
        member.run();
    }
    assert_eq!(member.scene.answers(), [(1, Answer::Members(1))]);
    member.stored(1, Err("read-only file system"));
    member.run();
    let key = |result, message: &str| Answer::Key {
        from: "me".into(),
        result,
        message: message.into(),
        keys: vec![],
        primary: None,
    };
    let refused = key(false, "read-only file system");
    assert_eq!(member.scene.answers(), [(1, refused), (1, Answer::Done), (2, Answer::Members(1))]);
    // Nobody says anything: it ends as if nobody had heard.
    let (time, id) = member.scene.running();
    member.scene.parts.now += Duration::from_secs(60);
    member.scene.serf.on_query_timeout(&mut member.scene.parts.cx(), &mut member.scene.swim, time, id);
    assert_eq!(member.scene.answers(), [(2, Answer::Done)]);
    member.stored(2, Ok(()));
    assert_eq!(member.scene.answers(), []);
}

/// A text of any length arrives as far as there is room, and whole characters of it.
#[test]
fn long_texts_are_cut() {
    for (limit, len) in [(1024, 10), (1024, 2000), (100, 100), (70, 40)] {
        let mut member = Member::with(Config { query_response_size_limit: limit, ..Config::default() });
        member.hear("_serf_install-key", 2);
        let text = "ü".repeat(len);
        member.stored(1, Err(&text));
        let told = member.told();
        let [(false, said)] = &told[..] else { panic!("{limit}: {told:?}") };
        assert!(text.starts_with(&**said), "{limit}: {said}");
        assert!(said.len() == text.len() || said.len() + 64 > limit, "{limit}: {}", said.len());
    }
    assert_eq!(shortened("aü", 0), "aü");
    assert_eq!(shortened("aü", 1), "a");
    assert_eq!((shortened("aü", 3), shortened("aü", 9)), ("", ""));
    assert_eq!(format!("{:?}", KeyringChange(7)), "7");
}
