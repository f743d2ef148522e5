//! The relay: an answer on its way to the asker through a third member.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::fields;
use super::kind;
use crate::wire::codec::{Codec, MessageError};
use crate::wire::msgpack::{self, Field, Kind, Octets, Value, field};
use crate::wire::native;
use crate::wire::reader::Reader;

/// A message that the receiver is to hand on. See [`Codec::encode_serf_relay`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay<'a> {
    /// Where to.
    #[serde(borrow)]
    pub destination: Destination<'a>,
    /// The name of the member there.
    #[serde(borrow, with = "serde_bytes")]
    pub name: &'a [u8],
    /// What is to be handed on, byte for byte and unread: a query response, kind byte first.
    #[serde(borrow, with = "serde_bytes")]
    pub inner: &'a [u8],
}

/// An address in the parts that Go gives it (`net.UDPAddr`). See [`Destination::address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Destination<'a> {
    /// In 4 or 16 bytes as it came. `None` when it was neither.
    pub ip: Option<IpAddr>,
    /// 0 when not given.
    pub port: u16,
    /// The zone of a link-local IPv6 address, by the sender's name for it; mostly empty.
    #[serde(borrow, with = "serde_bytes")]
    pub zone: &'a [u8],
}

impl Destination<'_> {
    /// Where to send, if both halves were given. The zone is not looked at: it means something to its sender only.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::serf::Destination;
    ///
    /// let destination = Destination { ip: Some("fe80::1".parse()?), port: 7946, zone: b"eth0" };
    /// assert_eq!(destination.address(), Some("[fe80::1]:7946".parse()?));
    /// assert_eq!(Destination::default().address(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn address(&self) -> Option<SocketAddr> {
        fields::address(self.ip, self.port)
    }
}

impl Codec {
    /// Appends a relay with the message in it, kind byte first.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::{Destination, Relay, SerfMessage};
    ///
    /// let destination = Destination { ip: Some([127, 0, 0, 1].into()), port: 7946, zone: b"" };
    /// let relay = Relay { destination, name: b"a", inner: b"\x05an answer" };
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_serf_relay(&relay, &mut out);
    /// assert!(matches!(Codec::Serf.decode_serf(&out)?, SerfMessage::Relay(back) if back == relay));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_serf_relay(self, relay: &Relay<'_>, out: &mut Vec<u8>) {
        out.push(kind::RELAY);
        match self {
            Self::Native => native::write(relay, out),
            Self::Serf => {
                let Relay { destination, name, inner } = relay;
                let ip = Octets::new(destination.ip);
                // Not through the table, which would want the address encoded before it is written. The order is its.
                msgpack::write_map_len(HEADER.len(), out);
                msgpack::write_raw(b"DestAddr", out);
                let values = [ip.value(), Value::from(u32::from(destination.port)), Value::Raw(destination.zone)];
                msgpack::write(&ADDRESS, &values, out);
                msgpack::write_raw(b"DestName", out);
                msgpack::write_raw(name, out);
                out.extend_from_slice(inner);
            }
        }
    }
}

impl<'a> Relay<'a> {
    pub(super) fn read(codec: Codec, reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        match codec {
            Codec::Native => native::read(reader),
            Codec::Serf => {
                let [address, name] = msgpack::read(&HEADER, reader)?;
                let destination = match address.nested() {
                    Some(mut address) => {
                        let [ip, port, zone] = msgpack::read(&ADDRESS, &mut address)?;
                        let port = u16::try_from(fields::signed(&port)?).map_err(|_| MessageError::OutOfRange)?;
                        Destination { ip: fields::ip(ip), port, zone: zone.text() }
                    }
                    None => Destination::default(),
                };
                Ok(Self { destination, name: name.text(), inner: reader.rest() })
            }
        }
    }
}

const HEADER: [Field; 2] = [field("DestAddr", 0, Kind::Nested), field("DestName", 1, Kind::Text)];

const ADDRESS: [Field; 3] = [field("IP", 0, Kind::Bytes), field("Port", 1, Kind::Signed), field("Zone", 2, Kind::Text)];

#[cfg(test)]
mod tests;
