use super::*;

pub(in crate::cli::top) fn member(name: &str, status: &str, tags: &[(&str, &str)]) -> Member {
    let host = name.bytes().map(u32::from).sum::<u32>() % 250;
    Member {
        name: name.to_owned(),
        address: Some(([127, 0, 0, u8::try_from(host).unwrap()], 7946).into()),
        port: 7946,
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        status: status.to_owned(),
        versions: (2, 5, 5),
    }
}

/// A state that has heard of these members, and has room for ten of each.
pub(in crate::cli::top) fn state(members: &[Member]) -> State {
    let mut state = State::new("127.0.0.1:7373");
    state.hear(News::Members(members.to_vec()), Instant::now());
    state.fit(10, 10);
    state
}

pub(in crate::cli::top) fn press(state: &mut State, keys: &str) -> Flow {
    let mut flow = Flow::Continue;
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\x08' => KeyCode::Backspace,
            '\t' => KeyCode::Tab,
            c => KeyCode::Char(c),
        };
        flow = state.press(KeyEvent::from(code));
    }
    flow
}

pub(in crate::cli::top) fn happen(state: &mut State, event: Event) {
    state.hear(News::Event { time: "20:38:31".to_owned(), event }, Instant::now());
}

pub(in crate::cli::top) fn user(name: &str, payload: &[u8]) -> Event {
    Event::User { ltime: 1, name: name.to_owned(), payload: payload.to_vec(), coalesce: false }
}

fn change(kind: &str, member: Member) -> Event {
    Event::Members { kind: kind.to_owned(), members: vec![member] }
}

fn names(state: &State) -> Vec<&str> {
    state.rows().iter().map(|row| row.member.name.as_str()).collect()
}

fn texts(state: &State) -> Vec<String> {
    state.events().map(|happening| format!("{} {}", happening.kind, happening.text)).collect()
}

#[test]
fn lists_and_events_become_rows() {
    let mut state = state(&[member("b", "alive", &[]), member("a", "alive", &[])]);
    state.hear(News::RoundTrip { name: "b".into(), time: Some(Duration::from_millis(3)) }, Instant::now());
    assert_eq!(names(&state), ["a", "b"]);

    happen(&mut state, change("member-join", member("c", "alive", &[])));
    happen(&mut state, change("member-failed", member("b", "failed", &[])));
    happen(&mut state, change("member-reap", member("a", "none", &[])));
    assert_eq!(names(&state), ["b", "c"]);
    assert_eq!(state.counts(), [("failed".to_owned(), 1), ("alive".to_owned(), 1)]);
    assert_eq!(texts(&state), ["member-join c", "member-failed b", "member-reap a"]);

    // The whole list has the last word on who is there; what it does not tell is kept.
    state.hear(News::Members(vec![member("b", "alive", &[("x", "1")])]), Instant::now());
    let rows = state.rows();
    assert_eq!((rows.len(), &*rows[0].member.status), (1, "alive"));
    assert_eq!(rows[0].round_trip, Some(Duration::from_millis(3)));
    // Of whoever is not there, nothing is measured.
    state.hear(News::RoundTrip { name: "zz".into(), time: None }, Instant::now());
    assert_eq!(state.rows().len(), 1);
}

#[test]
fn orders() {
    let mut state = state(&[
        member("a", "alive", &[]),
        member("b", "failed", &[]),
        member("c", "left", &[]),
        member("d", "alive", &[]),
    ]);
    for (name, millis) in [("a", 9), ("d", 2), ("c", 5)] {
        let time = Some(Duration::from_millis(millis));
        state.hear(News::RoundTrip { name: name.into(), time }, Instant::now());
    }
    #[rustfmt::skip]
    let table = [
        // keys   order                     by
        ("",      ["a", "b", "c", "d"],     Sort::Name),
        ("r",     ["d", "c", "b", "a"],     Sort::Name),
        ("rs",    ["b", "a", "d", "c"],     Sort::Status),      // the most alarming first, then by name
        ("s",     ["d", "c", "a", "b"],     Sort::RoundTrip),
        ("r",     ["a", "c", "d", "b"],     Sort::RoundTrip),   // what is not known stays last
        ("rs",    ["a", "b", "c", "d"],     Sort::Address),
        ("s",     ["a", "b", "c", "d"],     Sort::Name),
    ];
    for (keys, expected, by) in table {
        press(&mut state, keys);
        assert_eq!((state.sort, names(&state)), (by, expected.to_vec()), "{keys:?}");
    }
}

#[test]
fn filters() {
    let members = [
        member("web-1", "alive", &[("role", "web"), ("dc", "east")]),
        member("web-2", "failed", &[("role", "web")]),
        member("DB-1", "alive", &[("role", "db")]),
    ];
    #[rustfmt::skip]
    let table: [(&str, &[&str]); 8] = [
        ("",                &["DB-1", "web-1", "web-2"]),
        ("web",             &["web-1", "web-2"]),
        ("db",              &["DB-1"]),                 // in any case
        ("role=web",        &["web-1", "web-2"]),
        ("web alive",       &["web-1"]),                // all words
        ("east",            &["web-1"]),
        ("127.0.0",         &["DB-1", "web-1", "web-2"]),
        ("nobody",          &[]),
    ];
    for (filter, expected) in table {
        let mut state = state(&members);
        press(&mut state, &format!("/{filter}\n"));
        assert_eq!(names(&state), expected, "{filter:?}");
        assert_eq!(state.filter, filter);
    }
}

