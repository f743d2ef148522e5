//! `man`: the manual page, written from the same tables as the help.

use std::process::ExitCode;

use crate::VERSION;
use crate::cli::flags::Flag;
use crate::cli::{COMMANDS, Command, program_name, say};

pub(crate) const COMMAND: Command = Command {
    name: "man",
    synopsis: "Prints the manual page",
    usage: "",
    about: "\
Prints the manual page of all commands, for man to show.

Example:  man > /usr/local/share/man/man1/swim.1",
    flags: None,
    prefix: "",
    run: |_| {
        say(page(&program_name()).trim_end());
        Ok(ExitCode::SUCCESS)
    },
};

/// The page in the language of troff, with the macros of man(7).
fn page(program: &str) -> String {
    let mut page = Page(String::new());
    page.request(&format!(".TH {} 1 \"\" \"swim {VERSION}\" \"User Commands\"", program.to_uppercase()));
    page.request(".SH NAME");
    page.text(&format!("{program} - cluster membership, failure detection and cluster-wide messages"));
    page.request(".SH SYNOPSIS");
    for command in COMMANDS {
        page.synopsis(program, command);
        page.request(".br");
    }
    page.request(".SH DESCRIPTION");
    page.paragraphs(DESCRIPTION);
    page.request(".SH COMMANDS");
    for command in COMMANDS {
        page.request(&format!(".SS {}", command.name));
        page.synopsis(program, command);
        page.request(".PP");
        page.paragraphs(command.about);
        for flag in command.flags.unwrap_or_default() {
            page.flag(flag);
        }
    }
    for (heading, entries) in LISTS {
        page.request(&format!(".SH {heading}"));
        for (term, text) in entries {
            page.request(".TP");
            page.0 += &format!("\\fB{}\\fR\n", escaped(term));
            page.text(text);
        }
    }
    page.0
}

struct Page(String);

impl Page {
    fn request(&mut self, line: &str) {
        self.0 += line;
        self.0.push('\n');
    }

    fn text(&mut self, text: &str) {
        for line in text.lines() {
            // A line that begins with one of these would be a request.
            let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
            self.0 += &format!("{guard}{}\n", escaped(line));
        }
    }

    /// Separated by empty lines; examples stand as they are.
    fn paragraphs(&mut self, text: &str) {
        for (index, paragraph) in text.split("\n\n").enumerate() {
            if index > 0 {
                self.request(".PP");
            }
            if let Some(example) = paragraph.strip_prefix("Example:  ") {
                self.request("Example:");
                self.request(".PP\n.RS 4\n.nf");
                self.text(example);
                self.request(".fi\n.RE");
            } else {
                self.text(paragraph);
            }
        }
    }

    fn synopsis(&mut self, program: &str, command: &Command) {
        self.0 += &format!("\\fB{} {}\\fR {}\n", escaped(program), escaped(command.name), escaped(command.usage));
    }

    fn flag(&mut self, flag: &Flag) {
        self.request(".TP");
        self.0 += &format!("\\fB\\-{}\\fR{}\n", escaped(flag.name), escaped(flag.hint));
        self.text(flag.help);
    }
}

/// Hyphens that can be copied, and backslashes that are some.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

const DESCRIPTION: &str = "\
Agents on many machines form a cluster: each knows which others there are, notices within seconds when one fails, and
passes on events and queries. agent runs one; the other commands talk to a running agent over its RPC port.

Flags stand between the command and its arguments. They may be written with one dash or two, and with an equals sign or
a blank before the value; those without a value only alone or with an equals sign.";

/// Section and entries.
const LISTS: [(&str, &[(&str, &str)]); 3] = [
    (
        "ENVIRONMENT",
        &[
            ("SERF_RPC_ADDR", "Address of the agent that commands talk to, where no -rpc-addr is given."),
            ("SERF_RPC_AUTH", "The token that it wants, where no -rpc-auth is given."),
            ("NOTIFY_SOCKET", "Where the agent tells systemd that it is ready, reloads, or stops."),
        ],
    ),
    (
        "SIGNALS",
        &[
            ("SIGINT", "The agent leaves gracefully, so that nobody takes it for failed."),
            ("SIGTERM", "The agent ends at once; with leave_on_terminate it leaves gracefully."),
            ("SIGHUP", "The agent reads its configuration again."),
            ("SIGUSR1", "The agent writes the measurements of the last minute to standard error."),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "It worked."),
            ("1", "It did not; the reason is on standard output."),
            ("127", "There is no such command."),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_every_command_and_flag() {
        let page = page("swim");
        for command in COMMANDS {
            let (_, about) = page.split_once(&format!("\n.SS {}\n", command.name)).unwrap();
            let about = about.split("\n.S").next().unwrap();
            for flag in command.flags.unwrap_or_default() {
                assert!(
                    about.contains(&format!("\n\\fB\\-{}\\fR", escaped(flag.name))),
                    "{} -{}",
                    command.name,
                    flag.name
                );
            }
        }
    }

    #[test]
    fn nothing_is_taken_for_a_request() {
        let mut page = Page(String::new());
        page.text(".dot\n'quote\na\\b -c");
        assert_eq!(page.0, "\\&.dot\n\\&'quote\na\\eb \\-c\n");
    }
}
