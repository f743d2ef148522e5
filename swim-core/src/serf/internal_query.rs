//! What nodes ask each other by queries (serf-layer.md 10.5): whose a disputed name is, and to list or change the keys of
//! the whole cluster. Applications do not see these.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::iter;
use core::net::SocketAddr;

use zeroize::Zeroizing;

use crate::cx::Cx;
use crate::ids::{CommandId, MemberId, Name};
use crate::log::{Escaped, log, log_some};
use crate::serf::Serf;
use crate::serf::config::Life;
use crate::serf::event::Event;
use crate::serf::query::{Answer, Asker, Conflict, Query, QueryError, Return, live_members};
use crate::swim::Swim;
use crate::wire::codec::MessageError;
use crate::wire::key_text::KeyText;
use crate::wire::keyring::{Key, Keyring};
use crate::wire::serf::{KeyResponse, MemberView, decode_tags};

/// What is done to the keys, here or at every member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyOperation {
    Install,
    Use,
    Remove,
    List,
}

/// What the application wants done to the keys of the cluster.
#[derive(Debug)]
pub(crate) struct KeyCommand {
    pub(crate) operation: KeyOperation,
    /// A key, or as many bytes as a wrong one has; empty for a listing.
    pub(crate) key: KeyBytes,
}

/// The bytes of a key; wiped when dropped, not shown.
#[derive(Clone)]
pub(crate) struct KeyBytes(pub(crate) Zeroizing<Vec<u8>>);

impl core::fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "KeyBytes({})", self.0.len())
    }
}

/// What a member wants done to our keys; done by [`Serf::run_key_tasks`], where the keyring is at hand.
#[derive(Debug)]
pub(crate) struct KeyTask {
    to: Return,
    operation: KeyOperation,
    /// `None`: the request could not be read.
    key: Option<KeyBytes>,
}

impl KeyOperation {
    const ALL: [Self; 4] = [Self::Install, Self::Use, Self::Remove, Self::List];

    /// The query's name after [`INTERNAL_PREFIX`].
    fn name(self) -> &'static [u8] {
        match self {
            Self::Install => b"_serf_install-key",
            Self::Use => b"_serf_use-key",
            Self::Remove => b"_serf_remove-key",
            Self::List => b"_serf_list-keys",
        }
    }
}

/// Answering.
impl Serf {
    pub(super) fn handle_internal_query(
        &mut self,
        cx: &mut Cx<'_>,
        swim: &mut Swim,
        to: Return,
        name: &[u8],
        payload: &[u8],
    ) {
        match name {
            PING => {} // Its ack is all that the asker wants.
            CONFLICT => self.answer_conflict(cx, swim, &to, payload),
            _ => match KeyOperation::ALL.into_iter().find(|operation| operation.name() == name) {
                Some(operation) => self.queue_key_task(cx, to, operation, payload),
                None => {
                    log_some!(cx, WARN, "query_unhandled", name = Escaped(name));
                    cx.stats.queries_unhandled += 1;
                }
            },
        }
    }

    /// Says whom we know under the name. About our own we say nothing: we are a party to it.
    fn answer_conflict(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, to: &Return, name: &[u8]) {
        if cx.roster.slot(self.local).name.as_bytes() == name {
            return;
        }
        let member = cx.roster.find(name).and_then(|id| Some((id, self.records.get(id).status?)));
        let mut tags = Vec::new();
        let view = member.map(|(id, status)| {
            let slot = cx.roster.slot(id);
            tags.extend(decode_tags(&slot.meta).map_while(Result::ok));
            let address = cx.roster.address(id);
            MemberView {
                name,
                ip: Some(address.ip()),
                port: address.port(),
                tags: tags.iter().copied(),
                status: status as u8,
                versions: cx.roster.versions(id),
            }
        });
        let mut payload = Vec::new();
        self.codec.encode_conflict_response(view.as_ref(), &mut payload);
        self.respond_internally(cx, swim, to, &payload);
    }

    fn queue_key_task(&mut self, cx: &mut Cx<'_>, to: Return, operation: KeyOperation, payload: &[u8]) {
        log_some!(cx, INFO, "key_query", name = Escaped(operation.name()), member = Escaped(to.name.as_bytes()));
        if self.queries.key_tasks.len() >= KEY_TASKS_MAX {
            cx.stats.queries_over_limit += 1;
            return;
        }
        let key = match operation {
            KeyOperation::List => Some(KeyBytes(Zeroizing::default())), // The request is not looked at.
            KeyOperation::Install | KeyOperation::Use | KeyOperation::Remove => {
                let request = self.codec.decode_key_request(payload).ok();
                request.map(|request| KeyBytes(Zeroizing::new(request.key.to_vec())))
            }
        };
        self.queries.key_tasks.push_back(KeyTask { to, operation, key });
    }

