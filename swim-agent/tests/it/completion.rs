//! The completion scripts, in the shells that they are for. One that is not installed is left out, except where `CI` is
//! set: the gate installs them.
#![cfg(unix)]

use std::process::Command;

use crate::support::{Agent, Directory, run, swim};

/// What is typed, and what it becomes when the completion has done its work, with all it offers.
type Row = (&'static str, &'static [&'static str]);

#[rustfmt::skip]
const ROWS: [Row; 13] = [
    ("swim memb",                        &["members"]),
    ("swim members -form",               &["-format="]),
    ("swim members --det",               &["-detailed"]),
    ("swim members -format=j",           &["json"]),
    ("swim members -format ",            &["json", "text"]),
    ("swim agent -profile=l",            &["lan", "local"]),
    ("swim agent -dev -wire=s",          &["serf"]),
    ("swim agent -config-file=swim.j",   &["swim.json"]),
    ("swim force-leave -pr",             &["-prune"]),
    ("swim keys -li",                    &["-list"]),
    ("swim completion z",                &["zsh"]),
    ("swim force-leave node-o",          &["node-one"]),
    ("swim query -node=node-t",          &["node-two$(touch bad)"]),
];

struct Shell {
    directory: Directory,
    agents: [Agent; 2],
}

impl Shell {
    /// Two members, one with a name that a shell must not read, and the script; `None` without the shell.
    fn new(name: &str) -> Option<Self> {
        if Command::new(name).arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "the gate needs {name}");
            eprintln!("not tested: there is no {name}");
            return None;
        }
        let first = Agent::start("node-one", &[]);
        let second = Agent::start("node-two$(touch bad)", &["-join", &first.bind.to_string()]);
        first.members_until(|members| members.lines().count() == 2);
        let directory = Directory::new(&format!("completion-{name}"));
        directory.write("swim.json", "{}");
        let script = swim(&["completion", name]);
        assert_eq!((script.code, &*script.stderr), (Some(0), ""));
        directory.write("script", &script.stdout);
        Some(Self { directory, agents: [first, second] })
    }

    /// Checks what a script of the shell's prints. A completion that needs the agent has one second for it and then offers
    /// nothing, by its own rule; on a busy machine that is tried again.
    fn completes(&self, shell: &str, arguments: &[&str], script: &str, expected: &str) {
        let ours = || self.run(shell, arguments, script);
        let last = (0..5).map(|_| ours()).find(|found| found == expected).unwrap_or_else(ours);
        assert_eq!(last, expected);
    }

    /// Runs a script of the shell's in the directory.
    fn run(&self, shell: &str, arguments: &[&str], script: &str) -> String {
        let path = self.directory.write("test", script);
        let mut command = Command::new(shell);
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_swim")).parent().unwrap();
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let search = std::env::join_paths([program.to_owned()].into_iter().chain(std::env::split_paths(&inherited)));
        command.args(arguments).arg(path).current_dir(self.directory.path());
        command.env("PATH", search.unwrap()).env("HOME", self.directory.path());
        command.env("SERF_RPC_ADDR", &self.agents[0].rpc).env_remove("SERF_RPC_AUTH");
        let finished = run(command);
        assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{finished:?}");
        assert!(!self.directory.path().join("bad").exists(), "a member's name was run");
        finished.stdout
    }
}

/// A line of candidates for each row, sorted, parted by a bar.
fn expected(map: impl Fn(&Row) -> Vec<String>) -> String {
    let lines = ROWS.iter().map(|row| map(row).join("|") + "\n");
    lines.collect()
}

