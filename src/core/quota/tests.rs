//! Which rule counts a request, and what a count comes to.

use time::{Duration, OffsetDateTime};

use super::bucket::{Bucket, Limits, Taken};
use super::*;

const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn rule(mount: &str, suffix: &str, role: &str) -> Rule {
    let (mount, suffix, role) = (mount.to_owned(), suffix.to_owned(), role.to_owned());
    Rule { mount, suffix, role, rate: 1.0, interval_secs: 1, ..Rule::default() }
}

fn index(exempt: &[&str]) -> Index {
    let rules = [
        ("all", rule("", "", "")),
        ("kv", rule("kv/", "", "")),
        ("kv-a", rule("kv/", "a", "")),
        ("kv-a*", rule("kv/", "a*", "")),
        ("kv-ab*", rule("kv/", "ab*", "")),
        ("role", rule("auth/approle/", "", "r")),
        ("login", rule("auth/approle/", "login", "")),
    ];
    let rules = rules.into_iter().map(|(name, rule)| (name.to_owned(), rule)).collect();
    let exempt_paths = exempt.iter().map(|path| (*path).to_owned()).collect();
    Index::of(Book { rules, config: Config { exempt_paths, ..Config::default() } })
}

fn asked<'a>(mount: &'a str, rest: &'a str, path: &'a str, role: Option<&'a str>) -> Asked<'a> {
    Asked { path, mount: (!mount.is_empty()).then_some((mount, rest)), role, client: None }
}

#[test]
fn the_most_particular_rule_counts() {
    let index = index(&[]);
    for (mount, rest, role, counted) in [
        ("kv/", "a", None, "kv/a"),
        ("kv/", "a/", None, "kv/a"),
        ("kv/", "a/b", None, "kv/a*"),
        ("kv/", "abc", None, "kv/ab*"),
        ("kv/", "b", None, "kv/"),
        ("auth/approle/", "login", Some("r"), "auth/approle/"),
        ("auth/approle/", "login", Some("s"), "auth/approle/login"),
        ("auth/approle/", "login", None, "auth/approle/login"),
        ("auth/approle/", "role/r", None, ""),
        ("other/", "x", None, ""),
        ("", "", None, ""),
    ] {
        let path = format!("{mount}{rest}");
        let found = index.rule(&asked(mount, rest, &path, role)).unwrap().path();
        assert_eq!(found, counted, "{path} {role:?}");
    }
    assert!(index.wants_role("auth/approle/") && !index.wants_role("kv/"));
}

#[test]
fn exempt_paths_are_beginnings() {
    let index = index(&["kv/b", "/sys/h*", "!kv/bad"]);
    for (path, exempt) in [
        ("kv/b", true),
        ("kv/bx", true),
        ("kv/bad", false),
        ("kv/bade", false),
        ("sys/health", true),
        ("kv/c", false),
    ] {
        assert_eq!(index.rule(&asked("kv/", "c", path, None)).is_none(), exempt, "{path}");
    }
}

