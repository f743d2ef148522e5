//! How commands find the agent that they talk to.

use std::env;

use crate::cli::Failure;
use crate::cli::flags::{Flag, Kind, Parsed};
use crate::rpc::client::{Client, Stream};

pub(crate) const RPC_ADDR: Flag = Flag {
    name: "rpc-addr",
    kind: Kind::Text,
    hint: "=127.0.0.1:7373",
    help: "RPC address of the agent, or unix:/path. Default: $SERF_RPC_ADDR.",
};

pub(crate) const RPC_AUTH: Flag = Flag {
    name: "rpc-auth",
    kind: Kind::Text,
    hint: "=token",
    help: "RPC token of the agent. Default: $SERF_RPC_AUTH.",
};

/// Connects to the agent that flags, environment or default name.
pub(crate) fn connect(parsed: &Parsed) -> Result<Client<Box<dyn Stream>>, Failure> {
    let auth = given(parsed, "rpc-auth", "SERF_RPC_AUTH").unwrap_or_default();
    Client::connect(&address(parsed), &auth)
        .map_err(|error| Failure::Message(format!("Error connecting to Serf agent: {error}")))
}

/// Where that agent is.
pub(crate) fn address(parsed: &Parsed) -> String {
    given(parsed, "rpc-addr", "SERF_RPC_ADDR").unwrap_or_else(|| "127.0.0.1:7373".to_owned())
}

fn given(parsed: &Parsed, flag: &str, variable: &str) -> Option<String> {
    parsed.text(flag).map(str::to_owned).or_else(|| env::var(variable).ok().filter(|value| !value.is_empty()))
}
