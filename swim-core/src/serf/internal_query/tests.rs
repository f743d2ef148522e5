//! serf-layer.md 10.5, rule by rule.

use alloc::vec;

use super::*;
use crate::ids::LamportTime;
use crate::serf::query::tests::{Scene, asked, encoded, response};
use crate::testing::address;
use crate::wire::codec::Codec;
use crate::wire::serf::{self, SerfMessage, flag};

impl Scene {
    /// What `b` is told when it asks.
    fn told(&mut self, keyring: &mut Keyring, name: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
        self.told_if(true, keyring, name, payload)
    }

    fn told_if(&mut self, enforced: bool, keyring: &mut Keyring, name: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
        let time = self.serf.query_clock.time().0;
        let payload = Some(payload.into());
        self.receive(&encoded(&serf::Query { name, payload, ..asked(time, 1) }));
        self.serf.run_key_tasks(&mut self.parts.cx(), &mut self.swim, keyring, enforced);
        let (to, message) = self.sent().pop()?;
        assert_eq!(to, address(2));
        let Ok(SerfMessage::QueryResponse(response)) = Codec::Native.decode_serf(&message) else { panic!() };
        Some(response.payload.unwrap().to_vec())
    }

    fn events(&mut self) -> Vec<Event> {
        iter::from_fn(|| self.serf.poll_event()).collect()
    }
}

fn request(key: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    Codec::Native.encode_key_request(key, &mut payload);
    payload
}

#[test]
fn nobody_but_the_nodes_hears_of_them() {
    let mut scene = Scene::new();
    let keyring = &mut Keyring::new();
    scene.receive(&encoded(&serf::Query { name: b"_serf_ping", flags: flag::ACK, ..asked(1, 1) }));
    assert_eq!(scene.sent().len(), 1, "an ack and no more");
    assert_eq!(scene.told(keyring, b"_serf_ping", b""), None);
    assert_eq!(scene.told(keyring, b"_serf_other", b""), None);
    assert_eq!(scene.parts.stats.queries_unhandled, 1);
    assert_eq!(scene.events(), []);
}

#[test]
fn disputed_names_are_looked_up() {
    let mut scene = Scene::new();
    scene.meet(2);
    let keyring = &mut Keyring::new();
    assert_eq!(scene.told(keyring, b"_serf_conflict", b"me"), None, "a party says nothing");
    let payload = scene.told(keyring, b"_serf_conflict", b"nobody").unwrap();
    assert!(matches!(Codec::Native.decode_conflict_response(&payload), Ok(None)));
    let payload = scene.told(keyring, b"_serf_conflict", b"c").unwrap();
    let view = Codec::Native.decode_conflict_response(&payload).unwrap().unwrap();
    assert_eq!((view.name, view.address(), view.status), (&b"c"[..], Some(address(3)), 1));
}

