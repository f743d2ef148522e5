//! Several messages in one datagram.
//!
//! ```text
//! +----+-------+----------+-----+----------+--------+-----+--------+
//! | 07 | count | length 1 | ... | length n | part 1 | ... | part n |     lengths: u16, big-endian
//! +----+-------+----------+-----+----------+--------+-----+--------+
//! ```
//!
//! Each part is a whole message with its kind byte. The same in both encodings.

use alloc::vec::Vec;
use core::fmt;

use super::message::kind;
use super::reader::Reader;

/// The parts of a compound, given what follows its kind byte.
///
/// Parts of no length are passed over, and bytes behind the last one ignored. When a part runs past the end, those
/// before it stand; then comes the error, and nothing more.
///
/// # Examples
///
/// ```
/// use swim_core::wire::compound::{CompoundError, parts};
///
/// // Behind the kind byte: two parts, of 2 bytes and of 5.
/// let body = b"\x02\0\x02\0\x05\x08ahello";
/// let found: Vec<_> = parts(body).collect();
/// assert_eq!(found, [Ok(&b"\x08a"[..]), Ok(b"hello")]);
/// let cut: Vec<_> = parts(&body[..8]).collect();
/// assert_eq!(cut, [Ok(&b"\x08a"[..]), Err(CompoundError::PartTruncated)]);
/// ```
pub fn parts(body: &[u8]) -> Parts<'_> {
    let mut reader = Reader::new(body);
    let lengths = reader.u8().ok().and_then(|count| reader.take(usize::from(count).saturating_mul(LENGTH_LEN)).ok());
    match lengths {
        Some(lengths) => Parts { lengths: Reader::new(lengths), parts: reader, failure: None },
        None => {
            let none = Reader::new(&[]);
            Parts { lengths: none, parts: none, failure: Some(CompoundError::TableTruncated) }
        }
    }
}

/// An iterator over the parts of a compound. See [`parts`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    lengths: Reader<'a>,
    parts: Reader<'a>,
    failure: Option<CompoundError>,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<&'a [u8], CompoundError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.failure.take() {
                return Some(Err(error));
            }
            match self.lengths.u16().ok()? {
                0 => {}
                len => match self.parts.take(len.into()) {
                    Ok(part) => return Some(Ok(part)),
                    Err(_) => {
                        self.lengths = Reader::new(&[]);
                        self.failure = Some(CompoundError::PartTruncated);
                    }
                },
            }
        }
    }
}

impl core::iter::FusedIterator for Parts<'_> {}

/// Why a compound, or the rest of it, was dropped. See [`parts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompoundError {
    /// The table of lengths is not all there.
    TableTruncated,
    /// A part runs past the end.
    PartTruncated,
}

impl fmt::Display for CompoundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TableTruncated => "compound is cut short in its table of lengths",
            Self::PartTruncated => "compound is cut short in one of its parts",
        })
    }
}

impl core::error::Error for CompoundError {}

/// Makes one message of the parts that stand in `out` from `start` on, one behind the other, with these lengths: a
/// single part stays as it is, several get a header in front of them.
///
/// Moves the parts once, in place. It allocates nothing if `out` has room for [`header_len`] more bytes.
///
/// # Panics
///
/// With more than [`PARTS_MAX`] parts: their number would be cut, and the receiver would make garbage of it.
///
/// # Examples
///
/// ```
/// use swim_core::wire::compound::{finish, parts};
/// use swim_core::wire::message::kind;
///
/// let mut out = b"labelfirstsecond".to_vec();
/// finish(&mut out, 5, &[5, 6]);
/// assert_eq!((&out[..5], out[5]), (&b"label"[..], kind::COMPOUND));
/// assert_eq!(parts(&out[6..]).collect::<Vec<_>>(), [Ok(&b"first"[..]), Ok(b"second")]);
/// ```
pub fn finish(out: &mut Vec<u8>, start: usize, lengths: &[u16]) {
    debug_assert_eq!(
        out.len().checked_sub(start),
        Some(lengths.iter().map(|&len| usize::from(len)).sum()),
        "the parts are what stands behind start"
    );
    // memberlist 0.2.2 reads the first byte of a part without a check, and its process ends.
    debug_assert!(lengths.iter().all(|&len| len > 0), "a part has at least its kind byte");
    if lengths.len() < 2 {
        return;
    }
    let count = u8::try_from(lengths.len()).expect("a compound has at most 255 parts");
    let (end, header_len) = (out.len(), header_len(lengths.len()));
    out.resize(end.saturating_add(header_len), 0);
    out.copy_within(start..end, start.saturating_add(header_len));
    let header = [kind::COMPOUND, count].into_iter().chain(lengths.iter().flat_map(|len| len.to_be_bytes()));
    for (place, byte) in out.iter_mut().skip(start).zip(header) {
        *place = byte;
    }
}

