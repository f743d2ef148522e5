//! The messages of discovery by mDNS, which are those of HashiCorp's `mdns` package as Serf uses it: the service
//! `_serf_NAME._tcp.local`, whose instances are members, with one SRV, one address and one text record each.

use core::net::{IpAddr, SocketAddr};

use simple_dns::rdata::{A, AAAA, PTR, RData, SRV, TXT};
use simple_dns::{
    CLASS, CharacterString, Label, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE,
};

use crate::discovery::{dns, parse};

/// A cluster as its members call it.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    cluster: String,
    name: Name<'static>,
}

impl Service {
    /// The error is one message for a person.
    pub(crate) fn new(cluster: &str) -> Result<Self, String> {
        let text = format!("_serf_{cluster}._tcp.local");
        // Serf splits at dots as well, and takes everything else as it is.
        let labels: Option<Vec<_>> = text.split('.').map(label).collect();
        let name = Name::new_with_labels(&labels.unwrap_or_default());
        // A member's name comes before it.
        let len: usize = name.as_bytes().map(|label| label.len() + 1).sum();
        if len == 0 || len > SERVICE_LEN_MAX {
            return Err(format!(
                "'{cluster}' cannot be the name of a cluster: it must have 1 to 57 bytes between dots, and no more than 80"
            ));
        }
        Ok(Self { cluster: cluster.to_owned(), name })
    }

    /// The question for every member.
    pub(crate) fn question(&self) -> Option<Vec<u8>> {
        let mut packet = Packet::new_query(0);
        let kind = QTYPE::TYPE(TYPE::PTR);
        packet.questions.push(Question::new(self.name.clone(), kind, QCLASS::CLASS(CLASS::IN), false));
        packet.build_bytes_vec().ok()
    }

    /// The members that a message tells of.
    pub(crate) fn members(&self, message: &[u8]) -> Vec<SocketAddr> {
        let Ok(packet) = parse(message) else { return Vec::new() };
        if !packet.has_flags(PacketFlag::RESPONSE) {
            return Vec::new();
        }
        let records = || packet.answers.iter().chain(&packet.additional_records);
        let instances = records().filter(|record| record.name.is_subdomain_of(&self.name));
        let services =
            instances.filter_map(|record| if let RData::SRV(srv) = &record.rdata { Some(srv) } else { None });
        let mut members = Vec::new();
        // Each is compared with all the others, so those without an address count too.
        for srv in services.take(MEMBERS_MAX) {
            let addresses = records().filter(|record| record.name == srv.target).filter_map(dns::address);
            if let (Some(ip), 1..) = (addresses.min_by_key(IpAddr::is_ipv6), srv.port) {
                members.push(SocketAddr::new(ip, srv.port));
            }
        }
        members
    }
}

/// What one member answers.
#[derive(Clone, Debug)]
pub(crate) struct Announcement {
    service: Service,
    instance: Name<'static>,
    address: SocketAddr,
    text: String,
}

impl Announcement {
    pub(crate) fn new(service: Service, node: &[u8], address: SocketAddr) -> Self {
        // A name may be longer than a label.
        let own = node.chunks(LABEL_LEN_MAX).filter_map(label_of);
        let labels: Vec<_> = own.chain(service.name.get_labels().iter().cloned()).collect();
        let text = format!("Serf '{}' cluster", service.cluster);
        Self { service, instance: Name::new_with_labels(&labels), address, text }
    }

    /// The answer to a message, if it asks for us, and whether everybody is to hear it. `one_shot`: whoever asks is no
    /// responder, which shows in its port, and listens for an answer to itself (RFC 6762 §6.7).
    pub(crate) fn answer(&self, message: &[u8], one_shot: bool) -> Option<(Vec<u8>, Audience)> {
        let query = parse(message).ok()?;
        if query.has_flags(PacketFlag::RESPONSE) || query.opcode() != OPCODE::StandardQuery {
            return None;
        }
        // Who knows us already does not want to be told again (RFC 6762 §7.1).
        let knows =
            |record: &ResourceRecord<'_>| matches!(&record.rdata, RData::PTR(PTR(name)) if *name == self.instance);
        if query.answers.iter().any(knows) {
            return None;
        }
        let (question, records) =
            query.questions.iter().find_map(|question| Some((question, self.records(question, one_shot)?)))?;
        let mut reply = Packet::new_reply(if one_shot { query.id() } else { 0 });
        reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
        if one_shot {
            reply.questions.push(question.clone());
        }
        reply.answers = records;
        let audience = if one_shot || question.unicast_response { Audience::Asker } else { Audience::All };
        Some((reply.build_bytes_vec_compressed().ok()?, audience))
    }