/// The majority decides, of those who answer anything.
#[test]
fn names_are_kept_by_majority() {
    #[rustfmt::skip]
    let table = [
        // for us, against us, know nobody, no answers   kept
        ((0,       0,          0,           0),          false), // alone there is no majority
        ((1,       0,          0,           0),          true),
        ((1,       1,          0,           0),          false),
        ((2,       1,          0,           0),          true),
        ((1,       0,          1,           0),          false),
        ((1,       0,          0,           5),          true),
        ((0,       2,          0,           0),          false),
    ];
    for ((ours, theirs, nobody, garbage), kept) in table {
        let mut scene = Scene::new();
        scene.meet(2);
        let conflict = crate::swim::Change::Conflict(scene.swim.local(), address(64));
        for _ in 0..2 {
            scene.serf.handle_change(&mut scene.parts.cx(), &scene.swim, conflict);
        }
        assert!(scene.serf.resolve_conflict(&mut scene.parts.cx(), &mut scene.swim));
        assert!(!scene.serf.resolve_conflict(&mut scene.parts.cx(), &mut scene.swim), "one question at a time");
        let to = scene.running();
        let mut members = (0u32..).map(|n| n.to_string());
        for (count, place) in [(ours, Some(1)), (theirs, Some(64)), (nobody, None)] {
            for _ in 0..count {
                let view = place.map(|n| MemberView {
                    name: b"me",
                    ip: Some(address(n).ip()),
                    port: address(n).port(),
                    tags: [],
                    status: 1,
                    versions: crate::testing::versions(),
                });
                let mut payload = Vec::new();
                Codec::Native.encode_conflict_response(view.as_ref(), &mut payload);
                scene.receive(&response(to, &members.next().unwrap(), 0, &payload));
            }
        }
        for _ in 0..garbage {
            scene.receive(&response(to, &members.next().unwrap(), 0, b"\x07"));
        }
        scene.events();
        scene.parts.now += core::time::Duration::from_secs(4);
        scene.serf.on_query_timeout(&mut scene.parts.cx(), &mut scene.swim, to.0, to.1);
        let (matching, responses) = (ours, ours + theirs + nobody);
        let lost = Event::NameLost { matching, responses };
        assert_eq!(scene.events(), Vec::from_iter((!kept).then_some(lost)), "{matching} of {responses}");
        // Once it is lost, nothing more is asked.
        scene.serf.handle_change(&mut scene.parts.cx(), &scene.swim, conflict);
        assert_eq!(scene.serf.resolve_conflict(&mut scene.parts.cx(), &mut scene.swim), kept);
    }
    let mut scene = Scene::new();
    scene.serf.config.resolve_name_conflicts = false;
    let conflict = crate::swim::Change::Conflict(scene.swim.local(), address(64));
    scene.serf.handle_change(&mut scene.parts.cx(), &scene.swim, conflict);
    assert!(!scene.serf.resolve_conflict(&mut scene.parts.cx(), &mut scene.swim));
}

#[test]
fn without_keys_there_is_nothing_to_change() {
    let mut scene = Scene::new();
    for (name, text) in [
        ("_serf_install-key", "No keyring to modify (encryption not enabled)"),
        ("_serf_use-key", "No keyring to modify (encryption not enabled)"),
        ("_serf_remove-key", "No keyring to modify (encryption not enabled)"),
        ("_serf_list-keys", "Keyring is empty (encryption not enabled)"),
    ] {
        let payload = scene.told(&mut Keyring::new(), name.as_bytes(), &request(&[1; 32])).unwrap();
        let response = Codec::Native.decode_key_response(&payload).unwrap();
        assert_eq!((response.result, response.message, response.primary), (false, text.as_bytes(), &b""[..]));
        assert_eq!(response.keys.count(), 0);
    }
    assert_eq!(scene.events(), []);
}

#[cfg(feature = "encryption")]
mod with_keys {
    use super::*;

    fn keyring(keys: impl IntoIterator<Item = u8>) -> Keyring {
        keyring_of(32, keys)
    }

    fn keyring_of(len: usize, keys: impl IntoIterator<Item = u8>) -> Keyring {
        let mut keyring = Keyring::new();
        for key in keys {
            keyring.add(Key::new(&[key; 32][..len]).unwrap()).unwrap();
        }
        keyring
    }

