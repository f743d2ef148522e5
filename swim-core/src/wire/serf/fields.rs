//! Kinds of fields that several of Serf's messages have: addresses, and integers with a sign.

use core::net::{IpAddr, SocketAddr};

use crate::wire::codec::MessageError;
use crate::wire::msgpack::Value;

/// An address of 4 or 16 bytes, kept as it came; anything else is none.
pub(super) fn ip(value: Value<'_>) -> Option<IpAddr> {
    let bytes = value.bytes()?;
    if let Ok(octets) = <[u8; 4]>::try_from(&bytes[..]) {
        return Some(IpAddr::from(octets));
    }
    <[u8; 16]>::try_from(&bytes[..]).ok().map(IpAddr::from)
}

/// Where to send, if that can be told. An IPv4 address in 16 bytes is one.
pub(super) fn address(ip: Option<IpAddr>, port: u16) -> Option<SocketAddr> {
    ip.filter(|_| port != 0).map(|ip| SocketAddr::new(ip.to_canonical(), port))
}

/// A field of [`Kind::Signed`](crate::wire::msgpack::Kind::Signed).
pub(super) fn signed(value: &Value<'_>) -> Result<i64, MessageError> {
    match *value {
        Value::Unsigned(number) => i64::try_from(number).map_err(|_| MessageError::OutOfRange),
        Value::Negative(number) => Ok(number),
        Value::Nil | Value::Bool(_) | Value::Raw(_) | Value::Owned(_) | Value::Nested(_) => Ok(0),
    }
}

/// As the older of the two reference builds writes it, which both read: unsigned where it is not negative.
pub(super) fn from_signed(number: i64) -> Value<'static> {
    u64::try_from(number).map_or(Value::Negative(number), Value::Unsigned)
}
