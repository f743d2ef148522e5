use std::collections::BTreeMap;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::cli::top::state::News;
use crate::cli::top::state::tests::{happen, member, press, state, user};
use crate::rpc::messages::Event;

/// What a terminal of this size shows, without blanks at the ends of lines.
fn shown(state: &mut State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

fn group(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A cluster of three, one of them failed.
fn cluster() -> State {
    let mut state = state(&[
        member("web-1", "alive", &[("dc", "east"), ("role", "web")]),
        member("web-2", "failed", &[("role", "web")]),
        member("db-1", "alive", &[]),
    ]);
    let now = Instant::now();
    let serf = [
        ("health_score", "0"),
        ("member_time", "7"),
        ("event_time", "3"),
        ("query_time", "2"),
        ("intent_queue", "0"),
        ("event_queue", "1"),
        ("query_queue", "0"),
    ];
    let stats = [("agent".to_owned(), group(&[("name", "web-1")])), ("serf".to_owned(), group(&serf))];
    state.hear(News::Stats(BTreeMap::from(stats)), now);
    let time = Some(Duration::from_micros(387));
    state.hear(News::RoundTrip { name: "db-1".into(), time }, now);
    happen(&mut state, user("deploy", b"1.2.3"));
    let failed = member("web-2", "failed", &[("role", "web")]);
    happen(&mut state, Event::Members { kind: "member-failed".into(), members: vec![failed] });
    state
}

#[test]
fn a_wide_window_has_it_all() {
    let expected = "\
web-1  127.0.0.1:7373
members 3: 1 failed 2 alive   health score 0
member time 7  event time 3  query time 2  queued: intents 0  events 1  queries 0
NAME^   STATUS            RTT  ADDRESS           HEALTH  TAGS
db-1    alive        0.387 ms  127.0.0.42:7946   -
web-1   alive            self  127.0.0.162:7946  0       dc=east,role=web
web-2   failed              -  127.0.0.163:7946  -       role=web




EVENTS AND QUERIES
20:38:31  user           deploy  1.2.3
20:38:31  member-failed  web-2

q quit  ? help  / filter  s sort: name  r reverse  p pause  Tab, arrows scroll
";
    assert_eq!(shown(&mut cluster(), 100, 16), expected);
}

/// What is needed most is in the smallest window; nothing panics in one of any size.
#[test]
fn small_windows_have_what_matters() {
    let expected = "\
web-1 1 failed 2 ali
NAME^   STATUS
db-1    alive
web-1   alive
web-2   failed
";
    assert_eq!(shown(&mut cluster(), 20, 5), expected);
    for width in (0..130).step_by(3) {
        for height in 0..40 {
            if (width, height) == (0, 0) {
                continue;
            }
            let mut state = cluster();
            let found = shown(&mut state, width, height);
            if width >= 16 && height >= 5 {
                assert!(found.contains("web-2") && found.contains("failed"), "{width}x{height}:\n{found}");
            }
            press(&mut state, "/w");
            shown(&mut state, width, height);
            press(&mut state, "\n?");
            shown(&mut state, width, height);
        }
    }
}

#[test]
fn long_lists_say_which_part_is_shown() {
    let members: Vec<_> = (0..25).map(|n| member(&format!("m{n:02}"), "alive", &[])).collect();
    let mut state = state(&members);
    let found = shown(&mut state, 60, 10);
    assert!(found.contains("1-7 of 25") && found.contains("m06") && !found.contains("m07"), "{found}");
    press(&mut state, "G");
    let found = shown(&mut state, 60, 10);
    assert!(found.contains("19-25 of 25") && found.contains("m24") && !found.contains("m17"), "{found}");
    press(&mut state, "/m2\n");
    let found = shown(&mut state, 60, 10);
    assert!(found.contains("/m2") && found.contains("m20") && !found.contains("m19"), "{found}");
    press(&mut state, "/5 nobody\n");
    assert!(shown(&mut state, 60, 10).contains("no member matches the filter"));
}

#[test]
fn conditions_are_told_in_every_size() {
    for (width, height) in [(100, 30), (40, 6)] {
        let mut state = cluster();
        press(&mut state, "p");
        assert!(shown(&mut state, width, height).contains("PAUSED"), "{width}x{height}");
        state.hear(News::Lost("client closed".into()), Instant::now());
        let found = shown(&mut state, width, height);
        assert!(found.contains("LOST 0 s ago"), "{found}");
        // What was known is still there.
        assert!(found.contains("web-2"), "{found}");
        state.hear(News::Connected, Instant::now());
        assert!(!shown(&mut state, width, height).contains("LOST"));
    }
}

#[test]
fn a_filter_is_seen_while_it_is_typed() {
    let mut state = cluster();
    press(&mut state, "/web");
    for (width, height) in [(100, 30), (20, 5)] {
        assert!(shown(&mut state, width, height).lines().last().unwrap().starts_with("/web_"));
    }
}

#[test]
fn help_is_over_all() {
    let mut state = cluster();
    press(&mut state, "?");
    let found = shown(&mut state, 80, 24);
    assert!(found.contains(" keys ") && found.contains("Ctrl-C"), "{found}");
    press(&mut state, " ");
    assert!(!shown(&mut state, 80, 24).contains(" keys "));
}

/// Whatever is in names, tags, statuses, gauges or events: the terminal gets none of it raw.
#[test]
fn nothing_reaches_the_terminal_that_it_would_obey() {
    let evil = "a\x1b[2J\x07\u{202e}\u{9b}b";
    let mut state = State::new(evil);
    let now = Instant::now();
    let own = [("agent".to_owned(), group(&[("name", evil)])), ("serf".to_owned(), group(&[("health_score", evil)]))];
    state.hear(News::Stats(BTreeMap::from(own)), now);
    state.hear(News::Members(vec![member(evil, evil, &[(evil, evil)])]), now);
    happen(&mut state, user(evil, evil.as_bytes()));
    happen(&mut state, Event::Members { kind: evil.into(), members: vec![member("x", "alive", &[])] });
    press(&mut state, "/a\u{9b}\n");
    for link in [News::Connected, News::Lost(evil.into())] {
        state.hear(link, now);
        for width in [20, 60, 200] {
            let found = shown(&mut state, width, 30);
            let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!found.contains(raw), "{found:?}");
            // The filter has lost its control character, and so matches.
            assert!(found.contains("a\\u{1"), "{found}");
        }
    }
}

#[test]
fn what_is_cut_is_seen_to_be_cut() {
    let table = [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("abcd", 1, "…"),
        ("abcd", 0, ""),
        ("", 0, ""),
        // Two columns each.
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
    ];
    for (text, width, expected) in table {
        assert_eq!(cut(text, width), expected, "{text:?} in {width}");
    }
}
