//! Operator rules, compiled once per configuration: the first that matches a request wins.
//!
//! A rule sees the canonical path, never the bytes on the wire; an unclean path is matched by no rule with a path
//! (its caller denies it where a deny rule exists). No regular expressions: a glob takes time proportional to the path
//! for a given pattern. What the winning rule's action means for routing is decided by the caller.

use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};

use crate::api::classify::Class;
use crate::config::proxy::{ConsistencyMode, Rule, RuleAction, RuleClass};

/// All rules of one configuration, in the operator's order.
#[derive(Debug, Clone, Default)]
pub struct CompiledRules {
    rules: Vec<CompiledRule>,
}

/// One rule, ready to be matched.
#[derive(Debug, Clone)]
pub struct CompiledRule {
    pub name: String,
    pub action: RuleAction,
    pub consistency: Option<ConsistencyMode>,
    pub timeout: Option<Duration>,
    /// `Some(0)`: unlimited.
    pub max_body_bytes: Option<u64>,
    path: Option<Glob>,
    methods: Vec<Method>,
    namespace: Option<Glob>,
    class: Option<Class>,
    header: Option<HeaderMatch>,
}

#[derive(Debug, Clone)]
enum HeaderMatch {
    Known(HeaderName, Glob),
    /// A name no header can have: the rule matches nothing.
    Impossible,
}

/// What a rule looks at; borrowed from the request.
#[derive(Debug, Clone, Copy)]
pub struct RuleInput<'a> {
    /// Canonical path without `/v1/`; `None` when the path is unclean or outside the API.
    pub path: Option<&'a str>,
    pub method: &'a Method,
    /// The header's namespace without leading or trailing slash.
    pub namespace: &'a str,
    /// What the built-in table says.
    pub class: Class,
    pub headers: &'a HeaderMap,
}

// === impl CompiledRules ===

impl CompiledRules {
    /// Compiles the rules of a checked configuration.
    #[must_use]
    pub fn compile(rules: &[Rule]) -> Self {
        Self { rules: rules.iter().map(CompiledRule::compile).collect() }
    }

    /// The first rule whose every given field matches.
    #[must_use]
    pub fn first_match(&self, input: &RuleInput<'_>) -> Option<&CompiledRule> {
        self.rules.iter().find(|rule| rule.matches(input))
    }

    /// Whether any rule refuses requests: then what cannot be matched (an unclean path) must be refused too.
    #[must_use]
    pub fn any_denies(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.action, RuleAction::Deny { .. }))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

// === impl CompiledRule ===

impl CompiledRule {
    fn compile(rule: &Rule) -> Self {
        let matches = &rule.matches;
        Self {
            name: rule.name.clone(),
            action: rule.action,
            consistency: rule.consistency,
            timeout: rule.timeout,
            max_body_bytes: rule.max_body_bytes,
            path: matches.path.as_deref().map(Glob::new),
            methods: matches
                .methods
                .iter()
                .filter_map(|name| Method::from_bytes(name.as_bytes()).ok())
                .collect(),
            namespace: matches.namespace.as_deref().map(|text| Glob::new(text.trim_matches('/'))),
            class: matches.class.map(class),
            header: matches.header.as_ref().map(|(name, value)| HeaderMatch::compile(name, value)),
        }
    }

    fn matches(&self, input: &RuleInput<'_>) -> bool {
        self.class.is_none_or(|class| class == input.class)
            && (self.methods.is_empty() || self.methods.contains(input.method))
            && self.namespace.as_ref().is_none_or(|glob| glob.matches(input.namespace))
            && self.path.as_ref().is_none_or(|glob| input.path.is_some_and(|path| glob.matches(path)))
            && self.header.as_ref().is_none_or(|header| header.matches(input.headers))
    }
}

fn class(class: RuleClass) -> Class {
    match class {
        RuleClass::Read => Class::Read,
        RuleClass::Write => Class::Write,
        RuleClass::Local => Class::Local,
        RuleClass::Unknown => Class::Unknown,
    }
}

// === impl HeaderMatch ===

