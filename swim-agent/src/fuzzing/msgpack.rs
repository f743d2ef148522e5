use crate::rpc::messages::{KeyReply, Member, RequestHeader, ResponseHeader};
use crate::rpc::msgpack::{Framer, Malformed, Value};

/// Takes the input for values of an RPC connection, whose first byte says in which pieces they arrive.
///
/// # Panics
///
/// When the pieces make a difference; when a value is longer than is allowed, or has another end than its beginning says;
/// when it does not come back from its own encoding.
pub fn msgpack(bytes: &[u8]) {
    let Some((cut, mut rest)) = bytes.split_first() else { return };
    let step = 1 + usize::from(*cut);
    let mut framer = Framer::new(LEN_MAX);
    while !rest.is_empty() {
        let whole = framer.advance(rest);
        assert_eq!(in_pieces(rest, step), whole, "of {rest:02x?}");
        let Ok(Some(len)) = whole else { return };
        assert!((1..=LEN_MAX.min(rest.len())).contains(&len), "{len} bytes");
        let (frame, after) = rest.split_at(len);
        rest = after;
        match Value::decode(frame) {
            Ok(value) => look(value),
            // The length is known without a look at how deep it goes.
            Err(error) => assert_eq!(error, Malformed::TooDeep, "framed as {frame:02x?}"),
        }
    }
}

fn in_pieces(bytes: &[u8], step: usize) -> Result<Option<usize>, Malformed> {
    let mut framer = Framer::new(LEN_MAX);
    for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
        let framed = framer.advance(&bytes[..end])?;
        if framed.is_some() {
            return Ok(framed);
        }
    }
    Ok(None)
}

fn look(value: Value) {
    let encode = |value: &Value| {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    };
    let said = encode(&value);
    // Floats that are no numbers are not equal to themselves, their bytes are.
    let heard = Value::decode(&said).map(|value| encode(&value));
    assert_eq!(heard.as_ref(), Ok(&said), "{value:?}");
    assert_eq!(Framer::new(usize::MAX).advance(&said), Ok(Some(said.len())), "{value:?}");
    if let Ok(header) = RequestHeader::decode(value.clone()) {
        let mut out = Vec::new();
        header.encode(&mut out);
        let back = Value::decode(&out).map(RequestHeader::decode);
        assert_eq!(back, Ok(Ok(header)));
    }
    if let Ok(header) = ResponseHeader::decode(value.clone()) {
        let mut out = Vec::new();
        header.encode(&mut out);
        let back = Value::decode(&out).map(ResponseHeader::decode);
        assert_eq!(back, Ok(Ok(header)));
    }
    if let Ok(reply) = KeyReply::decode(value.clone()) {
        assert_eq!(KeyReply::decode(reply.value()), Ok(reply));
    }
    let _ = Member::decode(value);
}

const LEN_MAX: usize = 2048;
