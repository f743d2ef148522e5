//! The conflict response: how a member sees the holder of a disputed name.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::fields;
use super::kind;
use super::list::List;
use crate::versions::{VersionRange, Versions};
use crate::wire::codec::{Codec, MessageError};
use crate::wire::msgpack::{self, Container, Field, Kind, Octets, Value, field};
use crate::wire::native;
use crate::wire::reader::Reader;

/// A member as another one sees it, Serf's status and all. See [`Codec::encode_conflict_response`].
///
/// `T` are the tags: what was decoded has [`MemberTags`], what is to be encoded may have anything that yields pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView<'a, T = MemberTags<'a>> {
    /// Whose.
    pub name: &'a [u8],
    /// In 4 or 16 bytes as it came. `None` when it was neither.
    pub ip: Option<IpAddr>,
    /// Of the same address.
    pub port: u16,
    /// Keys and values, in no order.
    pub tags: T,
    /// 0 none, 1 alive, 2 leaving, 3 left, 4 failed. What does not fit into a byte is 255.
    pub status: u8,
    /// As the member announced them. On Serf's wire the features are 0.
    pub versions: Versions,
}

/// The tags of a [`MemberView`], as keys and values. See [`Codec::encode_conflict_response`].
#[derive(Clone, Debug)]
pub struct MemberTags<'a>(List<'a>);

impl<'a> Iterator for MemberTags<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read_tag)?.ok()
    }
}

impl<T> MemberView<'_, T> {
    /// The address, if both halves were given. It is the same in the 4- and the 16-byte form of an IPv4 address.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::versions::Versions;
    /// use swim_core::wire::serf::MemberView;
    ///
    /// let ip = Some("::ffff:127.0.0.1".parse()?);
    /// let view = MemberView { name: b"b", ip, port: 7947, tags: (), status: 1, versions: Versions::default() };
    /// assert_eq!(view.address(), Some("127.0.0.1:7947".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn address(&self) -> Option<SocketAddr> {
        fields::address(self.ip, self.port)
    }
}

impl Codec {
    /// Reads the answer to a question about a name; `None` if the answering member does not know it either.
    ///
    /// # Errors
    ///
    /// As [`Codec::decode`]; only one kind is known.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::wire::codec::Codec;
    ///
    /// let unknown_here = b"\x06\xc0";
    /// assert!(Codec::Serf.decode_conflict_response(unknown_here)?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode_conflict_response(self, payload: &[u8]) -> Result<Option<MemberView<'_>>, MessageError> {
        let reader = &mut Reader::new(payload);
        match (reader.u8()?, self) {
            (kind::CONFLICT_RESPONSE, Self::Native) => {
                if !native::read(reader)? {
                    return Ok(None);
                }
                let (name, ip, port, status, versions) = native::read::<(&serde_bytes::Bytes, _, _, _, _)>(reader)?;
                let tags = MemberTags(List::at(self, *reader)?);
                MemberView { name, ip, port, tags, status, versions }.checked().map(Some)
            }
            (kind::CONFLICT_RESPONSE, Self::Serf) => {
                if msgpack::container(&mut { *reader }) == Ok(Container::Nil) {
                    return Ok(None);
                }
                MemberView::read_msgpack(reader)?.checked().map(Some)
            }
            (kind, _) => Err(MessageError::UnknownKind(kind)),
        }
    }

    /// Appends the answer to a question about a name, kind byte first. The tags are walked through twice.
    ///
    /// # Examples
    ///
    /// ```
    /// use swim_core::versions::Versions;
    /// use swim_core::wire::codec::Codec;
    /// use swim_core::wire::serf::MemberView;
    ///
    /// let (ip, versions) = (Some([127, 0, 0, 1].into()), Versions::default());
    /// let tags = [(&b"role"[..], &b"web"[..])];
    /// let view = MemberView { name: b"b", ip, port: 7947, tags, status: 1, versions };
    /// let mut out = Vec::new();
    /// Codec::Serf.encode_conflict_response(Some(&view), &mut out);
    /// let back = Codec::Serf.decode_conflict_response(&out)?.expect("it is known");
    /// assert_eq!((back.address(), back.tags.collect::<Vec<_>>()), (view.address(), view.tags.to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_conflict_response<'t, T>(self, member: Option<&MemberView<'_, T>>, out: &mut Vec<u8>)
    where
        T: Clone + IntoIterator<Item = (&'t [u8], &'t [u8])>,
    {
        out.push(kind::CONFLICT_RESPONSE);
        match (self, member) {
            (Self::Native, None) => native::write(&false, out),
            (Self::Serf, None) => msgpack::write_nil(out),
            (Self::Native, Some(MemberView { name, ip, port, tags, status, versions })) => {
                native::write(&(true, serde_bytes::Bytes::new(name), ip, port, status, versions), out);
                native::write(&tags.clone().into_iter().count(), out);
                for (key, value) in tags.clone() {
                    native::write(&(serde_bytes::Bytes::new(key), serde_bytes::Bytes::new(value)), out);
                }
            }
            (Self::Serf, Some(member)) => member.write_msgpack(out),
        }
    }
}

