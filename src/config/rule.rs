//! `routing.rules`: the operator's own routing, first match wins, before the built-in table.

use super::field::{Field, good};
use super::proxy::{Rule, RuleAction, RuleMatch};
use super::raw::{RawRule, RawRuleHeader, RawRuleMatch, RuleTarget, RuleVerb};
use super::report::Report;
use super::unit::PathGlob;

/// Status of a denied request: what Vault says when a policy forbids.
const DENY_STATUS: u16 = 403;
/// Rules in one file. They are tried one after the other for every request.
const RULES_MAX: usize = 500;
/// Every method the API knows.
const METHODS: [&str; 9] = ["GET", "HEAD", "LIST", "SCAN", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

pub(crate) fn convert(raw: Vec<Field<RawRule>>, report: &Report) -> Vec<Rule> {
    if raw.len() > RULES_MAX {
        report.error(
            "routing.rules",
            "limit",
            format!("{} rules; at most {RULES_MAX} are allowed", raw.len()),
        );
    }
    let numbered = raw.into_iter().enumerate();
    numbered.filter_map(|(number, raw)| raw.given().map(|raw| rule(raw, number, report))).collect()
}

fn rule(raw: RawRule, number: usize, report: &Report) -> Rule {
    let at = format!("routing.rules[{number}]");
    if raw.r#match.is_absent() {
        report.missing(&format!("{at}.match"), "write what the rule is for: match: {path: \"secret/*\"}");
    }
    Rule {
        name: raw.name.clone().or(format!("rule{}", number + 1)),
        action: action(&raw, &at, report),
        matches: matches(raw.r#match.section(), &at, report),
        consistency: raw.consistency.given(),
        timeout: raw.timeout.given().map(Into::into),
        max_body_bytes: raw.max_body_bytes.given().map(Into::into),
    }
}

/// `to` or `action`, one of the two; neither is `continue` when the rule sets something else.
fn action(raw: &RawRule, at: &str, report: &Report) -> RuleAction {
    let verb = raw.action.given();
    if verb != Some(RuleVerb::Deny) && !raw.status.is_absent() {
        report.error_help(
            &format!("{at}.status"),
            "conflict",
            "`status` is for denied requests",
            "add action: deny",
        );
    }
    match (raw.to.given(), verb) {
        (Some(_), Some(_)) => {
            report.error(&format!("{at}.action"), "conflict", "`to` and `action` are both given; keep one");
            RuleAction::Continue
        }
        (Some(RuleTarget::Active), None) => RuleAction::ToActive,
        (Some(RuleTarget::Standby), None) => RuleAction::ToStandby,
        (Some(RuleTarget::Any), None) => RuleAction::ToAny,
        (None, Some(RuleVerb::Continue)) => RuleAction::Continue,
        (None, Some(RuleVerb::Deny)) => {
            let status = raw.status.or(DENY_STATUS);
            RuleAction::Deny { status: report.within(&format!("{at}.status"), status, 400..=599) }
        }
        (None, None) => {
            if is_idle(raw) {
                report.error_help(
                    at,
                    "missing",
                    "this rule does nothing",
                    "add `to: active`, `action: deny`, ...",
                );
            }
            RuleAction::Continue
        }
    }
}

/// Nothing is set, not even wrongly.
fn is_idle(raw: &RawRule) -> bool {
    raw.to.is_absent()
        && raw.action.is_absent()
        && raw.consistency.is_absent()
        && raw.timeout.is_absent()
        && raw.max_body_bytes.is_absent()
}

fn matches(raw: RawRuleMatch, at: &str, report: &Report) -> RuleMatch {
    let methods = raw.method.given().map(|many| good(many.0)).unwrap_or_default();
    let methods: Vec<_> = methods.into_iter().map(|method| method.to_ascii_uppercase()).collect();
    check_methods(&methods, &format!("{at}.match.method"), report);
    RuleMatch {
        path: raw.path.given().map(|PathGlob(glob)| glob),
        methods,
        namespace: raw.namespace.given().map(|namespace| namespace.trim_matches('/').to_owned()),
        class: raw.class.given(),
        header: raw
            .header
            .given()
            .and_then(|header| header_match(header, &format!("{at}.match.header"), report)),
    }
}

fn check_methods(methods: &[String], at: &str, report: &Report) {
    for method in methods.iter().filter(|method| !METHODS.contains(&method.as_str())) {
        let help = format!("methods are {}", METHODS.join(", "));
        report.error_help(at, "never-matches", format!("no request has the method `{method}`"), help);
    }
}

fn header_match(raw: RawRuleHeader, at: &str, report: &Report) -> Option<(String, String)> {
    if raw.name.is_absent() {
        report.missing(&format!("{at}.name"), "write header: {name: X-Team, value: \"payments\"}");
    }
    let name = raw.name.given()?.to_ascii_lowercase();
    if name.parse::<http::HeaderName>().is_err() {
        report.error(&format!("{at}.name"), "bad-value", "this is not a header name");
    }
    Some((name, raw.value.or("*".to_owned())))
}
