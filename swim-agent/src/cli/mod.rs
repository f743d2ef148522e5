//! The command line: which commands there are, and how their arguments become calls (the rules are Serf's, which are
//! those of `mitchellh/cli` and Go's `flag`).
//!
//! A command is one file with one `Command`: its texts, its table of flags, its function. `flags` reads arguments
//! after such a table and prints help from it; `connection` is what the clients of a running agent share.

mod agent;
mod columns;
mod completion;
mod connection;
mod event;
mod flags;
mod force_leave;
mod format;
mod info;
mod interrupt;
mod join;
mod keygen;
mod keys;
mod leave;
mod man;
mod members;
mod monitor;
mod printable;
mod query;
mod reachability;
mod rtt;
mod tags;
#[cfg(feature = "top")]
mod top;
mod version;

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use flags::{Flag, Parsed};
use printable::shown_lines;

/// One sub-command.
pub(crate) struct Command {
    name: &'static str,
    /// For the list of commands.
    synopsis: &'static str,
    /// What follows the name in the first line of the help.
    usage: &'static str,
    /// What it does, wrapped to 76 columns.
    about: &'static str,
    /// `None`: only -format; whatever other arguments there are, they mean nothing.
    flags: Option<&'static [Flag]>,
    /// Put before everything printed about wrong arguments.
    prefix: &'static str,
    run: fn(&Parsed) -> Result<ExitCode, Failure>,
}

/// Why a command did not do its work. Printed to standard output, as everything but help and wrong flags; in JSON, to
/// standard error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It went wrong.
    Message(String),
    /// It was called the wrong way; the help follows, behind an empty line if there is a text.
    Usage(&'static str),
}

const COMMANDS: &[&Command] = &[
    &agent::COMMAND,
    &completion::COMMAND,
    &event::COMMAND,
    &force_leave::COMMAND,
    &info::COMMAND,
    &join::COMMAND,
    &keygen::COMMAND,
    &keys::COMMAND,
    &leave::COMMAND,
    &man::COMMAND,
    &members::COMMAND,
    &monitor::COMMAND,
    &query::COMMAND,
    &reachability::COMMAND,
    &rtt::COMMAND,
    &tags::COMMAND,
    #[cfg(feature = "top")]
    &top::COMMAND,
    &version::COMMAND,
];

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    // A name that is not UTF-8 is no flag's and no member's; its replacement will be refused where it is looked at.
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    dispatch(&program_name(), &arguments.collect::<Vec<_>>())
}

/// By whatever name it is installed: in place of Serf it calls itself `serf`.
fn program_name() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    std::path::Path::new(&program).file_stem().map_or_else(|| "swim".into(), |name| name.to_string_lossy().into_owned())
}

fn dispatch(program: &str, arguments: &[String]) -> ExitCode {
    match Call::new(arguments) {
        Call::Version => {
            say(&version::text());
            ExitCode::SUCCESS
        }
        Call::Help { command: Some(command) } => {
            complain(&help(program, command));
            ExitCode::SUCCESS
        }
        Call::Help { command: None } => {
            complain(&commands(program));
            ExitCode::SUCCESS
        }
        Call::Unknown => {
            complain(&commands(program));
            ExitCode::from(127)
        }
        Call::FlagsFirst { command } => {
            complain(&format!(
                "{FLAGS_FIRST}

{}",
                help(program, command)
            ));
            ExitCode::FAILURE
        }
        Call::Run { command, arguments } => run(program, command, arguments),
    }
}

fn run(program: &str, command: &Command, arguments: &[String]) -> ExitCode {
    let parsed = match command.flags {
        None => Parsed::lenient(NO_FLAGS, arguments),
        Some(flags) => match Parsed::new(flags, arguments) {
            Ok(parsed) => parsed,
            Err(error) => {
                complain(&error.to_string());
                say(&format!("{}{}", command.prefix, help(program, command)));
                return ExitCode::FAILURE;
            }
        },
    };
    (command.run)(&parsed).unwrap_or_else(|failure| {
        let text = match failure {
            Failure::Message(text) => format!("{}{text}", command.prefix),
            Failure::Usage("") => help(program, command),
            Failure::Usage(text) => format!("{text}\n\n{}", help(program, command)),
        };
        // Whoever reads documents finds nothing else among them. Serf tells everything on standard output.
        match parsed.text("format") {
            Some("json") => complain(&text),
            _ => {
                // Others may have a part in it: who does not answer, and why.
                say(&shown_lines(&text));
            }
        }
        ExitCode::FAILURE
    })
}

