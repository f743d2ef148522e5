//! Results as text or JSON.

use serde::Serialize;

use crate::cli::Failure;
use crate::cli::flags::{Flag, Kind};

pub(crate) const FORMAT: Flag =
    Flag { name: "format", kind: Kind::Text, hint: "=text", help: "Output format: 'text' or 'json'." };

/// Renders a result in the format asked for; `text` is how people read it.
pub(crate) fn render(
    format: Option<&str>,
    result: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<String, Failure> {
    let rendered = match format {
        None | Some("text") => text(),
        Some("json") => {
            let json = serde_json::to_string_pretty(result).map_err(|error| encoding_error(&error.to_string()))?;
            // Go escapes these, in case the output ends up in a web page. They occur in strings only.
            json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
        }
        Some(other) => return Err(encoding_error(&format!("Invalid output format {other:?}"))),
    };
    Ok(rendered.trim().to_owned())
}

fn encoding_error(cause: &str) -> Failure {
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
