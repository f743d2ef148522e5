use core::net::SocketAddr;

use simple_dns::PacketFlag;

use crate::discovery::mdns::{Announcement, MEMBERS_MAX, Service};
use crate::discovery::{dns, parse};

/// Takes the input for a message of DNS or mDNS, as its first byte says: whom it names, what a member answers it, or what a
/// nameserver says in it about a service or a host.
///
/// # Panics
///
/// When more is taken from it than is allowed; when what a member answers is not understood, names somebody else, or is
/// much longer than the question.
pub fn discovery(bytes: &[u8]) {
    let Some((&choice, message)) = bytes.split_first() else { return };
    match choice % 4 {
        0 => {
            let members = service().members(message);
            assert!(members.len() <= MEMBERS_MAX, "{} members", members.len());
            assert!(members.iter().all(|member| member.port() != 0), "{members:?}");
        }
        1 => answer(message, choice & 4 != 0),
        2 => {
            let Ok(services) = dns::judge(message, dns::services) else { return };
            assert!((1..=dns::SERVICES_MAX).contains(&services.len()), "{} services", services.len());
            assert!(services.iter().all(|service| service.addresses.len() <= dns::ADDRESSES_MAX));
            assert!(services.is_sorted_by_key(|service| service.priority), "{services:?}");
        }
        _ => {
            let Ok(addresses) = dns::judge(message, dns::addresses) else { return };
            assert!((1..=dns::ADDRESSES_MAX).contains(&addresses.len()), "{addresses:?}");
        }
    }
}

fn answer(question: &[u8], one_shot: bool) {
    let own = SocketAddr::from(([127, 0, 0, 1], 7946));
    let announcement = Announcement::new(service(), b"a.b", own);
    let Some((reply, _)) = announcement.answer(question, one_shot) else { return };
    let packet = parse(&reply).expect("our own answer is understood");
    assert!(packet.has_flags(PacketFlag::RESPONSE) && !packet.answers.is_empty(), "{packet:?}");
    // It names us, or the service only.
    let members = service().members(&reply);
    assert!(members == [own] || members.is_empty() && packet.answers.len() == 1, "{members:?} in {packet:?}");
    assert!(reply.len() <= question.len() + ANSWER_LEN, "{} bytes to {}", reply.len(), question.len());
    assert_eq!(announcement.answer(&reply, one_shot), None, "nobody answers an answer");
}

fn service() -> Service {
    Service::new("test").expect("it is a good name")
}

/// What an answer of ours is longer than its question at most, in bytes.
const ANSWER_LEN: usize = 160;
