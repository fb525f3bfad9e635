//! Explanations of known requests, offline and live.

use super::*;
use crate::config::proxy::{Rule, RuleAction, RuleMatch};
use crate::proxy::testing;
use http::HeaderValue;

fn asked(method: &Method, target: &str, headers: &HeaderMap, config: ProxyConfig) -> Explanation {
    offline(
        &Asked { method: method.clone(), target: target.to_owned(), headers: headers.clone() },
        Arc::new(config),
        Instant::now(),
    )
}

fn decided(method: &str, target: &str) -> (&'static str, &'static str, &'static str) {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let explanation = asked(&method, target, &HeaderMap::new(), testing::config(&["n1"]));
    let decided = explanation.decision.unwrap_or_else(|| panic!("refused: {target}"));
    (decided.goes_to, decided.class, decided.source)
}

#[test]
fn the_built_in_table_is_explained_without_a_cluster() {
    let table = [
        ("GET", "secret/data/x", ("standby", "read", "builtin")),
        ("GET", "/v1/secret/data/x", ("standby", "read", "builtin")),
        ("GET", "secret/metadata/?list=true", ("standby", "read", "builtin")),
        ("DELETE", "secret/data/x", ("active", "write", "builtin")),
        ("GET", "database/creds/x", ("active", "write", "builtin")),
        ("GET", "sys/health", ("cluster", "local", "builtin")),
        ("GET", "payments/x", ("standby", "read", "fallback")),
        ("GET", "/v1/x/../sys/seal", ("active", "unknown", "fallback")),
        ("GET", "/ui/", ("any", "read", "builtin")),
    ];
    for (method, target, want) in table {
        assert_eq!(decided(method, target), want, "{method} {target}");
    }
}

#[test]
fn what_the_proxy_refuses_has_no_decision() {
    for (target, why) in [
        ("/v1/secret/%zz", "two hexadecimal digits"),
        ("/v1/secret/%00", "unprintable"),
        ("secret/?list=maybe", "not a boolean"),
    ] {
        let explanation = asked(&Method::GET, target, &HeaderMap::new(), testing::config(&["n1"]));
        let refused = explanation.refused.unwrap();
        assert_eq!((refused.status, explanation.decision), (400, None), "{target}");
        assert!(refused.why.contains(why), "{}", refused.why);
    }
}

fn with_rule(action: RuleAction) -> ProxyConfig {
    let mut config = testing::config(&["n1"]);
    config.routing.rules = vec![Rule {
        name: "secrets".into(),
        matches: RuleMatch { path: Some("secret/*".into()), ..RuleMatch::default() },
        action,
        consistency: Some(ConsistencyMode::Eventual),
        timeout: None,
        max_body_bytes: None,
    }];
    config
}

#[test]
fn the_rule_that_decided_is_named() {
    let table = [
        (RuleAction::ToActive, "active", "rule", None),
        (RuleAction::Deny { status: 403 }, "deny", "rule", Some(403)),
        (RuleAction::Continue, "standby", "builtin", None),
    ];
    for (action, goes_to, source, status) in table {
        let explanation = asked(&Method::GET, "secret/data/x", &HeaderMap::new(), with_rule(action));
        let decided = explanation.decision.unwrap();
        assert_eq!((decided.goes_to, decided.source, decided.status), (goes_to, source, status));
        assert_eq!((decided.rule.as_deref(), decided.consistency), (Some("secrets"), "eventual"));
    }
}

#[test]
fn headers_change_the_decision() {
    let mut headers = HeaderMap::new();
    headers.insert(header::X_UNDERSTUDY_CONSISTENCY, HeaderValue::from_static("strong"));
    let decided = asked(&Method::GET, "secret/data/x", &headers, testing::config(&["n1"])).decision.unwrap();
    assert_eq!((decided.goes_to, decided.consistency), ("active", "strong"));
    let mut headers = HeaderMap::new();
    headers.insert(header::X_VAULT_WRAP_TTL, HeaderValue::from_static("60"));
    let decided = asked(&Method::GET, "secret/data/x", &headers, testing::config(&["n1"])).decision.unwrap();
    assert_eq!((decided.goes_to, decided.source), ("active", "header"));
}

#[test]
fn the_live_picture_names_candidates() {
    let snapshot = testing::snapshot(&["n1", "n2", "n3"]);
    let (mount_changes, first_touch) = (MountChanges::default(), FirstTouch::default());
    let picture = Live { snapshot: &snapshot, mount_changes: &mount_changes, first_touch: &first_touch };
    let asked = Asked::parse("get", "secret/data/x", &[]).unwrap();
    let servers = live(&asked, &picture, Instant::now()).servers.unwrap();
    let yes: Vec<bool> = servers.iter().map(|server| server.candidate).collect();
    assert_eq!(yes, [false, true, true], "{servers:?}");
    let asked = Asked { method: Method::POST, ..asked };
    let servers = live(&asked, &picture, Instant::now()).servers.unwrap();
    let yes: Vec<bool> = servers.iter().map(|server| server.candidate).collect();
    assert_eq!(yes, [true, false, false], "{servers:?}");
}

#[test]
fn the_text_form_says_it_in_a_few_lines() {
    let text = asked(&Method::GET, "database/creds/x", &HeaderMap::new(), testing::config(&["n1"])).to_text();
    for part in [
        "clean `database/creds/x`, logged as `database/creds/:x`",
        "goes to      active",
        "makes credentials",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_question_that_is_no_request_is_refused() {
    let pair = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
    let parse = |method, headers: &[(String, String)]| Asked::parse(method, "x", headers).map(|_| ());
    assert_eq!(parse("GE T", &[]), Err(AskError::Method("GE T".into())));
    assert_eq!(parse("GET", &pair("x y", "1")), Err(AskError::HeaderName("x y".into())));
    assert_eq!(parse("GET", &pair("x-vault-token", "s.1\n")), Ok(()));
    let error = parse("GET", &pair("x-vault-token", "s.1\u{1}")).unwrap_err();
    assert_eq!(error, AskError::HeaderValue("x-vault-token".into()));
    assert!(!error.to_string().contains("s.1"));
}
