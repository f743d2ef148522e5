use core::cell::OnceCell;
use core::net::Ipv4Addr;
use core::time::Duration;
use std::sync::Arc;

use swim_tokio::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::agent::Agent;
use crate::rpc::messages::{RequestHeader, ResponseHeader};
use crate::rpc::msgpack::{Framer, Value};
use crate::rpc::session::Session;

/// One client's connection to a running agent, which is alone in its cluster.
///
/// ```text
/// input:    setting(u8) bytes
/// setting:  bit 0 the agent wants a secret, 1 the client has shaken hands before, 2 and has told the secret;
///           the others: in how many pieces the bytes arrive
/// ```
///
/// The agent is the same for all inputs of a process. So an input that would end it (`leave`), or have it look for others
/// (`join`, which may ask the system's resolver), is none; what a command waits for is short.
///
/// # Panics
///
/// When the session does not end after the client has closed; when something half is sent, or a reply without a header;
/// when anything but a refusal is said to a client that has not shaken hands or not told the secret.
pub fn rpc(bytes: &[u8]) {
    let Some((setting, said)) = bytes.split_first() else { return };
    if names(said, b"join") || names(said, b"leave") {
        return;
    }
    let setting = Setting(*setting);
    thread_local!(static STAGE: OnceCell<Stage> = const { OnceCell::new() });
    let heard = STAGE.with(|stage| stage.get_or_init(Stage::new).play(setting, said));
    check(setting, &heard);
}

/// Whether a value that begins somewhere in `bytes` may be the text `command`: in all its encodings its length comes
/// before it, of its own or in the marker.
fn names(bytes: &[u8], command: &[u8]) -> bool {
    let len = command.len() as u8;
    bytes.windows(command.len() + 1).any(|window| {
        let (before, text) = (window[0], &window[1..]);
        text == command && (before == len || before == 0xa0 | len)
    })
}

#[derive(Clone, Copy, Debug)]
struct Setting(u8);

impl Setting {
    fn has_secret(self) -> bool {
        self.0 & 1 != 0
    }

    fn shakes_hands(self) -> bool {
        self.0 & 2 != 0
    }

    fn tells_secret(self) -> bool {
        self.0 & 6 == 6
    }

    fn piece_len(self, len: usize) -> usize {
        (len >> (self.0 >> 3)).max(1)
    }
}

/// Two agents in a runtime of their own: one that wants a secret, and one that does not.
struct Stage {
    runtime: Runtime,
    agents: [Arc<Agent>; 2],
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let agents = ["", SECRET].map(|secret| {
            let mut options = Options::local("fuzzed", (Ipv4Addr::LOCALHOST, 0).into());
            options.config.serf.broadcast_timeout = WAIT;
            runtime.block_on(Agent::alone(options, secret)).expect("an agent on the loopback")
        });
        Self { runtime, agents }
    }

    /// What the client hears until the agent closes.
    fn play(&self, setting: Setting, said: &[u8]) -> Vec<u8> {
        let mut before = Vec::new();
        if setting.shakes_hands() {
            request("handshake", 1, ("Version", Value::Unsigned(1)), &mut before);
        }
        if setting.tells_secret() {
            request("auth", 2, ("AuthKey", Value::text(SECRET)), &mut before);
        }
        let agent = Arc::clone(&self.agents[usize::from(setting.has_secret())]);
        self.runtime.block_on(async move {
            let (near, far) = duplex(BUFFER);
            let session = Session::new(Box::new(far), "a fuzzer".to_owned(), agent);
            let (mut reader, mut writer) = tokio::io::split(near);
            let client = async {
                // An agent that has heard enough need not listen to the rest.
                for piece in [&before[..]].into_iter().chain(said.chunks(setting.piece_len(said.len()))) {
                    if writer.write_all(piece).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                let _ = writer.shutdown().await;
            };
            let mut heard = Vec::new();
            let all = async { tokio::join!(session.run(), client, reader.read_to_end(&mut heard)) };
            timeout(SESSION_MAX, all).await.expect("the client has closed, so the session ends").2.expect("a pipe");
            heard
        })
    }
}

fn request(command: &str, seq: u64, (name, value): (&str, Value), out: &mut Vec<u8>) {
    RequestHeader { command: command.to_owned(), seq }.encode(out);
    Value::map([(name, value)]).encode(out);
}

fn check(setting: Setting, mut heard: &[u8]) {
    let mut values = Vec::new();
    let mut framer = Framer::new(usize::MAX);
    while !heard.is_empty() {
        let len = framer.advance(heard).expect("msgpack").expect("a whole value");
        values.push(Value::decode(&heard[..len]).expect("what the agent says is msgpack"));
        heard = &heard[len..];
    }
    let is_header = |value: &Value| matches!(value, Value::Map(entries) if entries.len() == 2 && entries[0].0 == Value::text("Error"));
    assert!(values.first().is_none_or(is_header), "a body without a header: {values:?}");
    let mut errors = values
        .iter()
        .filter(|value| is_header(value))
        .map(|value| ResponseHeader::decode(value.clone()).expect("its fields are there").error);
    if setting.shakes_hands() {
        assert_eq!(errors.next().as_deref(), Some(""), "the handshake is accepted");
    }
    if setting.has_secret() && !setting.tells_secret() {
        // Nothing but headers, and only one handshake is granted. The secret is not to be guessed.
        assert!(values.iter().all(is_header), "a body for a stranger: {values:?}");
        let granted = errors.filter(String::is_empty).count();
        assert!(granted <= usize::from(!setting.shakes_hands()), "something is granted to a stranger: {values:?}");
    }
}

const SECRET: &str = "4ab1f0c7e2";
/// What commands wait for that needs the others: nobody is there to wait for.
const WAIT: Duration = Duration::from_millis(20);
const SESSION_MAX: Duration = Duration::from_secs(10);
const BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// What the fuzzer attacks is a session that does what it is asked.
    #[test]
    fn a_session_answers() {
        let stage = Stage::new();
        let answers = |setting: u8, commands: &[&str]| {
            let mut said = Vec::new();
            for (seq, command) in (10..).zip(commands) {
                RequestHeader { command: (*command).to_owned(), seq }.encode(&mut said);
            }
            let heard = stage.play(Setting(setting), &said);
            check(Setting(setting), &heard);
            let shown = String::from_utf8_lossy(&heard);
            (shown.matches("Error").count(), shown.matches("Members").count(), shown.contains("fuzzed"))
        };
        assert_eq!(answers(0b000, &["members"]), (1, 0, false), "without a handshake it is over");
        assert_eq!(answers(0b010, &["members", "members"]), (3, 2, true));
        assert_eq!(answers(0b011, &["members", "members"]), (3, 0, false), "without the secret nothing is told");
        assert_eq!(answers(0b111, &["members", "stats"]), (4, 1, true));
    }

    #[test]
    fn what_is_left_out() {
        assert!(names(b"\xa4join", b"join") && names(b"\xda\0\x04join", b"join") && names(b"\xc4\x05leave", b"leave"));
        assert!(!names(b"\xabforce-leave", b"leave") && !names(b"\xabmember-join", b"join"));
    }
}
