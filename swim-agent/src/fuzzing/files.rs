use std::collections::BTreeMap;

use swim_tokio::swim_core::serf::tags::Tags;

use crate::agent::files::{keyring_text, parse_keyring, parse_tags, tags_text};

/// Reads the input as the file in which an agent keeps its tags, if the first byte is even, or its keys.
///
/// # Panics
///
/// When what was understood is not the same once it was written and read again.
pub fn files(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else { return };
    if first & 1 == 0 {
        let Ok(read) = parse_tags(text) else { return };
        let tags: Tags = read.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let written = tags_text(&tags).expect("tags are text");
        let again: BTreeMap<String, String> = parse_tags(&written).expect("it has just been written");
        assert_eq!(again, read);
    } else {
        let Ok(ring) = parse_keyring(text) else { return };
        assert!(!ring.is_empty(), "without keys it is a fault");
        let written = keyring_text(&ring).expect("keys are text");
        let again = parse_keyring(&written).expect("it has just been written");
        // Not shown: these are keys.
        assert!(again.keys().eq(ring.keys()), "other keys, or in another order");
    }
}
