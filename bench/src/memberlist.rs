//! memberlist 0.8 on sockets. It is tasks and locks around a transport: there is no instance to feed.

use std::net::SocketAddr;

use memberlist::delegate::VoidDelegate;
use memberlist::net::NetTransportOptions;
use memberlist::proto::MaybeResolvedAddress;
use memberlist::tokio::{TokioSocketAddrResolver, TokioTcp, TokioTcpMemberlist};
use memberlist::{Memberlist, Options};
use smol_str::SmolStr;

use crate::embedded::Service;
use crate::scene;

/// One node.
pub(crate) struct Peer(TokioTcpMemberlist<SmolStr, TokioSocketAddrResolver, VoidDelegate<SmolStr, SocketAddr>>);

impl Service for Peer {
    async fn start(number: usize) -> Self {
        let name = SmolStr::from(scene::name(number));
        let mut options = NetTransportOptions::<_, TokioSocketAddrResolver, TokioTcp>::new(name);
        options.add_bind_address(scene::address(number));
        Self(Memberlist::new(options, Options::lan()).await.expect("each has an address of its own"))
    }

    async fn join(&self, seed: SocketAddr) -> bool {
        self.0.join(MaybeResolvedAddress::Resolved(seed)).await.is_ok()
    }

    async fn alive(&self) -> usize {
        self.0.num_online_members().await
    }
}