#[test]
fn rules_are_checked() {
    let mount = |path, rest, is_auth, has_roles| Some(RuleMount { path, rest, is_auth, has_roles });
    let change = |path: &str, role: &str, rate: f64| RuleChange {
        path: path.to_owned(),
        role: role.to_owned(),
        rate,
        ..RuleChange::default()
    };
    for (change, mount, outcome) in [
        (change("", "", 0.0), None, "'rate' is invalid"),
        (change("", "", f64::NAN), None, "'rate' is invalid"),
        (change("nothere", "", 1.0), None, "invalid mount path \"nothere/\""),
        (change("", "", 1.0), None, ""),
        (change("/kv/x/", "", 1.0), mount("kv/", "x", false, false), "kv/x"),
        (change("kv", "", 1.0), mount("kv/", "", false, false), "kv/"),
        (
            change("", "r", 1.0),
            None,
            "Mount path \"\" is not a valid auth method and therefore unsuitable for use with role-based quotas",
        ),
        (
            change("kv/", "r", 1.0),
            mount("kv/", "", false, false),
            "Mount path \"kv/\" is not a valid auth method and therefore unsuitable for use with role-based quotas",
        ),
        (
            change("auth/userpass", "r", 1.0),
            mount("auth/userpass/", "", true, false),
            "Mount path \"auth/userpass/\" does not support use with role-based quotas",
        ),
        (change("auth/approle", "r", 1.0), mount("auth/approle/", "", true, true), "auth/approle/"),
        (
            change("auth/approle/login", "r", 1.0),
            mount("auth/approle/", "login", true, true),
            "Quotas cannot contain both a path suffix and a role. If a role is provided, path must be a valid auth mount \
             with a concept of roles",
        ),
    ] {
        let made = Rule::new(&change, mount);
        let text = made.as_ref().map_or_else(ToString::to_string, Rule::path);
        assert_eq!(text, outcome);
        assert!(made.is_err() || made.is_ok_and(|rule| rule.interval_secs == 1));
    }
}

/// What was allowed, remained, and when to come again.
type Told = (bool, Option<(u64, u64, u64)>, Option<u64>);

/// Takes at these milliseconds.
fn run(limits: Limits, at_ms: &[i64]) -> Vec<Told> {
    let mut bucket = Bucket::new(limits, START);
    let take = |at: &i64| {
        let Taken { allowed, standing } = bucket.take(limits, START + Duration::milliseconds(*at));
        (allowed, standing.window, standing.retry_after_secs)
    };
    at_ms.iter().map(take).collect()
}

#[test]
fn windows_follow_each_other() {
    let limits = Limits { tokens: 2, interval_secs: 60, block_secs: 0 };
    assert_eq!(
        run(limits, &[0, 1, 2, 59_999, 60_000, 200_500]),
        [
            (true, Some((2, 1, 59)), None),
            (true, Some((2, 0, 59)), None),
            (false, Some((2, 0, 59)), Some(59)),
            (false, Some((2, 0, 0)), Some(0)),
            (true, Some((2, 1, 59)), None),
            (true, Some((2, 1, 39)), None),
        ]
    );
}

#[test]
fn who_exceeds_is_blocked() {
    let limits = Limits { tokens: 1, interval_secs: 2, block_secs: 3 };
    assert_eq!(
        run(limits, &[0, 1, 10, 2_201, 3_401]),
        [
            (true, Some((1, 0, 1)), None),
            (false, Some((1, 0, 1)), Some(2)),
            (false, None, Some(2)),
            (false, None, Some(0)),
            (true, Some((1, 0, 0)), None),
        ]
    );
}

#[test]
fn half_a_request_is_one() {
    assert_eq!(Rule { rate: 0.5, ..rule("", "", "") }.limits().tokens, 1);
    assert_eq!(Rule { rate: 1.5, ..rule("", "", "") }.limits().tokens, 2);
    assert_eq!(Rule { rate: 1e300, ..rule("", "", "") }.limits().tokens, u64::MAX);
}

proptest::proptest! {
    /// In any span shorter than an interval at most two windows' worth passes, and in a window at most one.
    #[test]
    fn no_window_lets_more_through(gaps in proptest::collection::vec(0..700_i64, 1..200), tokens in 1..5_u64) {
        let limits = Limits { tokens, interval_secs: 1, block_secs: 0 };
        let mut bucket = Bucket::new(limits, START);
        let (mut now, mut passed) = (0, std::collections::BTreeMap::<i64, u64>::new());
        for gap in gaps {
            now += gap;
            if bucket.take(limits, START + Duration::milliseconds(now)).allowed {
                *passed.entry(now / 1000).or_default() += 1;
            }
        }
        proptest::prop_assert!(passed.values().all(|count| *count <= tokens));
    }
}
