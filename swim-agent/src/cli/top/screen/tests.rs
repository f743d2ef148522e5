//! On a terminal of its own, in a process of its own: this program again, told to run one of these tests.

use std::process::Command;

use super::*;

#[path = "../../../../tests/it/terminal.rs"]
mod terminal;

use terminal::OnTerminal;

const TOLD: &str = "SWIM_TEST_ON_A_TERMINAL";

fn again(test: &str, what: &str) -> OnTerminal {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let path = module_path!().split_once("::").unwrap().1;
    command.args(["--exact", &format!("{path}::{test}"), "--nocapture", "--test-threads=1"]);
    command.env(TOLD, what);
    OnTerminal::start(command, 80, 24)
}

/// The message of a panic is read on the terminal as it was before.
#[test]
fn a_panic_gives_the_terminal_back() {
    let test = "a_panic_gives_the_terminal_back";
    match std::env::var(TOLD).as_deref() {
        Ok("panic here") => {
            let _screen = Screen::open().unwrap();
            panic!("it is on purpose");
        }
        Ok("panic elsewhere") => {
            let _screen = Screen::open().unwrap();
            // The loop would go on drawing but for `is_finished`; what was printed is readable.
            assert!(thread::spawn(|| panic!("it is on purpose")).join().is_ok());
        }
        _ => {
            for what in ["panic here", "panic elsewhere"] {
                let ended = again(test, what).ended();
                assert_ne!(ended.code, Some(0), "{what}: {}", ended.output);
                assert!(ended.is_as_before, "{what}: {}", ended.output);
                let at = |text: &str| ended.output.find(text).unwrap_or_else(|| panic!("{what}: no {text:?}"));
                assert!(at(TAKEN) < at(GIVEN_BACK) && at(GIVEN_BACK) < at("it is on purpose"), "{what}");
            }
        }
    }
}

#[test]
fn dropping_it_gives_the_terminal_back() {
    if std::env::var_os(TOLD).is_some() {
        let mut screen = Screen::open().unwrap();
        screen.draw(&mut State::new("x")).unwrap();
        return;
    }
    let ended = again("dropping_it_gives_the_terminal_back", "drop").ended();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.is_as_before, "{}", ended.output);
    let hidden = ended.output.rfind("\x1b[?25l").expect("drawing hides the cursor");
    assert!(hidden < ended.output.rfind("\x1b[?25h").expect("it is shown again"), "{:?}", ended.output);
    assert!(ended.output.find(TAKEN) < ended.output.find(GIVEN_BACK), "{:?}", ended.output);
}

/// Ways to the other screen and back, as all terminals know them.
const TAKEN: &str = "\x1b[?1049h";
const GIVEN_BACK: &str = "\x1b[?1049l";
