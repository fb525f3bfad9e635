//! The JSON envelope of an answer: the same ten keys in the same order, whatever the backend.

use serde::Serialize;
use zeroize::Zeroizing;

use super::response::{Body, Response};

/// The envelope without its values.
const FRAME_BYTES: usize = 256;

/// The envelope of `response`; a wrapped one shows nothing but its `wrap_info`, not even the request's id.
///
/// A body a backend has encoded itself is taken as the JSON it says it is: reading it again would cost more than all the
/// rest.
///
/// # Errors
/// A value cannot be JSON (a map with keys that are no text).
pub fn write(request_id: &str, response: &Response) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let wrapped = response.wrapped.is_some();
    let mut out = Zeroizing::new(Vec::with_capacity(FRAME_BYTES + body_len(&response.body)));
    out.push(b'{');
    if let (true, false, Body::Map(data)) = (response.injected, wrapped, &response.body) {
        for (key, value) in data {
            put(&mut out, "", key)?;
            put(&mut out, ":", value)?;
            out.push(b',');
        }
    }
    put(&mut out, "\"request_id\":", if wrapped { "" } else { request_id })?;
    put(&mut out, ",\"lease_id\":", &response.lease_id)?;
    put(&mut out, ",\"renewable\":", &response.lease_renewable)?;
    put(&mut out, ",\"lease_duration\":", &response.lease_duration_secs)?;
    match &response.body {
        Body::Map(data) if !wrapped => put(&mut out, ",\"data\":", data)?,
        Body::Encoded(bytes) if !wrapped => {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(bytes);
        }
        Body::None | Body::Map(_) | Body::Encoded(_) | Body::Raw(_) | Body::Stream(_) => {
            put(&mut out, ",\"data\":", &())?;
        }
    }
    put(&mut out, ",\"wrap_info\":", &response.wrapped)?;
    let warnings = (!response.warnings.is_empty()).then_some(&response.warnings);
    put(&mut out, ",\"warnings\":", &warnings)?;
    put(&mut out, ",\"auth\":", &response.granted)?;
    out.extend_from_slice(b"}\n");
    Ok(out)
}

fn body_len(body: &Body) -> usize {
    match body {
        Body::Encoded(bytes) => bytes.len(),
        Body::None | Body::Map(_) | Body::Raw(_) | Body::Stream(_) => 0,
    }
}

fn put(out: &mut Vec<u8>, before: &str, value: &(impl Serialize + ?Sized)) -> Result<(), serde_json::Error> {
    out.extend_from_slice(before.as_bytes());
    serde_json::to_writer(out, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(response: &Response) -> String {
        String::from_utf8(write("id", response).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn keys_come_in_the_wire_order() {
        let response = Response::json(json!({"b": 1, "a": 2})).with_warning("w");
        assert_eq!(
            text(&response),
            "{\"request_id\":\"id\",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0,\
             \"data\":{\"a\":2,\"b\":1},\"wrap_info\":null,\"warnings\":[\"w\"],\"auth\":null}\n"
        );
    }

    #[test]
    fn stored_json_is_handed_out_as_it_is() {
        let response =
            Response { body: Body::Encoded(Zeroizing::new(b"{\"x\": [1]}".to_vec())), ..Response::default() };
        assert!(text(&response).contains("\"data\":{\"x\": [1]},"));
    }
}