    #[test]
    fn keys_are_changed_in_order() {
        let (mut scene, mut keyring) = (Scene::new(), keyring([1]));
        #[rustfmt::skip]
        let table = [
            ("_serf_install-key", &[2; 32][..], Ok(()),                                           vec![1, 2]),
            ("_serf_install-key", &[2; 32],     Ok(()),                                           vec![1, 2]),
            ("_serf_install-key", &[2; 3],      Err("key size must be 16, 24 or 32 bytes"),       vec![1, 2]),
            ("_serf_use-key",     &[3; 32],     Err("Requested key is not in the keyring"),       vec![1, 2]),
            ("_serf_use-key",     &[3; 3],      Err("Requested key is not in the keyring"),       vec![1, 2]),
            ("_serf_use-key",     &[2; 32],     Ok(()),                                           vec![2, 1]),
            ("_serf_remove-key",  &[2; 32],     Err("Removing the primary key is not allowed"),   vec![2, 1]),
            ("_serf_remove-key",  &[1; 32],     Ok(()),                                           vec![2]),
            ("_serf_remove-key",  &[1; 32],     Ok(()),                                           vec![2]), // absent
            ("_serf_remove-key",  &[1; 3],      Ok(()),                                           vec![2]),
        ];
        for (name, key, done, ring) in table {
            let payload = scene.told(&mut keyring, name.as_bytes(), &request(key)).unwrap();
            let response = Codec::Native.decode_key_response(&payload).unwrap();
            let row = (name, key.len(), key[0]);
            assert_eq!(
                (response.result, response.message),
                (done.is_ok(), done.err().unwrap_or("").as_bytes()),
                "{row:?}"
            );
            let keys: Vec<u8> = keyring.keys().map(|key| key.as_bytes()[0]).collect();
            assert_eq!(keys, ring, "{row:?}");
            let changed = scene.events().into_iter().filter(|event| matches!(event, Event::KeyringChanged { .. }));
            assert_eq!(changed.count(), usize::from(done.is_ok()), "{row:?}");
        }
        // Unreadable: refused without a word.
        let payload = scene.told(&mut keyring, b"_serf_install-key", b"").unwrap();
        let response = Codec::Native.decode_key_response(&payload).unwrap();
        assert_eq!((response.result, response.message), (false, &b""[..]));
    }

    /// While plain packets are sent or taken in, anybody may be the one who asks, and anybody may read the answer.
    #[test]
    fn nobody_is_told_keys_that_are_not_enforced() {
        let (mut scene, mut keyring) = (Scene::new(), keyring([1]));
        for name in ["_serf_install-key", "_serf_use-key", "_serf_remove-key", "_serf_list-keys"] {
            let payload = scene.told_if(false, &mut keyring, name.as_bytes(), &request(&[2; 32])).unwrap();
            let response = Codec::Native.decode_key_response(&payload).unwrap();
            assert_eq!((response.result, response.primary), (false, &b""[..]));
            assert!(response.message.starts_with(b"encryption is not enforced"), "{name}");
            assert_eq!(response.keys.count(), 0);
            assert_eq!(keyring.keys().collect::<Vec<_>>(), [&Key::new(&[1; 32]).unwrap()]);
        }
        assert_eq!(scene.events(), []);
    }

    /// All that fit into an answer, the first ones first.
    #[test]
    fn long_lists_are_cut() {
        for (len, count, shown) in [(32, 1, 1), (32, 2, 2), (32, 20, 20), (32, 30, 20), (32, 64, 20), (16, 64, 38)] {
            let (mut scene, mut keyring) = (Scene::new(), keyring_of(len, 0..count));
            let payload = scene.told(&mut keyring, b"_serf_list-keys", &request(b"")).unwrap();
            let response = Codec::Native.decode_key_response(&payload).unwrap();
            let keys: Vec<_> = response.keys.clone().collect();
            assert!(response.result);
            assert_eq!(response.primary, KeyText::new(&Key::new(&[0; 32][..len]).unwrap()).as_ref());
            assert_eq!(keys[0], response.primary);
            let message = String::from_utf8_lossy(response.message).into_owned();
            if shown == count {
                assert_eq!((keys.len(), &*message), (count.into(), ""));
            } else {
                // How many exactly depends on the codec; never more than would fit, nor far fewer.
                assert!(keys.len() <= usize::from(shown) && keys.len() + 2 >= usize::from(shown), "{}", keys.len());
                let expected = format!("truncated key list response, showing first {} of {count} keys", keys.len());
                assert_eq!(message, expected);
            }
        }
    }
}

