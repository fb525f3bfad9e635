//! `list_scan_response_keys_filter_path`: a template that makes of a list's path and one of its keys the path at which the
//! caller must be allowed something for the key to be shown.
//!
//! The server's templates are Go's; here are the parts that make paths: text, `.path`, `.key`, quoted text, and the functions
//! `lowercase`, `uppercase`, `replace` and `truncate`, alone or after a `|`. Anything else is refused when the policy is
//! written, never passed over.

use thiserror::Error;

/// A template, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The first makes a text, each further one changes it.
    Action(Source, Vec<Change>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Path,
    Key,
    Quoted(String),
    /// A name the template does not have.
    Missing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Lower,
    Upper,
    Replace { from: String, to: String },
    Truncate(usize),
}

/// A template that is none, or more than is taken here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    #[error("template: template:1: unclosed action")]
    Unclosed,
    #[error("template: template:1: missing value for command")]
    Empty,
    #[error("template: template:1: function {0:?} not defined")]
    Unknown(String),
    #[error("template: template:1: unexpected {0:?} in operand")]
    Unexpected(String),
}

impl KeyTemplate {
    /// # Errors
    /// See [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let (action, after) = split_action(after).ok_or(TemplateError::Unclosed)?;
            // `{{- ` and ` -}}` take the white space outside with them.
            let (action, before) = match action.strip_prefix("- ") {
                Some(action) => (action, before.trim_end()),
                None => (action, before),
            };
            let (action, after) = match action.strip_suffix(" -") {
                Some(action) => (action, after.trim_start()),
                None => (action, after),
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(parse_action(action)?);
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self { pieces })
    }

    /// Whether different keys give different paths.
    #[must_use]
    pub fn tells_keys_apart(&self) -> bool {
        let path = |key| self.path("path", key);
        // Neither begins as the other does, and both outlast any cut that leaves something to tell.
        path("Zq4vR0kWm81sT6yB") != path("b9XhN2cLfE7uJ3gD")
    }

    /// The path to ask about for `key` in a list of `path`.
    #[must_use]
    pub fn path(&self, path: &str, key: &str) -> String {
        let mut made = String::with_capacity(path.len() + key.len());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => made.push_str(text),
                Piece::Action(source, changes) => made.push_str(&run(source, changes, path, key)),
            }
        }
        made
    }
}

fn run(source: &Source, changes: &[Change], path: &str, key: &str) -> String {
    let first = match source {
        Source::Path => path.to_owned(),
        Source::Key => key.to_owned(),
        Source::Quoted(text) => text.clone(),
        Source::Missing => "<no value>".to_owned(),
    };
    changes.iter().fold(first, |text, change| match change {
        Change::Lower => text.to_lowercase(),
        Change::Upper => text.to_uppercase(),
        Change::Replace { from, to } => text.replace(from.as_str(), to),
        Change::Truncate(length) => text.chars().take(*length).collect(),
    })
}

/// The inside of an action and what follows it; `}}` within quotes does not end it.
fn split_action(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None => {
                let (inside, rest) = text.split_at_checked(at)?;
                if let Some(after) = rest.strip_prefix("}}") {
                    return Some((inside, after));
                }
            }
        }
    }
    None
}

fn parse_action(action: &str) -> Result<Piece, TemplateError> {
    let mut stages =
        words(action)?.split(|word| *word == Word::Pipe).map(<[Word]>::to_vec).collect::<Vec<_>>();
    let mut first = stages.remove(0);
    // A function with its last argument in place is that argument piped into it.
    let mut changes = Vec::new();
    let source = match first.pop() {
        None => return Err(TemplateError::Empty),
        Some(word) if first.is_empty() => word.source()?,
        Some(word) => {
            changes.push(change(&first)?);
            word.source()?
        }
    };
    for stage in stages {
        changes.push(change(&stage)?);
    }
    Ok(Piece::Action(source, changes))
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Name(String),
    Quoted(String),
    Pipe,
}

