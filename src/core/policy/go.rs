//! Words and numbers as the server's language writes and reads them, for texts that clients compare.

use std::fmt::Write as _;

/// Nanoseconds of one unit.
const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// `%q`: in quotes, with escapes.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            c if c.is_ascii_control() => {
                write!(quoted, "\\x{:02x}", u32::from(c)).expect("a String takes text");
            }
            c if c.is_control() => write!(quoted, "\\u{:04x}", u32::from(c)).expect("a String takes text"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Several errors as one text.
pub(super) fn errors(errors: &[String]) -> String {
    let noun = if errors.len() == 1 { "error" } else { "errors" };
    let lines: String = errors.iter().map(|error| format!("\t* {error}\n")).collect();
    format!("{} {noun} occurred:\n{lines}\n", errors.len())
}

/// An integer in any of the language's bases: `10`, `0x10`, `010`, `0b1`, with `_` between digits.
///
/// # Errors
/// None of them, in the server's words.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    let invalid = || format!("strconv.ParseInt: parsing {}: invalid syntax", quote(text));
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") => (16, lower.get(2..).unwrap_or_default()),
        Some("0b") => (2, lower.get(2..).unwrap_or_default()),
        Some("0o") => (8, lower.get(2..).unwrap_or_default()),
        Some(_) if lower.starts_with('0') => (8, lower.get(1..).unwrap_or_default()),
        Some(_) | None => (10, lower.as_str()),
    };
    let digits = digits.replace('_', "");
    if digits.is_empty() || !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(invalid());
    }
    i64::from_str_radix(&format!("{sign}{digits}"), base).map_err(|_| invalid())
}

/// A duration in nanoseconds: whole seconds, whole days (`7d`), or parts (`1h30m`); may be negative, and empty is 0.
///
/// # Errors
/// None of them, in the server's words.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(seconds.saturating_mul(SECOND));
    }
    match text.strip_suffix('d') {
        Some(days) => {
            let days = days
                .parse::<i64>()
                .map_err(|_| format!("strconv.ParseInt: parsing {}: invalid syntax", quote(days)))?;
            Ok(days.saturating_mul(DAY))
        }
        None => parts(text),
    }
}

fn parts(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quote(text));
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let digits = rest.find(|c| !is_number(c)).unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(digits).ok_or_else(invalid)?;
        let amount: f64 = number.parse().map_err(|_| invalid())?;
        let unit_end = after.find(is_number).unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(unit_end).ok_or_else(invalid)?;
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quote(text)));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("time: unknown unit {} in duration {}", quote(unit), quote(text)));
        };
        nanos += amount * scale;
        rest = next;
    }
    bounded(sign * nanos).ok_or_else(invalid)
}

/// As nanoseconds, when they are in reach (292 years).
#[expect(clippy::cast_possible_truncation, reason = "checked to be within the range")]
fn bounded(nanos: f64) -> Option<i64> {
    (nanos.abs() < 9.2e18).then_some(nanos as i64)
}

/// A number of seconds with a fraction: the fraction does not count.
pub(super) fn seconds(number: f64) -> i64 {
    bounded(number.trunc() * 1e9).unwrap_or(if number < 0.0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_the_server_reads_them() {
        for (text, nanos) in [
            ("", Ok(0)),
            ("10", Ok(10 * SECOND)),
            ("-3", Ok(-3 * SECOND)),
            ("1h30m", Ok(5400 * SECOND)),
            ("1.5s", Ok(1_500_000_000)),
            ("1.s", Ok(SECOND)),
            ("-5s", Ok(-5 * SECOND)),
            ("+5s", Ok(5 * SECOND)),
            ("7d", Ok(7 * DAY)),
            ("bad", Err("strconv.ParseInt: parsing \"ba\": invalid syntax")),
            ("1.5", Err("time: missing unit in duration \"1.5\"")),
            ("1d12h", Err("time: unknown unit \"d\" in duration \"1d12h\"")),
            ("x", Err("time: invalid duration \"x\"")),
            (" 5s", Err("time: invalid duration \" 5s\"")),
            ("5 s", Err("time: unknown unit \" s\" in duration \"5 s\"")),
            (".", Err("time: invalid duration \".\"")),
            ("0x10", Err("time: unknown unit \"x\" in duration \"0x10\"")),
        ] {
            assert_eq!(duration(text), nanos.map_err(str::to_owned), "{text}");
        }
        assert_eq!((seconds(1.5), seconds(-0.5)), (SECOND, 0));
    }

    #[test]
    fn integers_may_have_a_base() {
        for (text, value) in [
            ("10", Some(10)),
            ("-4", Some(-4)),
            ("0x10", Some(16)),
            ("010", Some(8)),
            ("0", Some(0)),
            ("1.5", None),
        ] {
            assert_eq!(integer(text).ok(), value, "{text}");
        }
        assert_eq!(quote("\"\u{7}é\t\u{1}"), "\"\\\"\\aé\\t\\x01\"");
    }
}
