//! The test cases published with `http_desync_guardian`, read from the dependency's own package, and its verdict
//! over the exact bytes we send.

use std::path::PathBuf;
use std::process::Command;

use granit_parser::{Event, Parser, ScalarStyle, StrInput};
use http_desync_guardian::RequestSafetyTier;
use http_desync_guardian::request_analyzer::HttpRequestData;
use serde::Deserialize;
use serde_json::Value;

/// One malformed or unusual request.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Request line and headers with the empty line.
    pub(crate) head: Vec<u8>,
}

#[derive(Deserialize)]
struct RawCase {
    name: String,
    uri: String,
    method: String,
    version: String,
    headers: Option<Vec<RawHeader>>,
}

#[derive(Deserialize)]
struct RawHeader {
    name: String,
    value: String,
}

const FILES: [&str; 9] = [
    "acceptable",
    "ambiguous",
    "bad-header-characters",
    "edge-cases",
    "more-compliant-tests",
    "real-life-test-cases",
    "rfc-compliant",
    "severe",
    "uri-specific-test-cases",
];

pub(crate) fn all() -> Vec<Case> {
    let folder = package_folder().join("tests");
    FILES.iter().flat_map(|file| read(&folder.join(format!("{file}.yaml")), file)).collect()
}

pub(crate) fn verdict(request: &[u8]) -> RequestSafetyTier {
    HttpRequestData::analyze_raw_request(request).tier
}

impl Case {
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value.trim_ascii())
    }
}

fn package_folder() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "http_desync_guardian").unwrap();
    PathBuf::from(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

fn read(path: &std::path::Path, file: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut parser = Parser::new_from_str(&text);
    let document = document(&mut parser);
    let cases: Vec<RawCase> = serde_json::from_value(document).unwrap();
    cases.into_iter().map(|case| build(case, file)).collect()
}

/// Every scalar as the text it was written as: `0100` and `1e3` are no numbers here.
fn document<'a>(parser: &mut Parser<'a, StrInput<'a>>) -> Value {
    loop {
        if let Some(value) = node(parser) {
            return value;
        }
    }
}

/// `None` at the end of a collection and for events that start no value.
fn node<'a>(parser: &mut Parser<'a, StrInput<'a>>) -> Option<Value> {
    let event = parser.next_event().unwrap().unwrap().0;
    if let Event::Scalar(text, style, ..) = event {
        let nothing = style == ScalarStyle::Plain && text == "~";
        return Some(if nothing { Value::Null } else { Value::String(text.into_owned()) });
    }
    if matches!(event, Event::SequenceStart(..)) {
        return Some(Value::Array(std::iter::from_fn(|| node(parser)).collect()));
    }
    matches!(event, Event::MappingStart(..)).then(|| {
        let mut map = serde_json::Map::new();
        while let Some(key) = node(parser) {
            map.insert(key.as_str().unwrap().to_owned(), node(parser).unwrap());
        }
        Value::Object(map)
    })
}

fn build(case: RawCase, file: &str) -> Case {
    let method = bytes(&case.method);
    let target = bytes(&case.uri);
    let mut headers: Vec<_> =
        case.headers.iter().flatten().map(|header| (bytes(&header.name), bytes(&header.value))).collect();
    if !headers.iter().any(|(name, _)| name.trim_ascii().eq_ignore_ascii_case(b"host")) {
        headers.insert(0, (b"Host".to_vec(), b"vault.example".to_vec()));
    }
    let mut head = [&method[..], b" ", &target, b" ", &bytes(&case.version), b"\r\n"].concat();
    for (name, value) in &headers {
        head.extend([name, &b":"[..], value, b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    Case { name: format!("{file}: {}", case.name), method, target, headers, head }
}

/// The files escape once more inside YAML's own escapes, and mean bytes.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            push(&mut bytes, char);
            continue;
        }
        match chars.next().unwrap() {
            'x' => {
                let digits: String = chars.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            other => push(&mut bytes, other),
        }
    }
    bytes
}

fn push(bytes: &mut Vec<u8>, char: char) {
    match u8::try_from(char) {
        Ok(byte) => bytes.push(byte),
        Err(_) => bytes.extend(char.to_string().as_bytes()),
    }
}
