//! What a JSON body will cost when it is decoded, before it is: strings are counted and memory is estimated, so that a
//! small body cannot become a large tree. Text in, numbers out.

use crate::config::node::model::RequestLimits;

/// Bytes of a decoded value each, as the server estimates them (measured by what it refuses).
const NUMBER: u64 = 24;
/// `true`, `false`, `null`.
const WORD: u64 = 17;
const STRING: u64 = 32;
const LIST: u64 = 40;
const OBJECT: u64 = 88;
/// A body under this many bytes can reach neither of the default bounds: a string takes three bytes of it, `{},` too.
const ALWAYS_FINE: usize = 2048;

/// # Errors
/// The server's text of the 400.
pub(super) fn check(body: &[u8], limits: &RequestLimits) -> Result<(), &'static str> {
    if limits.json_strings.is_none() && limits.json_memory.is_none() {
        return Ok(());
    }
    let default_bounds = limits.json_strings.is_none_or(|most| most >= 1000)
        && limits.json_memory.is_none_or(|most| most >= 1 << 20);
    if default_bounds && body.len() < ALWAYS_FINE {
        return Ok(());
    }
    let cost = cost(body);
    if limits.json_strings.is_some_and(|most| cost.strings > most) {
        return Err("refused JSON input due to high complexity: exceeded maximum number of strings");
    }
    if limits.json_memory.is_some_and(|most| cost.memory > most) {
        return Err("refused JSON input due to high complexity: exceeded maximum estimated memory limits");
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    /// Keys are strings, too.
    strings: u64,
    memory: u64,
}

/// One pass; what is no JSON is counted somehow and refused by the decoder.
fn cost(body: &[u8]) -> Cost {
    let mut cost = Cost::default();
    let mut bytes = body.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        cost.memory += match byte {
            b'"' => {
                cost.strings += 1;
                STRING + string(&mut bytes)
            }
            b'[' => LIST,
            b'{' => OBJECT,
            b'-' | b'0'..=b'9' => {
                while bytes.next_if(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')).is_some()
                {
                }
                NUMBER
            }
            b'a'..=b'z' => {
                while bytes.next_if(u8::is_ascii_lowercase).is_some() {}
                WORD
            }
            _ => 0,
        };
    }
    cost
}

/// Bytes up to the closing quote, which is read.
fn string(bytes: &mut impl Iterator<Item = u8>) -> u64 {
    let mut length = 0;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => length += 1 + u64::from(bytes.next().is_some()),
            _ => length += 1,
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: RequestLimits = RequestLimits {
        size: Some(32 << 20),
        duration: None,
        json_memory: Some(34_078_720),
        json_strings: Some(1000),
    };

    #[test]
    fn values_cost_what_they_become() {
        for (text, strings, memory) in [
            ("", 0, 0),
            ("{}", 0, OBJECT),
            (r#"{"a":"b\"c"}"#, 2, OBJECT + STRING + 1 + STRING + 4),
            ("[1,-2.5e3,true,null]", 0, LIST + 2 * NUMBER + 2 * WORD),
            (r#"["12","{[true"]"#, 2, LIST + 2 * STRING + 2 + 6),
            (r#""open"#, 1, STRING + 4),
            (r#""\"#, 1, STRING + 1),
        ] {
            assert_eq!(cost(text.as_bytes()), Cost { strings, memory }, "{text}");
        }
    }

    /// What OpenBao 2.7.2 takes and refuses.
    #[test]
    fn the_bounds_are_the_servers() {
        let keys = |count: usize| {
            let keys: Vec<String> = (0..count).map(|key| format!("\"k{key}\":1")).collect();
            format!("{{\"data\":{{{}}}}}", keys.join(","))
        };
        let list = |value: &str, count: usize| format!("{{\"d\":[{}]}}", vec![value; count].join(","));
        let refused = |text: &str| check(text.as_bytes(), &DEFAULTS).is_err();
        assert!(!refused(&keys(999)) && refused(&keys(1000)));
        assert!(!refused(&list("1", 1_419_000)) && refused(&list("1", 1_420_500)));
        assert!(!refused(&list("[]", 851_000)) && refused(&list("[]", 852_500)));
        assert!(!refused(&list("{}", 387_000)) && refused(&list("{}", 388_000)));
    }

    #[test]
    fn a_bound_may_be_lifted_or_small() {
        let none = RequestLimits { json_memory: None, json_strings: None, ..DEFAULTS };
        assert_eq!(check("\"\",".repeat(5000).as_bytes(), &none), Ok(()));
        let small = RequestLimits { json_strings: Some(1), ..DEFAULTS };
        assert!(check(br#"{"a":"b"}"#, &small).is_err());
    }
}