impl Word {
    fn source(&self) -> Result<Source, TemplateError> {
        match self {
            Self::Quoted(text) => Ok(Source::Quoted(text.clone())),
            Self::Name(name) => match name.as_str() {
                ".path" => Ok(Source::Path),
                ".key" => Ok(Source::Key),
                other if other.strip_prefix('.').is_some_and(is_identifier) => Ok(Source::Missing),
                other if is_identifier(other) => Err(TemplateError::Unknown(other.to_owned())),
                other => Err(TemplateError::Unexpected(other.to_owned())),
            },
            Self::Pipe => Err(TemplateError::Empty),
        }
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn change(words: &[Word]) -> Result<Change, TemplateError> {
    match words {
        [Word::Name(name)] if name == "lowercase" => Ok(Change::Lower),
        [Word::Name(name)] if name == "uppercase" => Ok(Change::Upper),
        [Word::Name(name), Word::Quoted(from), Word::Quoted(to)] if name == "replace" => {
            Ok(Change::Replace { from: from.clone(), to: to.clone() })
        }
        [Word::Name(name), Word::Name(length)] if name == "truncate" => {
            length.parse().map(Change::Truncate).map_err(|_| TemplateError::Unexpected(length.clone()))
        }
        [Word::Name(name), ..] => Err(TemplateError::Unknown(name.clone())),
        [Word::Quoted(text), ..] => Err(TemplateError::Unexpected(text.clone())),
        [] | [Word::Pipe, ..] => Err(TemplateError::Empty),
    }
}

fn words(action: &str) -> Result<Vec<Word>, TemplateError> {
    let (mut words, mut rest) = (Vec::new(), action.trim_start());
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '|' => (Word::Pipe, rest.strip_prefix('|').unwrap_or_default()),
            '"' | '`' => quoted(rest, first)?,
            _ => {
                let end =
                    rest.find(|c: char| c.is_whitespace() || c == '|' || c == '"').unwrap_or(rest.len());
                let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (Word::Name(name.to_owned()), after)
            }
        };
        words.push(word);
        rest = after.trim_start();
    }
    Ok(words)
}

fn quoted(text: &str, quote: char) -> Result<(Word, &str), TemplateError> {
    let mut inside = String::new();
    let mut chars = text.chars();
    chars.next();
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Ok((Word::Quoted(inside), chars.as_str())),
            '\\' if quote == '"' => inside.push(match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(c @ ('"' | '\\')) => c,
                Some(other) => return Err(TemplateError::Unexpected(format!("\\{other}"))),
                None => return Err(TemplateError::Unclosed),
            }),
            c => inside.push(c),
        }
    }
    Err(TemplateError::Unclosed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_make_paths() {
        for (template, made) in [
            ("{{ .path }}{{ .key }}", "kv/metadata/k1/"),
            ("{{.path}}{{.key}}", "kv/metadata/k1/"),
            ("a/{{ .key | uppercase }}", "a/K1/"),
            ("{{ uppercase .key }}", "K1/"),
            (r#"{{ .path | replace "metadata" "data" }}{{ .key }}"#, "kv/data/k1/"),
            (r#"{{ replace "}}" "x" .path }}{{.key}}"#, "kv/metadata/k1/"),
            (r"{{ `kv/` }}{{ .key | truncate 2 }}", "kv/k1"),
            ("a  {{- .key -}}  /b", "ak1//b"),
            ("{{ .other }}{{ .key }}", "<no value>k1/"),
        ] {
            let template = KeyTemplate::parse(template).unwrap();
            assert_eq!(template.path("kv/metadata/", "k1/"), made);
            assert!(template.tells_keys_apart());
        }
        assert!(!KeyTemplate::parse("abc").unwrap().tells_keys_apart());
        assert!(!KeyTemplate::parse("{{ .path }}").unwrap().tells_keys_apart());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (template, error) in [
            ("{{ .key", TemplateError::Unclosed),
            ("{{ }}", TemplateError::Empty),
            ("{{ .key | }}", TemplateError::Empty),
            ("{{ key }}", TemplateError::Unknown("key".to_owned())),
            ("{{ .key | sha256 }}", TemplateError::Unknown("sha256".to_owned())),
            ("{{ if .key }}x{{ end }}", TemplateError::Unknown("if".to_owned())),
            ("{{ (.key) }}", TemplateError::Unexpected("(.key)".to_owned())),
        ] {
            assert_eq!(KeyTemplate::parse(template), Err(error), "{template}");
        }
    }
}
