//! The path of a request as the server behind us will see it.
//!
//! Go's `net/http` decodes `%xx` once and hands the decoded path to the handlers, so `%2F` is a `/` and `sys%2Fseal`
//! is `sys/seal`; the Vault family refuses unprintable characters with 400 and redirects or refuses unclean paths.
//! Routing by any other reading than Go's is how a deny rule gets walked around. This file only *reads* the path:
//! what is sent on is always the client's own bytes, and what an unclean path means is decided by the caller.

use std::borrow::Cow;

use thiserror::Error;

/// What `raw_path` means to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathView<'a> {
    /// The once-decoded path, from the leading `/` on. Borrowed unless something was escaped.
    Clean(Cow<'a, str>),
    /// Legal to send, but servers differ in what they make of it: never predicted, never matched by an allow rule.
    Unclean(Unclean),
    /// No server of this API answers it with anything but 400.
    Invalid(InvalidPath),
}

/// Why a path is not predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Unclean {
    #[error("the path is empty")]
    Empty,
    #[error("the path does not begin with a slash")]
    NotRooted,
    #[error("the path has an empty segment (`//`)")]
    EmptySegment,
    #[error("the path has a `.` or `..` segment")]
    DotSegment,
    #[error("the path is not UTF-8 once decoded")]
    NotUtf8,
    /// A bare `?` or `#`: parsers disagree where the path ends.
    #[error("the path contains a bare `?` or `#`")]
    Delimiter,
}

/// Why a path is refused with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum InvalidPath {
    #[error("the path has a `%` that is not followed by two hexadecimal digits")]
    BadEscape,
    #[error("the path contains a control or other unprintable character")]
    Unprintable,
}

/// The server's view of `raw_path`, which is the path as it stands on the request line (without the query).
///
/// Does not allocate unless the path contains a `%`. Invalid wins over unclean, so that a path which is both
/// gets the 400 it would get from the server.
#[must_use]
pub fn canonical(raw_path: &str) -> PathView<'_> {
    if is_plain(raw_path.as_bytes()) {
        return PathView::Clean(Cow::Borrowed(raw_path));
    }
    let decoded = match decode(raw_path) {
        Ok(Decoded::Text(decoded)) => decoded,
        Ok(Decoded::NotUtf8) => return PathView::Unclean(Unclean::NotUtf8),
        Err(invalid) => return PathView::Invalid(invalid),
    };
    if has_unprintable(&decoded) {
        return PathView::Invalid(InvalidPath::Unprintable);
    }
    if raw_path.contains(['?', '#']) {
        return PathView::Unclean(Unclean::Delimiter);
    }
    match uncleanness(decoded.as_bytes()) {
        Some(unclean) => PathView::Unclean(unclean),
        None => PathView::Clean(decoded),
    }
}

/// The part of a canonical path that `api::classify`, rules and templates speak of: what follows `/v1/`.
/// `None` for anything outside the API (`/ui/`, `/.well-known/…`).
#[must_use]
pub fn api_path(canonical: &str) -> Option<&str> {
    canonical.strip_prefix("/v1/")
}

/// One pass that knows nearly every real path to be clean as it stands; what it does not know is looked at closely.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in path {
        let is_printable = (b' '..0x7f).contains(&byte) && !matches!(byte, b'%' | b'?' | b'#');
        let after_slash = previous == b'/';
        if !is_printable || (after_slash && matches!(byte, b'/' | b'.')) {
            return false;
        }
        previous = byte;
    }
    path.first() == Some(&b'/')
}

enum Decoded<'a> {
    Text(Cow<'a, str>),
    NotUtf8,
}

fn decode(raw_path: &str) -> Result<Decoded<'_>, InvalidPath> {
    if !raw_path.as_bytes().contains(&b'%') {
        return Ok(Decoded::Text(Cow::Borrowed(raw_path)));
    }
    let bytes = unescape(raw_path.as_bytes())?;
    // A control byte is refused whatever stands around it.
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(InvalidPath::Unprintable);
    }
    Ok(String::from_utf8(bytes).map_or(Decoded::NotUtf8, |text| Decoded::Text(Cow::Owned(text))))
}

