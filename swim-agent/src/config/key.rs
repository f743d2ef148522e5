//! Encryption keys as people write them: base64.

use base64::DecodeError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A new random key of 32 bytes, in base64.
pub(crate) fn generate() -> Result<String, getrandom::Error> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    Ok(STANDARD.encode(key))
}

/// The bytes of a key, or Go's words on where the text stops being base64.
pub(crate) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    STANDARD.decode(text).map(Zeroizing::new).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol { offset: at, .. } => at,
            // Go names the start of the group of four that is incomplete.
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => text.len() / 4 * 4,
        };
        format!("illegal base64 data at input byte {at}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_there_and_back() {
        let key = generate().unwrap();
        assert_eq!(key.len(), 44);
        assert_eq!(decode(&key).map(|bytes| bytes.len()), Ok(32));
        assert_ne!(key, generate().unwrap());
    }

    #[test]
    fn where_base64_ends() {
        for (text, at) in [("zz", 0), ("AAAA*AAA", 4), ("AAAAAA", 4), ("not base64 at all!!!", 3)] {
            let expected = format!("illegal base64 data at input byte {at}");
            assert_eq!(decode(text), Err(expected), "{text}");
        }
    }
}
