//! Path patterns of endpoints: `keys/{name}/config`.
//!
//! `{name}` is one segment of Vault's generic name (letters, digits, `_`, `-`, `.`; neither first nor last a `-` or `.`),
//! `{name:segment}` any one segment, `{name:rest}` everything that is left, at least one character. A trailing `/?` lets
//! the path end with or without a slash, which is how lists are asked for.

/// What a pattern captured: names from the pattern, values from the path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Captures<'p> {
    found: [Option<(&'static str, &'p str)>; MAX_CAPTURES],
}

const MAX_CAPTURES: usize = 4;

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    source: &'static str,
    parts: Vec<Part>,
    optional_slash: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Literal(&'static str),
    Name(&'static str),
    Segment(&'static str),
    Rest(&'static str),
}

impl<'p> Captures<'p> {
    /// The value captured as `name`; empty when the pattern has no such name.
    #[must_use]
    pub fn get(&self, name: &str) -> &'p str {
        self.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'p str)> + '_ {
        self.found.iter().flatten().copied()
    }

    fn push(&mut self, name: &'static str, value: &'p str) {
        if let Some(free) = self.found.iter_mut().find(|slot| slot.is_none()) {
            *free = Some((name, value));
        }
    }
}

impl Pattern {
    /// # Panics
    /// On more than four captures: patterns are constants, so any test meets it.
    #[must_use]
    pub fn parse(source: &'static str) -> Self {
        let (body, optional_slash) = source.strip_suffix("/?").map_or((source, false), |body| (body, true));
        let parts: Vec<Part> = body.split('/').map(Part::parse).collect();
        let captures = parts.iter().filter(|part| !matches!(part, Part::Literal(_))).count();
        assert!(captures <= MAX_CAPTURES, "{source} captures more than {MAX_CAPTURES} names");
        Self { source, parts, optional_slash }
    }

    #[must_use]
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// As a regular expression in the real server's spelling, for help.
    #[must_use]
    pub fn expression(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(|part| part.expression()).collect();
        format!("^{}{}$", parts.join("/"), if self.optional_slash { "/?" } else { "" })
    }

    /// What the pattern captures of `path`, or nothing when it does not match the whole of it.
    #[must_use]
    pub fn matches<'p>(&self, path: &'p str) -> Option<Captures<'p>> {
        let path = if self.optional_slash { path.strip_suffix('/').unwrap_or(path) } else { path };
        let (mut captures, mut rest) = (Captures::default(), Some(path));
        for part in &self.parts {
            let left = rest?;
            if let Part::Rest(name) = part {
                captures.push(name, left);
                return (!left.is_empty()).then_some(captures);
            }
            let (segment, after) =
                left.split_once('/').map_or((left, None), |(head, tail)| (head, Some(tail)));
            part.take(segment, &mut captures)?;
            rest = after;
        }
        rest.is_none().then_some(captures)
    }
}

impl Part {
    fn parse(segment: &'static str) -> Self {
        let Some(inner) = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) else {
            return Self::Literal(segment);
        };
        match inner.split_once(':') {
            Some((name, "rest")) => Self::Rest(name),
            Some((name, _)) => Self::Segment(name),
            None => Self::Name(inner),
        }
    }

    fn expression(self) -> String {
        match self {
            Self::Literal(literal) => literal.to_owned(),
            Self::Name(name) => format!(r"(?P<{name}>\w(([\w-.]+)?\w)?)"),
            Self::Segment(name) => format!("(?P<{name}>[^/]+)"),
            Self::Rest(name) => format!("(?P<{name}>.+)"),
        }
    }

    fn take<'p>(self, segment: &'p str, captures: &mut Captures<'p>) -> Option<()> {
        match self {
            Self::Literal(literal) => (literal == segment).then_some(()),
            Self::Name(name) => is_generic_name(segment).then(|| captures.push(name, segment)),
            Self::Segment(name) | Self::Rest(name) => {
                (!segment.is_empty()).then(|| captures.push(name, segment))
            }
        }
    }
}

/// Vault's generic name: `\w(([\w-.]+)?\w)?`.
fn is_generic_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(word) && text.ends_with(word) && text.chars().all(|c| word(c) || c == '-' || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &'static str, path: &str) -> Option<Vec<(String, String)>> {
        let captures = Pattern::parse(pattern).matches(path)?;
        Some(captures.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, path, captures) in [
            ("config", "config", Some(vec![])),
            ("config", "config/", None),
            ("keys/?", "keys/", Some(vec![])),
            ("keys/?", "keys", Some(vec![])),
            ("keys/{name}", "keys/a-b.c", Some(vec![("name", "a-b.c")])),
            ("keys/{name}", "keys/-a", None),
            ("keys/{name}", "keys/a/b", None),
            ("keys/{name}/config", "keys/a/config", Some(vec![("name", "a")])),
            (
                "export/{kind}/{name}/{version}",
                "export/hmac/k/1",
                Some(vec![("kind", "hmac"), ("name", "k"), ("version", "1")]),
            ),
            ("data/{path:rest}", "data/a/b", Some(vec![("path", "a/b")])),
            ("data/{path:rest}", "data/", None),
            ("{path:rest}", "x/y/", Some(vec![("path", "x/y/")])),
            ("user/{name:segment}", "user/a b", Some(vec![("name", "a b")])),
        ] {
            let expected = captures.map(|list: Vec<(&str, &str)>| {
                list.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
            });
            assert_eq!(matched(pattern, path), expected, "{pattern} on {path}");
        }
    }
}
