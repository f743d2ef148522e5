//! The files in which an agent keeps what is changed while it runs: its tags and its keys (Serf: `agent.go`).
//!
//! What cannot be read or understood ends the start and is left as it is. What is written replaces the file as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use swim_tokio::swim_core::serf::tags::Tags;
use swim_tokio::swim_core::wire::keyring::{Key, Keyring};
use zeroize::Zeroizing;

use crate::config::key;
use crate::io_text::io_text;

/// Reads a file of tags; `None` if there is none yet.
pub(crate) fn read_tags(path: &Path) -> Result<Option<BTreeMap<String, String>>, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("Failed to read tags file: open {}: {}", path.display(), io_text(&error))),
    };
    let tags = parse_tags(&bytes);
    tags.map(Some).map_err(|error| format!("Failed to decode tags file {}: {error}", path.display()))
}

/// The tags that a file's bytes say.
pub(crate) fn parse_tags(bytes: &[u8]) -> serde_json::Result<BTreeMap<String, String>> {
    serde_json::from_slice(bytes)
}

/// Replaces a file of tags.
pub(crate) fn write_tags(path: &Path, tags: &Tags) -> Result<(), String> {
    let written = tags_text(tags).map_err(io::Error::from).and_then(|text| replace(path, &text));
    written.map_err(|error| format!("Failed to write tags file {}: {}", path.display(), io_text(&error)))
}

/// The bytes of a file of tags.
pub(crate) fn tags_text(tags: &Tags) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec_pretty(&tags.iter().collect::<BTreeMap<_, _>>())
}

/// Reads a file of keys, the first of which is the one to encrypt with.
pub(crate) fn read_keyring(path: &Path) -> Result<Keyring, String> {
    let shown = path.display();
    let bytes = fs::read(path).map(Zeroizing::new).map_err(|error| {
        let call = if error.kind() == io::ErrorKind::NotFound { "stat" } else { "open" };
        format!("{call} {shown}: {}", io_text(&error))
    })?;
    parse_keyring(&bytes).map_err(|error| match error {
        KeyringFault::NoList { line, column } => {
            format!("Failed to decode keyring file {shown}: not a list of texts at line {line} column {column}")
        }
        KeyringFault::Other(text) => text,
    })
}

/// The keys that a file's bytes say.
pub(crate) fn parse_keyring(bytes: &[u8]) -> Result<Keyring, KeyringFault> {
    let texts: Zeroizing<Vec<String>> = serde_json::from_slice(bytes)
        .map(Zeroizing::new)
        // What it says itself may quote a key.
        .map_err(|error| KeyringFault::NoList { line: error.line(), column: error.column() })?;
    if texts.is_empty() {
        return Err(KeyringFault::Other("Keyring file contains no keys".to_owned()));
    }
    let mut ring = Keyring::default();
    for text in texts.iter() {
        let failed = |error: String| KeyringFault::Other(format!("Failed to restore keyring: {error}"));
        let bytes = key::decode(text).map_err(failed)?;
        let key = Key::new(&bytes).map_err(|_| failed("key size must be 16, 24 or 32 bytes".to_owned()))?;
        ring.add(key).map_err(|error| failed(error.to_string()))?;
    }
    Ok(ring)
}

/// Replaces a file of keys.
pub(crate) fn write_keyring(path: &Path, ring: &Keyring) -> Result<(), String> {
    let written = keyring_text(ring).map_err(io::Error::from).and_then(|text| replace(path, &text));
    written.map_err(|error| format!("Failed to write keyring file {}: {}", path.display(), io_text(&error)))
}

/// Whether a file could be replaced, as far as can be told without doing it; otherwise why not.
pub(crate) fn check_replaceable(path: &Path) -> Result<(), String> {
    let temporary = beside(&followed(path));
    let made = write_new(&temporary, b"").and_then(|()| fs::remove_file(&temporary));
    made.map_err(|error| format!("open {}: {}", temporary.display(), io_text(&error)))
}

/// The bytes of a file of keys.
pub(crate) fn keyring_text(ring: &Keyring) -> serde_json::Result<Vec<u8>> {
    let keys: Vec<_> = ring.keys().map(|key| STANDARD.encode(key.as_bytes())).collect();
    serde_json::to_vec_pretty(&keys)
}