impl HeaderMatch {
    fn compile(name: &str, value: &str) -> Self {
        HeaderName::from_bytes(name.as_bytes())
            .map_or(Self::Impossible, |name| Self::Known(name, Glob::new(value)))
    }

    /// One of the header's values has to match.
    fn matches(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::Impossible => false,
            Self::Known(name, glob) => {
                headers.get_all(name).iter().any(|value| glob.matches_bytes(value.as_bytes()))
            }
        }
    }
}

/// `*` is any run of characters, slashes included, also none; `+` as a whole segment is exactly one non-empty segment;
/// everything else stands for itself. The whole text has to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// What stands between the stars; a glob without a star is one chunk.
    chunks: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Box<[u8]>),
    OneSegment,
}

// === impl Glob ===

impl Glob {
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        let mut chunks = vec![Vec::new()];
        let mut literal = Vec::new();
        let bytes = pattern.as_bytes();
        for (at, &byte) in bytes.iter().enumerate() {
            let is_segment = byte == b'+' && stands_alone(bytes, at);
            if byte != b'*' && !is_segment {
                literal.push(byte);
                continue;
            }
            push_literal(&mut chunks, &mut literal);
            if is_segment {
                push_piece(&mut chunks, Piece::OneSegment);
            } else {
                chunks.push(Vec::new());
            }
        }
        push_literal(&mut chunks, &mut literal);
        Self { chunks }
    }

    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.matches_bytes(text.as_bytes())
    }

    /// The first chunk is fixed at the start, each further one is taken where it first fits, the last has to reach
    /// the end. First fit is enough: starting a chunk later never lets it end earlier.
    #[must_use]
    pub fn matches_bytes(&self, text: &[u8]) -> bool {
        let Some((first, rest)) = self.chunks.split_first() else { return text.is_empty() };
        let Some(mut text) = strip(first, text) else { return false };
        let Some((last, middle)) = rest.split_last() else { return text.is_empty() };
        for chunk in middle {
            let Some(after) = suffixes(text).find_map(|from| strip(chunk, from)) else { return false };
            text = after;
        }
        suffixes(text).any(|from| strip(last, from).is_some_and(<[u8]>::is_empty))
    }
}

/// A `+` is a segment only between slashes or ends.
fn stands_alone(pattern: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| pattern.get(at));
    let after = pattern.get(at + 1);
    before.is_none_or(|&byte| byte == b'/') && after.is_none_or(|&byte| byte == b'/')
}

fn push_literal(chunks: &mut [Vec<Piece>], literal: &mut Vec<u8>) {
    if !literal.is_empty() {
        push_piece(chunks, Piece::Literal(std::mem::take(literal).into()));
    }
}

fn push_piece(chunks: &mut [Vec<Piece>], piece: Piece) {
    if let Some(chunk) = chunks.last_mut() {
        chunk.push(piece);
    }
}

/// What follows the chunk when `text` begins with it.
fn strip<'t>(chunk: &[Piece], text: &'t [u8]) -> Option<&'t [u8]> {
    chunk.iter().try_fold(text, |text, piece| match piece {
        Piece::Literal(literal) => text.strip_prefix(literal.as_ref()),
        Piece::OneSegment => {
            let end = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
            (end > 0).then(|| text.get(end..)).flatten()
        }
    })
}