impl<'a> MemberView<'a> {
    #[rustfmt::skip]
    fn read_msgpack(reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        let [
            ip, application_current, application_max, application_min, name, port,
            current, max, min, status, tags,
        ] = msgpack::read(&MEMBER, reader)?;
        Ok(Self {
            name: name.text(),
            ip: fields::ip(ip),
            port: port.unsigned()?,
            tags: MemberTags(List::of_map(&tags)?),
            status: u8::try_from(fields::signed(&status)?).unwrap_or(u8::MAX),
            versions: Versions {
                protocol: VersionRange { min: min.unsigned()?, max: max.unsigned()?, current: current.unsigned()? },
                application: VersionRange {
                    min: application_min.unsigned()?,
                    max: application_max.unsigned()?,
                    current: application_current.unsigned()?,
                },
                features: 0,
            },
        })
    }

    fn checked(self) -> Result<Self, MessageError> {
        self.tags.0.check(read_tag)?;
        Ok(self)
    }
}

impl<'t, T> MemberView<'_, T>
where
    T: Clone + IntoIterator<Item = (&'t [u8], &'t [u8])>,
{
    fn write_msgpack(&self, out: &mut Vec<u8>) {
        let Versions { protocol, application, features: _ } = self.versions;
        let ip = Octets::new(self.ip);
        let mut tags = Vec::new();
        msgpack::write_map_len(self.tags.clone().into_iter().count(), &mut tags);
        for (key, value) in self.tags.clone() {
            msgpack::write_raw(key, &mut tags);
            msgpack::write_raw(value, &mut tags);
        }
        let number = |number: u8| Value::from(u32::from(number));
        let values = [
            ip.value(),
            number(application.current),
            number(application.max),
            number(application.min),
            Value::Raw(self.name),
            Value::from(u32::from(self.port)),
            number(protocol.current),
            number(protocol.max),
            number(protocol.min),
            number(self.status),
            Value::Nested(&tags),
        ];
        msgpack::write(&MEMBER, &values, out);
    }
}

#[expect(clippy::type_complexity, reason = "a pair that may be the end of a list, or broken")]
fn read_tag<'a>(codec: Codec, reader: &mut Reader<'a>) -> Result<Option<(&'a [u8], &'a [u8])>, MessageError> {
    Ok(Some(match codec {
        Codec::Native => {
            let (key, value) = native::read::<(&serde_bytes::Bytes, &serde_bytes::Bytes)>(reader)?;
            (key, value)
        }
        Codec::Serf => (msgpack::read_raw(reader)?, msgpack::read_text(reader)?),
    }))
}

const MEMBER: [Field; 11] = [
    field("Addr", 1, Kind::Bytes),
    field("DelegateCur", 10, Kind::Unsigned),
    field("DelegateMax", 9, Kind::Unsigned),
    field("DelegateMin", 8, Kind::Unsigned),
    field("Name", 0, Kind::Text),
    field("Port", 2, Kind::Unsigned),
    field("ProtocolCur", 7, Kind::Unsigned),
    field("ProtocolMax", 6, Kind::Unsigned),
    field("ProtocolMin", 5, Kind::Unsigned),
    field("Status", 4, Kind::Signed),
    field("Tags", 3, Kind::Nested),
];

#[cfg(test)]
mod tests;