    /// Whether [`run_key_tasks`](Self::run_key_tasks) has something to do.
    pub(crate) fn has_key_tasks(&self) -> bool {
        !self.queries.key_tasks.is_empty()
    }

    /// Does to the keyring what members have asked for, and answers them. Without `enforced` the question may be
    /// anybody's, and the answer may be read by anybody: it is a refusal.
    pub(crate) fn run_key_tasks(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, keyring: &mut Keyring, enforced: bool) {
        while let Some(KeyTask { to, operation, key }) = self.queries.key_tasks.pop_front() {
            let unsafe_here = !keyring.is_empty() && !enforced;
            if operation == KeyOperation::List && !unsafe_here {
                self.answer_key_list(cx, swim, &to, keyring);
                continue;
            }
            let done = match key {
                None => Err(String::new()),
                Some(_) if keyring.is_empty() => Err("No keyring to modify (encryption not enabled)".into()),
                Some(_) if unsafe_here => Err(QueryError::NotEnforced.to_string()),
                Some(_) if !self.can_hold_key_change(cx) => Err(QueryError::Busy.to_string()),
                Some(key) => change(keyring, operation, &key.0),
            };
            match done {
                Ok(()) => self.keys_changed(cx, swim, to),
                Err(message) => self.answer_key_change(cx, swim, &to, Err(&message)),
            }
        }
    }

    /// All keys, or as many of the first ones as fit.
    fn answer_key_list(&mut self, cx: &mut Cx<'_>, swim: &mut Swim, to: &Return, keyring: &Keyring) {
        let keys: Vec<KeyText> = keyring.keys().map(KeyText::new).collect();
        let primary = keys.first().map_or("", KeyText::as_str).as_bytes();
        let fewer = (self.config.query_response_size_limit / ENCODED_KEY_LEN_MIN).min(keys.len());
        for shown in iter::once(keys.len()).chain((1..=fewer).rev()) {
            let message = match keys.len() {
                0 => "Keyring is empty (encryption not enabled)".into(),
                len if len == shown => String::new(),
                len => format!("truncated key list response, showing first {shown} of {len} keys"),
            };
            let result = !keys.is_empty();
            let keys = keys.get(..shown).unwrap_or_default();
            let response = KeyResponse { result, message: message.as_bytes(), keys, primary };
            let mut payload = Vec::new();
            self.codec.encode_key_response(&response, &mut payload);
            if self.check_response(&self.encode_response(cx, to, 0, Some(&payload))).is_ok() {
                self.respond_internally(cx, swim, to, &payload);
                return;
            }
        }
        log_some!(cx, WARN, "query_not_answered", member = Escaped(to.name.as_bytes()), time = to.ltime);
    }
}

/// Asking about keys.
impl Serf {
    /// Has every member do something to its keys, ourselves included. One change at a time; others wait.
    pub(crate) fn key_command(
        &mut self,
        cx: &mut Cx<'_>,
        swim: &mut Swim,
        id: CommandId,
        command: KeyCommand,
    ) -> Result<(), QueryError> {
        if command.operation == KeyOperation::List || !self.queries.changes_keys() {
            return self.start_key_command(cx, swim, id, &command);
        }
        if self.queries.key_commands.len() >= KEY_COMMANDS_MAX {
            return Err(QueryError::Busy);
        }
        self.queries.key_commands.push_back((id, command));
        Ok(())
    }

    fn start_key_command(
        &mut self,
        cx: &mut Cx<'_>,
        swim: &mut Swim,
        id: CommandId,
        command: &KeyCommand,
    ) -> Result<(), QueryError> {
        let mut payload = Zeroizing::new(Vec::new());
        self.codec.encode_key_request(&command.key.0, &mut payload);
        let query = Query { name: command.operation.name(), payload: Some(&payload), ..Query::default() };
        let changes = command.operation != KeyOperation::List;
        self.ask(cx, swim, &query, Asker::Keys { command: id, members: live_members(swim), changes })
    }

    /// A change of keys is over: the next may begin.
    pub(super) fn next_key_command(&mut self, cx: &mut Cx<'_>, swim: &mut Swim) {
        while !self.queries.changes_keys()
            && let Some((id, command)) = self.queries.key_commands.pop_front()
        {
            if self.start_key_command(cx, swim, id, &command).is_err() {
                self.queries.tell(id, Answer::Done);
            }
        }
    }

    /// What a member says to a listing or a change of keys.
    pub(super) fn read_key_response(&self, from: Name, payload: &[u8]) -> Answer {
        let failed = |from, message| Answer::Key { from, result: false, message, keys: Vec::new(), primary: None };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self.codec.decode_key_response(payload) {
            Ok(response) => Answer::Key {
                from,
                result: response.result,
                message: text(response.message),
                keys: response.keys.take(KEYS_MAX).map(|key| text(key).into()).collect(),
                primary: Some(response.primary)
                    .filter(|primary| !primary.is_empty())
                    .map(|primary| text(primary).into()),
            },
            Err(MessageError::UnknownKind(_)) => {
                failed(from, format!("Invalid key query response type: {}", numbers(payload)))
            }
            Err(_) if payload.is_empty() => failed(from, "Invalid key query response type: []".into()),
            Err(_) => failed(from, format!("Failed to decode key query response: {}", numbers(payload))),
        }
    }
}

