//! The canonical path against a second, slower reading of Go's rules, and everything that reads a canonical path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use understudy::api::classify::{self, Needs, Shape};
use understudy::api::mount;
use understudy::api::operation::Operation;
use understudy::api::template;
use understudy::path::{PathView, api_path, canonical};

/// What Go makes of it: refused, not clean, or this path.
#[derive(Debug, PartialEq)]
enum View {
    Refused,
    NotClean,
    Path(String),
}

/// Written from the rules, without a look at the code under test: split at `%`, decode, split at `/`, look.
fn go_view(raw: &str) -> View {
    let mut pieces = raw.split('%');
    let mut decoded = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits: Vec<char> = piece.chars().take(2).collect();
        if digits.len() != 2 || !digits.iter().all(char::is_ascii_hexdigit) {
            return View::Refused;
        }
        let text: String = digits.into_iter().collect();
        decoded.push(u8::from_str_radix(&text, 16).expect("two digits"));
        decoded.extend(piece.bytes().skip(2));
    }
    let lossy = String::from_utf8_lossy(&decoded).into_owned();
    let escaped = raw.contains('%');
    let is_text = std::str::from_utf8(&decoded).is_ok();
    let unprintable = |c: char| c.is_control() || (c != ' ' && c.is_whitespace());
    if is_text && lossy.chars().any(unprintable) || escaped && decoded.iter().any(u8::is_ascii_control) {
        return View::Refused;
    }
    let segments: Vec<&str> = lossy.split('/').collect();
    let rooted = segments.len() > 1 && segments[0].is_empty();
    let inner_empty = segments.iter().skip(1).rev().skip(1).any(|segment| segment.is_empty());
    let dots = segments.iter().any(|segment| *segment == "." || *segment == "..");
    if !is_text || !rooted || inner_empty || dots || raw.contains('?') || raw.contains('#') {
        return View::NotClean;
    }
    View::Path(lossy)
}

const OPERATIONS: [Operation; 10] = [
    Operation::Read,
    Operation::List,
    Operation::Scan,
    Operation::Write,
    Operation::Patch,
    Operation::Delete,
    Operation::Head,
    Operation::Help,
    Operation::Options,
    Operation::Other,
];

fn check_readers(path: &str) {
    let mut out = String::new();
    for operation in OPERATIONS {
        for mount in [None, mount::guess(path)] {
            let shape = Shape {
                mount_type: mount.map(|(_, kind)| kind),
                mount_len: mount.map_or(0, |(length, _)| length),
                ..Shape::plain(operation, path)
            };
            let verdict = classify::classify(&shape);
            let changes = matches!(operation, Operation::Patch | Operation::Delete);
            assert!(!(changes && verdict.needs == Needs::Standby), "{path:?} {operation:?}");
        }
        out.clear();
        template::render(path, operation, &mut out);
        assert!(out.len() <= template::MAX_TEMPLATE_BYTES, "{out:?}");
        assert!(out.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"/:-_.".contains(&b)), "{out:?}");
    }
}

fuzz_target!(|raw: &str| {
    let view = match canonical(raw) {
        PathView::Invalid(_) => View::Refused,
        PathView::Unclean(_) => View::NotClean,
        PathView::Clean(path) => View::Path(path.into_owned()),
    };
    assert_eq!(view, go_view(raw), "{raw:?}");
    if let View::Path(path) = &view {
        if let Some(path) = api_path(path) {
            check_readers(path);
        }
    }
});
