//! The payload of acks: where the answering member believes to be (Serf: `ping_delegate.go`).

use alloc::vec::Vec;
use core::fmt;

use super::list::List;
use crate::wire::codec::{Codec, MessageError};
use crate::wire::msgpack::{self, Field, Kind, Value, field};
use crate::wire::native;
use crate::wire::reader::Reader;

/// A network coordinate as it travels. Nothing but its shape is checked: any number may be infinite, or none at all.
/// See [`Codec::encode_coordinate`].
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct WireCoordinate {
    /// The place in space, in seconds.
    pub vec: [f64; DIMENSIONS],
    /// How wrong its owner believes it to be, without unit.
    pub error: f64,
    /// Correction to every distance, in seconds.
    pub adjustment: f64,
    /// What the owner's own access adds to every distance, in seconds.
    pub height: f64,
}

/// Why the payload of an ack is not a coordinate. See [`Codec::decode_coordinate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoordinateError {
    /// Something of another version of Serf.
    Version(u8),
    /// Nobody can compare it with a coordinate of [`DIMENSIONS`].
    Dimensions(u32),
    /// It cannot be read.
    Malformed(MessageError),
}

impl Codec {
    /// Reads the payload of an ack; `None` if it is empty, as that of a member without coordinates.
    ///
    /// # Errors
    ///
    /// See [`CoordinateError`].
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::CoordinateError;
    ///
    /// assert_eq!(Codec::Serf.decode_coordinate(b""), Ok(None));
    /// assert_eq!(Codec::Serf.decode_coordinate(b"\x02"), Err(CoordinateError::Version(2)));
    /// ```
    pub fn decode_coordinate(self, payload: &[u8]) -> Result<Option<WireCoordinate>, CoordinateError> {
        let reader = &mut Reader::new(payload);
        match reader.u8() {
            Err(_) => Ok(None),
            Ok(VERSION) => self.coordinate(reader).map(Some),
            Ok(version) => Err(CoordinateError::Version(version)),
        }
    }

    /// Appends the payload of an ack, version byte first: 130 bytes on Serf's wire, 90 on ours.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::WireCoordinate;
    ///
    /// let coordinate = WireCoordinate { vec: [0.25; 8], error: 1.5, adjustment: 0.0, height: 1e-5 };
    /// for (codec, len) in [(Codec::Serf, 130), (Codec::Native, 90)] {
    ///     let mut out = Vec::new();
    ///     codec.encode_coordinate(&coordinate, &mut out);
    ///     assert_eq!((out.len(), codec.decode_coordinate(&out)), (len, Ok(Some(coordinate))));
    /// }
    /// ```
    pub fn encode_coordinate(self, coordinate: &WireCoordinate, out: &mut Vec<u8>) {
        let WireCoordinate { vec, error, adjustment, height } = coordinate;
        out.push(VERSION);
        match self {
            Self::Native => native::write(&(&vec[..], error, adjustment, height), out),
            Self::Serf => {
                msgpack::write_map_len(COORDINATE.len(), out);
                for (key, number) in [(&b"Adjustment"[..], adjustment), (b"Error", error), (b"Height", height)] {
                    msgpack::write_raw(key, out);
                    write_float(*number, out);
                }
                msgpack::write_raw(b"Vec", out);
                msgpack::write_array_len(vec.len(), out);
                for number in vec {
                    write_float(*number, out);
                }
            }
        }
    }

    fn coordinate(self, reader: &mut Reader<'_>) -> Result<WireCoordinate, CoordinateError> {
        match self {
            Self::Native => {
                let list = List::at(self, *reader)?;
                let vec = dimensions(list)?;
                let (error, adjustment, height) = native::read(&mut list.check(read_float)?)?;
                Ok(WireCoordinate { vec, error, adjustment, height })
            }
            Self::Serf => {
                let [adjustment, error, height, vec] = msgpack::read(&COORDINATE, reader)?;
                let (error, adjustment, height) = (float(&error)?, float(&adjustment)?, float(&height)?);
                Ok(WireCoordinate { vec: dimensions(List::of_array(&vec)?)?, error, adjustment, height })
            }
        }
    }
}

impl From<MessageError> for CoordinateError {
    fn from(error: MessageError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for CoordinateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "unknown version of ack payload: {version}"),
            Self::Dimensions(dimensions) => write!(f, "coordinate has {dimensions} dimensions"),
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CoordinateError {}

fn dimensions(mut list: List<'_>) -> Result<[f64; DIMENSIONS], CoordinateError> {
    let mut vec = [0.0; DIMENSIONS];
    let mut places = vec.iter_mut();
    let mut len = 0_u32;
    while let Some(number) = list.next(read_float).transpose()? {
        len = len.saturating_add(1);
        if let Some(place) = places.next() {
            *place = number;
        }
    }
    if usize::try_from(len) == Ok(DIMENSIONS) { Ok(vec) } else { Err(CoordinateError::Dimensions(len)) }
}

fn float(value: &Value<'_>) -> Result<f64, MessageError> {
    let Some(mut reader) = value.nested() else { return Ok(0.0) };
    Ok(read_float(Codec::Serf, &mut reader)?.unwrap_or_default())
}

/// A float of either width; as msgpack an unsigned integer as well, which is how some encoders write a whole number,
/// and nil.
fn read_float(codec: Codec, reader: &mut Reader<'_>) -> Result<Option<f64>, MessageError> {
    Ok(Some(match codec {
        Codec::Native => native::read(reader)?,
        Codec::Serf => match reader.rest().first() {
            Some(&F32) => {
                reader.u8()?;
                f32::from_be_bytes(reader.array()?).into()
            }
            Some(&F64) => {
                reader.u8()?;
                f64::from_be_bytes(reader.array()?)
            }
            _ => msgpack::read_unsigned(reader)? as f64,
        },
    }))
}

fn write_float(number: f64, out: &mut Vec<u8>) {
    out.push(F64);
    out.extend_from_slice(&number.to_be_bytes());
}

/// Of the space that members are placed in (Serf: `coordinate/config.go`).
pub const DIMENSIONS: usize = 8;

/// The only version of the payload there is (Serf: `PingVersion`).
const VERSION: u8 = 1;

const COORDINATE: [Field; 4] = [
    field("Adjustment", 2, Kind::Nested),
    field("Error", 1, Kind::Nested),
    field("Height", 3, Kind::Nested),
    field("Vec", 0, Kind::Nested),
];

const F32: u8 = 0xca;
const F64: u8 = 0xcb;

#[cfg(test)]
mod tests;