/// Each member's word is told as it comes; the last one ends it. One change follows upon another.
#[test]
fn keys_are_changed_one_at_a_time() {
    let mut scene = Scene::new();
    scene.meet(1);
    let command = |operation| KeyCommand { operation, key: KeyBytes(vec![7; 32].into()) };
    let start = |scene: &mut Scene, id, operation| {
        scene.serf.key_command(&mut scene.parts.cx(), &mut scene.swim, CommandId(id), command(operation)).unwrap();
    };
    start(&mut scene, 1, KeyOperation::Install);
    let first = scene.running();
    start(&mut scene, 2, KeyOperation::Use);
    start(&mut scene, 3, KeyOperation::List);
    assert_eq!(scene.answers(), [(1, Answer::Members(2)), (3, Answer::Members(2))], "the listing need not wait");
    let said = |from: &str, result, message: &str| Answer::Key {
        from: from.into(),
        result,
        message: message.into(),
        keys: vec![],
        primary: None,
    };
    let mut payload = Vec::new();
    let ok = KeyResponse { result: true, message: &b""[..], keys: NO_KEYS, primary: b"" };
    Codec::Native.encode_key_response(&ok, &mut payload);
    scene.receive(&response(first, "b", 0, &payload));
    scene.receive(&response(first, "b", 0, &payload));
    assert_eq!(scene.answers(), [(1, said("b", true, ""))]);
    scene.receive(&response(first, "c", 0, b"\x09\x01"));
    let wrong = said("c", false, "Invalid key query response type: [9 1]");
    assert_eq!(scene.answers(), [(1, wrong), (1, Answer::Done), (2, Answer::Members(2))]);
    let second = scene.running();
    scene.receive(&response(second, "c", 0, b"\x08"));
    scene.receive(&response(second, "d", 0, b""));
    let (bad, none) = ("Failed to decode key query response: [8]", "Invalid key query response type: []");
    assert_eq!(scene.answers(), [(2, said("c", false, bad)), (2, said("d", false, none)), (2, Answer::Done)]);

    // As many as the bound says may wait, and one more is refused.
    start(&mut scene, 4, KeyOperation::Remove);
    for id in 0..KEY_COMMANDS_MAX as u64 {
        start(&mut scene, 10 + id, KeyOperation::Remove);
    }
    let refused =
        scene.serf.key_command(&mut scene.parts.cx(), &mut scene.swim, CommandId(99), command(KeyOperation::Use));
    assert_eq!(refused, Err(QueryError::Busy));
    assert_eq!(scene.running().0, LamportTime(4));
}

/// As many as the bound says may wait for the keyring, and one more is not looked at.
#[test]
fn requests_that_wait_are_bounded() {
    let mut scene = Scene::new();
    for n in 0..=KEY_TASKS_MAX as u32 {
        assert_eq!(scene.parts.stats.queries_over_limit, 0, "{n}");
        scene.receive(&encoded(&serf::Query { name: b"_serf_list-keys", ..asked(1 + u64::from(n / 32), n) }));
    }
    assert_eq!((scene.serf.queries.key_tasks.len(), scene.parts.stats.queries_over_limit), (KEY_TASKS_MAX, 1));
}

/// What a member says of its keys is taken as far as the bounds go.
#[test]
fn lists_of_keys_are_bounded() {
    let scene = Scene::new();
    let read = |payload: &[u8]| scene.serf.read_key_response("b".into(), payload);
    for (count, taken) in [(KEYS_MAX, KEYS_MAX), (KEYS_MAX + 1, KEYS_MAX)] {
        let (keys, mut payload) = (vec!["key"; count], Vec::new());
        let response = KeyResponse { result: true, message: &b""[..], keys: &*keys, primary: b"" };
        Codec::Native.encode_key_response(&response, &mut payload);
        let Answer::Key { keys, .. } = read(&payload) else { panic!() };
        assert_eq!(keys.len(), taken);
    }
    for (len, taken) in [(NUMBERS_MAX, NUMBERS_MAX), (NUMBERS_MAX + 1, NUMBERS_MAX)] {
        let Answer::Key { message, .. } = read(&vec![9; len]) else { panic!() };
        assert_eq!(message.matches('9').count(), taken, "{message}");
    }
}
