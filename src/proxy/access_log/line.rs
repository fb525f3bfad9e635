//! One record as one line of JSON, written by hand: no allocation once the buffer has grown.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::proxy::LoggedPaths;
use crate::proxy::metrics::label::Label as _;

use super::record::AccessRecord;

/// `2026-11-22T21:42:31` of the last line: the calendar is computed once a second.
#[derive(Debug, Default)]
pub(super) struct SecondText {
    unix_s: Option<u64>,
    text: String,
}

impl SecondText {
    fn of(&mut self, unix_s: u64) -> &str {
        if self.unix_s != Some(unix_s) {
            self.unix_s = Some(unix_s);
            self.text = calendar(unix_s);
        }
        &self.text
    }
}

/// Seconds since the epoch as a date and time without zone; the epoch for a clock beyond the year 9999.
fn calendar(unix_s: u64) -> String {
    let moment = i64::try_from(unix_s).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    let text = moment.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(&Rfc3339).unwrap_or_default();
    text.trim_end_matches('Z').to_owned()
}

/// Appends the record and a line feed.
pub(super) fn write(
    out: &mut Vec<u8>,
    second: &mut SecondText,
    paths: LoggedPaths,
    record: &AccessRecord<'_>,
) {
    out.extend_from_slice(b"{\"time\":\"");
    moment(out, second, record.time_unix_ms);
    out.push(b'"');
    text(out, "request_id", record.request_id);
    text(out, "listener", record.listener);
    if let Some(client) = record.client {
        address(out, client);
    }
    text(out, "method", record.method);
    path(out, paths, record);
    decision(out, record);
    effort(out, record);
    out.extend_from_slice(b"}\n");
}

fn moment(out: &mut Vec<u8>, second: &mut SecondText, unix_ms: u64) {
    out.extend_from_slice(second.of(unix_ms / 1000).as_bytes());
    let millis = unix_ms % 1000;
    out.push(b'.');
    for digit in [millis / 100, millis / 10 % 10, millis % 10] {
        out.push(b'0' + digit as u8);
    }
    out.push(b'Z');
}

fn path(out: &mut Vec<u8>, paths: LoggedPaths, record: &AccessRecord<'_>) {
    match paths {
        LoggedPaths::Template => text(out, "path", record.path.template),
        LoggedPaths::Mount => {
            if let Some(mount) = record.path.mount {
                text(out, "mount", mount);
            }
        }
        LoggedPaths::Full => {
            text(out, "path", record.path.full);
            text(out, "namespace", record.namespace);
        }
        LoggedPaths::None => {}
    }
}

fn decision(out: &mut Vec<u8>, record: &AccessRecord<'_>) {
    word(out, "class", record.class.word());
    word(out, "source", record.source.word());
    if let Some(server) = record.server {
        text(out, "server", server);
    }
    word(out, "role", record.role.word());
    text(out, "reason", record.reason);
    number(out, "status", record.status.into());
    if let Some(prediction) = record.prediction {
        word(out, "prediction", prediction.word());
    }
    if let Some(consistency) = record.consistency {
        word(out, "consistency", consistency.word());
    }
    if record.outcome_unknown {
        out.extend_from_slice(b",\"outcome_unknown\":true");
    }
}

fn effort(out: &mut Vec<u8>, record: &AccessRecord<'_>) {
    number(out, "bytes_in", record.bytes_in);
    number(out, "bytes_out", record.bytes_out);
    millis(out, "total_ms", record.total);
    millis(out, "upstream_ms", record.upstream);
    number(out, "retries", record.retries.into());
    if let Some(tls) = record.tls {
        word(out, "tls", tls);
    }
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A value of ours that needs no escaping.
fn word(out: &mut Vec<u8>, name: &str, value: &'static str) {
    key(out, name);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    out.push(b'"');
    escape(out, value);
    out.push(b'"');
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    digits(out, value);
}

fn digits(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Milliseconds with three decimals.
fn millis(out: &mut Vec<u8>, name: &str, value: Duration) {
    let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
    number(out, name, micros / 1000);
    let rest = micros % 1000;
    out.push(b'.');
    for digit in [rest / 100, rest / 10 % 10, rest % 10] {
        out.push(b'0' + digit as u8);
    }
}

fn address(out: &mut Vec<u8>, client: SocketAddr) {
    key(out, "client");
    out.push(b'"');
    match client.ip() {
        IpAddr::V4(ip) => dotted(out, ip.octets(), client.port()),
        // Rare enough for the formatter; writing to a `Vec` cannot fail.
        IpAddr::V6(ip) => drop(write!(out, "[{ip}]:{}", client.port())),
    }
    out.push(b'"');
}

fn dotted(out: &mut Vec<u8>, octets: [u8; 4], port: u16) {
    for (place, octet) in octets.into_iter().enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        digits(out, octet.into());
    }
    out.push(b':');
    digits(out, port.into());
}

/// JSON string escapes (RFC 8259 §7). Runs that need none are copied whole.
fn escape(out: &mut Vec<u8>, value: &str) {
    let mut rest = value.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f)) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((byte, tail)) = tail.split_first() {
            escape_byte(out, *byte);
            rest = tail;
        }
    }
    out.extend_from_slice(rest);
}

