//! What nobody is to read over a shoulder.

use core::fmt;
use core::ops::{Deref, DerefMut};

use zeroize::Zeroizing;

/// A key or a password: `Debug` does not show it, and it is wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Deref for Secret {
    type Target = String;

    fn deref(&self) -> &String {
        &self.0
    }
}

impl DerefMut for Secret {
    fn deref_mut(&mut self) -> &mut String {
        &mut self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { "secret" })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;

    #[test]
    fn secrets_are_not_shown() {
        let mut settings = Settings { encrypt_key: "T9jncgl9".to_owned().into(), ..Settings::default() };
        settings.rpc_auth = "hush-hush".to_owned().into();
        let shown = format!("{settings:?}");
        assert!(shown.contains("encrypt_key: secret") && shown.contains("rpc_auth: secret"), "{shown}");
        assert!(!shown.contains("T9jn") && !shown.contains("hush"), "{shown}");
    }
}
