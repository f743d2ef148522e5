//! The label: a plain-text name of the cluster in front of everything, so that two clusters that share addresses do
//! not merge by accident (memberlist: `label.go`).
//!
//! ```text
//! f4  size(u8, 1..=255)  label      then the rest
//! ```
//!
//! It keeps nobody out by itself; with keys it is authenticated.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::message::kind;
use crate::ids::fmt_escaped;

/// The label of a cluster; empty means none. At most [`Label::LEN_MAX`] bytes, which [`super::Config::validate`]
/// checks.
///
/// ```
/// use swim_core::wire::{Config, label::Label};
///
/// let config = Config { label: Label::from("blue"), ..Config::native() };
/// assert_eq!(config.label.to_string(), "blue");
/// ```
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Label(#[serde(with = "serde_bytes")] Box<[u8]>);

impl Label {
    /// The most bytes that the header can announce.
    pub const LEN_MAX: usize = u8::MAX as usize;

    /// The bytes as configured.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::wire::label::Label;
    /// assert_eq!(Label::from(&b"\xff"[..]).as_bytes(), b"\xff");
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::wire::label::Label;
    /// assert!(Label::default().is_empty());
    /// assert!(!Label::from("blue").is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of the header that goes in front of what is sent; 0 without a label.
    ///
    /// # Examples
    ///
    /// ```
    /// # use swim_core::wire::label::Label;
    /// assert_eq!(Label::from("blue").header_len(), 6);
    /// assert_eq!(Label::from("").header_len(), 0);
    /// ```
    pub fn header_len(&self) -> usize {
        if self.is_empty() { 0 } else { self.0.len().saturating_add(HEADER_FIXED) }
    }

    /// Appends the header; nothing without a label.
    pub(crate) fn write_header(&self, out: &mut Vec<u8>) {
        if let Some(head) = self.header_head() {
            out.extend_from_slice(&head);
            out.extend_from_slice(&self.0);
        }
    }

    /// The fixed part of the header; `None` without a label.
    pub(crate) fn header_head(&self) -> Option<[u8; HEADER_FIXED]> {
        let size = u8::try_from(self.0.len()).ok().filter(|&size| size != 0)?;
        Some([kind::LABEL, size])
    }

    /// Checks the label header at the start of `received`, in memberlist's order.
    ///
    /// Returns how many bytes the header takes, or `None` while it is not whole.
    pub(crate) fn strip(&self, received: &[u8], skip_check: bool) -> Result<Option<usize>, LabelError> {
        let Some(&first) = received.first() else { return Ok(None) };
        if first != kind::LABEL {
            // With the check skipped a proxy has taken the label off.
            return if skip_check || self.is_empty() { Ok(Some(0)) } else { Err(LabelError::Missing) };
        }
        if skip_check {
            return Err(LabelError::Wrong);
        }
        let Some(&size) = received.get(1) else { return Ok(None) };
        if size == 0 {
            return Err(LabelError::Malformed);
        }
        let end = usize::from(size).saturating_add(HEADER_FIXED);
        let Some(label) = received.get(HEADER_FIXED..end) else { return Ok(None) };
        if label == self.as_bytes() { Ok(Some(end)) } else { Err(LabelError::Wrong) }
    }
}

impl From<&[u8]> for Label {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_escaped(&self.0, f)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", format_args!("{self}"))
    }
}

/// Why the start of a datagram or of a stream is not for this cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabelError {
    /// We have a label and there is none.
    Missing,
    /// Not ours, or one where there must be none.
    Wrong,
    /// A header that announces an empty label.
    Malformed,
}

/// `f4` and the size.
pub(crate) const HEADER_FIXED: usize = 2;

#[cfg(test)]
#[expect(clippy::type_complexity, reason = "a table")]
mod tests {
    use super::*;

    #[test]
    fn stripping() {
        use LabelError::{Malformed, Missing, Wrong};
        #[rustfmt::skip]
        let table: [(&str, &[u8], bool, Result<Option<usize>, LabelError>); 14] = [
            // own    received          skip   result
            ("",     b"\x00abc",        false, Ok(Some(0))),
            ("",     b"",               false, Ok(None)),
            ("",     b"\xf4\x01a\x00",  false, Err(Wrong)),
            ("",     b"\xf4\x01",       false, Ok(None)),
            ("",     b"\xf4\x00\x00",   false, Err(Malformed)),
            ("blue", b"\xf4\x04blue..", false, Ok(Some(6))),
            ("blue", b"\xf4\x04blu",    false, Ok(None)),
            ("blue", b"\xf4",           false, Ok(None)),
            ("blue", b"\xf4\x03blue",   false, Err(Wrong)),
            ("blue", b"\xf4\x04blux",   false, Err(Wrong)),
            ("blue", b"\x00",           false, Err(Missing)),
            ("blue", b"\x00",           true,  Ok(Some(0))),
            ("blue", b"\xf4\x04blue",   true,  Err(Wrong)),
            ("",     b"\xf4\x04blue",   true,  Err(Wrong)),
        ];
        for (own, received, skip, result) in table {
            assert_eq!(Label::from(own).strip(received, skip), result, "{own:?} {received:x?} {skip}");
        }
    }

    #[test]
    fn header() {
        let write = |label: Label| {
            let mut out = Vec::new();
            label.write_header(&mut out);
            assert_eq!(out.len(), label.header_len());
            out
        };
        assert_eq!(write(Label::from("")), b"");
        assert_eq!(write(Label::from("blue")), b"\xf4\x04blue");
        assert_eq!(write(Label::from(&[b'x'; 255][..])).len(), 257);
    }
}
