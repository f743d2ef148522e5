//! For bash, without the package bash-completion.

use crate::cli::COMMANDS;
use crate::cli::completion::{Values, argument_values, flag_values, flags, function_name, quoted};

pub(super) fn script(program: &str) -> String {
    let names: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
    let mut table = String::new();
    for command in COMMANDS {
        let words = flags(command).iter().map(|flag| match flag_values(command.name, flag) {
            Some(_) => format!("-{}=", flag.name),
            None => format!("-{}", flag.name),
        });
        let words: Vec<_> = words.collect();
        table += &format!("    {})\n        flags={}\n        case $2 in\n", command.name, quoted(&words.join(" ")));
        for flag in flags(command) {
            if let Some(offer) = flag_values(command.name, flag).and_then(offer) {
                table += &format!("        -{}) {offer} ;;\n", flag.name);
            }
        }
        if let Some(offer) = offer(argument_values(command.name)) {
            table += &format!("        '') {offer} ;;\n");
        }
        table += "        esac\n        ;;\n";
    }
    TEMPLATE
        .replace("@TABLE@", &table)
        .replace("@COMMANDS@", &names.join(" "))
        .replace("@FUNCTION@", &function_name(program))
        .replace("@PROGRAM@", program)
}

fn offer(values: Values) -> Option<String> {
    match values {
        Values::Of(values) => Some(format!("words={}", quoted(&values.join(" ")))),
        Values::Files => Some("files=-f".to_owned()),
        Values::Directories => Some("files=-d".to_owned()),
        Values::Members => Some("members=1".to_owned()),
        Values::Any => None,
    }
}

const TEMPLATE: &str = r#"# bash completion for @PROGRAM@, written by `@PROGRAM@ completion bash`.

# What a command takes: its flags, and what can follow the flag named second, or stand as an argument.
_@FUNCTION@_table() {
    flags= words= files= members=
    case $1 in
@TABLE@    esac
}

_@FUNCTION@() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command= flag= name i
    local flags words files members connection=()
    COMPREPLY=()
    # Flags come behind the command.
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W '@COMMANDS@ --help --version' -- "$cur"))
        return
    fi
    command=${COMP_WORDS[1]}
    # "-flag=value" comes in three words, unless "=" was taken from COMP_WORDBREAKS.
    if [[ $cur == = ]]; then
        cur= flag=$prev
    elif [[ $prev == = ]]; then
        flag=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $cur == -*=* ]]; then
        flag=${cur%%=*} cur=${cur#*=}
    elif [[ $prev == -* && $cur != -* ]]; then
        flag=$prev
    fi
    [[ $flag == --* ]] && flag=${flag#-}
    _@FUNCTION@_table "$command" ''
    # One that takes no value says nothing about the word behind it.
    [[ " $flags " == *" $flag= "* ]] && _@FUNCTION@_table "$command" "$flag" || flag=
    if [[ -z $flag && $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$flags" -- "${cur/#--/-}"))
        [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    elif [[ -n $members ]]; then
        # Those that the agent knows to which the command will talk.
        for ((i = 2; i < COMP_CWORD; i++)); do
            if [[ ${COMP_WORDS[i]} == -*rpc-a@(ddr|uth) && ${COMP_WORDS[i + 1]} == = ]]; then
                connection+=("${COMP_WORDS[i]}=")
                # An address is split at its colons as well.
                while ((++i < COMP_CWORD)) && [[ ${COMP_WORDS[i]} == [=:] || ${COMP_WORDS[i - 1]} == [=:] ]]; do
                    [[ ${COMP_WORDS[i]} == = ]] || connection[-1]+=${COMP_WORDS[i]}
                done
                ((i--))
            elif [[ ${COMP_WORDS[i]} == -*rpc-a@(ddr|uth)=* ]]; then
                connection+=("${COMP_WORDS[i]}")
            fi
        done
        # Not compgen -W, which would run what stands in $(..): names come from the network.
        while IFS= read -r name; do
            [[ $name == "$cur"* ]] && COMPREPLY+=("$(printf %q "$name")")
        done < <("${COMP_WORDS[0]}" completion "${connection[@]}" members 2>/dev/null)
    elif [[ -n $files ]]; then
        compopt -o filenames 2>/dev/null
        local IFS=$'\n'
        COMPREPLY=($(compgen $files -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    fi
}

complete -F _@FUNCTION@ @PROGRAM@
"#;
