//! Password policies: a length, and rules that so many characters come from such a set.
//!
//! A password is drawn from all characters of all rules until it keeps them, so that each password that does is equally
//! likely. Where that is too rare to wait for, the characters each rule wants are drawn first, the rest from all, and the
//! whole is shuffled: not every password is equally likely then, but one is made.

use thiserror::Error;
use zeroize::Zeroizing;

use super::decode::ast;
use super::go;
use crate::entropy;
use crate::hcl::{self, Body, Kind, Value};

/// Most characters all rules together may name: a byte of randomness chooses one.
const MAX_CHARACTERS: usize = 256;
/// Longest password; the endpoint's own bound is lower.
const MAX_LENGTH: i64 = 4096;
/// How often a password is drawn before it is put together.
const MAX_DRAWS: u32 = 512;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordPolicy {
    length: i64,
    rules: Vec<Charset>,
    /// Of all rules, each once, sorted.
    characters: Vec<char>,
}

/// `rule "charset"`
#[derive(Debug, Clone, PartialEq, Eq)]
struct Charset {
    characters: Vec<char>,
    min: i64,
}

/// A text that is no password policy, in the server's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PasswordPolicyError(String);

/// A policy that makes no passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unable to generate random characters: charset is too long: limited to 255 characters")]
pub struct TooManyCharacters;

// === impl PasswordPolicy ===

impl PasswordPolicy {
    /// # Errors
    /// Not the language, no length or characters, or rules that no password can keep.
    pub fn parse(text: &str) -> Result<Self, PasswordPolicyError> {
        read(text).map_err(PasswordPolicyError)
    }

    #[must_use]
    pub fn length(&self) -> i64 {
        self.length
    }

    /// A password, from the system's randomness.
    ///
    /// # Errors
    /// More characters than can be chosen from.
    pub fn generate(&self) -> Result<Zeroizing<String>, TooManyCharacters> {
        if self.characters.len() > MAX_CHARACTERS {
            return Err(TooManyCharacters);
        }
        let length = usize::try_from(self.length).unwrap_or(0);
        for _ in 0..MAX_DRAWS {
            let drawn = draw(&self.characters, length);
            if self.rules.iter().all(|rule| rule.is_kept(&drawn)) {
                return Ok(text(&drawn));
            }
        }
        let mut made: Zeroizing<Vec<char>> = Zeroizing::new(Vec::with_capacity(length));
        for rule in &self.rules {
            let wanted = usize::try_from(rule.min).unwrap_or(0);
            made.extend(draw(&rule.characters, wanted).iter());
        }
        let left = length.saturating_sub(made.len());
        made.extend(draw(&self.characters, left).iter());
        shuffle(&mut made);
        Ok(text(&made))
    }

    fn check(&self) -> Result<(), String> {
        let mut mistakes = Vec::new();
        let wanted = self.rules.iter().fold(0_i64, |sum, rule| sum.saturating_add(rule.min));
        if self.length <= 0 {
            mistakes.push("length must be > 0".to_owned());
        } else if self.length < wanted {
            let length = self.length;
            mistakes.push(format!(
                "specified rules require at least {wanted} characters but {length} is specified"
            ));
        } else if self.length > MAX_LENGTH {
            mistakes.push(format!("length must be at most {MAX_LENGTH}"));
        }
        if self.characters.is_empty() {
            mistakes.push("no charset specified".to_owned());
        } else if self.rules.iter().any(|rule| rule.min > 0 && rule.characters.is_empty()) {
            mistakes.push("a rule requires characters but names none".to_owned());
        } else if self.characters.iter().any(|c| !is_printable(*c)) {
            mistakes.push("non-printable character in charset".to_owned());
        }
        if mistakes.is_empty() { Ok(()) } else { Err(go::errors(&mistakes)) }
    }
}

// === impl Charset ===

impl Charset {
    fn is_kept(&self, password: &[char]) -> bool {
        let found = password.iter().filter(|c| self.characters.contains(c)).count();
        self.min <= i64::try_from(found).unwrap_or(i64::MAX)
    }
}

fn draw(characters: &[char], length: usize) -> Zeroizing<Vec<char>> {
    let choices = characters.len();
    let mut drawn = Zeroizing::new(Vec::with_capacity(length));
    while choices > 0 && drawn.len() < length {
        drawn.extend(characters.get(below(choices)));
    }
    drawn
}

/// A number below `bound` (at most 256), each equally likely: bytes that would favour the first are not taken.
fn below(bound: usize) -> usize {
    let fair = MAX_CHARACTERS / bound * bound;
    loop {
        let [byte] = entropy::bytes::<1>();
        if usize::from(byte) < fair {
            return usize::from(byte) % bound;
        }
    }
}

