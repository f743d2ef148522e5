//! Bytes captured from serf 0.9.4, the messages of the layer above membership: each is read, compared field by field
//! with what was documented, and written again. See `vectors/` for how each was made.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use swim_core::wire::codec::Codec;
use swim_core::wire::message::{Bytes, Message};
use swim_core::wire::serf::{Filter, KeyResponse, MemberView, Query, QueryResponse, SerfMessage, WireCoordinate};

macro_rules! vectors {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("vectors/serf/", $name))).expect("vectors are JSON")
    };
}

#[test]
fn user_messages() {
    let vectors = vectors!("user-messages.json");
    let mut seen = BTreeMap::new();
    for vector in list(&vectors["messages"]) {
        let kind = vector["type"].as_str().expect("a type");
        *seen.entry(kind).or_insert(0) += 1;
        let frame = hex(&vector["frame_hex"]);
        let documented = match kind {
            "relay" => json!({ "header": vector["header"], "inner": vector["inner"] }),
            _ => vector["body"].clone(),
        };
        check(kind, user(&frame), &documented);
    }
    let expected = [("join", 3), ("leave", 4), ("query", 2), ("queryResponse", 10), ("relay", 2), ("userEvent", 2)];
    assert_eq!(seen, BTreeMap::from(expected));
}

#[test]
fn filters() {
    let vectors = vectors!("user-messages.json");
    let mut seen = 0;
    for vector in list(&vectors["messages"]) {
        let frame = hex(&vector["frame_hex"]);
        let Ok(SerfMessage::Query(query)) = Codec::Serf.decode_serf(user(&frame)) else { continue };
        for filter in query.filters {
            seen += 1;
            let mut again = Vec::new();
            match Codec::Serf.decode_filter(&filter).expect("a filter") {
                Filter::Nodes(names) => {
                    assert_eq!(names.clone().collect::<Vec<_>>(), [b"b"]);
                    Codec::Serf.encode_node_filter(names, &mut again);
                }
                Filter::Tag { tag, expr } => {
                    assert_eq!((tag, expr), (&b"role"[..], &b"d.*"[..]));
                    Codec::Serf.encode_tag_filter(tag, expr, &mut again);
                }
            }
            assert_eq!(again, &filter[..]);
        }
    }
    assert_eq!(seen, 2);
}

#[test]
fn conflict_query() {
    let vectors = vectors!("conflict-query.json");
    let mut answers = 0;
    for vector in list(&vectors["messages"]) {
        let message = &vector["msg"];
        let frame = hex(&vector["frame_hex"]);
        check(message["type"].as_str().expect("a type"), user(&frame), &message["body"]);
        if vector["inner"].is_null() {
            continue;
        }
        answers += 1;
        let payload = bytes(&message["body"]["Payload"]).expect("a payload");
        let member = Codec::Serf.decode_conflict_response(&payload).expect("an answer").expect("a member");
        let mut again = Vec::new();
        Codec::Serf.encode_conflict_response(Some(&member), &mut again);
        assert_eq!(again, payload);
        let MemberView { name, ip, port, tags, status, versions } = member;
        let tags: BTreeMap<_, _> = tags.map(|(key, value)| (text(key), text(value))).collect();
        let read = json!({
            "Addr": octets(ip.expect("an address")),
            "DelegateCur": versions.application.current,
            "DelegateMax": versions.application.max,
            "DelegateMin": versions.application.min,
            "Name": text(name),
            "Port": port,
            "ProtocolCur": versions.protocol.current,
            "ProtocolMax": versions.protocol.max,
            "ProtocolMin": versions.protocol.min,
            "Status": status,
            "Tags": tags,
        });
        assert_eq!(read, vector["inner"]["body"]);
    }
    assert_eq!(answers, 2);
}

