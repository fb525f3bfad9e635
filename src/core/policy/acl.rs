//! The decision: (operation, path, parameters, wrapping) against the merged rules of a token's policies. Pure, and without
//! an allocation where names are in lower case.
//!
//! ```text
//!   exact path  ─>  (list) exact path without its last slash  ─>  prefix or `+` shape, the more specific
//!     └────────────────────────────── (list) the same without its last slash ──────────────────────────┘
//! ```
//!
//! The first rule found decides alone: a `deny` or an absence there is not mended by a wider rule.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::capability::Capabilities;
use super::key_filter::KeyTemplate;
use super::parameter;
use super::prefix::Prefixes;
use super::rule::Permissions;
use super::scope::{Parts, Priority, Scope, Segments, by_priority};
use crate::logical::Operation;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub operation: Operation,
    /// The whole path.
    pub path: &'a str,
    pub data: &'a Map<String, Value>,
    /// Life of the wrapping token; `None`: the answer is not wrapped.
    pub wrap_ttl: Option<Duration>,
}

/// What the rules say of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Decision<'a> {
    pub allowed: bool,
    pub sudo: bool,
    /// The `limit` a list runs with, in place of the one asked for.
    pub limit: Option<i64>,
    /// Which keys of a list are shown.
    pub key_filter: Option<&'a Arc<KeyTemplate>>,
}

/// Rules of several policies, merged and ready to be asked.
#[derive(Debug, Default)]
pub struct Acl {
    root: bool,
    exact: HashMap<Box<str>, Rule>,
    prefixes: Prefixes<Rule>,
    /// Highest priority first.
    shapes: Vec<(Segments, Rule)>,
}

/// What is allowed where one key applies.
#[derive(Debug)]
struct Rule {
    permissions: Arc<Permissions>,
    /// Which policy brought which capabilities: for the audit log.
    granted: Vec<(Arc<str>, Capabilities)>,
}

/// Collects rules.
#[derive(Debug, Default)]
pub struct Builder {
    exact: BTreeMap<String, Rule>,
    prefixes: BTreeMap<String, Rule>,
    shapes: BTreeMap<String, Rule>,
}

const NO_PERMISSIONS: Decision<'static> =
    Decision { allowed: false, sudo: false, limit: None, key_filter: None };

// === impl Builder ===

impl Builder {
    /// Adds a rule of the policy called `policy`; rules of one key are merged.
    pub fn add(&mut self, policy: &Arc<str>, scope: Scope, permissions: &Arc<Permissions>) {
        let (rules, key) = match scope {
            Scope::Exact(path) => (&mut self.exact, path),
            Scope::Prefix(path) => (&mut self.prefixes, path),
            Scope::Segments(path) => (&mut self.shapes, path),
        };
        let granted = (Arc::clone(policy), permissions.capabilities);
        match rules.entry(key) {
            // Most paths are ruled by one policy and share what it was parsed to.
            Entry::Vacant(free) => {
                free.insert(Rule { permissions: Arc::clone(permissions), granted: vec![granted] });
            }
            Entry::Occupied(mut known) => {
                let rule = known.get_mut();
                Arc::make_mut(&mut rule.permissions).merge(permissions);
                rule.granted.push(granted);
            }
        }
    }

    #[must_use]
    pub fn build(self) -> Acl {
        let mut shapes: Vec<_> =
            self.shapes.into_iter().map(|(text, rule)| (Segments::new(&text), rule)).collect();
        shapes.sort_by(|(one, _), (other, _)| by_priority(one, other));
        Acl {
            root: false,
            exact: self.exact.into_iter().map(|(path, rule)| (path.into_boxed_str(), rule)).collect(),
            prefixes: Prefixes::new(self.prefixes),
            shapes,
        }
    }
}

// === impl Acl ===

impl Acl {
    /// Everything is allowed.
    #[must_use]
    pub fn root() -> Self {
        Self { root: true, ..Self::default() }
    }

    #[must_use]
    pub fn is_root(&self) -> bool {
        self.root
    }

    #[must_use]
    pub fn decide(&self, asked: &Asked<'_>) -> Decision<'_> {
        if self.root {
            return Decision { allowed: true, sudo: true, ..NO_PERMISSIONS };
        }
        if asked.operation == Operation::Help {
            return Decision { allowed: true, ..NO_PERMISSIONS };
        }
        let Some(rule) = self.rule(asked.operation, asked.path) else { return NO_PERMISSIONS };
        let permissions = rule.permissions.as_ref();
        let sudo = permissions.capabilities.has(Capabilities::SUDO);
        match admit(permissions, asked) {
            Admission::Refused => Decision { sudo, ..NO_PERMISSIONS },
            Admission::Granted(limit) => Decision {
                allowed: true,
                sudo,
                limit,
                key_filter: permissions.key_filter.as_ref().filter(|_| lists(asked.operation)),
            },
        }
    }

    /// What is allowed at `path`, whatever the operation; asked as a list is, so that `a/` finds the rule of `a`.
    #[must_use]
    pub fn capabilities(&self, path: &str) -> Vec<&'static str> {
        if self.root {
            return vec!["root"];
        }
        self.rule(Operation::List, path)
            .map_or(Capabilities::NONE, |rule| rule.permissions.capabilities)
            .names()
    }

    #[must_use]
    pub fn has_sudo(&self, path: &str) -> bool {
        self.root
            || self
                .rule(Operation::List, path)
                .is_some_and(|rule| rule.permissions.capabilities.has(Capabilities::SUDO))
    }

