//! Saying again what was heard: what one codec decodes, another encodes.

use alloc::vec::Vec;

use crate::wire::codec::Codec;
use crate::wire::message::{PushPullHeader, StreamMessage};
use crate::wire::serf::{Filter, MemberView, Query, SerfMessage, decode_tags, encode_tags};

/// What some bytes are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A message of a datagram, kind byte first.
    Datagram,
    /// A message of a stream.
    Stream,
    /// A message of Serf.
    Serf,
    /// A filter of a query.
    Filter,
    /// What a member says of another when two have one name.
    Conflict,
    /// The key in a query of Serf's own.
    KeyRequest,
    /// The answer to that.
    KeyResponse,
    /// The payload of an ack.
    Coordinate,
    /// The metadata of a member.
    Tags,
}

impl Form {
    pub(super) const ALL: [Self; 9] = [
        Self::Datagram,
        Self::Stream,
        Self::Serf,
        Self::Filter,
        Self::Conflict,
        Self::KeyRequest,
        Self::KeyResponse,
        Self::Coordinate,
        Self::Tags,
    ];

    /// Encodes with `to` what `from` decodes of these bytes; `None` when that is nothing, or nothing that `to` has words
    /// for.
    pub(super) fn restate(self, from: Codec, to: Codec, bytes: &[u8]) -> Option<Vec<u8>> {
        let out = &mut Vec::new();
        match self {
            Self::Datagram => {
                let (kind, body) = bytes.split_first()?;
                to.encode(&from.decode(*kind, body).ok()?, out);
            }
            Self::Stream => stream(&from.decode_stream(bytes).ok()?, to, out)?,
            Self::Serf => serf(from.decode_serf(bytes).ok()?, from, to, out)?,
            Self::Filter => match from.decode_filter(bytes).ok()? {
                Filter::Nodes(names) => to.encode_node_filter(names, out),
                Filter::Tag { tag, expr } => to.encode_tag_filter(tag, expr, out),
            },
            Self::Conflict => {
                let member = from.decode_conflict_response(bytes).ok()?;
                let member = member.map(|MemberView { name, ip, port, tags, status, versions }| MemberView {
                    name,
                    ip,
                    port,
                    tags: tags.collect::<Vec<_>>(),
                    status,
                    versions,
                });
                to.encode_conflict_response(member.as_ref(), out);
            }
            Self::KeyRequest => to.encode_key_request(&from.decode_key_request(bytes).ok()?.key, out),
            Self::KeyResponse => to.encode_key_response(&from.decode_key_response(bytes).ok()?, out),
            Self::Coordinate => to.encode_coordinate(&from.decode_coordinate(bytes).ok()??, out),
            Self::Tags => {
                let tags: Vec<_> = decode_tags(bytes).collect::<Result<_, _>>().ok()?;
                encode_tags(tags.into_iter(), out);
            }
        }
        Some(core::mem::take(out))
    }
}

fn stream(message: &StreamMessage<'_>, to: Codec, out: &mut Vec<u8>) -> Option<()> {
    match message {
        StreamMessage::Ping(ping) => to.encode_stream_ping(ping, out),
        StreamMessage::Ack(ack) => to.encode_stream_ack(ack, out),
        StreamMessage::User(payload) => to.encode_stream_user(payload, out),
        // We only ever write text.
        StreamMessage::Error(text) => to.encode_stream_error(core::str::from_utf8(text).ok()?, out),
        StreamMessage::PushPull(state) => {
            let header = PushPullHeader {
                join: state.join,
                entries: u32::try_from(state.entries.len()).ok()?,
                user_state_len: u32::try_from(state.user_state.len()).ok()?,
            };
            to.begin_push_pull(&header, out);
            for entry in &state.entries {
                to.push_pull_entry(entry, out);
            }
            out.extend_from_slice(state.user_state);
        }
    }
    Some(())
}

fn serf(message: SerfMessage<'_>, from: Codec, to: Codec, out: &mut Vec<u8>) -> Option<()> {
    match message {
        SerfMessage::Leave(leave) => to.encode_serf_leave(&leave, out),
        SerfMessage::Join(join) => to.encode_serf_join(&join, out),
        SerfMessage::UserEvent(event) => to.encode_serf_user_event(&event, out),
        SerfMessage::QueryResponse(response) => to.encode_serf_query_response(&response, out),
        SerfMessage::Relay(relay) => to.encode_serf_relay(&relay, out),
        SerfMessage::Direct(message) if to == Codec::Native => message.encode(out),
        SerfMessage::DirectAnswer(answer) if to == Codec::Native => answer.encode(out),
        SerfMessage::Direct(_) | SerfMessage::DirectAnswer(_) => return None,
        SerfMessage::Query(query) => {
            let Query { ltime, id, ip, port, source_node, filters, flags, relay_factor, timeout, name, payload } =
                query;
            // They are encoded on their own, so they are to be said again on their own.
            let filters: Vec<_> =
                filters.map(|filter| Form::Filter.restate(from, to, &filter)).collect::<Option<_>>()?;
            let query = Query {
                ltime,
                id,
                ip,
                port,
                source_node,
                filters: &filters,
                flags,
                relay_factor,
                timeout,
                name,
                payload,
            };
            to.encode_serf_query(&query, out);
        }
        SerfMessage::PushPull(state) => {
            let statuses: Vec<_> = state.statuses.collect();
            let left: Vec<_> = state.left.collect();
            let slots: Vec<_> = state.events.map(|slot| (slot.ltime, slot.events.collect::<Vec<_>>())).collect();
            let slots = slots.iter().map(|(ltime, events)| {
                Some((*ltime, events.iter().map(|event| (event.name, event.payload.as_deref()))))
            });
            to.encode_serf_push_pull(&state.clocks, statuses.into_iter(), left.into_iter(), slots, out);
        }
    }
    Some(())
}