/// Why bytes are no file of keys. Shows none of them.
#[derive(Debug)]
pub(crate) enum KeyringFault {
    /// They are no JSON, or no list of texts, from here on.
    NoList { line: usize, column: usize },
    /// One message for a person.
    Other(String),
}

/// Puts a new file in the place of the old one, or leaves that untouched.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let path = &followed(path);
    let temporary = beside(path);
    let written = write_new(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Half a file is of no use to anybody.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // Without this a crash may bring back the old file; some file systems cannot do it.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// What a link leads to: the file is to be replaced, and not the link, or the old keys would stay where it led.
fn followed(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Where the new file is made.
fn beside(path: &Path) -> PathBuf {
    let mut temporary = PathBuf::from(path).into_os_string();
    temporary.push(".new");
    temporary.into()
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    // Left behind by a crash, and perhaps readable for others.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("swim-files-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn tags_there_and_back() {
        let directory = Directory::new("tags");
        let path = directory.0.join("tags.json");
        assert_eq!(read_tags(&path), Ok(None));
        let tags: Tags = [("role", "web"), ("dc", "east")].into_iter().collect();
        write_tags(&path, &tags).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"dc\": \"east\",\n  \"role\": \"web\"\n}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = read_tags(&path).unwrap().unwrap();
        assert_eq!(read.into_iter().collect::<Tags>(), tags);
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn links_stay_links() {
        let directory = Directory::new("link");
        fs::create_dir(directory.0.join("kept")).unwrap();
        let file = directory.file("kept/tags.json", "{}");
        let link = directory.0.join("link.json");
        std::os::unix::fs::symlink("kept/tags.json", &link).unwrap();
        write_tags(&link, &[("role", "web")].into_iter().collect()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\n  \"role\": \"web\"\n}");
        assert_eq!(fs::read_dir(directory.0.join("kept")).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        let directory = Directory::new("torn");
        let torn = directory.file("torn.json", "{\"role\": \"we");
        assert!(read_tags(&torn).unwrap_err().starts_with("Failed to decode tags file "));
        assert_eq!(fs::read_to_string(&torn).unwrap(), "{\"role\": \"we");
        let error = write_tags(&directory.0.join("missing/tags.json"), &Tags::default()).unwrap_err();
        assert!(error.ends_with("no such file or directory"), "{error}");
    }

    #[test]
    fn keys_there_and_back() {
        let directory = Directory::new("keys");
        let first = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";
        let second = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=";
        let path = directory.file("keys.json", &format!("[\"{first}\", \"{second}\"]"));
        let mut ring = read_keyring(&path).unwrap();
        assert_eq!(ring.primary().map(|key| STANDARD.encode(key.as_bytes())).as_deref(), Some(first));
        let new = Key::new(&STANDARD.decode(second).unwrap()).unwrap();
        ring.use_key(&new).unwrap();
        write_keyring(&path, &ring).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("[\n  \"{second}\",\n  \"{first}\"\n]"));
        assert_eq!(read_keyring(&path).unwrap().primary(), Some(&new));
    }

    #[test]
    fn keyrings_that_are_none() {
        let directory = Directory::new("none");
        let missing = directory.0.join("missing");
        assert_eq!(
            read_keyring(&missing).unwrap_err(),
            format!("stat {}: no such file or directory", missing.display())
        );
        assert_eq!(read_keyring(&directory.file("a", "[]")).unwrap_err(), "Keyring file contains no keys");
        for bad in ["", "{}", "[1]", "[\"zz\"]", "[\"AAAA\"]"] {
            let error = read_keyring(&directory.file("b", bad)).unwrap_err();
            assert!(error.starts_with("Failed to "), "{error}");
        }
    }

    /// A key that somebody forgot to put into a list, say, must not end up in a log.
    #[test]
    fn faults_do_not_show_keys() {
        let key = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=";
        let texts = ["\"KEY\"", "{\"KEY\": \"KEY\"}", "[\"KEY\", 5]", "[[\"KEY\"]]", "[\"KEY", "[\"KEY!\"]", "KEY"];
        for text in texts.map(|text| text.replace("KEY", key)) {
            let fault = parse_keyring(text.as_bytes()).unwrap_err();
            assert!(!format!("{fault:?}").contains("T9j"), "{fault:?}");
        }
        let directory = Directory::new("bare");
        let error = read_keyring(&directory.file("bare", &format!("\n\"{key}\""))).unwrap_err();
        assert!(error.ends_with(": not a list of texts at line 2 column 46"), "{error}");
    }
}