/// A number below `bound`, however large, each equally likely.
fn below_any(bound: usize) -> usize {
    let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
    let fair = u64::MAX / bound * bound;
    loop {
        let number = u64::from_le_bytes(entropy::bytes());
        if number < fair {
            return usize::try_from(number % bound).unwrap_or(0);
        }
    }
}

fn shuffle(password: &mut [char]) {
    for at in (1..password.len()).rev() {
        password.swap(at, below_any(at + 1));
    }
}

fn text(password: &[char]) -> Zeroizing<String> {
    // Made at its full length at once: growing would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(password.len() * 4));
    text.extend(password.iter());
    text
}

/// Letters, marks, numbers, signs and the space, as the server's language counts them.
fn is_printable(c: char) -> bool {
    c == ' ' || !(c.is_control() || c.is_whitespace())
}

fn read(source: &str) -> Result<PasswordPolicy, String> {
    let body = hcl::parse(source).map_err(|error| format!("unable to decode: {error}"))?;
    let mut rules = Vec::new();
    let length = match body.attribute("length") {
        None => 0,
        Some(value) => {
            whole(value, "length").map_err(|why| format!("failed to decode configuration: {why}"))?
        }
    };
    for item in body.named("rule") {
        let kind = item.labels().iter().map(|label| &*label.text).collect::<Vec<_>>();
        read_rule(&kind, &item.value, &mut rules)?;
    }
    let mut characters: Vec<char> = rules.iter().flat_map(|rule| rule.characters.iter().copied()).collect();
    characters.sort_unstable();
    characters.dedup();
    let policy = PasswordPolicy { length, rules, characters };
    policy.check()?;
    Ok(policy)
}

/// `rule "charset" { ... }`; a rule without a kind holds kinds.
fn read_rule(kind: &[&str], value: &Value, rules: &mut Vec<Charset>) -> Result<(), String> {
    match (kind, &value.kind) {
        ([kind, rest @ ..], Kind::Object(body)) => {
            if *kind != "charset" {
                return Err(format!(
                    "unable to parse rules: unable to parse rule {kind}: unrecognized rule type {kind}"
                ));
            }
            // With a second label the rule's own fields are nowhere to be found, and it is empty.
            let empty = Body::default();
            let charset = charset(if rest.is_empty() { body } else { &empty });
            rules.push(charset.map_err(|why| {
                format!("unable to parse rules: unable to parse rule charset: failed to parse charset restriction: {why}")
            })?);
            Ok(())
        }
        ([], Kind::Object(body)) => {
            let Some(first) = body.items.first() else {
                return Err("unable to parse rules: unable to get rule info: rule is empty".to_owned());
            };
            if first.value.as_body().is_none() {
                return Err(format!(
                    "unable to parse rules: unable to get rule info: unable to get rule data: '' source data must be \
                     an array or slice, got {}",
                    go_type(&first.value)
                ));
            }
            let kinds: Vec<&str> =
                std::iter::once(first.key()).chain(first.labels()).map(|key| &*key.text).collect();
            read_rule(&kinds, &first.value, rules)
        }
        ([], Kind::List(values)) => values.iter().try_for_each(|value| read_rule(&[], value, rules)),
        (
            _,
            Kind::Null | Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Text(_) | Kind::List(_),
        ) => Err(format!(
            "unable to retrieve rules: '' source data must be an array or slice, got {}",
            go_type(value)
        )),
    }
}

fn charset(body: &Body) -> Result<Charset, String> {
    let characters = match body.attribute("charset") {
        None => Vec::new(),
        Some(value) => match &value.kind {
            Kind::Text(text) => text.chars().collect(),
            Kind::List(values) if values.is_empty() => Vec::new(),
            Kind::List(_) => {
                return Err(undecoded("'charset[0]' expected type 'int32', got unconvertible type 'string'"));
            }
            Kind::Null | Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Object(_) => {
                let got = go_type(value);
                return Err(undecoded(&format!(
                    "'charset' source data must be an array or slice, got {got}"
                )));
            }
        },
    };
    let min = body.attribute("min-chars").map(|value| whole(value, "min-chars")).transpose()?.unwrap_or(0);
    Ok(Charset { characters, min })
}

fn whole(value: &Value, field: &str) -> Result<i64, String> {
    match value.kind {
        Kind::Integer(number) => Ok(number),
        Kind::Float(number) => Ok(go::seconds(number) / 1_000_000_000),
        Kind::Null | Kind::Bool(_) | Kind::Text(_) | Kind::List(_) | Kind::Object(_) => {
            let got = go_type(value);
            Err(undecoded(&format!("'{field}' expected type 'int', got unconvertible type '{got}'")))
        }
    }
}

