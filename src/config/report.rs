//! Collects findings while a file is read, places them by setting path, and masks what must not be shown.
//!
//! It leaves what is right and wrong to `decode`, the sections and `check`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::finding::{Finding, Severity, Snippet};
use super::tree::{Entry, Flaw, Kind, Node, Place};

/// Findings kept; a file with more mistakes than this is not a configuration.
const FINDINGS_MAX: usize = 500;
/// Longest line shown in a snippet, in characters.
const SNIPPET_MAX: usize = 240;
/// Unbroken letters and digits of this length look like a token or a key and are masked wherever they stand.
const TOKEN_LIKE: usize = 32;
/// What stands after one of these words and a colon is masked.
const SECRET_WORDS: [&str; 4] = ["sha256", "token", "secret", "password"];

/// Shared by everything that reads one file; interior mutability because serde hands no context around.
#[derive(Debug)]
pub(crate) struct Report {
    file: String,
    lines: Vec<String>,
    /// Setting path → where its key and its value stand.
    places: HashMap<String, (Place, Place)>,
    findings: RefCell<Vec<Finding>>,
}

impl Report {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let lines = text.lines().map(masked).collect();
        Self { file: file.to_owned(), lines, places: HashMap::new(), findings: RefCell::default() }
    }

    /// Learns where every setting stands.
    pub(crate) fn learn(&mut self, root: &Node) {
        self.places.insert(String::new(), (root.place, root.place));
        index(root, "", &mut self.places);
    }

    pub(crate) fn flaw(&self, flaw: Flaw) {
        self.push(Severity::Error, flaw.code, flaw.place, "", flaw.message, flaw.help);
    }

    pub(crate) fn error(&self, path: &str, code: &'static str, message: impl Into<String>) {
        self.push(Severity::Error, code, self.value(path), path, message.into(), None);
    }

    pub(crate) fn error_help(
        &self,
        path: &str,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Error, code, self.value(path), path, message.into(), Some(help.into()));
    }

    pub(crate) fn warning(&self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let place = self.value(path);
        self.push(Severity::Warning, "risky", place, path, message.into(), Some(help.into()));
    }

    pub(crate) fn note(&self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Note, "note", self.value(path), path, message.into(), Some(help.into()));
    }

    /// A mistake in a key rather than in its value.
    pub(crate) fn key_error(&self, path: &str, code: &'static str, message: String, help: Option<String>) {
        let place = self.find(path).map_or(Place::default(), |(key, _)| key);
        self.push(Severity::Error, code, place, path, message, help);
    }

    /// A mandatory setting is not there.
    pub(crate) fn missing(&self, path: &str, help: &str) {
        let name = last(path);
        self.error_help(path, "missing", format!("`{name}` is missing: `{path}` must be given"), help);
    }

    /// `value`, reported when it is out of `range`.
    pub(crate) fn within<T>(&self, path: &str, value: T, range: RangeInclusive<T>) -> T
    where
        T: PartialOrd + Display,
    {
        if !range.contains(&value) {
            let (low, high) = (range.start(), range.end());
            self.error(path, "range", format!("`{}` is {value}; it goes from {low} to {high}", last(path)));
        }
        value
    }

    /// `value`, reported when it is shorter than `least`: for what would spin or never wait at all.
    pub(crate) fn no_shorter(&self, path: &str, value: Duration, least: Duration) -> Duration {
        if value < least {
            let (name, value, least) = (last(path), written(value), written(least));
            self.error(path, "range", format!("`{name}` is {value}; the least is {least}"));
        }
        value
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings.borrow().iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Everything found, in file order.
    pub(crate) fn finish(self) -> Vec<Finding> {
        let mut findings = self.findings.into_inner();
        findings.sort_by(|a, b| (a.line, a.column, &a.path).cmp(&(b.line, b.column, &b.path)));
        findings.dedup();
        findings
    }

    /// The value of a setting, or of the nearest section above it that the file has.
    fn value(&self, path: &str) -> Place {
        match self.find(path) {
            Some((_, value)) if self.places.contains_key(path) => value,
            Some((key, _)) => key,
            None => Place::default(),
        }
    }

    fn find(&self, path: &str) -> Option<(Place, Place)> {
        let mut path = path;
        loop {
            if let Some(found) = self.places.get(path) {
                return Some(*found);
            }
            path = parent(path)?;
        }
    }

    fn push(
        &self,
        severity: Severity,
        code: &'static str,
        place: Place,
        path: &str,
        message: String,
        help: Option<String>,
    ) {
        let mut findings = self.findings.borrow_mut();
        if findings.len() < FINDINGS_MAX {
            let snippet = self.snippet(place);
            let (file, path) = (self.file.clone(), path.to_owned());
            let Place { line, column, .. } = place;
            findings.push(Finding { severity, code, file, line, column, path, message, help, snippet });
        }
    }

    fn snippet(&self, place: Place) -> Option<Snippet> {
        let line = self.lines.get(place.line.checked_sub(1)?)?;
        let length = line.chars().count();
        let start = place.column.saturating_sub(1);
        if start >= SNIPPET_MAX || start > length {
            return None;
        }
        let text: String = line.chars().take(SNIPPET_MAX).collect();
        let room = length.min(SNIPPET_MAX).saturating_sub(start).max(1);
        Some(Snippet { text, width: place.width.min(room) })
    }
}

/// `a.b[2].c` → `a.b[2]` → `a.b` → `a` → the whole file.
pub(crate) fn parent(path: &str) -> Option<&str> {
    if path.is_empty() {
        return None;
    }
    Some(path.rfind(['.', '[']).and_then(|cut| path.get(..cut)).unwrap_or_default())
}

