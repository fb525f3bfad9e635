//! Collects findings while a file is read and places them by setting path.
//!
//! It leaves what is right and wrong to `decode`, the sections and the checks, and hiding secrets to `mask`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::finding::{Finding, Severity, Snippet};
use super::mask::{is_secret_name, masked};
use super::tree::{Entry, Flaw, Kind, Node, Place};

/// Warnings and notes kept, and errors beside them; a file with more mistakes is not a configuration.
const FINDINGS_MAX: usize = 500;
/// Longest line shown in a snippet, in characters.
const SNIPPET_MAX: usize = 240;
/// Longest message or help, in characters.
const MESSAGE_MAX: usize = 400;

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

    /// Secrets go over a network unprotected here, perhaps on purpose.
    pub(crate) fn note_clear_text(&self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Note, "clear-text", self.value(path), path, message.into(), Some(help.into()));
    }

    /// A mistake in a key rather than in its value.
    pub(crate) fn key_error(&self, path: &str, code: &'static str, message: String, help: Option<String>) {
        let place = self.find(path).map_or(Place::default(), |(key, _)| key);
        self.push(Severity::Error, code, place, path, message, help);
    }

    /// A mandatory setting is not there.
    pub(crate) fn missing(&self, path: &str, help: &str) {
        self.error_help(path, "missing", format!("`{path}` is missing"), help);
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

    /// Says something about a place: for readers that know their places themselves.
    pub(crate) fn at(
        &self,
        severity: Severity,
        code: &'static str,
        place: Place,
        path: &str,
        message: String,
        help: Option<String>,
    ) {
        self.push(severity, code, place, path, message, help);
    }

    /// The line a setting stands on, for "first given there".
    pub(crate) fn line(&self, path: &str) -> usize {
        self.value(path).line
    }

    /// Nothing more is kept, so no hint needs to be looked for.
    pub(crate) fn is_full(&self) -> bool {
        self.findings.borrow().len() >= 2 * FINDINGS_MAX
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings.borrow().iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Everything found, in file order.
    pub(crate) fn finish(self) -> Vec<Finding> {
        let mut findings = self.findings.into_inner();
        findings.sort_by(|a, b| order(a).cmp(&order(b)));
        // An anchored value is checked at each of its uses, and is wrong once.
        findings.dedup_by(|a, b| order(a) == order(b));
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
        // Errors have room of their own, so that no number of warnings hides one.
        let room = if severity == Severity::Error { 2 * FINDINGS_MAX } else { FINDINGS_MAX };
        if self.findings.borrow().len() < room {
            let snippet = self.snippet(place, path);
            let (file, path) = (self.file.clone(), path.to_owned());
            let (message, help) = (printable(&message), help.as_deref().map(printable));
            let Place { line, column, .. } = place;
            self.findings.borrow_mut().push(Finding {
                severity,
                code,
                file,
                line,
                column,
                path,
                message,
                help,
                snippet,
            });
        }
    }

    /// `None` when a secret may stand on the line without its name before it (a block scalar).
    fn snippet(&self, place: Place, path: &str) -> Option<Snippet> {
        let line = self.lines.get(place.line.checked_sub(1)?)?;
        if self.places.contains_key(path) && is_secret_name(last(path)) && !line.contains(last(path)) {
            return None;
        }
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

fn order(finding: &Finding) -> (usize, usize, &str, &str) {
    (finding.line, finding.column, finding.code, &finding.message)
}

/// `a.b[2].c` → `a.b[2]` → `a.b` → `a` → the whole file.
pub(crate) fn parent(path: &str) -> Option<&str> {
    if path.is_empty() {
        return None;
    }
    Some(path.rfind(['.', '[']).and_then(|cut| path.get(..cut)).unwrap_or_default())
}

/// Text from the file as it may reach a terminal: no control characters, no endless value.
fn printable(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    let mut shown: String = clean.take(MESSAGE_MAX).collect();
    if shown.chars().count() == MESSAGE_MAX {
        shown.push('…');
    }
    shown
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_parents() {
        assert_eq!(parent("a.b[2].c"), Some("a.b[2]"));
        assert_eq!(parent("a.b[2]"), Some("a.b"));
        assert_eq!(parent("a"), Some(""));
        assert_eq!(parent(""), None);
    }
}
