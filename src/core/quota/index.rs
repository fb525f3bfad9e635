//! Rules arranged for lookup: one step for each of the five ways a rule can be about a request.

use std::collections::HashMap;

use super::rule::{Config, Rule};
use super::{Asked, Book};

/// See the module.
#[derive(Default)]
pub(super) struct Index {
    exempt: Exempt,
    everything: Option<Rule>,
    mounts: HashMap<String, OfMount>,
    tells_clients: bool,
    tells_audit: bool,
}

/// Rules of one mount.
#[derive(Default)]
struct OfMount {
    whole: Option<Rule>,
    by_role: HashMap<String, Rule>,
    by_path: HashMap<String, Rule>,
    /// Beginnings of paths, longest first.
    by_start: Vec<(String, Rule)>,
}

/// Beginnings of paths and whether they are exempt, longest first.
#[derive(Default)]
struct Exempt(Vec<(String, bool)>);

// === impl Index ===

impl Index {
    pub(super) fn of(book: Book) -> Self {
        let mut index = Self {
            exempt: Exempt::of(&book.config),
            tells_clients: book.config.response_headers,
            tells_audit: book.config.audit_logging,
            ..Self::default()
        };
        for rule in book.rules.into_values() {
            if rule.mount.is_empty() {
                index.everything = Some(rule);
            } else {
                index.mounts.entry(rule.mount.clone()).or_default().add(rule);
            }
        }
        index
    }

    pub(super) fn is_empty(&self) -> bool {
        self.everything.is_none() && self.mounts.is_empty()
    }

    /// The one rule that counts the request: the most particular.
    pub(super) fn rule(&self, asked: &Asked<'_>) -> Option<&Rule> {
        if self.is_empty() || self.exempt.has(asked.path) {
            return None;
        }
        let of_mount = asked.mount.and_then(|(mount, rest)| self.mounts.get(mount)?.rule(rest, asked.role));
        of_mount.or(self.everything.as_ref())
    }

    pub(super) fn wants_role(&self, mount: &str) -> bool {
        self.mounts.get(mount).is_some_and(|rules| !rules.by_role.is_empty())
    }

    pub(super) fn tells_clients(&self) -> bool {
        self.tells_clients
    }

    pub(super) fn tells_audit(&self) -> bool {
        self.tells_audit
    }
}

// === impl OfMount ===

impl OfMount {
    fn add(&mut self, rule: Rule) {
        if !rule.role.is_empty() {
            self.by_role.insert(rule.role.clone(), rule);
        } else if rule.suffix.is_empty() {
            self.whole = Some(rule);
        } else if let Some(start) = rule.suffix.strip_suffix('*') {
            self.by_start.push((start.to_owned(), rule));
            self.by_start.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        } else {
            self.by_path.insert(rule.suffix.clone(), rule);
        }
    }

    fn rule(&self, rest: &str, role: Option<&str>) -> Option<&Rule> {
        let by_start =
            || self.by_start.iter().find(|(start, _)| rest.starts_with(start)).map(|(_, rule)| rule);
        role.and_then(|role| self.by_role.get(role))
            .or_else(|| self.by_path.get(rest.trim_end_matches('/')))
            .or_else(by_start)
            .or(self.whole.as_ref())
    }
}

// === impl Exempt ===

impl Exempt {
    fn of(config: &Config) -> Self {
        let mut starts: Vec<(String, bool)> = config
            .exempt_paths
            .iter()
            .map(|path| match path.strip_prefix('!') {
                Some(path) => (clean(path), false),
                None => (clean(path), true),
            })
            .filter(|(start, _)| !start.is_empty())
            .collect();
        starts.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        Self(starts)
    }

    fn has(&self, path: &str) -> bool {
        self.0.iter().find(|(start, _)| path.starts_with(start)).is_some_and(|(_, exempt)| *exempt)
    }
}

fn clean(path: &str) -> String {
    path.trim_start_matches('/').trim_end_matches('*').to_owned()
}
