//! The decision against tables, and against a second evaluator written from the documented rules with other means.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::acl::{Acl, Asked, Builder};
use super::capability::Capabilities;
use super::key_filter::KeyTemplate;
use super::rule::Permissions;
use super::scope::Scope;
use crate::logical::Operation;

fn set(names: &str) -> Capabilities {
    names.split_whitespace().filter_map(Capabilities::named).fold(Capabilities::NONE, Capabilities::with)
}

fn acl(rules: &[(&str, &str)]) -> Acl {
    let mut builder = Builder::default();
    for (key, names) in rules {
        let permissions = Permissions { capabilities: set(names), ..Permissions::default() };
        builder.add(&"p".into(), Scope::of(key).unwrap(), &Arc::new(permissions));
    }
    builder.build()
}

fn one(key: &str, permissions: Permissions) -> Acl {
    let mut builder = Builder::default();
    builder.add(&"p".into(), Scope::of(key).unwrap(), &Arc::new(permissions));
    builder.build()
}

fn allowed(acl: &Acl, operation: Operation, path: &str) -> bool {
    acl.decide(&Asked { operation, path, data: &Map::new(), wrap_ttl: None }).allowed
}

/// Every row was asked of the real server.
#[test]
fn the_first_rule_found_decides() {
    for (rules, path, names) in [
        (&[("x", "read"), ("x", "list")] as &[_], "x", "list read"),
        (&[("x", "read")], "x/", "read"),
        (&[("x", "read")], "//x", "read"),
        (&[("x/", "read")], "x", "deny"),
        (&[("x/", "read")], "x//", "read"),
        (&[("x/", "read")], "X/", "deny"),
        (&[("x", "deny"), ("x/*", "read")], "x/", "deny"),
        (&[("x", "deny"), ("x/*", "read")], "x/y", "read"),
        (&[("x/*", "read")], "x", "deny"),
        (&[("x/+", "read")], "x/y/", "read"),
        (&[("x/+", "read")], "x/", "read"),
        (&[("x/y", "read"), ("x/y/", "deny")], "x/y/", "deny"),
        (&[("x/*", "read"), ("x/+/z", "deny")], "x/y/z", "deny"),
        (&[("x/*", "read"), ("x/+/z", "deny")], "x/y/", "read"),
        (&[("a//b", "read")], "a/b", "deny"),
        (&[("a*b", "read")], "axb", "deny"),
        (&[("a*b", "read")], "a*b", "read"),
        (&[("x", "read sudo patch scan create")], "x", "create patch read scan sudo"),
        (&[("x", "")], "x", "deny"),
        (&[("*", "read"), ("x", "")], "x", "deny"),
    ] {
        assert_eq!(acl(rules).capabilities(path).join(" "), names, "{rules:?} at {path}");
    }
    assert_eq!(Acl::root().capabilities("x"), ["root"]);
}

#[test]
fn operations_need_their_capability() {
    let all = [
        Operation::Create,
        Operation::Update,
        Operation::Patch,
        Operation::Read,
        Operation::List,
        Operation::Scan,
        Operation::Delete,
    ];
    for operation in all {
        let may = acl(&[("x", operation.as_str())]);
        for other in all {
            assert_eq!(allowed(&may, other, "x"), other == operation, "{operation:?} {other:?}");
        }
        assert!(allowed(&Acl::root(), operation, "x"));
    }
    assert!(allowed(&acl(&[]), Operation::Help, "x"));
    let sudo = acl(&[("x", "sudo")]);
    let decision =
        sudo.decide(&Asked { operation: Operation::Read, path: "x", data: &Map::new(), wrap_ttl: None });
    assert!(!decision.allowed && decision.sudo, "sudo alone allows nothing");
}

#[test]
fn only_lists_look_without_the_slash() {
    let may = acl(&[("x", "list read"), ("y/*", "list")]);
    assert!(allowed(&may, Operation::List, "x/"));
    assert!(!allowed(&may, Operation::Read, "x/"));
    assert!(!allowed(&may, Operation::List, "y"), "the slash of a list is set before");
}