/// One pass of `%xx` → byte. `+` stays `+`: it means a space in a query, never in a path.
fn unescape(raw: &[u8]) -> Result<Vec<u8>, InvalidPath> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            out.push(byte);
            rest = after;
            continue;
        }
        let [high, low, after @ ..] = after else { return Err(InvalidPath::BadEscape) };
        let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low)) else {
            return Err(InvalidPath::BadEscape);
        };
        out.push(high << 4 | low);
        rest = after;
    }
    Ok(out)
}

/// Value of one hexadecimal digit, either case.
pub(crate) fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The server refuses what Go's `unicode.IsPrint` does not print. Controls and the spaces other than U+0020 are
/// told here; rarer unprintables (format characters, unassigned code points) are left to the server's own check,
/// which costs a hop and nothing else.
fn has_unprintable(path: &str) -> bool {
    if path.is_ascii() {
        return path.bytes().any(|byte| byte.is_ascii_control());
    }
    path.chars().any(|c| c.is_control() || (c.is_whitespace() && c != ' '))
}

/// One pass over the decoded bytes. `/` and `.` are ASCII, so no byte of a longer character can be taken for them.
fn uncleanness(path: &[u8]) -> Option<Unclean> {
    match path.first() {
        None => return Some(Unclean::Empty),
        Some(b'/') => {}
        Some(_) => return Some(Unclean::NotRooted),
    }
    // Length of the current segment, and whether only dots were seen in it.
    let mut length = 0_usize;
    let mut only_dots = true;
    for &byte in path.get(1..).unwrap_or_default() {
        if byte != b'/' {
            length += 1;
            only_dots &= byte == b'.';
            continue;
        }
        if length == 0 {
            return Some(Unclean::EmptySegment);
        }
        if is_dot_segment(length, only_dots) {
            return Some(Unclean::DotSegment);
        }
        (length, only_dots) = (0, true);
    }
    is_dot_segment(length, only_dots).then_some(Unclean::DotSegment)
}