    /// What there is to say to a question.
    fn records(&self, question: &Question<'_>, one_shot: bool) -> Option<Vec<ResourceRecord<'_>>> {
        let ttl = if one_shot { TTL_ONE_SHOT } else { TTL };
        let record = |name: &Name<'static>, rdata| ResourceRecord::new(name.clone(), CLASS::IN, ttl, rdata);
        let asks = |kinds: &[TYPE]| {
            question.qtype == QTYPE::ANY || kinds.iter().any(|kind| question.qtype == QTYPE::TYPE(*kind))
        };
        let pointer = |from: &Name<'static>, to: &Name<'static>| record(from, RData::PTR(PTR(to.clone())));
        let kinds_of_service = Name::new_unchecked("_services._dns-sd._udp.local").into_owned();
        if question.qname == kinds_of_service && asks(&[TYPE::PTR]) {
            return Some(vec![pointer(&kinds_of_service, &self.service.name)]);
        }
        let mut records = Vec::new();
        if question.qname == self.service.name && asks(&[TYPE::PTR]) {
            records.push(pointer(&self.service.name, &self.instance));
        } else if question.qname != self.instance || !asks(&[TYPE::SRV, TYPE::TXT, TYPE::A, TYPE::AAAA]) {
            return None;
        }
        // All of it, whatever was asked for: Serf's agents believe in nobody without a text.
        let srv = SRV { priority: 10, weight: 1, port: self.address.port(), target: self.instance.clone() };
        records.push(record(&self.instance, RData::SRV(srv)));
        records.push(record(
            &self.instance,
            match self.address.ip() {
                IpAddr::V4(ip) => RData::A(A::from(ip)),
                IpAddr::V6(ip) => RData::AAAA(AAAA::from(ip)),
            },
        ));
        // A cluster's name is shorter than a text may be.
        if let Ok(text) = CharacterString::new(self.text.as_bytes()) {
            records.push(record(&self.instance, RData::TXT(TXT::new().with_char_string(text))));
        }
        Some(records)
    }
}

/// Who is to hear an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Asker,
    All,
}

fn label(text: &str) -> Option<Label<'static>> {
    if text.is_empty() { None } else { label_of(text.as_bytes()) }
}

fn label_of(bytes: &[u8]) -> Option<Label<'static>> {
    (bytes.len() <= LABEL_LEN_MAX).then(|| Label::new_unchecked(bytes.to_vec()))
}