/// What the arguments ask for.
enum Call<'a> {
    Version,
    Help { command: Option<&'static Command> },
    Run { command: &'static Command, arguments: &'a [String] },
    FlagsFirst { command: &'static Command },
    Unknown,
}

impl<'a> Call<'a> {
    fn new(arguments: &'a [String]) -> Self {
        // Anywhere at all, even after `--`: Serf looks before anything else does.
        if arguments.iter().any(|argument| argument == "-v" || argument == "--version") {
            return Self::Version;
        }
        let is_flag = |argument: &String| argument.starts_with('-');
        let before_dashes = arguments.iter().take_while(|argument| *argument != "--");
        let help = before_dashes.clone().any(|argument| matches!(argument.as_str(), "-h" | "-help" | "--help"));
        let at = before_dashes.clone().position(|argument| !is_flag(argument) && !argument.is_empty());
        let command = at.and_then(|at| COMMANDS.iter().copied().find(|command| command.name == arguments[at]));
        match (at, command) {
            (None, _) if help => Self::Help { command: None },
            (None, _) if arguments.iter().any(|argument| argument == "-version") => Self::Version,
            (Some(_), Some(command)) if help => Self::Help { command: Some(command) },
            (Some(at), Some(command)) if at > 0 => Self::FlagsFirst { command },
            (Some(at), Some(command)) => Self::Run { command, arguments: &arguments[at + 1..] },
            (_, None) | (None, _) => Self::Unknown,
        }
    }
}

fn commands(program: &str) -> String {
    let width = COMMANDS.iter().map(|command| command.name.len()).max().unwrap_or(0);
    let mut text = format!("Usage: {program} [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n");
    for Command { name, synopsis, .. } in COMMANDS {
        text += &format!("    {name:width$}    {synopsis}\n");
    }
    text
}

fn help(program: &str, command: &Command) -> String {
    let Command { name, usage, about, flags, .. } = command;
    let mut text = format!("Usage: {program} {name} {usage}").trim_end().to_owned();
    text += "\n\n";
    about.lines().for_each(|line| text += format!("  {line}\n").trim_start_matches("  \n"));
    text += "\nOptions:\n\n";
    text += &flags::describe(flags.unwrap_or(NO_FLAGS));
    text.trim_end().to_owned()
}

/// Prints a result; whether anybody reads it. Somebody who has closed the output does not want it.
fn say(text: &str) -> bool {
    writeln!(stdout(), "{text}").is_ok()
}

/// Prints help, or what is wrong with the arguments.
fn complain(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// Of commands that otherwise have none.
const NO_FLAGS: &[Flag] = &[format::FORMAT];

const FLAGS_FIRST: &str = "Invalid flags before the subcommand. If these flags are for
the subcommand, please put them after the subcommand.";

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &[&str]) -> String {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        match Call::new(&arguments) {
            Call::Version => "version".into(),
            Call::Help { command } => format!("help {}", command.map_or("", |command| command.name)),
            Call::Run { command, arguments } => format!("run {} {}", command.name, arguments.join(" ")),
            Call::FlagsFirst { command } => format!("flags first {}", command.name),
            Call::Unknown => "unknown".into(),
        }
    }

    #[test]
    fn what_arguments_ask_for() {
        #[rustfmt::skip]
        let table: [(&[&str], &str); 15] = [
            (&[],                               "unknown"),
            (&["bogus"],                        "unknown"),
            (&["help", "members"],              "unknown"),
            (&["-bogus"],                       "unknown"),
            (&["-h"],                           "help "),
            (&["--help"],                       "help "),
            (&["-h", "members"],                "help members"),
            (&["members", "-x", "-h"],          "help members"),
            (&["members", "--", "-h"],          "run members -- -h"),
            (&["-v"],                           "version"),
            (&["members", "--", "-v"],          "version"),
            (&["members", "-version"],          "run members -version"),
            (&["-version"],                     "version"),
            (&["-rpc-addr=x", "members"],       "flags first members"),
            (&["join", "-replay", "a", "b"],    "run join -replay a b"),
        ];
        for (arguments, expected) in table {
            assert_eq!(call(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn the_list_of_commands() {
        let text = commands("swim");
        assert!(text.starts_with("Usage: swim [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n"));
        assert!(text.contains("    agent           Runs an agent"), "{text}");
        assert!(COMMANDS.is_sorted_by_key(|command| command.name));
    }

    #[test]
    fn every_help_begins_alike() {
        for command in COMMANDS {
            let help = help("serf", command);
            assert!(help.starts_with(&format!("Usage: serf {}", command.name)), "{help}");
            assert!(help.lines().all(|line| line.len() <= 100 && line == line.trim_end()), "{help}");
        }
    }
}
