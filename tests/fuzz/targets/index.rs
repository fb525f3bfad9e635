//! The index header: any bytes, and any text inside valid base64, against a plain reading of the JSON.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use understudy::index::{IndexDialect, IndexError, MAX_HEADER_BYTES, ParsedIndex, encode_openbao, parse};

fn check_round_trip(parsed: &ParsedIndex) {
    let encoded = encode_openbao(parsed.cluster(), parsed.value());
    if let Ok(again) = parse(encoded.as_bytes()) {
        assert_eq!((again.cluster(), again.value()), (parsed.cluster(), parsed.value()));
    } else {
        // Escaping may make a strange cluster id longer than a header may be.
        assert!(encoded.len() > MAX_HEADER_BYTES);
    }
}

fn check_against_plain_reading(text: &[u8], parsed: &ParsedIndex) {
    match parsed.dialect() {
        IndexDialect::OpenBao => {
            // Keys that are skipped may hold what a `Value` cannot (1e999, half a surrogate pair).
            let Ok(json) = serde_json::from_slice::<serde_json::Value>(text) else { return };
            assert_eq!(json["cluster"], parsed.cluster());
            assert_eq!(json["value"].as_str().and_then(|value| value.parse().ok()), Some(parsed.value()));
        }
        IndexDialect::Vault => {
            let text = std::str::from_utf8(text).expect("was text");
            let fields: Vec<&str> = text.split(':').collect();
            assert_eq!((fields.len(), fields[0], fields[1]), (5, "v1", parsed.cluster()));
            assert_eq!(fields[2].parse(), Ok(parsed.value()));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(parsed) = parse(data) {
        check_round_trip(&parsed);
    }
    let wrapped = STANDARD.encode(data);
    match parse(wrapped.as_bytes()) {
        Ok(parsed) => {
            check_round_trip(&parsed);
            check_against_plain_reading(data, &parsed);
        }
        Err(error) => assert_ne!(error, IndexError::NotBase64),
    }
});