fn undecoded(why: &str) -> String {
    format!("decoding failed due to the following error(s):\n\n{why}")
}

fn go_type(value: &Value) -> &'static str {
    match value.kind {
        Kind::Text(_) => "string",
        Kind::Integer(_) => "int",
        Kind::Float(_) => "float64",
        Kind::Bool(_) => "bool",
        Kind::Null | Kind::List(_) | Kind::Object(_) => ast(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each row was given to the real server, but for those marked as ours.
    #[test]
    fn impossible_policies_are_refused() {
        let one = |error: &str| format!("1 error occurred:\n\t* {error}\n\n");
        let decoding = |error: &str| format!("decoding failed due to the following error(s):\n\n{error}");
        for (text, error) in [
            ("length=2\nrule \"charset\" { charset = \"abc\" min-chars=3 }", one("specified rules require at least 3 characters but 2 is specified")),
            ("length=0\nrule \"charset\" { charset = \"abc\" }", one("length must be > 0")),
            ("length=20", one("no charset specified")),
            ("length=4\nrule \"charset\" { }", one("no charset specified")),
            ("length=4\nrule \"charset\" \"x\" { charset = \"abc\" }", one("no charset specified")),
            ("length=4\nrule \"charset\" { charset = \"a\\u0007\" }", one("non-printable character in charset")),
            ("x", "unable to decode: At 1:3: key 'x' expected start of object ('{') or assignment ('=')".to_owned()),
            ("length=\"x\"", format!("failed to decode configuration: {}", decoding("'length' expected type 'int', got unconvertible type 'string'"))),
            ("length=4\nrule \"other\" { charset = \"abc\" }", "unable to parse rules: unable to parse rule other: unrecognized rule type other".to_owned()),
            ("length=4\nrule \"charset\" { charset = 5 }", format!("unable to parse rules: unable to parse rule charset: failed to parse charset restriction: {}", decoding("'charset' source data must be an array or slice, got int"))),
            ("length=4\nrule { charset=\"abc\" }", "unable to parse rules: unable to get rule info: unable to get rule data: '' source data must be an array or slice, got string".to_owned()),
            ("length=4\nrule=1", "unable to retrieve rules: '' source data must be an array or slice, got int".to_owned()),
            // Ours: the server breaks the connection.
            ("length=9\nrule \"charset\" { min-chars=1 }\nrule \"charset\" { charset=\"ab\" }", one("a rule requires characters but names none")),
        ] {
            assert_eq!(PasswordPolicy::parse(text), Err(PasswordPolicyError(error)), "{text}");
        }
        for text in [
            "length=4\nrule \"charset\" { charset = \"abc\" foo=1 min-chars=-1 }",
            "length=4.5\nrule \"charset\" { charset = \"é€\" }",
            r#"{"length":4,"rule":[{"charset":[{"charset":"abc","min-chars":1}]}]}"#,
            r#"{"length":4,"rule":{"charset":{"charset":"abc","min-chars":1}}}"#,
        ] {
            assert!(PasswordPolicy::parse(text).is_ok(), "{text}: {:?}", PasswordPolicy::parse(text));
        }
    }

    #[test]
    fn more_characters_than_a_byte_tells_apart_make_no_password() {
        let characters: String = ('一'..).take(300).collect();
        let policy =
            PasswordPolicy::parse(&format!("length=20\nrule \"charset\" {{ charset=\"{characters}\" }}"));
        assert_eq!(policy.unwrap().generate(), Err(TooManyCharacters));
    }

    proptest! {
        #[test]
        fn every_password_keeps_every_rule(
            sets in proptest::collection::vec(("[a-f0-9é]{1,6}", 0_i64..12), 1..4),
            spare in 1_i64..10,
        ) {
            let length = spare + sets.iter().map(|(_, min)| min).sum::<i64>();
            let rules: String = sets
                .iter()
                .map(|(set, min)| format!("rule \"charset\" {{ charset=\"{set}\" min-chars={min} }}\n"))
                .collect();
            let policy = PasswordPolicy::parse(&format!("length={length}\n{rules}")).unwrap();
            let password = policy.generate().unwrap();
            prop_assert_eq!(i64::try_from(password.chars().count()).unwrap(), length);
            for (set, min) in &sets {
                let found = password.chars().filter(|c| set.contains(*c)).count();
                prop_assert!(i64::try_from(found).unwrap() >= *min);
            }
            prop_assert!(password.chars().all(|c| sets.iter().any(|(set, _)| set.contains(c))));
        }
    }
}
