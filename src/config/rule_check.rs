//! Operator rules that cannot do what they say: never reached, never matching, writes sent to standbys.

use super::proxy::{Rule, RuleAction, RuleClass, RuleMatch};
use super::report::Report;

/// Methods that change something, whatever the path.
const WRITE_METHODS: [&str; 3] = ["PUT", "PATCH", "DELETE"];
/// Methods that can be a read.
const READ_METHODS: [&str; 6] = ["GET", "HEAD", "LIST", "SCAN", "POST", "OPTIONS"];

pub(crate) fn check(rules: &[Rule], report: &Report) {
    for (number, rule) in rules.iter().enumerate() {
        let at = format!("routing.rules[{number}]");
        let earlier = rules.iter().take(number);
        if let Some(by) = earlier.into_iter().find(|earlier| covers(&earlier.matches, &rule.matches)) {
            let message = format!(
                "rule `{}` is never reached: `{}` before it takes every such request",
                rule.name, by.name
            );
            report.warning(&at, message, "the first match wins: move the narrower rule up");
        }
        if contradicts(&rule.matches) {
            let message =
                format!("rule `{}` never matches: no request of these methods is a read", rule.name);
            report.warning(&format!("{at}.match"), message, "drop `class` or `method`");
        }
        if sends_writes_to_standbys(rule) {
            let message = format!("rule `{}` sends writes to standbys, which must forward them", rule.name);
            report.warning(&format!("{at}.to"), message, "writes belong to the active: to: active");
        }
    }
}

/// Whether every request the narrow match takes is taken by the wide one. May miss cases, never invents one.
fn covers(wide: &RuleMatch, narrow: &RuleMatch) -> bool {
    covers_glob(wide.path.as_deref(), narrow.path.as_deref())
        && covers_glob(wide.namespace.as_deref(), narrow.namespace.as_deref())
        && covers_methods(&wide.methods, &narrow.methods)
        && (wide.class.is_none() || wide.class == narrow.class)
        && (wide.header.is_none() || wide.header == narrow.header)
}

fn covers_methods(wide: &[String], narrow: &[String]) -> bool {
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|method| wide.contains(method)))
}

fn covers_glob(wide: Option<&str>, narrow: Option<&str>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => wide == Some("*"),
        (Some(wide), Some(narrow)) if wide == narrow => true,
        // `a/*` covers everything written under `a/`, globs included.
        (Some(wide), Some(narrow)) => {
            let prefix = wide.strip_suffix('*').filter(|prefix| !prefix.contains(['*', '+']));
            prefix.is_some_and(|prefix| narrow.starts_with(prefix))
        }
    }
}

fn contradicts(matches: &RuleMatch) -> bool {
    let no_read = !matches.methods.iter().any(|method| READ_METHODS.contains(&method.as_str()));
    matches.class == Some(RuleClass::Read) && !matches.methods.is_empty() && no_read
}

fn sends_writes_to_standbys(rule: &Rule) -> bool {
    let to_standby = matches!(rule.action, RuleAction::ToStandby | RuleAction::ToAny);
    let methods = &rule.matches.methods;
    let only_writes =
        !methods.is_empty() && methods.iter().all(|method| WRITE_METHODS.contains(&method.as_str()));
    to_standby && (rule.matches.class == Some(RuleClass::Write) || only_writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> RuleMatch {
        RuleMatch { path: Some(path.into()), ..RuleMatch::default() }
    }

    #[test]
    fn a_wide_match_covers_a_narrow_one() {
        let cases = [
            (path("secret/*"), path("secret/data/*"), true),
            (path("secret/data/*"), path("secret/*"), false),
            (path("secret/+/x"), path("secret/a/x"), false),
            (RuleMatch::default(), path("a"), true),
            (path("a"), RuleMatch::default(), false),
            (path("a"), RuleMatch { methods: vec!["GET".into()], ..path("a") }, true),
            (RuleMatch { methods: vec!["GET".into()], ..path("a") }, path("a"), false),
            (RuleMatch { class: Some(RuleClass::Read), ..path("a") }, path("a"), false),
        ];
        for (wide, narrow, expected) in cases {
            assert_eq!(covers(&wide, &narrow), expected, "{wide:?} {narrow:?}");
        }
    }
}