fn suffixes(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..=text.len()).filter_map(|from| text.get(from..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::proxy::RuleMatch;
    use http::HeaderValue;
    use proptest::prelude::*;

    #[test]
    fn globs_match_whole_paths() {
        let table = [
            ("sys/mounts", "sys/mounts", true),
            ("sys/mounts", "sys/mounts/x", false),
            ("sys/mounts", "ns/sys/mounts", false),
            ("sys/*", "sys/mounts/x", true),
            ("sys/*", "sys/", true),
            ("sys/*", "sys", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("", "", true),
            ("", "a", false),
            ("*/creds/*", "database/creds/x", true),
            ("*/creds/*", "a/b/creds/x/y", true),
            ("*/creds/*", "creds/x", false),
            ("+/creds/+", "database/creds/x", true),
            ("+/creds/+", "a/b/creds/x", false),
            ("+/creds/+", "database/creds/", false),
            ("+/creds/+", "database/creds/x/y", false),
            ("secret/data/*/key", "secret/data/a/b/key", true),
            ("secret/data/*/key", "secret/data/key", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXcYb", false),
            ("*ab", "aab", true),
            ("*a/+", "xa/ya/z", true),
            ("a+b", "a+b", true),
            ("a+b", "axb", false),
            ("**", "x", true),
            ("é*", "éa", true),
        ];
        for (pattern, text, want) in table {
            assert_eq!(Glob::new(pattern).matches(text), want, "{pattern} {text}");
        }
    }

    fn rule(name: &str, matches: RuleMatch) -> Rule {
        Rule {
            name: name.to_owned(),
            matches,
            action: RuleAction::ToActive,
            consistency: None,
            timeout: None,
            max_body_bytes: None,
        }
    }

    fn named<'r>(rules: &'r CompiledRules, input: &RuleInput<'_>) -> Option<&'r str> {
        rules.first_match(input).map(|rule| rule.name.as_str())
    }

    #[test]
    fn every_given_field_must_match_and_the_first_rule_wins() {
        let rules = CompiledRules::compile(&[
            rule(
                "path",
                RuleMatch { path: Some("pki/*".into()), methods: vec!["GET".into()], ..Default::default() },
            ),
            rule("ns", RuleMatch { namespace: Some("/team-*/".into()), ..Default::default() }),
            rule("header", RuleMatch { header: Some(("x-app".into(), "pay*".into())), ..Default::default() }),
            rule("odd", RuleMatch { header: Some(("x app".into(), "*".into())), ..Default::default() }),
            rule("class", RuleMatch { class: Some(RuleClass::Unknown), ..Default::default() }),
        ]);
        let (none, mut app) = (HeaderMap::new(), HeaderMap::new());
        app.append("x-app", HeaderValue::from_static("other"));
        app.append("x-app", HeaderValue::from_static("payments"));
        let input =
            |path, method, namespace, class, headers| RuleInput { path, method, namespace, class, headers };
        let table = [
            (input(Some("pki/ca"), &Method::GET, "", Class::Read, &none), Some("path")),
            (input(Some("pki/ca"), &Method::POST, "", Class::Write, &none), None),
            (input(Some("pki/ca"), &Method::GET, "team-a", Class::Read, &app), Some("path")),
            (input(Some("x"), &Method::GET, "team-a", Class::Read, &app), Some("ns")),
            (input(Some("x"), &Method::GET, "", Class::Read, &app), Some("header")),
            (input(Some("x"), &Method::GET, "", Class::Unknown, &none), Some("class")),
            (input(None, &Method::GET, "", Class::Unknown, &none), Some("class")),
            (input(None, &Method::GET, "", Class::Read, &none), None),
        ];
        for (input, want) in table {
            assert_eq!(named(&rules, &input), want, "{input:?}");
        }
    }

    #[test]
    fn deny_rules_are_known() {
        let deny = Rule { action: RuleAction::Deny { status: 403 }, ..rule("d", RuleMatch::default()) };
        assert!(CompiledRules::compile(&[deny]).any_denies());
        assert!(!CompiledRules::compile(&[rule("a", RuleMatch::default())]).any_denies());
        assert!(CompiledRules::compile(&[]).is_empty());
    }

    /// The definition, written down without care for time.
    fn slow(pattern: &[char], text: &[char], segment_start: bool) -> bool {
        let Some((&first, rest)) = pattern.split_first() else { return text.is_empty() };
        let alone = segment_start && rest.first().is_none_or(|&c| c == '/');
        match first {
            '*' => (0..=text.len()).any(|skip| slow(rest, &text[skip..], false)),
            '+' if alone => {
                let end = text.iter().position(|&c| c == '/').unwrap_or(text.len());
                end > 0 && slow(rest, &text[end..], false)
            }
            c => text.first() == Some(&c) && slow(rest, &text[1..], c == '/'),
        }
    }

    proptest! {
        #[test]
        fn the_matcher_agrees_with_the_definition(pattern in "[ab/*+]{0,8}", text in "[ab/+]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::new(&pattern).matches(&text), slow(&chars(&pattern), &chars(&text), true));
        }
    }
}
