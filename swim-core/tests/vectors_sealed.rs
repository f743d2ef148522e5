//! Captured and computed bytes of labels, seals, checksums and compression: they open to what is documented, and
//! wrapping that again with the captured nonce gives the same bytes.

#![cfg(all(feature = "encryption", feature = "compression"))]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use serde_json::Value;
use swim_core::wire::Config;
use swim_core::wire::cipher::SealVersion;
use swim_core::wire::codec::Codec;
use swim_core::wire::envelope::Envelope;
use swim_core::wire::framing::{FrameReader, Side, frame_with_nonce};
use swim_core::wire::keyring::Key;
use swim_core::wire::label::Label;
use swim_core::wire::message::StreamMessage;

/// What real peers sent, each whole.
const CAPTURES: [&str; 3] = [
    include_str!("vectors/compressed.json"),
    include_str!("vectors/encrypted.json"),
    include_str!("vectors/newest-labels-and-v0.json"),
];

struct Capture {
    name: String,
    config: Config,
    layers: Vec<String>,
    bytes: Vec<u8>,
    decoded: Value,
}

impl Capture {
    fn all(transport: &str) -> Vec<Self> {
        let files = CAPTURES.iter().flat_map(|file| serde_json::from_str::<Vec<Value>>(file).unwrap());
        files.filter(|vector| vector["transport"] == transport).map(|vector| Self::new(&vector)).collect()
    }

    fn new(vector: &Value) -> Self {
        let layers: Vec<String> = vector["layers_outermost_first"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| text(layer).to_owned())
            .filter(|layer| layer != "(none)")
            .collect();
        let mut config = config(&vector["config"]["key_hex"], &vector["config"]["label"]);
        config.compression = vector["config"]["compression"].as_bool().unwrap();
        if layers.iter().any(|layer| layer == "encrypted(v0)") {
            config.seal_version = SealVersion::V0;
        }
        let (name, bytes) = (text(&vector["name"]).to_owned(), hex(text(&vector["hex"])));
        Self { name, config, layers, bytes, decoded: vector["decoded"].clone() }
    }

    fn has(&self, layer: &str) -> bool {
        self.layers.iter().any(|l| l.starts_with(layer))
    }

    /// The nonce that the sender drew, if it sealed.
    fn nonce(&self, in_front: usize) -> [u8; 24] {
        let label_len = if self.has("label") { self.config.label.header_len() } else { 0 };
        let mut nonce = [0; 24];
        if self.has("encrypted") {
            nonce[..12].copy_from_slice(&self.bytes[label_len + in_front..][..12]);
        }
        nonce
    }
}

#[test]
fn captured_datagrams() {
    let captures = Capture::all("udp");
    assert_eq!(captures.len(), 32);
    for capture in captures {
        let name = &capture.name;
        let mut envelope = Envelope::new(capture.config.clone()).unwrap();
        let messages = open(&mut envelope, &capture.bytes);
        let documented: Vec<_> = capture
            .decoded
            .as_array()
            .unwrap()
            .iter()
            .map(|message| {
                let kind = message["type_byte"].as_u64().unwrap().try_into().unwrap();
                [vec![kind], hex(text(&message["body_hex"]))].concat()
            })
            .collect();
        assert_eq!(messages, documented, "{name}");
        for message in &messages {
            Codec::Serf.decode(message[0], &message[1..]).unwrap();
        }
        let again = wrap(&mut envelope, &messages, capture.has("crc"), &capture.nonce(1));
        assert_eq!(again, capture.bytes, "{name}");
        for byte in 0..capture.bytes.len() {
            assert_one_flipped_bit(&mut envelope, &capture, byte);
        }
    }
}

fn assert_one_flipped_bit(envelope: &mut Envelope, capture: &Capture, byte: usize) {
    let label_len = capture.config.label.header_len();
    // The version byte of a seal is not authenticated, and without seal and checksum nothing is.
    if byte >= label_len && (byte == label_len || !(capture.has("encrypted"))) {
        return;
    }
    let mut bad = capture.bytes.clone();
    bad[byte] ^= 0x10;
    assert!(envelope.open(&mut bad, &mut |_| panic!("handed out")).is_err(), "{} {byte}", capture.name);
}

