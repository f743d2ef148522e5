//! Results as text or JSON.

use serde::Serialize;

use crate::cli::flags::{Flag, Kind, Parsed};
use crate::cli::{Failure, say};

pub(crate) const FORMAT: Flag =
    Flag { name: "format", kind: Kind::Text, hint: "=text", help: "Output format: 'text' or 'json'." };

/// Whether the answer is to be JSON. Asked before anything is done, so that a format that does not exist changes nothing.
pub(crate) fn wants_json(parsed: &Parsed) -> Result<bool, Failure> {
    match parsed.text("format") {
        None | Some("text") => Ok(false),
        Some("json") => Ok(true),
        Some(other) => Err(unknown(other)),
    }
}

/// Prints what a command has done: `result` if that is to be JSON, else `text`.
pub(crate) fn report(json: bool, result: &impl Serialize, text: &str) -> Result<(), Failure> {
    match json {
        true => say(&render(Some("json"), result, String::new)?),
        false => say(text),
    };
    Ok(())
}

/// Renders a result in the format asked for; `text` is how people read it.
pub(crate) fn render(
    format: Option<&str>,
    result: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<String, Failure> {
    let rendered = match format {
        None | Some("text") => text(),
        Some("json") => escaped(&serde_json::to_string_pretty(result).map_err(encoding_error)?),
        Some(other) => return Err(unknown(other)),
    };
    Ok(rendered.trim().to_owned())
}

/// One of several documents, in a line of its own.
pub(crate) fn json_line(result: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(result).map(|json| escaped(&json)).map_err(encoding_error)
}

/// As Go does, in case the output ends up in a web page. They occur in strings only.
fn escaped(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn unknown(format: &str) -> Failure {
    encoding_error(format!("Invalid output format {format:?}"))
}

fn encoding_error(cause: impl core::fmt::Display) -> Failure {
    Failure::Message(format!("Encoding error: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let text = || " a \n".to_owned();
        assert_eq!(render(None, &"x", text), Ok("a".into()));
        assert_eq!(render(Some("json"), &"<&>", text), Ok(r#""\u003c\u0026\u003e""#.into()));
        let error = Failure::Message("Encoding error: Invalid output format \"xml\"".into());
        assert_eq!(render(Some("xml"), &"x", text), Err(error));
    }
}