#[test]
fn key_queries() {
    let vectors = vectors!("key-queries.json");
    let (mut requests, mut responses) = (0, 0);
    for vector in list(&vectors["messages"]) {
        let frame = hex(&vector["frame_hex"]);
        check(vector["type"].as_str().expect("a type"), user(&frame), &vector["body"]);
        let Some(payload) = bytes(&vector["body"]["Payload"]) else { continue };
        let documented = &vector["payload_decoded"]["body"];
        let mut again = Vec::new();
        if vector["payload_decoded"]["type"] == "keyRequest" {
            requests += 1;
            let request = Codec::Serf.decode_key_request(&payload).expect("a request");
            assert_eq!(Some(request.key.to_vec()), bytes(&documented["Key"]));
            Codec::Serf.encode_key_request(&request.key, &mut again);
        } else {
            responses += 1;
            let response = Codec::Serf.decode_key_response(&payload).expect("a response");
            Codec::Serf.encode_key_response(&response, &mut again);
            let KeyResponse { result, message, keys, primary } = response;
            let keys: Vec<_> = keys.map(text).collect();
            let read = json!({
                "Keys": if keys.is_empty() { Value::Null } else { json!(keys) },
                "Message": text(message),
                "PrimaryKey": text(primary),
                "Result": result,
            });
            assert_eq!(&read, documented);
        }
        assert_eq!(again, payload, "{documented}");
    }
    assert!(requests > 0 && responses > 0);
    assert_eq!(requests + responses, list(&vectors["messages"]).len());
}

#[test]
fn coordinates() {
    let vectors = vectors!("ack-coordinate.json");
    for vector in list(&vectors["acks"]) {
        let frame = hex(&vector["ack_frame_hex"]);
        let Ok(Message::Ack(ack)) = Codec::Serf.decode(frame[0], &frame[1..]) else { panic!("{vector}") };
        assert_eq!(ack.seq.0, vector["seq_no"]);
        let payload = ack.payload.as_deref().expect("a payload");
        assert_eq!(payload, hex(&vector["payload_hex"]));
        assert_eq!((payload.len(), payload[0].into()), (130, vector["ping_version"].as_u64().expect("a number")));

        let coordinate = Codec::Serf.decode_coordinate(payload).expect("a coordinate").expect("not empty");
        let WireCoordinate { vec, error, adjustment, height } = coordinate;
        let documented = &vector["coordinate"];
        for (read, documented) in vec.iter().zip(list(&documented["Vec"])) {
            assert_close(*read, documented);
        }
        assert_eq!(list(&documented["Vec"]).len(), vec.len());
        assert_close(error, &documented["Error"]);
        assert_close(adjustment, &documented["Adjustment"]);
        assert_close(height, &documented["Height"]);

        let mut again = Vec::new();
        Codec::Serf.encode_coordinate(&coordinate, &mut again);
        assert_eq!(again, payload);
        again.clear();
        Codec::Serf.encode(&Message::Ack(ack), &mut again);
        assert_eq!(again, frame);
    }
}

