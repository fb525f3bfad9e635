//! `{{identity.entity.name}}` in the key of a path: found when a policy is written, filled in for each subject.
//!
//! A template whose value the subject does not have leaves the whole `path` block out. A value that would change what the
//! key means (a slash, a star, a plus sign) is an error of the whole policy unless the policy allows it: leaving such a
//! block out could lift a denial.

use thiserror::Error;
use time::{Duration, OffsetDateTime};

use super::subject::{Group, Subject, SubjectAlias};

/// `{{` without `}}`, or the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unbalanced templating characters")]
pub struct Unbalanced;

/// What a policy lets values hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    pub slashes: bool,
    pub wildcards: bool,
}

/// Why a key was not filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unfilled {
    /// The block does not concern this subject.
    #[error("no value could be found for one of the template directives")]
    NoValue,
    #[error("template substitution contains forbidden value: {0:?}")]
    Forbidden(&'static str),
}

/// A key filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    pub key: String,
    /// It holds the time of day, and is of no use a second later.
    pub passes: bool,
}

/// Whether `key` holds templates.
///
/// # Errors
/// The braces do not pair.
pub fn is_templated(key: &str) -> Result<bool, Unbalanced> {
    let mut pieces = key.split("{{");
    if pieces.next().is_some_and(|first| first.contains("}}")) {
        return Err(Unbalanced);
    }
    let mut templated = false;
    for piece in pieces {
        if piece.matches("}}").count() != 1 {
            return Err(Unbalanced);
        }
        templated = true;
    }
    Ok(templated)
}

/// Fills in the templates of `key`.
///
/// # Errors
/// See [`Unfilled`].
pub fn fill(
    key: &str,
    subject: Option<&Subject>,
    allowance: Allowance,
    now: OffsetDateTime,
) -> Result<Filled, Unfilled> {
    let mut filled = Filled { key: String::with_capacity(key.len() + 32), passes: false };
    let mut pieces = key.split("{{");
    filled.key.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (directive, literal) = piece.split_once("}}").ok_or(Unfilled::NoValue)?;
        let directive = directive.trim();
        filled.passes |= directive.starts_with("time.");
        let value = value(directive, subject, now).ok_or(Unfilled::NoValue)?;
        check(&value, allowance)?;
        filled.key.push_str(&value);
        filled.key.push_str(literal);
    }
    Ok(filled)
}

fn check(value: &str, allowance: Allowance) -> Result<(), Unfilled> {
    for (forbidden, allowed) in
        [("/", allowance.slashes), ("*", allowance.wildcards), ("+", allowance.wildcards)]
    {
        if !allowed && value.contains(forbidden) {
            return Err(Unfilled::Forbidden(forbidden));
        }
    }
    Ok(())
}

fn value(directive: &str, subject: Option<&Subject>, now: OffsetDateTime) -> Option<String> {
    if let Some(rest) = directive.strip_prefix("time.") {
        return moment(rest, now);
    }
    let subject = subject?;
    if let Some(rest) = directive.strip_prefix("identity.entity.") {
        return of_entity(rest, subject).map(str::to_owned);
    }
    let rest = directive.strip_prefix("identity.groups.")?;
    of_groups(rest, &subject.groups).map(str::to_owned)
}

fn of_entity<'s>(selector: &str, subject: &'s Subject) -> Option<&'s str> {
    match selector {
        "id" => present(&subject.entity_id),
        "name" => present(&subject.name),
        _ => match selector.split_once('.')? {
            ("metadata", name) => subject.metadata.get(name).map(String::as_str),
            ("aliases", rest) => {
                let (accessor, selector) = rest.split_once('.')?;
                of_alias(selector, subject.aliases.get(accessor)?)
            }
            _ => None,
        },
    }
}

fn of_alias<'s>(selector: &str, alias: &'s SubjectAlias) -> Option<&'s str> {
    match selector {
        "id" => present(&alias.id),
        "name" => present(&alias.name),
        _ => match selector.split_once('.')? {
            ("metadata", name) => alias.metadata.get(name).map(String::as_str),
            ("custom_metadata", name) => alias.custom_metadata.get(name).map(String::as_str),
            _ => None,
        },
    }
}

fn of_groups<'s>(selector: &str, groups: &'s [Group]) -> Option<&'s str> {
    let (by, rest) = selector.split_once('.')?;
    let (wanted, selector) = rest.split_once('.')?;
    let group = match by {
        "ids" => groups.iter().find(|group| group.id == wanted)?,
        "names" => groups.iter().find(|group| group.name == wanted)?,
        _ => return None,
    };
    match selector {
        "id" => Some(&group.id),
        "name" => present(&group.name),
        _ => group.metadata.get(selector.strip_prefix("metadata.")?).map(String::as_str),
    }
}