    /// The policies that allow `operation` at `path`, whatever the rule's further conditions say.
    #[must_use]
    pub fn granting(&self, operation: Operation, path: &str) -> Vec<Arc<str>> {
        let Some(rule) = self.rule(operation, path) else { return Vec::new() };
        let allowing = rule.granted.iter().filter(|(_, capabilities)| capabilities.allow(operation));
        allowing.map(|(policy, _)| Arc::clone(policy)).collect()
    }

    /// The exact rules, in no order.
    pub fn exact_rules(&self) -> impl Iterator<Item = (&str, &Permissions)> {
        self.exact.iter().map(|(path, rule)| (path.as_ref(), rule.permissions.as_ref()))
    }

    /// The rules of prefixes, sorted, without their star.
    pub fn prefix_rules(&self) -> impl Iterator<Item = (&str, &Permissions)> {
        self.prefixes.iter().map(|(prefix, rule)| (prefix, rule.permissions.as_ref()))
    }

    /// Whether any rule allows anything at or below the mount at `mount` (which ends in `/`): who may do something there
    /// may see that it is there.
    #[must_use]
    pub fn reaches(&self, mount: &str) -> bool {
        let opens = |rule: &Permissions| {
            rule.capabilities != Capabilities::NONE && !rule.capabilities.has(Capabilities::DENY)
        };
        self.root
            || self.rule(Operation::List, mount).is_some_and(|rule| opens(&rule.permissions))
            || self.exact_rules().any(|(path, rule)| path.starts_with(mount) && opens(rule))
            || self.prefix_rules().any(|(prefix, rule)| prefix.starts_with(mount) && opens(rule))
            || self.shapes.iter().any(|(shape, rule)| shape.may_reach(mount) && opens(&rule.permissions))
    }

    fn rule(&self, operation: Operation, path: &str) -> Option<&Rule> {
        let path = path.trim_start_matches('/');
        // A rule for `a` is one for listing `a/`; the rule with the slash is the more specific.
        let bare = path.strip_suffix('/').filter(|_| lists(operation));
        self.exact
            .get(path)
            .or_else(|| self.exact.get(bare?))
            .or_else(|| self.inexact(path))
            .or_else(|| self.inexact(bare?))
    }

    fn shape(&self, path: &str) -> Option<&(Segments, Rule)> {
        if self.shapes.is_empty() {
            return None;
        }
        let parts = Parts::of(path);
        self.shapes.iter().find(|(shape, _)| shape.match_path(&parts))
    }

    fn inexact(&self, path: &str) -> Option<&Rule> {
        let prefix = self.prefixes.longest(path);
        let shape = self.shape(path);
        match (prefix, shape) {
            (Some((prefix, of_prefix)), Some((shape, of_shape))) => {
                let shape_wins = shape.priority() > Priority::of_prefix(prefix);
                Some(if shape_wins { of_shape } else { of_prefix })
            }
            (Some((_, rule)), None) | (None, Some((_, rule))) => Some(rule),
            (None, None) => None,
        }
    }
}

/// What a path's own conditions say.
enum Admission {
    Refused,
    /// With the limit of a list, where the rule sets one.
    Granted(Option<i64>),
}

fn lists(operation: Operation) -> bool {
    matches!(operation, Operation::List | Operation::Scan)
}

fn admit(permissions: &Permissions, asked: &Asked<'_>) -> Admission {
    if !permissions.capabilities.allow(asked.operation) || !admits_wrapping(permissions, asked.wrap_ttl) {
        return Admission::Refused;
    }
    match asked.operation {
        Operation::List | Operation::Scan => page(permissions, asked.data),
        Operation::Create | Operation::Update | Operation::Patch | Operation::Read => {
            if parameter::pass(permissions, asked.data) {
                Admission::Granted(None)
            } else {
                Admission::Refused
            }
        }
        Operation::Delete | Operation::Help => Admission::Granted(None),
    }
}

/// A bound asks for wrapping, and for one within it. Merged bounds may leave nothing between them.
fn admits_wrapping(permissions: &Permissions, wrap_ttl: Option<Duration>) -> bool {
    let (min, max) = (permissions.min_wrapping_ttl, permissions.max_wrapping_ttl);
    let asked = wrap_ttl.map(|ttl| i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX));
    (max <= 0 || asked.is_some_and(|asked| asked <= max))
        && (min <= 0 || asked.is_some_and(|asked| asked >= min))
        && (min == 0 || max == 0 || max >= min)
}

/// A list's page. `max` is the longest that is allowed, for clients that do not know it.
fn page(permissions: &Permissions, data: &Map<String, Value>) -> Admission {
    let (bound, asked) = (permissions.pagination_limit, data.get("limit"));
    if bound <= 0 {
        let whole = asked.is_some_and(|asked| asked == "max");
        return Admission::Granted(whole.then_some(0));
    }
    let Some(asked) = asked else {
        let must_ask = permissions.required.iter().any(|name| name == "limit");
        return if must_ask { Admission::Refused } else { Admission::Granted(Some(bound)) };
    };
    match integer(asked) {
        None if asked == "max" => Admission::Granted(Some(bound)),
        Some(0) => Admission::Granted(Some(bound)),
        Some(limit) if (1..=bound).contains(&limit) => Admission::Granted(None),
        Some(_) | None => Admission::Refused,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
