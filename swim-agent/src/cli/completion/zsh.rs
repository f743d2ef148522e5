//! For zsh, as a file `_swim` in the `fpath` or sourced.

use crate::cli::COMMANDS;
use crate::cli::completion::{Values, argument_values, flag_values, flags, function_name, quoted};
use crate::cli::flags::Flag;

pub(super) fn script(program: &str) -> String {
    let function = function_name(program);
    let (mut names, mut cases) = (String::new(), String::new());
    for command in COMMANDS {
        names +=
            &format!("        {}\n", quoted(&format!("{}:{}", command.name, command.synopsis.replace(':', r"\:"))));
        cases += &format!("    {})\n        _arguments", command.name);
        for flag in flags(command) {
            cases += &format!(" \\\n            {}", quoted(&flag_spec(command.name, flag, &function)));
        }
        // One whose values are not known would keep zsh from completing flags.
        if argument_values(command.name) != Values::Any {
            let action = action(argument_values(command.name), &function);
            cases += &format!(" \\\n            {}", quoted(&format!("*:argument:{action}")));
        }
        cases += "\n        ;;\n";
    }
    TEMPLATE
        .replace("@NAMES@", &names)
        .replace("@CASES@", &cases)
        .replace("@FUNCTION@", &function)
        .replace("@PROGRAM@", program)
}

/// `*-tag=[Tag of this member.]:value: `
fn flag_spec(command: &str, flag: &Flag, function: &str) -> String {
    let help: String = flag.help.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = help.replace('\\', r"\\").replace('[', r"\[").replace(']', r"\]");
    let again = if help.contains("several times") { "*" } else { "" };
    match flag_values(command, flag) {
        None => format!("{again}-{}[{help}]", flag.name),
        Some(values) => format!("{again}-{}=[{help}]:value:{}", flag.name, action(values, function)),
    }
}

fn action(values: Values, function: &str) -> String {
    match values {
        Values::Of(values) => format!("({})", values.join(" ")),
        Values::Files => "_files".to_owned(),
        Values::Directories => "_files -/".to_owned(),
        Values::Members => format!("_{function}_members"),
        Values::Any => " ".to_owned(),
    }
}

const TEMPLATE: &str = r#"#compdef @PROGRAM@
# zsh completion for @PROGRAM@, written by `@PROGRAM@ completion zsh`.

# Those that the agent knows to which the command will talk.
_@FUNCTION@_members() {
    local -a names connection
    connection=(${(M)words:#-*rpc-a(ddr|uth)=*})
    names=(${(f)"$(${(Q)_@FUNCTION@_program} completion $connection members 2>/dev/null)"})
    compadd -a names
}

_@FUNCTION@() {
    local curcontext=$curcontext state line
    local _@FUNCTION@_program=$words[1]
    local -a commands
    commands=(
@NAMES@    )
    _arguments -C '(- *)--help[Show help]' '(- *)--version[Show the version]' '1: :->command' '*:: :->arguments'
    if [[ $state == command ]]; then
        _describe -t commands command commands
        return
    fi
    case $words[1] in
@CASES@    esac
}

if [[ $funcstack[1] == _@FUNCTION@ ]]; then
    _@FUNCTION@ "$@"
else
    compdef _@FUNCTION@ @PROGRAM@
fi
"#;
