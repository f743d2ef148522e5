//! For fish.

use crate::cli::COMMANDS;
use crate::cli::completion::{Values, argument_values, flag_values, flags, function_name};

pub(super) fn script(program: &str) -> String {
    let function = function_name(program);
    let mut lines = String::new();
    for command in COMMANDS {
        lines += &format!(
            "complete -c {program} -n 'not __{function}_command' -a {} -d {}\n",
            command.name,
            quoted(command.synopsis)
        );
    }
    for command in COMMANDS {
        let start = format!("complete -c {program} -n 'contains -- {} (__{function}_command)'", command.name);
        for flag in flags(command) {
            let help = flag.help.split_whitespace().collect::<Vec<_>>().join(" ");
            let values = flag_values(command.name, flag).map(|values| format!(" -r{}", offer(values, &function)));
            lines += &format!("{start} -o {}{} -d {}\n", flag.name, values.unwrap_or_default(), quoted(&help));
        }
        if argument_values(command.name) != Values::Any {
            lines += &format!("{start}{}\n", offer(argument_values(command.name), &function));
        }
    }
    TEMPLATE.replace("@LINES@", &lines).replace("@FUNCTION@", &function).replace("@PROGRAM@", program)
}

fn offer(values: Values, function: &str) -> String {
    match values {
        Values::Of(values) => format!(" -f -a {}", quoted(&values.join(" "))),
        Values::Files => " -F".to_owned(),
        Values::Directories => " -f -a '(__fish_complete_directories)'".to_owned(),
        Values::Members => format!(" -f -a '(__{function}_members)'"),
        // Without this, the names of files.
        Values::Any => " -f".to_owned(),
    }
}

/// As fish quotes, which knows two escapes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

const TEMPLATE: &str = r"# fish completion for @PROGRAM@, written by `@PROGRAM@ completion fish`.

# The command of this line; fails if there is none yet. Flags come behind it.
function __@FUNCTION@_command
    set -l words (commandline -opc)
    test (count $words) -gt 1; and echo $words[2]
end

# Those that the agent knows to which the command will talk.
function __@FUNCTION@_members
    set -l words (commandline -opc)
    set -l connection (string match -r -- '^--?rpc-a(?:ddr|uth)=.*' $words)
    command $words[1] completion $connection members 2>/dev/null
end

complete -c @PROGRAM@ -f
complete -c @PROGRAM@ -n 'not __@FUNCTION@_command' -l help -d 'Show help'
complete -c @PROGRAM@ -n 'not __@FUNCTION@_command' -l version -d 'Show the version'
@LINES@";