#[test]
fn wrapping_is_held_between_its_bounds() {
    let secs = |secs: i64| secs * 1_000_000_000;
    for (min, max, asked, passes) in [
        (0, 0, None, true),
        (0, 0, Some(5), true),
        (10, 60, None, false),
        (10, 60, Some(5), false),
        (10, 60, Some(10), true),
        (10, 60, Some(60), true),
        (10, 60, Some(61), false),
        (10, 0, Some(1000), true),
        (0, 60, Some(1), true),
        (60, 10, Some(30), false),
        (60, 10, Some(60), false),
        (0, -3, None, true),
        (10, -3, Some(10), false),
    ] {
        let acl = one(
            "x",
            Permissions {
                capabilities: Capabilities::READ,
                min_wrapping_ttl: secs(min),
                max_wrapping_ttl: secs(max),
                ..Permissions::default()
            },
        );
        let wrap_ttl = asked.map(Duration::from_secs);
        let data = Map::new();
        let asked = Asked { operation: Operation::Read, path: "x", data: &data, wrap_ttl };
        assert_eq!(acl.decide(&asked).allowed, passes, "{min} {max} {wrap_ttl:?}");
    }
}

#[test]
fn lists_are_cut_to_their_page() {
    for (bound, required, limit, outcome) in [
        (2, false, None, Some(Some(2))),
        (2, true, None, None),
        (2, false, Some(json!("1")), Some(None)),
        (2, false, Some(json!(2)), Some(None)),
        (2, false, Some(json!("3")), None),
        (2, false, Some(json!("-1")), None),
        (2, false, Some(json!("0")), Some(Some(2))),
        (2, true, Some(json!("max")), Some(Some(2))),
        (2, false, Some(json!("x")), None),
        (0, false, Some(json!("max")), Some(Some(0))),
        (0, false, Some(json!("7")), Some(None)),
        (-4, false, None, Some(None)),
    ] {
        let acl = one(
            "x",
            Permissions {
                capabilities: Capabilities::LIST,
                pagination_limit: bound,
                required: if required { vec!["limit".to_owned()] } else { vec![] },
                ..Permissions::default()
            },
        );
        let data: Map<String, Value> =
            limit.iter().map(|limit| ("limit".to_owned(), limit.clone())).collect();
        let decision =
            acl.decide(&Asked { operation: Operation::List, path: "x", data: &data, wrap_ttl: None });
        assert_eq!(decision.allowed.then_some(decision.limit), outcome, "{bound} {limit:?}");
    }
}

#[test]
fn a_key_filter_concerns_lists_only() {
    let filter = Arc::new(KeyTemplate::parse("{{ .path }}{{ .key }}").unwrap());
    let acl = one(
        "x",
        Permissions {
            capabilities: set("read list"),
            key_filter: Some(Arc::clone(&filter)),
            ..Permissions::default()
        },
    );
    for (operation, shown) in [(Operation::List, Some(&filter)), (Operation::Read, None)] {
        let decision = acl.decide(&Asked { operation, path: "x", data: &Map::new(), wrap_ttl: None });
        assert!(decision.allowed);
        assert_eq!(decision.key_filter, shown);
    }
}

#[test]
fn a_mount_is_reached_through_any_rule_below_or_above_it() {
    for (rules, mount, reached) in [
        (&[("kv/a", "read")] as &[_], "kv/", true),
        (&[("kv/a", "deny")], "kv/", false),
        (&[("kv/a", "")], "kv/", false),
        // Without its slash it is a rule for listing the mount.
        (&[("kv", "read")], "kv/", true),
        (&[("k*", "read")], "kv/", true),
        (&[("k*", "read"), ("kv/*", "deny")], "kv/", false),
        (&[("kv/a/*", "read")], "kv/", true),
        (&[("other/*", "read")], "kv/", false),
        (&[("+/a", "read")], "kv/", true),
        (&[("+/+/a", "read")], "kv/b/", true),
        (&[("kv/+", "read")], "other/", false),
        (&[("+/x", "read")], "kv/b/", false),
    ] {
        assert_eq!(acl(rules).reaches(mount), reached, "{rules:?} {mount}");
    }
}