#[test]
fn captured_streams() {
    let captures = Capture::all("tcp");
    assert_eq!(captures.len(), 36);
    for capture in captures {
        let name = &capture.name;
        let side = if name.contains("reply") { Side::Acceptor } else { Side::Dialler };
        assert_eq!(capture.has("label"), side == Side::Dialler && !capture.config.label.is_empty(), "{name}");
        let envelope = Envelope::new(capture.config.clone()).unwrap();
        let plain = FrameReader::new(side).push(&envelope, &capture.bytes).unwrap().expect("the message is whole");
        let mut by_the_byte = FrameReader::new(side);
        let (last, init) = capture.bytes.split_last().unwrap();
        for byte in init {
            assert_eq!(by_the_byte.push(&envelope, &[*byte]), Ok(None), "{name}");
        }
        assert_eq!(by_the_byte.push(&envelope, &[*last]), Ok(Some(plain.clone())), "{name}");

        let decoded = &capture.decoded;
        assert_eq!(u64::from(plain[0]), decoded["type_byte"].as_u64().unwrap(), "{name}");
        match Codec::Serf.decode_stream(&plain).unwrap() {
            StreamMessage::PushPull(state) => {
                assert_eq!(state.entries.len() as u64, decoded["header"]["Nodes"].as_u64().unwrap(), "{name}");
                // Long ones stand there abbreviated.
                let documented = text(&decoded["user_state_hex"]).split("...").next().unwrap();
                assert!(state.user_state.starts_with(&hex(documented)), "{name}");
                assert_eq!(
                    state.user_state.len() as u64,
                    decoded["header"]["UserStateLen"].as_u64().unwrap(),
                    "{name}"
                );
            }
            StreamMessage::User(payload) => assert_eq!(payload, hex(text(&decoded["payload"]["hex"])), "{name}"),
            StreamMessage::Ping(_) | StreamMessage::Ack(_) | StreamMessage::Error(_) => {
                assert_eq!(plain[1..], hex(text(&decoded["body_hex"])), "{name}");
            }
        }
        let again = frame_with_nonce(&envelope, side, plain.clone(), &capture.nonce(6));
        if name == "tcp_pushpull_reply_compressed_large" {
            // Long enough for a clear code in the middle, which our compressor writes a little later than Go's.
            assert_eq!(FrameReader::new(side).push(&envelope, &again), Ok(Some(plain)), "{name}");
        } else {
            assert_eq!(again, capture.bytes, "{name}");
        }
    }
}

#[test]
fn known_answers_of_the_ciphers() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("vectors/crypto-known-answers.json")).unwrap();
    assert_eq!(vectors.len(), 24);
    for vector in vectors {
        let mut config = config(&vector["key_hex"], &vector["label"]);
        config.seal_version = if vector["encryption_version"] == 0 { SealVersion::V0 } else { SealVersion::V1 };
        let mut envelope = Envelope::new(config).unwrap();
        let plain = hex(text(&vector["plaintext_hex"]));
        let mut nonce = [0; 24];
        nonce[..12].copy_from_slice(&hex(text(&vector["nonce_hex"])));
        if vector["kind"] == "udp payload" {
            let packet = hex(text(&vector["packet_hex"]));
            assert_eq!(wrap(&mut envelope, core::slice::from_ref(&plain), false, &nonce), packet);
            assert_eq!(open(&mut envelope, &packet), [plain]);
        } else {
            let message = hex(text(&vector["message_hex_without_label_header"]));
            assert_eq!(frame_with_nonce(&envelope, Side::Acceptor, plain.clone(), &nonce), message);
            assert_eq!(FrameReader::new(Side::Acceptor).push(&envelope, &message), Ok(Some(plain)));
        }
    }
}

#[test]
fn compounds_checksum_and_label() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("vectors/framing.json")).unwrap();
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        let name = text(&vector["name"]);
        let label = if name.starts_with("label") { "blue".into() } else { Value::Null };
        let mut envelope = Envelope::new(config(&Value::Null, &label)).unwrap();
        let documented: Vec<_> = vector["parts_hex"].as_array().unwrap().iter().map(|part| hex(text(part))).collect();
        let bytes = hex(text(&vector["hex"]));
        if name.starts_with("truncated") {
            let (mut good, mut bad) = (Vec::new(), 0);
            let opened = envelope.open(&mut bytes.clone(), &mut |part| match part {
                Ok((kind, body)) => good.push([&[kind], body].concat()),
                Err(_) => bad += 1,
            });
            assert_eq!((opened, good, bad), (Ok(()), documented, 1));
        } else {
            assert_eq!(open(&mut envelope, &bytes), documented, "{name}");
            assert_eq!(wrap(&mut envelope, &documented, name.starts_with("crc"), &[0; 24]), bytes, "{name}");
        }
    }
}

/// The decoder of the specification reads what Go's compressor writes and what ours does. They are the same until the
/// table is full, which Go avoids by clearing it a little earlier than it must.
#[test]
fn lzw_of_the_go_standard_library() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/lzw.json")).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let name = text(&case["Name"]);
        let plain = if name.starts_with("lcg-") {
            noise(case["PlainLen"].as_u64().unwrap().try_into().unwrap())
        } else {
            hex(text(&case["PlainHex"]))
        };
        let packed = pack(&plain);
        assert_eq!(strict_lzw(&packed), plain, "{name}");
        if plain.len() < 3837 {
            assert_eq!(packed.len() as u64, case["CompressedLen"].as_u64().unwrap(), "{name}");
        }
        let documented = hex(text(&case["CompressedHex"]));
        if documented.is_empty() {
            continue;
        }
        assert_eq!(strict_lzw(&documented), plain, "{name}");
        assert_eq!(packed, documented, "{name}");
        // In a datagram, where anything may stand inside but nothing.
        let mut message = b"\x09\x82\xa4Algo\x00\xa3Buf\xda".to_vec();
        message.extend_from_slice(&u16::try_from(documented.len()).unwrap().to_be_bytes());
        message.extend_from_slice(&documented);
        let mut envelope = Envelope::new(config(&Value::Null, &Value::Null)).unwrap();
        if !matches!(plain.first(), None | Some(7 | 9)) {
            assert_eq!(open(&mut envelope, &message), [plain], "{name}");
        }
    }
}

