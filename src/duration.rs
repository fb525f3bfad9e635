//! Durations as Vault writes and reads them: whole seconds (`3600`) or Go's form with days (`1h30m`, `7d`, `250ms`).

use std::fmt::Write;
use std::time::Duration;

use thiserror::Error;

/// Not a duration, negative, or beyond what 64 bits of nanoseconds hold (292 years).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a duration: give seconds or a text such as \"30s\", \"12h\" or \"7d\"")]
pub struct DurationError;

/// Reads `text`.
///
/// # Errors
/// See [`DurationError`]. The empty text is none.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return bounded(Duration::from_secs(seconds));
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    if rest.is_empty() {
        return Err(DurationError);
    }
    while !rest.is_empty() {
        let (amount, unit, after) = next_part(rest).ok_or(DurationError)?;
        let nanos = amount * unit;
        let part = Duration::try_from_secs_f64(nanos / 1e9).map_err(|_| DurationError)?;
        total = total.checked_add(part).ok_or(DurationError)?;
        rest = after;
    }
    bounded(total)
}

fn bounded(duration: Duration) -> Result<Duration, DurationError> {
    const MAX: Duration = Duration::from_nanos(i64::MAX as u64);
    if duration <= MAX { Ok(duration) } else { Err(DurationError) }
}

/// A number, its unit in nanoseconds, and what follows.
fn next_part(text: &str) -> Option<(f64, f64, &str)> {
    const UNITS: &[(&str, f64)] = &[
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 60e9),
        ("h", 3600e9),
        ("d", 86400e9),
    ];
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at_checked(digits)?;
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, after) = rest.split_at_checked(unit_end)?;
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some((number.parse().ok()?, *nanos, after))
}

/// As Go prints it: `1h0m0s`, `1m30s`, `250ms`, `0s`.
#[must_use]
pub fn go_string(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return below_a_second(duration);
    }
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let mut text = String::new();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let written = match (hours, minutes) {
        (0, 0) => Ok(()),
        (0, _) => write!(text, "{minutes}m"),
        _ => write!(text, "{hours}h{minutes}m"),
    };
    written.expect("a String takes text");
    text.push_str(&decimal(u64::from(nanos) + seconds % 60 * 1_000_000_000, 1_000_000_000));
    text.push('s');
    text
}

fn below_a_second(duration: Duration) -> String {
    let nanos = u64::from(duration.subsec_nanos());
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => decimal(nanos, 1_000) + "µs",
        _ => decimal(nanos, 1_000_000) + "ms",
    }
}

/// `nanos / unit` with as many decimals as it has.
fn decimal(nanos: u64, unit: u64) -> String {
    let (whole, fraction) = (nanos / unit, nanos % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    format!("{whole}.{fraction:0width$}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for (text, millis) in [
            ("3600", 3_600_000),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("1d12h", 129_600_000),
            ("250ms", 250),
            ("1.5h", 5_400_000),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "h", "1x", "-5s", "1h-5m", "1e400s", "999999999999h", "5 s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prints_as_go() {
        for (millis, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1_500, "1.5s"),
            (90_000, "1m30s"),
            (3_600_000, "1h0m0s"),
            (2_764_800_000, "768h0m0s"),
        ] {
            assert_eq!(go_string(Duration::from_millis(millis)), text);
        }
        assert_eq!(go_string(Duration::from_nanos(1_500)), "1.5µs");
    }
}
