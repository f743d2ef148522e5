//! `completion`: what a shell needs to complete this program's command lines, written from the tables of commands and
//! flags that the program itself reads.
//!
//! One file a shell. What the tables do not say is below: which values a flag takes, and which arguments are members.

mod bash;
mod fish;
mod zsh;

use core::time::Duration;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::thread;

use crate::cli::connection::{RPC_ADDR, RPC_AUTH, connect};
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::{Command, Failure, program_name, say};

pub(crate) const COMMAND: Command = Command {
    name: "completion",
    synopsis: "Writes a completion script for a shell",
    usage: "[options] bash|zsh|fish|members",
    about: "\
Writes a script with which bash, zsh or fish complete commands, flags, their
values, and names of members. With members it prints those names, one a line,
for the scripts; nothing if no agent answers within a second.

Example:  completion bash > /etc/bash_completion.d/swim",
    flags: Some(&[RPC_ADDR, RPC_AUTH]),
    prefix: "",
    run,
};

fn run(parsed: &Parsed) -> Result<ExitCode, Failure> {
    let program = program_name();
    let text = match parsed.rest.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["bash"] => bash::script(&program),
        ["zsh"] => zsh::script(&program),
        ["fish"] => fish::script(&program),
        ["members"] => member_names(parsed.clone()).join("\n"),
        [] => return Err(Failure::Usage("A shell must be specified: bash, zsh or fish.")),
        [other] => return Err(Failure::Message(format!("No completion for {other:?}: only for bash, zsh and fish."))),
        [_, _, ..] => return Err(Failure::Usage("Too many command line arguments. Only a shell must be specified.")),
    };
    if !text.is_empty() {
        say(text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// None if there is no answer in time: somebody waits at a prompt.
fn member_names(parsed: Parsed) -> Vec<String> {
    let (found, names) = channel();
    thread::spawn(move || {
        let members =
            connect(&parsed).ok().and_then(|mut client| client.members_filtered(&BTreeMap::new(), "", "").ok());
        let names = members.unwrap_or_default().into_iter().map(|member| member.name);
        // A line a name, and nothing that could make a terminal do something.
        let names: Vec<_> = names.filter(|name| !name.chars().any(char::is_control)).collect();
        // Too late, perhaps.
        let _ = found.send(names);
    });
    names.recv_timeout(MEMBERS_LIMIT).unwrap_or_default()
}

const MEMBERS_LIMIT: Duration = Duration::from_secs(1);

/// What can follow a flag, or stand as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    /// These and no others.
    Of(&'static [&'static str]),
    Files,
    Directories,
    Members,
    /// Whoever types must know.
    Any,
}

/// What a flag's value can be; `None` if it needs none.
fn flag_values(command: &str, flag: &Flag) -> Option<Values> {
    if flag.kind == Kind::Bool {
        return None;
    }
    Some(match (command, flag.name) {
        (_, "format" | "log-format") => Values::Of(&["text", "json"]),
        (_, "log-level") => Values::Of(&["trace", "debug", "info", "warn", "err"]),
        (_, "profile") => Values::Of(&["lan", "wan", "local"]),
        ("members", "status") => Values::Of(&["alive", "leaving", "left", "failed"]),
        (_, "wire") => Values::Of(&["native", "serf"]),
        (_, "config-file" | "keyring-file" | "snapshot" | "tags-file") => Values::Files,
        (_, "config-dir") => Values::Directories,
        ("query", "node") => Values::Members,
        _ => Values::Any,
    })
}

/// What a command's arguments behind the flags can be.
fn argument_values(command: &str) -> Values {
    match command {
        "force-leave" | "rtt" => Values::Members,
        "completion" => Values::Of(&["bash", "zsh", "fish"]),
        _ => Values::Any,
    }
}

/// The flags of a command; none for one that reads none.
fn flags(command: &Command) -> &'static [Flag] {
    command.flags.unwrap_or_default()
}

/// A name that a shell lets a function have.
fn function_name(program: &str) -> String {
    program.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
}

/// `text` as one word of a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::COMMANDS;

    /// What is written down here is what the flags' own help says.
    #[test]
    fn values_are_those_of_the_help() {
        let mut with_values = 0;
        for command in COMMANDS {
            for flag in flags(command) {
                if let Some(Values::Of(values)) = flag_values(command.name, flag) {
                    with_values += 1;
                    for value in values {
                        assert!(flag.help.contains(value), "{} -{}: no {value}", command.name, flag.name);
                    }
                }
            }
        }
        assert!(with_values >= 8, "{with_values}");
    }

    #[test]
    fn every_command_and_flag_is_in_every_script() {
        for (shell, script) in
            [("bash", bash::script("swim")), ("zsh", zsh::script("swim")), ("fish", fish::script("swim"))]
        {
            for command in COMMANDS {
                assert!(script.contains(command.name), "{shell}: {}", command.name);
                // The lines that are about this command.
                let about: String = match shell {
                    "fish" => script.lines().filter(|line| line.contains(&format!(" {} (", command.name))).collect(),
                    _ => {
                        let (_, body) = script.split_once(&format!("\n    {})\n", command.name)).unwrap();
                        body.split_once(";;").unwrap().0.to_owned()
                    }
                };
                for flag in flags(command) {
                    let form = if shell == "fish" { format!("-o {} ", flag.name) } else { format!("-{}", flag.name) };
                    let found = about.split(&form).skip(1).any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
                    assert!(found, "{shell}: {} -{}", command.name, flag.name);
                }
            }
        }
    }

    #[test]
    fn by_whatever_name_it_is_installed() {
        assert_eq!(function_name("swim-2.0"), "swim_2_0");
        assert!(bash::script("serf").contains("complete -F _serf serf\n"));
        assert!(zsh::script("serf").starts_with("#compdef serf\n"));
        assert!(fish::script("serf").contains("\ncomplete -c serf "));
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