fn present(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// `now`, `now.plus.1h`, `now.minus.90`: seconds since 1970.
fn moment(selector: &str, now: OffsetDateTime) -> Option<String> {
    let mut parts = selector.splitn(3, '.');
    if parts.next() != Some("now") {
        return None;
    }
    let moment = match (parts.next(), parts.next()) {
        (None, _) => now,
        (Some("plus"), Some(span)) => now.checked_add(duration(span)?)?,
        (Some("minus"), Some(span)) => now.checked_sub(duration(span)?)?,
        (Some(_), _) => return None,
    };
    Some(moment.unix_timestamp().to_string())
}

fn duration(text: &str) -> Option<Duration> {
    Duration::try_from(crate::duration::parse(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn bob() -> Subject {
        let alias = SubjectAlias {
            id: "al".to_owned(),
            name: "bob".to_owned(),
            metadata: pairs(&[("m", "am")]),
            custom_metadata: pairs(&[("c", "ac")]),
        };
        let group = Group { id: "g1".to_owned(), name: "grp".to_owned(), metadata: pairs(&[("gm", "gv")]) };
        Subject {
            entity_id: "e1".to_owned(),
            name: "Bob".to_owned(),
            metadata: pairs(&[
                ("m", "mv"),
                ("w", "a*b"),
                ("s", "a/b"),
                ("p", "a+b"),
                ("e", ""),
                ("d.t", "dots"),
            ]),
            aliases: BTreeMap::from([("acc".to_owned(), alias)]),
            groups: vec![group],
            ..Subject::default()
        }
    }

    fn filled(key: &str) -> Option<String> {
        fill(key, Some(&bob()), Allowance::default(), OffsetDateTime::UNIX_EPOCH)
            .ok()
            .map(|filled| filled.key)
    }

    #[test]
    fn every_directive_finds_its_value() {
        for (key, value) in [
            ("t/{{identity.entity.id}}", Some("t/e1")),
            ("t/{{ identity.entity.name }}/*", Some("t/Bob/*")),
            ("t/{{identity.entity.metadata.m}}", Some("t/mv")),
            ("t/{{identity.entity.metadata.d.t}}", Some("t/dots")),
            ("t/{{identity.entity.metadata.e}}/z", Some("t//z")),
            ("t/{{identity.entity.metadata}}", None),
            ("t/{{identity.entity.metadata.none}}", None),
            ("t/{{identity.entity.aliases.acc.id}}", Some("t/al")),
            ("t/{{identity.entity.aliases.acc.name}}", Some("t/bob")),
            ("t/{{identity.entity.aliases.acc.metadata.m}}", Some("t/am")),
            ("t/{{identity.entity.aliases.acc.custom_metadata.c}}", Some("t/ac")),
            ("t/{{identity.entity.aliases.nope.id}}", None),
            ("t/{{identity.entity.groups.names}}", None),
            ("t/{{identity.groups.names.grp.id}}", Some("t/g1")),
            ("t/{{identity.groups.ids.g1.name}}", Some("t/grp")),
            ("t/{{identity.groups.names.grp.metadata.gm}}", Some("t/gv")),
            ("t/{{identity.groups.names.nope.id}}", None),
            ("t/{{nonsense}}", None),
            ("t/{{time.now}}", Some("t/0")),
            ("t/{{time.now.plus.1h}}", Some("t/3600")),
            ("t/{{time.now.minus.10}}", Some("t/-10")),
            ("t/{{time.now.plus}}", None),
            ("{{identity.entity.id}}-{{identity.entity.name}}", Some("e1-Bob")),
        ] {
            assert_eq!(filled(key).as_deref(), value, "{key}");
        }
        let nobody = fill("t/{{identity.entity.id}}", None, Allowance::default(), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(nobody, Err(Unfilled::NoValue));
    }

    #[test]
    fn values_that_change_the_meaning_are_forbidden() {
        let (slashes, wildcards) =
            (Allowance { slashes: true, wildcards: false }, Allowance { slashes: false, wildcards: true });
        for (name, allowance, outcome) in [
            ("w", Allowance::default(), Err(Unfilled::Forbidden("*"))),
            ("w", slashes, Err(Unfilled::Forbidden("*"))),
            ("w", wildcards, Ok("a*b")),
            ("p", Allowance::default(), Err(Unfilled::Forbidden("+"))),
            ("p", wildcards, Ok("a+b")),
            ("s", Allowance::default(), Err(Unfilled::Forbidden("/"))),
            ("s", wildcards, Err(Unfilled::Forbidden("/"))),
            ("s", slashes, Ok("a/b")),
        ] {
            let key = format!("{{{{identity.entity.metadata.{name}}}}}");
            let got =
                fill(&key, Some(&bob()), allowance, OffsetDateTime::UNIX_EPOCH).map(|filled| filled.key);
            assert_eq!(got, outcome.map(str::to_owned), "{name} {allowance:?}");
        }
    }

    #[test]
    fn braces_pair() {
        for (key, templated) in [
            ("a", Ok(false)),
            ("a/{{b}}", Ok(true)),
            ("a/{{b", Err(Unbalanced)),
            ("a/b}}", Err(Unbalanced)),
            ("a/{{a}}}}", Err(Unbalanced)),
            ("a/{b}", Ok(false)),
        ] {
            assert_eq!(is_templated(key), templated, "{key}");
        }
    }
}