/// The setting's own name, without its sections.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// A duration as it would be written in the file.
pub(crate) fn written(duration: Duration) -> String {
    let micros = duration.as_micros();
    let units = [(3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms")];
    let exact = units.iter().find(|(size, _)| micros >= *size && micros.is_multiple_of(*size));
    match exact {
        Some((size, unit)) => format!("{}{unit}", micros / size),
        None if micros == 0 => "0".to_owned(),
        None => format!("{micros}us"),
    }
}

/// The path of `key` inside `section`.
pub(crate) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn index(node: &Node, path: &str, places: &mut HashMap<String, (Place, Place)>) {
    match &node.kind {
        Kind::Nothing | Kind::Scalar { .. } => {}
        Kind::List(items) => {
            for (number, item) in items.iter().enumerate() {
                let path = format!("{path}[{number}]");
                places.insert(path.clone(), (item.place, item.place));
                index(item, &path, places);
            }
        }
        Kind::Map(entries) => {
            for Entry { key, key_place, value } in entries {
                let path = join(path, key);
                places.insert(path.clone(), (*key_place, shown_place(*key_place, value)));
                index(value, &path, places);
            }
        }
    }
}

/// A scalar is shown where it stands, a whole section by its key.
fn shown_place(key: Place, value: &Node) -> Place {
    match &value.kind {
        Kind::Scalar { .. } => value.place,
        Kind::Nothing => key,
        Kind::List(_) | Kind::Map(_) if value.place.line == key.line => value.place,
        Kind::List(_) | Kind::Map(_) => key,
    }
}

/// The line with everything that may be a secret overwritten by `*`, character for character so that carets stay
/// in place.
fn masked(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    let mut hidden = vec![false; chars.len()];
    hide_after_words(&chars, &mut hidden);
    hide_runs(&chars, &mut hidden);
    hide_user_info(&chars, &mut hidden);
    chars.iter().zip(hidden).map(|(c, hidden)| if hidden { '*' } else { *c }).collect()
}

/// `sha256: abc` → `sha256: ***`, up to a comma, bracket, space or the end of the line. File names stay readable.
fn hide_after_words(chars: &[char], hidden: &mut [bool]) {
    let lower: String = chars.iter().map(char::to_ascii_lowercase).collect();
    for word in SECRET_WORDS {
        for (at, _) in lower.match_indices(word) {
            let start = lower.char_indices().take_while(|(byte, _)| *byte < at).count();
            let Some(colon) = chars.iter().skip(start).position(|c| *c == ':') else { continue };
            let name: String = chars.iter().skip(start).take(colon).collect();
            let is_key = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '"' | '\''));
            let names_a_file = name.contains("file");
            let from = start + colon + 1;
            let value: String = chars.iter().skip(from).collect();
            let value = value.trim_start_matches([' ', '"', '\'']);
            if !is_key || names_a_file || value.starts_with(['[', '{', '$']) || value.starts_with("file:") {
                continue;
            }
            let blank = chars.iter().skip(from).take_while(|c| **c == ' ').count();
            for (flag, c) in hidden.iter_mut().zip(chars).skip(from + blank) {
                if matches!(c, ',' | '}' | ']' | ' ') {
                    break;
                }
                *flag = true;
            }
        }
    }
}

fn hide_runs(chars: &[char], hidden: &mut [bool]) {
    let mut start = 0;
    for end in 0..=chars.len() {
        if chars.get(end).is_some_and(char::is_ascii_alphanumeric) {
            continue;
        }
        if end - start >= TOKEN_LIKE {
            hidden.iter_mut().take(end).skip(start).for_each(|flag| *flag = true);
        }
        start = end + 1;
    }
}

/// `https://user:password@host` → `https://*************@host`.
fn hide_user_info(chars: &[char], hidden: &mut [bool]) {
    let text: String = chars.iter().collect();
    let Some((before, rest)) = text.split_once("://") else { return };
    let authority = rest.split(['/', ' ', '"', ',']).next().unwrap_or_default();
    let Some((user_info, _)) = authority.rsplit_once('@') else { return };
    let start = before.chars().count() + 3;
    let length = user_info.chars().count();
    hidden.iter_mut().skip(start).take(length).for_each(|flag| *flag = true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_reach_a_snippet() {
        let cases = [
            ("  sha256: abc, level: x", "  sha256: ***, level: x"),
            ("- {name: a, sha256: \"0123\"}", "- {name: a, sha256: ******}"),
            ("  sha256: ${ADMIN}", "  sha256: ${ADMIN}"),
            ("  sha256_file: /etc/a", "  sha256_file: /etc/a"),
            ("  tokens: [{name: ops}]", "  tokens: [{name: ops}]"),
            ("a: https://me:pw@h:1", "a: https://*****@h:1"),
            ("x: 0123456789abcdef0123456789abcdef", "x: ********************************"),
            ("{path: \"auth/token/*\", to: any}", "{path: \"auth/token/*\", to: any}"),
            ("connect_timeout: 1s", "connect_timeout: 1s"),
        ];
        for (line, expected) in cases {
            assert_eq!(masked(line), expected, "{line}");
        }
    }

    #[test]
    fn a_path_has_parents() {
        assert_eq!(parent("a.b[2].c"), Some("a.b[2]"));
        assert_eq!(parent("a.b[2]"), Some("a.b"));
        assert_eq!(parent("a"), Some(""));
        assert_eq!(parent(""), None);
    }
}
