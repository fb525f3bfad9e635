//! W3C trace context: passed on when configured and well formed, dropped otherwise. We start no trace.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::name::Kind;
use super::survey::Survey;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What a participant must be able to pass on (Trace Context §3.3.1.5); longer is dropped, not cut.
const MAX_STATE_BYTES: usize = 512;

pub fn apply(headers: &mut HeaderMap, survey: &Survey, propagate: bool) {
    if !survey.has(Kind::Traceparent) && !survey.has(Kind::Tracestate) {
        return;
    }
    let parent = propagate && !survey.repeats(Kind::Traceparent) && has_valid_parent(headers);
    if !parent {
        headers.remove(TRACEPARENT);
    }
    if !parent || state_bytes(headers) > MAX_STATE_BYTES {
        headers.remove(TRACESTATE);
    }
}

fn has_valid_parent(headers: &HeaderMap) -> bool {
    headers.get(TRACEPARENT).is_some_and(|value| is_traceparent(value.as_bytes()))
}

fn state_bytes(headers: &HeaderMap) -> usize {
    headers.get_all(TRACESTATE).iter().map(HeaderValue::len).sum()
}

/// `version "-" trace-id "-" parent-id "-" flags`, lower-case hexadecimal, ids not all zero; a later version
/// than 00 may append `-` and more (Trace Context §3.2.2).
fn is_traceparent(value: &[u8]) -> bool {
    let Some((base, rest)) = value.split_at_checked(55) else { return false };
    let mut fields = base.split(|byte| *byte == b'-');
    let (Some(version), Some(trace), Some(parent), Some(flags), None) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return false;
    };
    let shaped = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    shaped && version != b"ff" && !all_zero(trace) && !all_zero(parent) && tail_fits(version, rest)
}

fn tail_fits(version: &[u8], rest: &[u8]) -> bool {
    rest.is_empty() || (version != b"00" && rest.starts_with(b"-"))
}

fn is_hex(field: &[u8], length: usize) -> bool {
    field.len() == length && field.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn all_zero(field: &[u8]) -> bool {
    field.iter().all(|byte| *byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparents() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let good = [
            format!("00-{trace}-b7ad6b7169203331-01"),
            format!("01-{trace}-b7ad6b7169203331-01"),
            format!("01-{trace}-b7ad6b7169203331-01-more"),
        ];
        let bad = [
            String::new(),
            format!("ff-{trace}-b7ad6b7169203331-01"),
            format!("00-{trace}-b7ad6b7169203331-01-more"),
            format!("01-{trace}-b7ad6b7169203331-01more"),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase()),
            format!("00_{trace}_b7ad6b7169203331_01"),
            format!("00-{trace}-b7ad6b7169203331"),
        ];
        for text in good {
            assert!(is_traceparent(text.as_bytes()), "{text}");
        }
        for text in bad {
            assert!(!is_traceparent(text.as_bytes()), "{text}");
        }
    }
}