/// Every width change and both sides of a full table, with whatever the strict decoder demands.
#[test]
fn lzw_of_any_length() {
    for len in (0..1200).step_by(7).chain(3800..3880).chain([7_676, 7_677, 20_000, 100_000]) {
        let noise = noise(len);
        assert_eq!(strict_lzw(&pack(&noise)), noise, "{len}");
        let run = vec![b'a'; len];
        assert_eq!(strict_lzw(&pack(&run)), run, "{len}");
    }
}

fn config(key: &Value, label: &Value) -> Config {
    let mut config = Config { compression: false, ..Config::serf() };
    if let Some(key) = key.as_str() {
        config.keyring.add(Key::new(&hex(key)).unwrap()).unwrap();
    }
    if let Some(label) = label.as_str() {
        config.label = Label::from(label);
    }
    config
}

fn open(envelope: &mut Envelope, datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    envelope
        .open(&mut datagram.to_vec(), &mut |part| {
            let (kind, body) = part.unwrap();
            messages.push([&[kind], body].concat());
        })
        .unwrap();
    messages
}

fn wrap(envelope: &mut Envelope, messages: &[Vec<u8>], checksum: bool, nonce: &[u8; 24]) -> Vec<u8> {
    let mut datagram = Vec::new();
    let mut packet = envelope.begin(&mut datagram, checksum);
    for message in messages {
        packet.push_bytes(message);
    }
    packet.finish_with_nonce(nonce);
    datagram
}

/// What our compressor makes of some bytes, taken out of its stream message.
fn pack(plain: &[u8]) -> Vec<u8> {
    let mut config = config(&Value::Null, &Value::Null);
    config.compression = true;
    let envelope = Envelope::new(config).unwrap();
    let framed = frame_with_nonce(&envelope, Side::Dialler, plain.to_vec(), &[0; 24]);
    let rest = framed.strip_prefix(b"\x09\x82\xa4Algo\x00\xa3Buf").unwrap();
    let head = match rest[0] {
        0xa0..=0xbf => 1,
        0xda => 3,
        0xdb => 5,
        other => panic!("{other:x} is not of the raw family"),
    };
    rest[head..].to_vec()
}

/// The decoder of the specification, which takes nothing that it does not allow.
fn strict_lzw(packed: &[u8]) -> Vec<u8> {
    const CLEAR: usize = 256;
    const END: usize = 257;
    let (mut bits, mut out, mut table) = (0, Vec::new(), Vec::<Vec<u8>>::new());
    let (mut codes, mut previous) = (0, Vec::<u8>::new());
    let mut first = true;
    loop {
        let width = match codes {
            0..=254 => 9,
            255..=766 => 10,
            767..=1790 => 11,
            _ => 12,
        };
        let code = (0..width).fold(0, |code, bit| {
            let at = bits + bit;
            let byte = packed.get(at / 8).expect("the end code comes before the end of the data");
            code | usize::from(byte >> (at % 8) & 1) << bit
        });
        bits += width;
        assert!(!first || code == CLEAR, "a clear code comes first");
        first = false;
        match code {
            CLEAR => {
                table.clear();
                previous.clear();
                codes = 0;
                continue;
            }
            END => break,
            _ => {}
        }
        codes += 1;
        let text = match code.checked_sub(258) {
            None => vec![u8::try_from(code).unwrap()],
            Some(entry) if entry < table.len() => table[entry].clone(),
            Some(entry) => {
                assert!(entry == table.len() && codes > 1, "a code that is not assigned");
                [&previous[..], &previous[..1]].concat()
            }
        };
        if codes > 1 && table.len() < 4096 - 258 {
            table.push([&previous[..], &text[..1]].concat());
        }
        out.extend_from_slice(&text);
        previous = text;
    }
    assert_eq!(packed.len(), bits.div_ceil(8), "nothing stands behind the end code");
    if bits % 8 != 0 {
        assert_eq!(packed.last().unwrap() >> (bits % 8), 0, "the padding is zero");
    }
    out
}

/// The generator that `lzw.json` describes.
fn noise(len: usize) -> Vec<u8> {
    let step = |x: &u32| Some(x.wrapping_mul(1_103_515_245).wrapping_add(12345));
    core::iter::successors(Some(1), step).skip(1).take(len).map(|x| (x >> 16) as u8).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