#[test]
fn a_filter_is_typed_and_dropped() {
    let mut state = state(&[member("quit", "alive", &[]), member("b", "alive", &[])]);
    // Letters are letters while it is typed.
    assert_eq!(press(&mut state, "/qx\x08"), Flow::Continue);
    assert!(state.is_editing());
    assert_eq!(names(&state), ["quit"]);
    press(&mut state, "\n");
    assert!(!state.is_editing());
    press(&mut state, "/zz\x1b");
    assert_eq!((state.filter.as_str(), state.is_editing()), ("q", false));
    press(&mut state, &format!("/{}\n", "y".repeat(FILTER_MAX + 1)));
    assert_eq!(state.filter.len(), FILTER_MAX);
}

#[test]
fn keys_that_quit() {
    #[rustfmt::skip]
    let table = [
        ("q",       Flow::Quit),
        ("\x1b",    Flow::Quit),
        ("x",       Flow::Continue),
        ("/q",      Flow::Continue),
        ("?q",      Flow::Continue),    // closes the help
        ("?qq",     Flow::Quit),
    ];
    for (keys, flow) in table {
        assert_eq!(press(&mut state(&[]), keys), flow, "{keys:?}");
    }
    // From anywhere.
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    let mut editing = state(&[]);
    press(&mut editing, "/a");
    assert_eq!(editing.press(ctrl_c), Flow::Quit);
    let mut released = ctrl_c;
    released.kind = KeyEventKind::Release;
    assert_eq!(state(&[]).press(released), Flow::Continue);
}

#[test]
fn a_pause_shows_what_was_there_and_misses_nothing() {
    let mut state = state(&[member("a", "alive", &[])]);
    press(&mut state, "p");
    happen(&mut state, change("member-failed", member("a", "failed", &[])));
    assert_eq!((state.counts(), texts(&state).len()), (vec![("alive".to_owned(), 1)], 0));
    press(&mut state, "p");
    assert_eq!((state.counts(), texts(&state).len()), (vec![("failed".to_owned(), 1)], 1));
}

#[test]
fn scrolling_ends_at_the_ends() {
    let members: Vec<_> = (0..25).map(|n| member(&format!("m{n:02}"), "alive", &[])).collect();
    let mut state = state(&members);
    let visible = |state: &State| {
        let rows = state.rows();
        let rows = state.visible(&rows);
        (rows[0].member.name.clone(), rows[rows.len() - 1].member.name.clone())
    };
    let shown = |first: &str, last: &str| (first.to_owned(), last.to_owned());
    assert_eq!(visible(&state), shown("m00", "m09"));
    press(&mut state, "kj");
    assert_eq!(visible(&state), shown("m01", "m10"));
    press(&mut state, "G");
    assert_eq!(visible(&state), shown("m15", "m24"));
    state.press(KeyEvent::from(KeyCode::PageUp));
    assert_eq!(visible(&state), shown("m05", "m14"));
    // A larger window, and fewer members: there is no empty room below while some are above.
    press(&mut state, "G");
    state.fit(20, 10);
    assert_eq!(visible(&state), shown("m05", "m24"));
    state.hear(News::Members(members[..3].to_vec()), Instant::now());
    state.fit(20, 10);
    assert_eq!(visible(&state), shown("m00", "m02"));
}

#[test]
fn the_history_of_events_is_bounded_and_stays_where_one_looks() {
    let mut state = state(&[]);
    for n in 0..=EVENTS_MAX {
        happen(&mut state, user(&format!("e{n}"), b""));
    }
    assert_eq!(state.known.events.len(), EVENTS_MAX);
    assert_eq!(state.known.events[0].text, "e1");
    press(&mut state, "\tk");
    let before = texts(&state);
    assert_eq!((before.len(), &*before[9]), (10, &*format!("user e{}", EVENTS_MAX - 1)));
    happen(&mut state, user("later", b""));
    assert_eq!((texts(&state), state.events_below()), (before, 2));
    press(&mut state, "G");
    assert_eq!(texts(&state)[9], "user later");
    press(&mut state, "g");
    assert_eq!(texts(&state)[0], "user e2");
}

#[test]
fn events_are_kept_printable_and_short() {
    let mut state = state(&[]);
    happen(&mut state, user("a\x1b[2J", b"\xff\x07"));
    happen(&mut state, Event::Query { ltime: 1, name: "x".repeat(TEXT_MAX + 1), payload: Vec::new() });
    happen(&mut state, Event::Other { kind: "new\n".to_owned() });
    let texts = texts(&state);
    assert_eq!(texts[0], "user a\\u{1b}[2J  \u{fffd}\\u{7}");
    assert_eq!(texts[1].len(), "query ".len() + TEXT_MAX);
    assert_eq!(texts[2], "new\\n ");
}

#[test]
fn a_lost_agent_is_known_since_when_and_comes_back() {
    let mut state = state(&[]);
    let start = Instant::now();
    state.hear(News::Lost("client closed".into()), start);
    state.hear(News::Lost("connection refused\x07".into()), start + Duration::from_secs(1));
    assert_eq!(state.link, Link::Lost { why: "connection refused\\u{7}".into(), since: start });
    state.hear(News::Connected, start + Duration::from_secs(2));
    assert_eq!(state.link, Link::Up);
    assert_eq!(state.silence(start + Duration::from_secs(2) + SILENCE / 2), None);
    assert_eq!(state.silence(start + Duration::from_secs(2) + SILENCE), Some(SILENCE));
}

#[test]
fn stats_that_are_missing_are_missing() {
    let mut state = state(&[member("a", "alive", &[])]);
    assert_eq!(state.stat("serf", "health_score"), None);
    assert!(!state.is_own(state.rows()[0]));
    let agent = BTreeMap::from([("name".to_owned(), "a".to_owned())]);
    state.hear(News::Stats(BTreeMap::from([("agent".to_owned(), agent)])), Instant::now());
    assert!(state.is_own(state.rows()[0]));
}