#[test]
fn bash_completes() {
    let Some(shell) = Shell::new("bash") else { return };
    let mut script = "source ./script
complete -p swim >/dev/null || exit 2
try() {
    # As readline splits: at blanks and at each =.
    local line=${1//=/ = }
    COMP_WORDS=($line); [[ $1 == *' ' || $1 == *= ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _swim
    printf '%s\\n' \"${COMPREPLY[@]}\" | sort | paste -sd '|'
}
"
    .to_owned();
    for (line, _) in ROWS {
        script += &format!("try '{line}'\n");
    }
    let quoted = |text: &str| text.replace("$(touch bad)", r"\$\(touch\ bad\)");
    let offers = expected(|(_, offers)| offers.iter().map(|offer| quoted(offer)).collect());
    shell.completes("bash", &["--norc", "--noprofile"], &script, &offers);
}

#[test]
fn zsh_completes() {
    let Some(shell) = Shell::new("zsh") else { return };
    // A line editor needs a terminal; this one writes down what each line has become.
    let mut script = r#"zmodload zsh/zpty || exit 2
rm -f ready buffers done-*(N)
zpty shell zsh -f -i
zpty -w shell 'PS1=; autoload -Uz compinit; compinit -u -D; source ./script; setopt no_beep no_list_ambiguous
note() { zle complete-word; print -r -- "$BUFFER" >>buffers; BUFFER=; touch "done-$((++noted))" }; zle -N note; bindkey "^I" note; touch ready'
until [[ -e ready ]]; do zpty -r -t shell said; sleep 0.05; done
integer row=0
try() {
    zpty -w -n shell "$1"$'\t'
    ((++row))
    until [[ -e done-$row ]]; do zpty -r -t shell said; sleep 0.05; done
}
"#
    .to_owned();
    for (line, _) in ROWS {
        script += &format!("try '{line}'\n");
    }
    script += "zpty -d shell\ncat buffers\n";
    let becomes = |(line, offers): &Row| {
        let from = line.rfind([' ', '=']).map_or(0, |at| at + 1);
        let typed = &line[from..];
        let text = match offers {
            [one] => {
                // A flag with a value waits for it; a name is quoted for the shell.
                let one = one.replace("$(touch bad)", r"\$\(touch\ bad\)");
                let end = if one.ends_with('=') { "" } else { " " };
                format!("{}{one}{end}", &line[..from])
            }
            several => {
                let common = several[0].chars().zip(several[1].chars()).take_while(|(a, b)| a == b).count();
                format!("{}{}", &line[..from], if common > typed.len() { &several[0][..common] } else { typed })
            }
        };
        // zsh compares two dashes with what is defined, which is one.
        vec![if typed.starts_with("--") { (*line).to_owned() } else { text }]
    };
    shell.completes("zsh", &["-f"], &script, &expected(becomes));
}

#[test]
fn fish_completes() {
    let Some(shell) = Shell::new("fish") else { return };
    let mut script = "source ./script
function try
    echo (complete -C $argv[1] | string replace -r '\\t.*' '' | string replace -r '^-[a-z-]+=(.)' '$1' | sort | string join '|')
end
"
    .to_owned();
    for (line, _) in ROWS {
        script += &format!("try '{line}'\n");
    }
    let offers = expected(|(line, offers)| {
        // fish compares two dashes with what is defined, which is one.
        let offers = offers.iter().filter(|_| !line.contains(" --"));
        offers.map(|offer| offer.trim_end_matches('=').to_owned()).collect()
    });
    shell.completes("fish", &["-N"], &script, &offers);
}

/// Who has no agent, or a token that is not its, waits no longer than a second, and sees nothing.
#[test]
fn members_without_an_agent() {
    let is_silent = |address: &str| {
        let started = std::time::Instant::now();
        let none = swim(&["completion", address, "members"]);
        assert_eq!((none.code, &*none.stdout, &*none.stderr), (Some(0), "", ""));
        // Less than the ten seconds of a command, and much more than one for a slow machine.
        assert!(started.elapsed() < core::time::Duration::from_secs(9), "{:?}", started.elapsed());
    };
    is_silent("-rpc-addr=127.0.0.1:1");
    // One that listens and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    is_silent(&format!("-rpc-addr={}", silent.local_addr().unwrap()));
}

#[test]
fn shells_that_are_not_known() {
    let unknown = swim(&["completion", "tcsh"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stdout.starts_with("No completion for \"tcsh\""), "{}", unknown.stdout);
    assert_eq!(swim(&["completion"]).code, Some(1));
    assert_eq!(swim(&["completion", "bash", "zsh"]).code, Some(1));
}
