//! Any text as an ACL or password policy: read or refused in words, never a panic. What is read can be asked, and a denial
//! of a path stands whatever else is said of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Map;
use time::OffsetDateTime;
use understudy::core::policy::acl::Builder;
use understudy::core::policy::password::PasswordPolicy;
use understudy::core::policy::rule::PathRule;
use understudy::core::policy::scope::Scope;
use understudy::core::policy::template::{self, Allowance};
use understudy::core::policy::{Asked, Capabilities, Subject, parse};
use understudy::logical::Operation;

const OPERATIONS: [Operation; 8] = [
    Operation::Create,
    Operation::Update,
    Operation::Patch,
    Operation::Read,
    Operation::List,
    Operation::Scan,
    Operation::Delete,
    Operation::Help,
];

fn scope(rule: &PathRule, subject: &Subject) -> Option<Scope> {
    if !rule.templated {
        return Some(Scope::of(&rule.key).expect("the language refuses what is no path"));
    }
    let anything = Allowance { slashes: true, wildcards: true };
    let filled = template::fill(&rule.key, Some(subject), anything, OffsetDateTime::UNIX_EPOCH).ok()?;
    Scope::of(&filled.key).ok()
}

fn check_rules(rules: &[PathRule]) {
    let subject = Subject { entity_id: "e".to_owned(), name: "n".to_owned(), ..Subject::default() };
    let (mut builder, mut denied, mut paths) = (Builder::default(), Vec::new(), vec![String::new()]);
    for rule in rules {
        let Some(scope) = scope(rule, &subject) else { continue };
        if let Scope::Exact(path) = &scope {
            paths.push(path.clone());
            if rule.permissions.capabilities.has(Capabilities::DENY) {
                denied.push(path.clone());
            }
        }
        if let Some(filter) = &rule.permissions.key_filter {
            assert!(filter.tells_keys_apart());
        }
        builder.add(&"fuzz".into(), scope, &rule.permissions);
    }
    let acl = builder.build();
    for path in &paths {
        for operation in OPERATIONS {
            let asked = Asked { operation, path, data: &Map::new(), wrap_ttl: None };
            let allowed = acl.decide(&asked).allowed && operation != Operation::Help;
            assert!(!(allowed && acl.capabilities(path) == ["deny"]), "{path:?} {operation:?}");
        }
    }
    for path in denied.iter().filter(|path| !path.starts_with('/')) {
        assert_eq!(acl.capabilities(path), ["deny"], "{path:?}");
    }
}

fuzz_target!(|text: &str| {
    match parse::policy(text) {
        Ok(policy) => check_rules(&policy.paths),
        Err(error) => assert!(error.to_string().starts_with("failed to parse policy: ")),
    }
    if let Ok(policy) = PasswordPolicy::parse(text) {
        if let Ok(password) = policy.generate() {
            assert_eq!(i64::try_from(password.chars().count()), Ok(policy.length()));
        }
    }
});