// === a second evaluator, by the documentation: every rule tried, all that match sorted ===

struct Naive {
    /// Key as written and its capabilities, merged.
    rules: BTreeMap<String, Capabilities>,
}

impl Naive {
    fn new(rules: &[(String, Capabilities)]) -> Self {
        let mut merged = BTreeMap::<String, Capabilities>::new();
        for (key, capabilities) in rules {
            let known = merged.entry(key.clone()).or_default();
            *known = known.with(*capabilities);
        }
        Self { rules: merged }
    }

    fn find(&self, path: &str) -> Option<Capabilities> {
        let mut found: Vec<&String> = self.rules.keys().filter(|key| is_match(key, path)).collect();
        found.sort_by_key(|key| {
            let is_exact = !key.contains('+') && !key.ends_with('*');
            let first = key.find(['+', '*']).unwrap_or(key.len());
            let pluses = i64::try_from(key.matches('+').count()).unwrap();
            (is_exact, first, !key.ends_with('*'), -pluses, key.len(), (*key).clone())
        });
        found.last().map(|key| self.rules[*key])
    }

    /// A list asks first for what is exact, with and without its slash, then for what is not.
    fn capabilities(&self, lists: bool, path: &str) -> Capabilities {
        let bare = if lists { path.strip_suffix('/') } else { None };
        let exact = [Some(path), bare].into_iter().flatten().find_map(|path| self.rules.get(path));
        let found = exact.copied().or_else(|| self.find(path)).or_else(|| self.find(bare?));
        found.unwrap_or_default()
    }
}

/// A star at the end: some beginning of the path has the shape of the rest.
fn is_match(key: &str, path: &str) -> bool {
    match key.strip_suffix('*') {
        Some(body) => (0..=path.len()).any(|end| has_shape(body, path.get(..end).unwrap())),
        None => has_shape(key, path),
    }
}

fn has_shape(shape: &str, path: &str) -> bool {
    let (shape, path): (Vec<&str>, Vec<&str>) = (shape.split('/').collect(), path.split('/').collect());
    shape.len() == path.len()
        && shape.iter().zip(path).all(|(wanted, part)| *wanted == "+" || *wanted == part)
}

fn key() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => "[ab]{1,2}", 2 => Just("+".to_owned()), 1 => Just(String::new())];
    (proptest::collection::vec(segment, 1..4), any::<bool>())
        .prop_map(|(segments, star)| format!("{}{}", segments.join("/"), if star { "*" } else { "" }))
        .prop_filter("a key the language takes", |key| {
            !key.contains("+*") && !key.starts_with('/') && *key != "*" && !key.is_empty()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_decision_is_the_naive_one(
        rules in proptest::collection::vec((key(), 0_usize..10), 1..10),
        path in "[ab]{1,2}(/[ab]{0,2}){0,3}",
        operation in 0_usize..3,
    ) {
        const SETS: [&str; 10] =
            ["", "read", "list", "deny", "read list", "create update", "sudo", "scan read", "delete patch", "read deny"];
        let operation = [Operation::Read, Operation::List, Operation::Create][operation];
        // The language keeps a denial alone.
        let alone = |names: &str| if names.contains("deny") { "deny" } else { "" };
        let rules: Vec<(String, Capabilities)> = rules
            .into_iter()
            .map(|(key, at)| (key, if alone(SETS[at]).is_empty() { set(SETS[at]) } else { Capabilities::DENY }))
            .collect();
        let mut builder = Builder::default();
        for (key, capabilities) in &rules {
            let permissions = Permissions { capabilities: *capabilities, ..Permissions::default() };
            builder.add(&"p".into(), Scope::of(key).unwrap(), &Arc::new(permissions));
        }
        let (acl, naive) = (builder.build(), Naive::new(&rules));
        let expected = naive.capabilities(operation == Operation::List, &path);
        let denied = expected.has(Capabilities::DENY);
        prop_assert_eq!(allowed(&acl, operation, &path), !denied && expected.allow(operation), "{:?}", rules);
        prop_assert_eq!(acl.capabilities(&path), naive.capabilities(true, &path).names(), "{:?}", rules);
    }
}