const LABEL_LEN_MAX: usize = 63;
/// Leaves room for a node name of 128 bytes.
const SERVICE_LEN_MAX: usize = 100;
/// Members in one message.
pub(crate) const MEMBERS_MAX: usize = 16;
/// How long answers may be kept, in seconds.
const TTL: u32 = 120;
/// The same for those who will not hear of changes (RFC 6762 §6.7).
const TTL_ONE_SHOT: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "127.0.0.7:7946";

    fn announcement(cluster: &str, node: &str, address: &str) -> Announcement {
        Announcement::new(Service::new(cluster).unwrap(), node.as_bytes(), address.parse().unwrap())
    }

    /// A question of our own making.
    fn ask(name: &str, kind: QTYPE, unicast: bool, known: Option<&Announcement>) -> Vec<u8> {
        let mut packet = Packet::new_query(7);
        packet.questions.push(Question::new(Name::new(name).unwrap(), kind, QCLASS::CLASS(CLASS::IN), unicast));
        if let Some(known) = known {
            let rdata = RData::PTR(PTR(known.instance.clone()));
            packet.answers.push(ResourceRecord::new(known.service.name.clone(), CLASS::IN, 100, rdata));
        }
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn members_find_each_other() {
        for (cluster, node, address) in
            [("test", "a", ADDRESS), ("two.parts", "web.1", "[fd00::1]:1"), ("ü ber", &*"x".repeat(128), ADDRESS)]
        {
            let service = Service::new(cluster).unwrap();
            let (answer, audience) =
                announcement(cluster, node, address).answer(&service.question().unwrap(), true).unwrap();
            assert_eq!(audience, Audience::Asker);
            assert_eq!(service.members(&answer), [address.parse().unwrap()], "{cluster} {node}");
            assert_eq!(Service::new("other").unwrap().members(&answer), []);
            assert!(announcement("other", node, address).answer(&service.question().unwrap(), true).is_none());
            // Nobody answers an answer.
            assert!(announcement(cluster, node, address).answer(&answer, true).is_none());
        }
    }

    #[test]
    fn questions_and_their_answers() {
        let a = announcement("test", "a", ADDRESS);
        let b = announcement("test", "b", ADDRESS);
        let (ptr, srv, mx) = (QTYPE::TYPE(TYPE::PTR), QTYPE::TYPE(TYPE::SRV), QTYPE::TYPE(TYPE::MX));
        use Audience::{All, Asker};
        #[rustfmt::skip]
        let table = [
            // question                                                                one shot  audience, records
            (ask("_serf_test._tcp.local", ptr, false, None),                           true,     Some((Asker, 4))),
            (ask("_serf_test._tcp.local", ptr, false, None),                           false,    Some((All, 4))),
            (ask("_serf_test._tcp.local", ptr, true, None),                            false,    Some((Asker, 4))),
            (ask("_SERF_TEST._tcp.LOCAL", QTYPE::ANY, false, None),                    false,    Some((All, 4))),
            (ask("_serf_test._tcp.local", srv, false, None),                           false,    None),
            (ask("_serf_test._tcp.local", ptr, false, Some(&a)),                       false,    None),
            (ask("_serf_test._tcp.local", ptr, false, Some(&b)),                       false,    Some((All, 4))),
            (ask("a._serf_test._tcp.local", srv, false, None),                         false,    Some((All, 3))),
            (ask("a._serf_test._tcp.local", mx, false, None),                          false,    None),
            (ask("b._serf_test._tcp.local", srv, false, None),                         false,    None),
            (ask("_services._dns-sd._udp.local", ptr, false, None),                    false,    Some((All, 1))),
            (ask("_http._tcp.local", ptr, false, None),                                false,    None),
        ];
        for (question, one_shot, expected) in table {
            let answer = a.answer(&question, one_shot);
            let found = answer.as_ref().map(|(bytes, audience)| (*audience, parse(bytes).unwrap().answers.len()));
            assert_eq!(found, expected, "{:?}", parse(&question).unwrap().questions);
            if let Some((bytes, _)) = answer {
                let packet = parse(&bytes).unwrap();
                let kept = if one_shot { (7, 1, 10) } else { (0, 0, 120) };
                assert_eq!((packet.id(), packet.questions.len(), packet.answers[0].ttl), kept);
            }
        }
    }

    /// What `serf agent -node=s1 -bind=127.0.0.61:7946 -discover=interop` of 0.9.4 sent to [`Service::question`].
    const SERF_ANSWER: &[u8] = b"\
        \0\0\x84\0\0\0\0\x04\0\0\0\0\x0d_serf_interop\x04_tcp\x05local\0\0\x0c\0\x01\0\0\
        \0x\0\x05\x02s1\xc0\x0c\xc00\0!\0\x01\0\0\0x\0\x0a\0\x0a\0\x01\x1f\x0a\x02vm\0\xc0G\0\x01\0\x01\0\0\0x\0\x04\x7f\
        \0\0=\xc00\0\x10\0\x01\0\0\0x\0\x17\x16Serf 'interop' cluster";

    #[test]
    fn an_answer_of_serfs() {
        let service = Service::new("interop").unwrap();
        assert_eq!(service.members(SERF_ANSWER), ["127.0.0.61:7946".parse().unwrap()]);
    }

    #[test]
    fn names_of_clusters() {
        for name in ["a", "prod eu", &*"x".repeat(57)] {
            assert!(Service::new(name).is_ok(), "{name}");
        }
        for name in ["a..b", ".", &*"x".repeat(58), &*"xxxx.".repeat(20)] {
            assert!(Service::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn members_of_one_answer_are_bounded() {
        let Announcement { service, instance, .. } = announcement("test", "a", ADDRESS);
        for count in [MEMBERS_MAX, MEMBERS_MAX + 1] {
            let host = Name::new_unchecked("a.local");
            let record = |name: &Name<'static>, rdata| ResourceRecord::new(name.clone(), CLASS::IN, TTL, rdata);
            let mut packet = Packet::new_reply(0);
            packet.answers.push(record(&host, RData::A(A { address: 7 })));
            for port in 1..=count as u16 {
                let srv = SRV { priority: 1, weight: 1, port, target: host.clone() };
                packet.answers.push(record(&instance, RData::SRV(srv)));
            }
            let answer = packet.build_bytes_vec().unwrap();
            assert_eq!(service.members(&answer).len(), MEMBERS_MAX, "{count}");
        }
    }

    #[test]
    fn strange_answers() {
        let service = Service::new("test").unwrap();
        let (mut answer, _) = announcement("test", "a", ADDRESS).answer(&service.question().unwrap(), true).unwrap();
        for len in 0..answer.len() {
            assert_eq!(service.members(&answer[..len]), [], "{len}");
        }
        for at in 0..answer.len() {
            for bit in 0..8 {
                answer[at] ^= 1 << bit;
                assert!(service.members(&answer).len() <= 1);
                let _ = announcement("test", "a", ADDRESS).answer(&answer, true);
                answer[at] ^= 1 << bit;
            }
        }
        // Port 0 is nobody's.
        let (nobody, _) = announcement("test", "a", "127.0.0.7:0").answer(&service.question().unwrap(), true).unwrap();
        assert_eq!(service.members(&nobody), []);
    }
}
