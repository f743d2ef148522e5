//! msgpack, as far as the RPC protocol uses it, with bounds: a value is decoded only once all of it has arrived, and
//! only if it is neither too long nor nested too deeply.

use core::fmt;

/// One msgpack value. Text need not be UTF-8: Serf's strings are any bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// Below zero; the others are `Unsigned`.
    Negative(i64),
    Float(f64),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl Value {
    pub(crate) fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(text.as_ref().to_vec())
    }

    /// A map with its keys in byte order, as the reference agent writes them.
    pub(crate) fn map<K: AsRef<[u8]>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let mut entries: Vec<_> = entries.into_iter().map(|(key, value)| (key.as_ref().to_vec(), value)).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self::Map(entries.into_iter().map(|(key, value)| (Self::Text(key), value)).collect())
    }

    /// The string or the bytes it is; of nil, none.
    pub(crate) fn into_bytes(self) -> Option<Vec<u8>> {
        if let Self::Text(bytes) | Self::Bytes(bytes) = self { Some(bytes) } else { self.nil() }
    }

    /// The items of the list it is; of nil, none.
    pub(crate) fn into_list(self) -> Option<Vec<Self>> {
        if let Self::List(items) = self { Some(items) } else { self.nil() }
    }

    /// The entries of the map it is; of nil, none.
    pub(crate) fn into_map(self) -> Option<Vec<(Self, Self)>> {
        if let Self::Map(entries) = self { Some(entries) } else { self.nil() }
    }

    /// The number it is; of nil, zero.
    pub(crate) fn as_unsigned(&self) -> Option<u64> {
        if let Self::Unsigned(number) = self { Some(*number) } else { self.nil() }
    }

    /// The number it is; of nil, zero.
    pub(crate) fn as_signed(&self) -> Option<i64> {
        if let Self::Negative(number) = self { Some(*number) } else { self.as_unsigned()?.try_into().ok() }
    }

    /// The truth it is; of nil, false.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { self.nil() }
    }

    /// The zero value that nil stands for.
    fn nil<T: Default>(&self) -> Option<T> {
        matches!(self, Self::Nil).then(T::default)
    }

    /// Appends the value's encoding: integers and lengths in their shortest form, bytes as bin.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => out.push(0xc0),
            Self::Bool(value) => out.push(0xc2 + u8::from(*value)),
            Self::Unsigned(value) => encode_unsigned(*value, out),
            Self::Negative(value) => encode_negative(*value, out),
            Self::Float(value) => {
                out.push(0xcb);
                out.extend_from_slice(&value.to_be_bytes());
            }
            Self::Text(bytes) => {
                match bytes.len() {
                    len @ 0..32 => out.push(0xa0 | len as u8),
                    len => encode_len(len, Some(0xd9), 0xda, out),
                }
                out.extend_from_slice(bytes);
            }
            Self::Bytes(bytes) => {
                encode_len(bytes.len(), Some(0xc4), 0xc5, out);
                out.extend_from_slice(bytes);
            }
            Self::List(items) => {
                match items.len() {
                    len @ 0..16 => out.push(0x90 | len as u8),
                    len => encode_len(len, None, 0xdc, out),
                }
                items.iter().for_each(|item| item.encode(out));
            }
            Self::Map(entries) => {
                match entries.len() {
                    len @ 0..16 => out.push(0x80 | len as u8),
                    len => encode_len(len, None, 0xde, out),
                }
                for (key, value) in entries {
                    key.encode(out);
                    value.encode(out);
                }
            }
        }
    }

    /// Decodes the one value that fills `bytes`.
    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, Malformed> {
        let value = decode(&mut bytes, 0)?;
        if bytes.is_empty() { Ok(value) } else { Err(Malformed::Marker) }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Negative(value), Self::Unsigned)
    }
}