fn is_dot_segment(length: usize, only_dots: bool) -> bool {
    only_dots && (length == 1 || length == 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clean(path: &str) -> PathView<'_> {
        PathView::Clean(Cow::Borrowed(path))
    }

    #[test]
    fn the_path_is_what_go_hands_to_its_handlers() {
        use InvalidPath::{BadEscape, Unprintable};
        use PathView::{Invalid, Unclean as U};
        let table = [
            // proxies.md F9: decoded once, `%2F` is a slash.
            ("/v1/sys/mounts", clean("/v1/sys/mounts")),
            ("/v1/secret%2Fdata/x", clean("/v1/secret/data/x")),
            ("/v1/sys%2fseal", clean("/v1/sys/seal")),
            ("/%76%31/sys/seal", clean("/v1/sys/seal")),
            ("/v1/secret/a%20b", clean("/v1/secret/a b")),
            ("/v1/secret/%E2%82%AC", clean("/v1/secret/€")),
            ("/v1/secret/€", clean("/v1/secret/€")),
            // Once, not twice.
            ("/v1/secret/%252F", clean("/v1/secret/%2F")),
            ("/v1/secret/%252e%252e/x", clean("/v1/secret/%2e%2e/x")),
            // `+` is a plus, an escaped `?` or `#` belongs to the path.
            ("/v1/secret/a+b", clean("/v1/secret/a+b")),
            ("/v1/secret/a%3Fb%23c", clean("/v1/secret/a?b#c")),
            ("/v1/secret/a\\b", clean("/v1/secret/a\\b")),
            ("/v1/secret/;x=1", clean("/v1/secret/;x=1")),
            // A trailing slash is clean (LIST), dots inside a name are names.
            ("/v1/secret/", clean("/v1/secret/")),
            ("/", clean("/")),
            ("/v1/secret/...", clean("/v1/secret/...")),
            ("/v1/secret/..a", clean("/v1/secret/..a")),
            ("/v1/.well-known/x", clean("/v1/.well-known/x")),
            // vault-semantics §10.4: `//`, `..` → 307 relative; newer: `.`/`..` 400. Never predicted.
            ("", U(Unclean::Empty)),
            ("*", U(Unclean::NotRooted)),
            ("v1/sys/seal", U(Unclean::NotRooted)),
            ("//v1/sys/seal", U(Unclean::EmptySegment)),
            ("/v1//sys/seal", U(Unclean::EmptySegment)),
            ("/v1/sys%2F%2Fseal", U(Unclean::EmptySegment)),
            ("/v1/secret//", U(Unclean::EmptySegment)),
            ("/v1/x/../sys/seal", U(Unclean::DotSegment)),
            ("/v1/x/%2e%2E/sys/seal", U(Unclean::DotSegment)),
            ("/v1/x/.%2e/sys/seal", U(Unclean::DotSegment)),
            ("/v1/./sys/seal", U(Unclean::DotSegment)),
            ("/v1/secret/.", U(Unclean::DotSegment)),
            ("/v1/secret/..", U(Unclean::DotSegment)),
            ("/v1/secret/%ff", U(Unclean::NotUtf8)),
            ("/v1/secret/%C0%AF", U(Unclean::NotUtf8)),
            ("/v1/sys/seal#x", U(Unclean::Delimiter)),
            ("/v1/sys/seal?x", U(Unclean::Delimiter)),
            // §10.4: control characters → 400 empty body; Go's URL parser refuses bad escapes.
            ("/v1/secret/%00", Invalid(Unprintable)),
            ("/v1/secret/%0d%0aX", Invalid(Unprintable)),
            ("/v1/secret/%7f", Invalid(Unprintable)),
            ("/v1/secret/\u{1}", Invalid(Unprintable)),
            ("/v1/secret/%C2%85", Invalid(Unprintable)),
            ("/v1/secret/\u{a0}", Invalid(Unprintable)),
            ("/v1/secret/%", Invalid(BadEscape)),
            ("/v1/secret/%2", Invalid(BadEscape)),
            ("/v1/secret/%zz", Invalid(BadEscape)),
            ("/v1/secret/%%41", Invalid(BadEscape)),
            // Invalid wins over unclean.
            ("/v1//%zz", Invalid(BadEscape)),
            ("/v1/../%00", Invalid(Unprintable)),
            ("/v1/%ff%00", Invalid(Unprintable)),
        ];
        for (raw, want) in table {
            assert_eq!(canonical(raw), want, "{raw:?}");
        }
    }

    #[test]
    fn nothing_is_allocated_without_an_escape() {
        assert!(matches!(canonical("/v1/secret/data/x"), PathView::Clean(Cow::Borrowed(_))));
    }

    #[test]
    fn the_api_part_follows_the_version() {
        assert_eq!(api_path("/v1/sys/mounts"), Some("sys/mounts"));
        assert_eq!(api_path("/v1/"), Some(""));
        assert_eq!(api_path("/v1"), None);
        assert_eq!(api_path("/ui/"), None);
    }

    /// Percent-encodes every byte for which the matching choice is true.
    fn escape_some(path: &str, choices: &[bool]) -> String {
        let mut out = String::new();
        let mut utf8 = [0; 4];
        for (at, c) in path.chars().enumerate() {
            let escape =
                choices.get(at % choices.len().max(1)).copied().unwrap_or(false) || "%?#".contains(c);
            if escape {
                c.encode_utf8(&mut utf8).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
            } else {
                out.push(c);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn escaping_any_characters_never_changes_the_view(
            segments in proptest::collection::vec("[a-z0-9 %?#+€.-]{1,6}", 1..6),
            choices in proptest::collection::vec(any::<bool>(), 1..20),
        ) {
            let path = format!("/{}", segments.join("/"));
            let dots = segments.iter().any(|s| s == "." || s == "..");
            match canonical(&escape_some(&path, &choices)) {
                PathView::Clean(view) => { prop_assert!(!dots); prop_assert_eq!(view.as_ref(), path); }
                PathView::Unclean(why) => { prop_assert!(dots); prop_assert_eq!(why, Unclean::DotSegment); }
                PathView::Invalid(why) => prop_assert!(false, "{}", why),
            }
        }

        #[test]
        fn a_clean_path_has_no_surprises(raw in "[/.%a-fA-F0-9\\x00-\\x20é]{0,24}") {
            if let PathView::Clean(path) = canonical(&raw) {
                prop_assert!(path.starts_with('/'));
                prop_assert!(!path.contains("//"));
                prop_assert!(path.split('/').all(|s| s != "." && s != ".."));
                prop_assert!(!path.chars().any(char::is_control));
            }
        }
    }
}