/// Reads one message, compares it with what is documented, and writes it again.
fn check(kind: &str, encoded: &[u8], documented: &Value) {
    let mut again = Vec::new();
    let (as_kind, read) = match Codec::Serf.decode_serf(encoded).expect(kind) {
        SerfMessage::Join(join) => {
            Codec::Serf.encode_serf_join(&join, &mut again);
            ("join", json!({ "LTime": join.ltime, "Node": text(join.node) }))
        }
        SerfMessage::Leave(leave) => {
            Codec::Serf.encode_serf_leave(&leave, &mut again);
            ("leave", json!({ "LTime": leave.ltime, "Node": text(leave.node), "Prune": leave.prune }))
        }
        SerfMessage::UserEvent(event) => {
            Codec::Serf.encode_serf_user_event(&event, &mut again);
            let payload = shown(event.payload.as_ref(), &documented["Payload"]);
            let read =
                json!({ "CC": event.coalesce, "LTime": event.ltime, "Name": text(event.name), "Payload": payload });
            ("userEvent", read)
        }
        SerfMessage::Query(query) => {
            Codec::Serf.encode_serf_query(&query, &mut again);
            ("query", query_as_json(query, documented))
        }
        SerfMessage::QueryResponse(response) => {
            Codec::Serf.encode_serf_query_response(&response, &mut again);
            let QueryResponse { ltime, id, from, flags, payload } = response;
            let payload = shown(payload.as_ref(), &documented["Payload"]);
            let read = json!({ "Flags": flags, "From": text(from), "ID": id, "LTime": ltime, "Payload": payload });
            ("queryResponse", read)
        }
        SerfMessage::Relay(relay) => {
            Codec::Serf.encode_serf_relay(&relay, &mut again);
            let destination = relay.destination;
            let inner = &documented["inner"];
            check(inner["type"].as_str().expect("a type"), relay.inner, &inner["body"]);
            let address = json!({
                "IP": octets(destination.ip.expect("an address")),
                "Port": destination.port,
                "Zone": text(destination.zone),
            });
            let header = json!({ "DestAddr": address, "DestName": text(relay.name) });
            ("relay", json!({ "header": header, "inner": inner }))
        }
        SerfMessage::PushPull(_) => panic!("only in streams"),
        SerfMessage::Direct(_) | SerfMessage::DirectAnswer(_) => panic!("not on this wire"),
    };
    assert_eq!((as_kind, &read), (kind, documented));
    assert_eq!(again, encoded, "{documented}");
}

fn query_as_json(query: Query<'_>, documented: &Value) -> Value {
    let address = query.address();
    let Query { ltime, id, ip, port, source_node, filters, flags, relay_factor, timeout, name, payload } = query;
    assert_eq!(address.map(|address| (Some(address.ip()), address.port())), Some((ip, port)));
    let filters: Vec<_> = filters.map(|filter| json!({ "hex": to_hex(&filter) })).collect();
    json!({
        "Addr": octets(ip.expect("an address")),
        "Filters": if filters.is_empty() { Value::Null } else { json!(filters) },
        "Flags": flags,
        "ID": id,
        "LTime": ltime,
        "Name": text(name),
        "Payload": shown(payload.as_ref(), &documented["Payload"]),
        "Port": port,
        "RelayFactor": relay_factor,
        "SourceNode": text(source_node),
        "Timeout": timeout,
    })
}

/// The Serf message in a user message.
fn user(frame: &[u8]) -> &[u8] {
    match Codec::Serf.decode(frame[0], &frame[1..]) {
        Ok(Message::User(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// A payload in whichever of the two forms the documented one has.
fn shown(payload: Option<&Bytes<'_>>, documented: &Value) -> Value {
    match payload {
        None => Value::Null,
        Some(payload) if documented.is_object() => json!({ "hex": to_hex(payload) }),
        Some(payload) => json!(text(payload)),
    }
}

/// Documented bytes: text, hexadecimal, or none.
fn bytes(documented: &Value) -> Option<Vec<u8>> {
    if documented.is_null() {
        return None;
    }
    Some(documented.as_str().map_or_else(|| hex(&documented["hex"]), |text| text.as_bytes().to_vec()))
}

fn octets(ip: core::net::IpAddr) -> Value {
    let hex = match ip {
        core::net::IpAddr::V4(ip) => to_hex(&ip.octets()),
        core::net::IpAddr::V6(ip) => to_hex(&ip.octets()),
    };
    json!({ "hex": hex })
}

/// Decimal numbers are read to within the last bit; the bytes are compared besides.
fn assert_close(read: f64, documented: &Value) {
    let documented = documented.as_f64().expect("a number");
    assert!((read - documented).abs() <= 2.0 * f64::EPSILON * documented.abs(), "{read} is not {documented}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("hexadecimal text");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("a byte")).collect()
}