fn encode_unsigned(value: u64, out: &mut Vec<u8>) {
    if value < 0x80 {
        out.push(value as u8);
    } else if let Ok(value) = u8::try_from(value) {
        out.extend_from_slice(&[0xcc, value]);
    } else if let Ok(value) = u16::try_from(value) {
        out.push(0xcd);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        out.push(0xce);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xcf);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn encode_negative(value: i64, out: &mut Vec<u8>) {
    if value >= -32 {
        out.push(value as u8);
    } else if let Ok(value) = i8::try_from(value) {
        out.extend_from_slice(&[0xd0, value as u8]);
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xd1);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xd2);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// A length with its marker: one byte if `marker8` exists and it fits, else two, else four with the marker after.
fn encode_len(len: usize, marker8: Option<u8>, marker16: u8, out: &mut Vec<u8>) {
    match (marker8, u8::try_from(len), u16::try_from(len)) {
        (Some(marker), Ok(len), _) => out.extend_from_slice(&[marker, len]),
        (_, _, Ok(len)) => {
            out.push(marker16);
            out.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            out.push(marker16 + 1);
            // Nothing an agent sends comes near 4 GiB.
            out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

/// What a marker announces.
enum Head {
    /// A value that is complete with this.
    Done(Value),
    /// So many bytes of text.
    Text(usize),
    /// So many bytes.
    Bytes(usize),
    /// So many values.
    List(usize),
    /// So many pairs of values.
    Map(usize),
}

/// Reads one marker with its number; `None` if more bytes are needed.
fn head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
    let Some((&marker, rest)) = bytes.split_first() else { return Ok(None) };
    let width = match marker {
        0xcc | 0xd0 | 0xc4 | 0xd9 => 1,
        0xcd | 0xd1 | 0xc5 | 0xda | 0xdc | 0xde => 2,
        0xce | 0xd2 | 0xca | 0xc6 | 0xdb | 0xdd | 0xdf => 4,
        0xcf | 0xd3 | 0xcb => 8,
        _ => 0,
    };
    let Some(number) = rest.get(..width) else { return Ok(None) };
    let unsigned = number.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    let shift = 64 - 8 * width as u32;
    let signed = if width == 0 { 0 } else { (unsigned << shift).cast_signed() >> shift };
    let len = usize::try_from(unsigned).map_err(|_| Malformed::TooLong);
    let head = match marker {
        0x00..=0x7f => Head::Done(Value::Unsigned(marker.into())),
        0x80..=0x8f => Head::Map((marker & 0x0f).into()),
        0x90..=0x9f => Head::List((marker & 0x0f).into()),
        0xa0..=0xbf => Head::Text((marker & 0x1f).into()),
        0xc0 => Head::Done(Value::Nil),
        0xc2 => Head::Done(Value::Bool(false)),
        0xc3 => Head::Done(Value::Bool(true)),
        0xc4..=0xc6 => Head::Bytes(len?),
        0xca => Head::Done(Value::Float(f32::from_bits(unsigned as u32).into())),
        0xcb => Head::Done(Value::Float(f64::from_bits(unsigned))),
        0xcc..=0xcf => Head::Done(Value::Unsigned(unsigned)),
        0xd0..=0xd3 => Head::Done(Value::from(signed)),
        0xd9..=0xdb => Head::Text(len?),
        0xdc | 0xdd => Head::List(len?),
        0xde | 0xdf => Head::Map(len?),
        0xe0..=0xff => Head::Done(Value::Negative(i64::from(marker.cast_signed()))),
        // Reserved, and extensions, which nobody sends to an agent.
        0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => return Err(Malformed::Marker),
    };
    Ok(Some((head, 1 + width)))
}

fn decode(bytes: &mut &[u8], depth: usize) -> Result<Value, Malformed> {
    if depth > DEPTH_MAX {
        return Err(Malformed::TooDeep);
    }
    let (head, len) = head(bytes)?.ok_or(Malformed::Marker)?;
    *bytes = &bytes[len..];
    Ok(match head {
        Head::Done(value) => value,
        Head::Text(len) => Value::Text(take(bytes, len)?),
        Head::Bytes(len) => Value::Bytes(take(bytes, len)?),
        // Growing one by one, not by the announced number: memory follows what is really there.
        Head::List(len) => {
            let mut items = Vec::new();
            for _ in 0..len {
                items.push(decode(bytes, depth + 1)?);
            }
            Value::List(items)
        }
        Head::Map(len) => {
            let mut entries = Vec::new();
            for _ in 0..len {
                entries.push((decode(bytes, depth + 1)?, decode(bytes, depth + 1)?));
            }
            Value::Map(entries)
        }
    })
}

fn take(bytes: &mut &[u8], len: usize) -> Result<Vec<u8>, Malformed> {
    let (taken, rest) = bytes.split_at_checked(len).ok_or(Malformed::Marker)?;
    *bytes = rest;
    Ok(taken.to_vec())
}

/// Finds where the values in a growing buffer end, looking at each byte once.
///
/// There is no length prefix on an RPC connection: the end of a value is known only by walking through it.
#[derive(Debug)]
pub(crate) struct Framer {
    /// Walked so far.
    position: usize,
    /// Values still to come until the outermost one is complete.
    pending: usize,
    /// Longest value accepted, in bytes.
    len_max: usize,
}

impl Framer {
    pub(crate) fn new(len_max: usize) -> Self {
        Self { position: 0, pending: 1, len_max }
    }

    /// The length of the value at the start of `buffer`, once all of it is there. Until then call again with the same
    /// buffer, grown.
    pub(crate) fn advance(&mut self, buffer: &[u8]) -> Result<Option<usize>, Malformed> {
        while self.pending > 0 {
            let Some((head, len)) = buffer.get(self.position..).map_or(Ok(None), head)? else {
                return Ok(None);
            };
            let (payload, children) = match head {
                Head::Done(_) => (0, 0),
                Head::Text(len) | Head::Bytes(len) => (len, 0),
                Head::List(len) => (0, len),
                Head::Map(len) => (0, len.saturating_mul(2)),
            };
            self.position = self.position.saturating_add(len).saturating_add(payload);
            self.pending = (self.pending - 1).saturating_add(children);
            // Every value that is still to come has at least one byte.
            if self.position.saturating_add(self.pending) > self.len_max {
                return Err(Malformed::TooLong);
            }
        }
        if buffer.len() < self.position {
            return Ok(None);
        }
        let len = self.position;
        *self = Self::new(self.len_max);
        Ok(Some(len))
    }
}

/// Nesting accepted; the deepest message there is (a list of members with their tags) has four levels.
const DEPTH_MAX: usize = 16;

/// Why bytes are not a value we accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Marker,
    TooLong,
    TooDeep,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Marker => "not msgpack",
            Self::TooLong => "message too long",
            Self::TooDeep => "message nested too deeply",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_forms_there_and_back() {
        #[rustfmt::skip]
        let table: [(Value, &[u8]); 17] = [
            (Value::Nil, b"\xc0"),
            (Value::Bool(true), b"\xc3"),
            (Value::Unsigned(127), b"\x7f"),
            (Value::Unsigned(128), b"\xcc\x80"),
            (Value::Unsigned(256), b"\xcd\x01\x00"),
            (Value::Unsigned(1 << 16), b"\xce\x00\x01\x00\x00"),
            (Value::Unsigned(1 << 63), b"\xcf\x80\x00\x00\x00\x00\x00\x00\x00"),
            (Value::Negative(-1), b"\xff"),
            (Value::Negative(-33), b"\xd0\xdf"),
            (Value::Negative(-129), b"\xd1\xff\x7f"),
            (Value::Negative(-32769), b"\xd2\xff\xff\x7f\xff"),
            (Value::Negative(i64::MIN), b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
            (Value::Float(1.5), b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"),
            (Value::text("ab"), b"\xa2ab"),
            (Value::Bytes(vec![127, 0, 0, 1]), b"\xc4\x04\x7f\x00\x00\x01"),
            (Value::List(vec![Value::Unsigned(1), Value::Nil]), b"\x92\x01\xc0"),
            (Value::map([("b", Value::Nil), ("a", Value::Nil)]), b"\x82\xa1a\xc0\xa1b\xc0"),
        ];
        for (value, bytes) in table {
            let mut out = Vec::new();
            value.encode(&mut out);
            assert_eq!(out, bytes, "{value:?}");
            assert_eq!(Value::decode(bytes), Ok(value));
        }
        for len in [31, 32, 255, 256, 65535, 65536] {
            for value in [Value::Text(vec![b'x'; len]), Value::Bytes(vec![1; len]), Value::List(vec![Value::Nil; len])]
            {
                let mut out = Vec::new();
                value.encode(&mut out);
                assert_eq!(Value::decode(&out), Ok(value), "{len}");
            }
        }
    }

    #[test]
    fn frames_end_where_values_end_however_the_bytes_arrive() {
        let mut bytes = Vec::new();
        let value = Value::map([("Existing", Value::List(vec![Value::text("a:1"), Value::text("x".repeat(300))]))]);
        value.encode(&mut bytes);
        let len = bytes.len();
        bytes.push(0xc0);
        let mut framer = Framer::new(1024);
        for end in 0..len {
            assert_eq!(framer.advance(&bytes[..end]), Ok(None), "{end}");
        }
        assert_eq!(framer.advance(&bytes), Ok(Some(len)));
        assert_eq!(framer.advance(&bytes[len..]), Ok(Some(1)));
    }

    #[test]
    fn bounds_hold_before_anything_is_allocated() {
        let text = |len: usize| [&[0xd9, len as u8][..], &vec![b'x'; len]].concat();
        assert_eq!(Framer::new(64).advance(&text(62)), Ok(Some(64)));
        assert_eq!(Framer::new(64).advance(&text(63)), Err(Malformed::TooLong));
        assert_eq!(Framer::new(64).advance(b"\xdf\xff\xff\xff\xff"), Err(Malformed::TooLong));
        assert_eq!(Framer::new(64).advance(b"\xc1"), Err(Malformed::Marker));
        let nested = |depth: usize| [&vec![0x91; depth][..], &[0xc0]].concat();
        assert!(Value::decode(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(Value::decode(&nested(DEPTH_MAX + 1)), Err(Malformed::TooDeep));
    }
}
