//! Where a setting stands, over several files, and what is to be said about it.

use std::fmt::Display;

use crate::config::finding::{Finding, Severity};
use crate::config::report::Report;
use crate::config::tree::Place;
use crate::config::vocabulary::similar;
use crate::hcl::Span;

/// A setting's place: its file, the stretch of a line, its name with its sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) file: usize,
    pub(super) span: Span,
    pub(super) path: String,
}

/// A value and where it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
}

/// One report for each file, in the order the files were read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    reports: Vec<Report>,
}

// === impl Notes ===

impl Notes {
    /// Takes the next file. Returns its number.
    pub(super) fn file(&mut self, name: &str, text: &str) -> usize {
        self.reports.push(Report::new(name, text));
        self.reports.len() - 1
    }

    pub(super) fn error(&self, spot: &Spot, code: &'static str, message: impl Into<String>) {
        self.say(Severity::Error, spot, code, message.into(), None);
    }

    pub(super) fn error_help(
        &self,
        spot: &Spot,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.say(Severity::Error, spot, code, message.into(), Some(help.into()));
    }

    pub(super) fn missing(&self, section: &Spot, key: &str, help: &str) {
        self.error_help(section, "missing", format!("`{key}` is missing"), help);
    }

    pub(super) fn warning(
        &self,
        spot: &Spot,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.say(Severity::Warning, spot, code, message.into(), Some(help.into()));
    }

    /// A word that is none of those a setting takes.
    pub(super) fn unknown_word(&self, spot: &Spot, word: &str, known: &[&str]) {
        let message = format!("`{word}` is not one of: {}", known.join(", "));
        let help = similar(word, known.iter().copied());
        self.say(Severity::Error, spot, "bad-value", message, help);
    }

    /// A key that a section does not have.
    pub(super) fn unknown_key(&self, spot: &Spot, key: &str, section: &str, known: &[&str]) {
        if self.reports.get(spot.file).is_none_or(Report::is_full) {
            return; // no hint needs to be looked for
        }
        let place = if section.is_empty() { "this file" } else { section };
        let help = similar(key, known.iter().copied())
            .unwrap_or_else(|| format!("settings here: {}", known.join(", ")));
        let message = format!("`{key}` is not a setting of {place}");
        self.say(Severity::Error, spot, "unknown-key", message, Some(help));
    }

    /// `given`, reported when it is out of `range`.
    pub(super) fn within<T>(&self, given: &Given<T>, range: &std::ops::RangeInclusive<T>)
    where
        T: PartialOrd + Display,
    {
        if !range.contains(&given.value) {
            let (value, low, high) = (&given.value, range.start(), range.end());
            self.error(
                &given.spot,
                "range",
                format!("{value} is out of range; it goes from {low} to {high}"),
            );
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.reports.iter().any(Report::has_errors)
    }

    /// Everything found, file by file.
    pub(super) fn finish(self) -> Vec<Finding> {
        self.reports.into_iter().flat_map(Report::finish).collect()
    }

    fn say(
        &self,
        severity: Severity,
        spot: &Spot,
        code: &'static str,
        message: String,
        help: Option<String>,
    ) {
        let Span { line, column, width } = spot.span;
        if let Some(report) = self.reports.get(spot.file) {
            report.at(severity, code, Place { line, column, width }, &spot.path, message, help);
        }
    }
}

// === impl Spot ===

impl Spot {
    /// The file as a whole.
    pub(super) fn file(file: usize) -> Self {
        Self { file, span: Span::default(), path: String::new() }
    }
}
