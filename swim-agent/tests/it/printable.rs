//! What members call themselves and say, on somebody's terminal: it cannot do anything there. Programs get every byte.

use crate::support::{Agent, command};
use crate::terminal::OnTerminal;

const NAME: &str = "a\x1b[2Jb";
const SHOWN: &str = r"a\u{1b}[2Jb";

#[test]
fn names_and_answers_do_nothing_to_a_terminal() {
    let agent = Agent::start(NAME, &["-tag=k=\x1b[2J", "-event-handler=query=printf '\\033[2Jx\\ny'"]);
    let rpc = format!("-rpc-addr={}", agent.rpc);
    #[rustfmt::skip]
    let table: [(&[&str], &[&str]); 4] = [
        (&["members"],                  &[SHOWN, r"k=\u{1b}[2J"]),
        (&["rtt", NAME, NAME],          &[SHOWN]),
        (&["reachability", "-verbose"], &[SHOWN]),
        (&["query", "x"],               &[SHOWN, "\\u{1b}[2Jx\r\ny"]),
    ];
    for (arguments, shown) in table {
        let all = [&[arguments[0], &*rpc], &arguments[1..]].concat();
        let ended = OnTerminal::start(command(&all), 200, 24).ended();
        for text in shown {
            assert!(ended.output.contains(text), "{arguments:?}: {:?}", ended.output);
        }
        assert!(!ended.output.contains('\x1b'), "{arguments:?}: {:?}", ended.output);
        let piped = agent.swim(arguments[0], &arguments[1..]).stdout;
        assert!(piped.contains(NAME), "{arguments:?}: {piped:?}");
    }
}

#[test]
fn log_lines_do_nothing_to_a_terminal() {
    let agent = Agent::start("a", &["-log-level=debug", "-event-handler=user=printf '\\033[2Jx\\ny'"]);
    let rpc = format!("-rpc-addr={}", agent.rpc);
    let monitor = OnTerminal::start(command(&["monitor", "-log-level=debug", &rpc]), 200, 24);
    assert_eq!(agent.swim("event", &["e\n[INFO] forged"]).code, Some(0));
    monitor.wait_for(r"user-event: e\n[INFO] forged");
    monitor.wait_for("output: \\u{1b}[2Jx\r\ny");
    assert!(!monitor.output().contains('\x1b'), "{:?}", monitor.output());
}