fn escape_byte(out: &mut Vec<u8>, byte: u8) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        other => {
            let (high, low) = (HEX[usize::from(other >> 4)], HEX[usize::from(other & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    }
}

#[cfg(test)]
pub(in crate::proxy::access_log) mod tests {
    use super::*;
    use crate::api::classify::{Class, Source};
    use crate::proxy::access_log::LoggedPath;
    use crate::proxy::metrics::label::{ConsistencyOutcome, PredictionOutcome, RoleLabel};
    use proptest::prelude::*;

    pub(in crate::proxy) fn record() -> AccessRecord<'static> {
        AccessRecord {
            time_unix_ms: 1_795_383_751_042,
            request_id: "0d1f",
            listener: "main",
            client: Some("192.0.2.7:51000".parse().unwrap()),
            method: "GET",
            path: LoggedPath {
                template: "secret/data/:x",
                mount: Some("secret/"),
                full: "secret/data/payroll",
            },
            namespace: "team-a",
            class: Class::Read,
            source: Source::Builtin,
            reason: "KV read",
            server: Some("n2"),
            role: RoleLabel::Standby,
            status: 200,
            bytes_in: 0,
            bytes_out: 512,
            total: Duration::from_micros(1_234),
            upstream: Duration::from_micros(1_034),
            retries: 0,
            prediction: Some(PredictionOutcome::Correct),
            consistency: Some(ConsistencyOutcome::Satisfied),
            outcome_unknown: false,
            tls: Some("TLSv1.3"),
        }
    }

    fn line(paths: LoggedPaths, record: &AccessRecord<'_>) -> String {
        let mut out = Vec::new();
        write(&mut out, &mut SecondText::default(), paths, record);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_this_json() {
        assert_eq!(
            line(LoggedPaths::Template, &record()),
            concat!(
                r#"{"time":"2026-11-22T21:42:31.042Z","request_id":"0d1f","listener":"main","#,
                r#""client":"192.0.2.7:51000","method":"GET","path":"secret/data/:x","class":"read","#,
                r#""source":"builtin","server":"n2","role":"standby","reason":"KV read","status":200,"#,
                r#""prediction":"correct","consistency":"satisfied","bytes_in":0,"bytes_out":512,"#,
                r#""total_ms":1.234,"upstream_ms":1.034,"retries":0,"tls":"TLSv1.3"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn only_full_names_the_secret_and_the_namespace() {
        for paths in [LoggedPaths::Template, LoggedPaths::Mount, LoggedPaths::None] {
            let line = line(paths, &record());
            assert!(!line.contains("payroll") && !line.contains("team-a"), "{paths:?}: {line}");
        }
        assert!(line(LoggedPaths::Mount, &record()).contains(r#""mount":"secret/""#));
        let full = line(LoggedPaths::Full, &record());
        assert!(full.contains(r#""path":"secret/data/payroll","namespace":"team-a""#));
    }

    #[test]
    fn what_is_unknown_is_absent() {
        let bare = AccessRecord {
            client: None,
            server: None,
            prediction: None,
            consistency: None,
            tls: None,
            outcome_unknown: true,
            ..record()
        };
        let parsed: serde_json::Value = serde_json::from_str(&line(LoggedPaths::None, &bare)).unwrap();
        for absent in ["client", "server", "prediction", "consistency", "tls", "path", "mount", "namespace"] {
            assert_eq!(parsed.get(absent), None, "{absent}");
        }
        assert_eq!(parsed.get("outcome_unknown"), Some(&serde_json::Value::Bool(true)));
    }

    #[test]
    fn ipv6_is_bracketed() {
        let six = AccessRecord { client: Some("[2001:db8::1]:80".parse().unwrap()), ..record() };
        assert!(line(LoggedPaths::None, &six).contains(r#""client":"[2001:db8::1]:80""#));
    }

    proptest! {
        #[test]
        fn any_text_survives_as_json(id in any::<String>(), path in any::<String>()) {
            let odd = AccessRecord {
                request_id: &id,
                path: LoggedPath { template: "", mount: None, full: &path },
                ..record()
            };
            let line = line(LoggedPaths::Full, &odd);
            prop_assert_eq!(line.matches('\n').count(), 1);
            let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(parsed.get("request_id").unwrap().as_str().unwrap(), id);
            prop_assert_eq!(parsed.get("path").unwrap().as_str().unwrap(), path);
        }
    }
}