/// Asking about our name.
impl Serf {
    /// Two addresses claim one name.
    pub(super) fn notice_conflict(
        &mut self,
        cx: &mut Cx<'_>,
        id: MemberId,
        name: &Name,
        existing: SocketAddr,
        other: SocketAddr,
    ) {
        if id != self.local {
            log_some!(cx, WARN, "name_disputed", member = name, existing = existing, other = other);
            return;
        }
        let resolve = self.config.resolve_name_conflicts;
        log_some!(cx, ERROR, "name_conflict", other = other, resolution = resolve);
        if resolve && self.queries.conflict == Conflict::None && self.life() == Life::Alive {
            self.queries.conflict = Conflict::Noticed;
        }
    }

    /// Asks the others whose our name is, if that has come into doubt; whether it did.
    pub(crate) fn resolve_conflict(&mut self, cx: &mut Cx<'_>, swim: &mut Swim) -> bool {
        if self.queries.conflict != Conflict::Noticed {
            return false;
        }
        let name = cx.roster.slot(self.local).name.clone();
        let query = Query { name: CONFLICT, payload: Some(name.as_bytes()), ..Query::default() };
        let asked = self.ask(cx, swim, &query, Asker::Conflict { responses: 0, matching: 0 });
        self.queries.conflict = if asked.is_ok() { Conflict::Asking } else { Conflict::None };
        true
    }

    pub(crate) fn has_lost_name(&self) -> bool {
        self.queries.conflict == Conflict::Lost
    }

    /// Whether a member knows us under our name. `None`: that is no answer.
    pub(super) fn is_our_claim(&self, cx: &Cx<'_>, payload: &[u8]) -> Option<bool> {
        let view = self.codec.decode_conflict_response(payload).ok()?;
        Some(view.is_some_and(|view| view.address() == Some(cx.roster.address(self.local))))
    }

    /// Everybody has had the time to answer. Without any answer the name is lost: whoever is alone has no majority.
    pub(super) fn decide_conflict(&mut self, cx: &mut Cx<'_>, responses: usize, matching: usize) {
        let majority = responses / 2 + 1;
        if matching >= majority {
            log!(INFO, "name_kept", matching = matching, responses = responses);
            self.queries.conflict = Conflict::None;
        } else {
            log!(WARN, "name_lost", matching = matching, responses = responses);
            self.queries.conflict = Conflict::Lost;
            self.events.push(cx.stats, || Event::NameLost { matching, responses });
        }
    }
}

/// Changes the ring, or says in Serf's words why not.
fn change(keyring: &mut Keyring, operation: KeyOperation, bytes: &[u8]) -> Result<(), String> {
    let key = Key::new(bytes);
    let changed = match (operation, key) {
        (KeyOperation::Install, Err(error)) => return Err(error.to_string()),
        (KeyOperation::Install, Ok(key)) => keyring.add(key),
        (KeyOperation::Use, Ok(key)) => keyring.use_key(&key),
        (KeyOperation::Use, Err(_)) => Err(crate::wire::keyring::KeyringError::NotInstalled),
        (KeyOperation::Remove, Ok(key)) => keyring.remove(&key),
        // What cannot be there is not there.
        (KeyOperation::Remove, Err(_)) | (KeyOperation::List, _) => Ok(()),
    };
    changed.map_err(|error| error.to_string())
}

/// Bytes as Go prints them.
fn numbers(bytes: &[u8]) -> String {
    let numbers: Vec<String> = bytes.iter().take(NUMBERS_MAX).map(u8::to_string).collect();
    format!("[{}]", numbers.join(" "))
}

/// Names of queries that are the nodes' own begin so.
pub(super) const INTERNAL_PREFIX: &[u8] = b"_serf_";
const PING: &[u8] = b"_serf_ping";
const CONFLICT: &[u8] = b"_serf_conflict";

pub(super) const NO_KEYS: &[KeyText] = &[];
/// Serf's guess at what a key takes in a listing.
const ENCODED_KEY_LEN_MIN: usize = 25;
/// Key queries of one datagram that are looked at.
pub(super) const KEY_TASKS_MAX: usize = 64;
/// Changes of keys that wait.
const KEY_COMMANDS_MAX: usize = 64;
/// Keys of one answer that are looked at.
const KEYS_MAX: usize = 4096;
/// Bytes of an unreadable answer that are shown.
const NUMBERS_MAX: usize = 1024;

#[cfg(test)]
mod tests;
