//! The JSON envelope of an answer: the same ten keys in the same order, whatever the backend.

use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::response::{Body, Response};

/// The envelope of `response`; a wrapped one shows nothing but its `wrap_info`, not even the request's id.
///
/// # Errors
/// The body is not JSON: a backend's [`Body::Encoded`] was none.
pub fn write(request_id: &str, response: &Response) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(256 + body_len(&response.body));
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let mut map = serializer.serialize_map(None)?;
    let wrapped = response.wrapped.is_some();
    if let (true, false, Body::Map(data)) = (response.injected, wrapped, &response.body) {
        data.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
    }
    map.serialize_entry("request_id", if wrapped { "" } else { request_id })?;
    map.serialize_entry("lease_id", &response.lease_id)?;
    map.serialize_entry("renewable", &response.lease_renewable)?;
    map.serialize_entry("lease_duration", &response.lease_duration_secs)?;
    if wrapped {
        map.serialize_entry("data", &())?;
    } else {
        write_body(&mut map, &response.body)?;
    }
    map.serialize_entry("wrap_info", &response.wrapped)?;
    let warnings = (!response.warnings.is_empty()).then_some(&response.warnings);
    map.serialize_entry("warnings", &warnings)?;
    map.serialize_entry("auth", &response.granted)?;
    SerializeMap::end(map)?;
    bytes.push(b'\n');
    Ok(Zeroizing::new(bytes))
}

fn body_len(body: &Body) -> usize {
    match body {
        Body::Encoded(bytes) => bytes.len(),
        Body::None | Body::Map(_) | Body::Raw(_) | Body::Stream(_) => 0,
    }
}

fn write_body<M: SerializeMap<Error = serde_json::Error>>(
    map: &mut M,
    body: &Body,
) -> Result<(), serde_json::Error> {
    match body {
        Body::None | Body::Raw(_) | Body::Stream(_) => map.serialize_entry("data", &()),
        Body::Map(data) => map.serialize_entry("data", data),
        Body::Encoded(bytes) => map.serialize_entry("data", serde_json::from_slice::<&RawValue>(bytes)?),
    }
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