/// The bytes that wrapping so many parts adds to them.
///
/// # Examples
///
/// ```
/// use swim_core::wire::compound::{finish, header_len};
///
/// let mut out = b"firstsecond".to_vec();
/// finish(&mut out, 0, &[5, 6]);
/// assert_eq!(out.len(), 11 + header_len(2));
/// assert_eq!(header_len(1), 0);
/// ```
pub const fn header_len(parts: usize) -> usize {
    if parts < 2 { 0 } else { parts.saturating_mul(LENGTH_LEN).saturating_add(2) }
}

/// How many parts a compound can have.
pub const PARTS_MAX: usize = 255;

const LENGTH_LEN: usize = 2;

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may fail")]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    type Row<'a> = (&'a [u8], &'a [Result<&'a [u8], CompoundError>]);

    #[test]
    fn what_is_taken_of_damaged_compounds() {
        use CompoundError::{PartTruncated, TableTruncated};
        #[rustfmt::skip]
        let table: [Row<'_>; 9] = [
            (&[],                             &[Err(TableTruncated)]),
            (&[2, 0, 1, 0],                   &[Err(TableTruncated)]),
            (&[255, 0, 1, 9],                 &[Err(TableTruncated)]),
            (&[0],                            &[]),
            (&[0, 1, 2],                      &[]),
            (&[1, 0, 1, 9, 8, 7],             &[Ok(&[9])]),                        // bytes behind the last part
            (&[3, 0, 1, 0, 0, 0, 2, 9, 8, 7], &[Ok(&[9]), Ok(&[8, 7])]),           // an empty part
            (&[3, 0, 1, 0, 3, 0, 1, 9, 8, 7], &[Ok(&[9]), Err(PartTruncated)]),    // and nothing after it
            (&[1, 0, 1],                      &[Err(PartTruncated)]),
        ];
        for (body, expected) in table {
            assert_eq!(parts(body).collect::<Vec<_>>(), expected, "{body:?}");
        }
    }

    #[test]
    fn one_part_stays_bare() {
        let mut out = vec![0xaa, 1, 2, 3];
        finish(&mut out, 1, &[3]);
        assert_eq!(out, [0xaa, 1, 2, 3]);
        finish(&mut out, 4, &[]);
        assert_eq!(out, [0xaa, 1, 2, 3]);
    }

    #[test]
    fn the_most_parts() {
        let mut out = vec![kind::NACK; PARTS_MAX];
        finish(&mut out, 0, &[1; PARTS_MAX]);
        assert_eq!(out.len(), PARTS_MAX + header_len(PARTS_MAX));
        assert_eq!(parts(&out[1..]).count(), PARTS_MAX);
    }

    #[test]
    #[should_panic(expected = "at most 255")]
    fn one_part_too_many() {
        finish(&mut vec![kind::NACK; PARTS_MAX + 1], 0, &[1; PARTS_MAX + 1]);
    }

    proptest! {
        #[test]
        fn parts_come_back(
            prefix in prop::collection::vec(any::<u8>(), 0..4),
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 2..20),
        ) {
            let mut out = prefix.clone();
            out.extend(messages.iter().flatten());
            let lengths: Vec<u16> = messages.iter().map(|part| part.len().try_into().unwrap()).collect();
            finish(&mut out, prefix.len(), &lengths);
            prop_assert_eq!(&out[..prefix.len()], &prefix);
            let (kind, body) = out[prefix.len()..].split_first().unwrap();
            prop_assert_eq!(*kind, kind::COMPOUND);
            let back: Result<Vec<_>, _> = parts(body).collect();
            prop_assert_eq!(back.unwrap(), messages);
        }

        #[test]
        fn any_bytes_end(body in prop::collection::vec(any::<u8>(), 0..600)) {
            let items: Vec<_> = parts(&body).collect();
            prop_assert!(items.iter().rev().skip(1).all(Result::is_ok));
        }
    }
}
