//! `differences.json`: where the node answers otherwise on purpose, each with its reason; `not_yet.txt`: families
//! that are not held to the fixtures yet.

use std::fs;

use serde::Deserialize;

use crate::compare::Difference;
use crate::scenario::folder;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Intended {
    /// A family, or `*`.
    family: String,
    /// `METHOD path`; `*` stands for any text.
    step: String,
    /// As [`Difference::field`]; `*` stands for any text.
    field: String,
    reason: String,
}

/// The intended ones.
#[derive(Debug)]
pub(crate) struct Differences(Vec<Intended>);

impl Differences {
    pub(crate) fn load() -> Self {
        let text = fs::read_to_string(folder().join("differences.json")).unwrap();
        let list: Vec<Intended> = serde_json::from_str(&text).unwrap();
        assert!(list.iter().all(|d| d.reason.len() > 10), "every difference says why");
        Self(list)
    }

    pub(crate) fn intended(&self, family: &str, found: &Difference) -> bool {
        self.0
            .iter()
            .any(|d| glob(&d.family, family) && glob(&d.step, &found.step) && glob(&d.field, &found.field))
    }
}

/// Families that may still differ.
pub(crate) fn not_yet() -> Vec<String> {
    let text = fs::read_to_string(folder().join("not_yet.txt")).unwrap();
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect()
}

/// `*` stands for any text, also none.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            ends.filter_map(|at| tail.get(at..)).any(|end| glob(rest, end))
        }),
    }
}

#[test]
fn a_star_is_any_text() {
    assert!(glob("GET sys/*", "GET sys/health") && glob("*", "") && glob("a*c*", "abcd"));
    assert!(!glob("GET sys/*", "PUT sys/health") && !glob("", "a"));
}
