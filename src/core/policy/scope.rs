//! Which paths a rule's key stands for: one, all that begin so, or all of a shape with `+` for a segment.

use std::cmp::{Ordering, Reverse};

use thiserror::Error;

/// A rule's key, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    Exact(String),
    /// `secret/*`, without the star.
    Prefix(String),
    /// `secret/+/config`, perhaps with a star at its end.
    Segments(String),
}

/// A key that is no path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("path {0:?}: invalid use of wildcards ('+*' is forbidden)")]
pub struct BadScope(String);

impl Scope {
    /// Reads a key, in which no template is left.
    ///
    /// # Errors
    /// It holds `+*`.
    pub fn of(key: &str) -> Result<Self, BadScope> {
        let path = key.strip_prefix('/').unwrap_or(key);
        if path.contains("+*") {
            return Err(BadScope(path.to_owned()));
        }
        if path == "+" || path.starts_with("+/") || path.contains("/+") {
            return Ok(Self::Segments(path.to_owned()));
        }
        Ok(match path.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(path.to_owned()),
        })
    }
}

/// The keys with `+`, ready to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// Without the star.
    text: String,
    /// Of the text; `None` is a `+`.
    segments: Box<[Option<Box<str>>]>,
    is_prefix: bool,
}

/// A path cut at its slashes, once for all shapes it is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'p> {
    path: &'p str,
    first: [&'p str; CUT],
    count: usize,
}

/// Segments kept cut; the few paths with more are cut again where a shape is as long.
const CUT: usize = 16;

/// Who wins when several rules that are not exact match: the greater one.
///
/// First the later first wildcard (`a/b/+` over `a/+/c`), then not ending in a star, then fewer `+`, then the longer text,
/// then the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority<'t> {
    first_wildcard: usize,
    is_whole: bool,
    wildcards: Reverse<usize>,
    length: usize,
    text: &'t str,
}

impl Segments {
    #[must_use]
    pub fn new(path: &str) -> Self {
        let bare = path.strip_suffix('*');
        let text = bare.unwrap_or(path).to_owned();
        let segments = text.split('/').map(|segment| (segment != "+").then(|| segment.into())).collect();
        Self { text, segments, is_prefix: bare.is_some() }
    }

    /// Whether the path has the shape: every `+` is one segment, which may be empty.
    #[must_use]
    pub fn match_path(&self, parts: &Parts<'_>) -> bool {
        let wanted = self.segments.len();
        if parts.count < wanted || (!self.is_prefix && parts.count > wanted) {
            return false;
        }
        for (at, segment) in self.segments.iter().enumerate() {
            let Some(segment) = segment else { continue };
            let part = parts.segment(at);
            if **segment != *part {
                return self.is_prefix && at + 1 == wanted && part.starts_with(&**segment);
            }
        }
        true
    }

    /// Whether some path at or below the mount at `mount` (which ends in `/`) can have the shape.
    #[must_use]
    pub fn may_reach(&self, mount: &str) -> bool {
        let (mut wanted, mut given) =
            (self.text.split('/').peekable(), mount.trim_end_matches('/').split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (_, None) => return true,
                (None, Some(_)) => return false,
                (Some(segment), Some(part)) if segment == "+" || segment == part => {}
                (Some(segment), Some(part)) => {
                    return self.is_prefix && wanted.peek().is_none() && part.starts_with(segment);
                }
            }
        }
    }

    #[must_use]
    pub fn priority(&self) -> Priority<'_> {
        Priority {
            // Any plus sign, though it be a letter of a name: the server looks no closer.
            first_wildcard: self.text.find('+').unwrap_or(self.text.len()),
            is_whole: !self.is_prefix,
            wildcards: Reverse(self.segments.iter().filter(|segment| segment.is_none()).count()),
            length: self.text.len(),
            text: &self.text,
        }
    }
}

impl<'p> Parts<'p> {
    #[must_use]
    pub fn of(path: &'p str) -> Self {
        let mut parts = Self { path, first: [""; CUT], count: 0 };
        for segment in path.split('/') {
            if let Some(place) = parts.first.get_mut(parts.count) {
                *place = segment;
            }
            parts.count += 1;
        }
        parts
    }

    fn segment(&self, at: usize) -> &'p str {
        self.first.get(at).copied().or_else(|| self.path.split('/').nth(at)).unwrap_or_default()
    }
}

impl<'t> Priority<'t> {
    /// Of a rule that is a prefix.
    #[must_use]
    pub fn of_prefix(prefix: &'t str) -> Self {
        Self {
            first_wildcard: prefix.len(),
            is_whole: false,
            wildcards: Reverse(0),
            length: prefix.len(),
            text: prefix,
        }
    }
}

/// Highest first.
#[must_use]
pub fn by_priority(one: &Segments, other: &Segments) -> Ordering {
    other.priority().cmp(&one.priority())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_the_server_reads_them() {
        let (exact, prefix, segments) = (
            |text: &str| Ok(Scope::Exact(text.to_owned())),
            |text: &str| Ok(Scope::Prefix(text.to_owned())),
            |text: &str| Ok(Scope::Segments(text.to_owned())),
        );
        for (key, scope) in [
            ("a/b", exact("a/b")),
            ("/a", exact("a")),
            ("//a", exact("/a")),
            ("", exact("")),
            ("a*b", exact("a*b")),
            ("a+", exact("a+")),
            ("a/*", prefix("a/")),
            ("*", prefix("")),
            ("a**", prefix("a*")),
            ("a+/*", prefix("a+/")),
            ("+", segments("+")),
            ("+/a", segments("+/a")),
            ("a/+/b*", segments("a/+/b*")),
            ("a/+b/*", segments("a/+b/*")),
            ("/a+*", Err(BadScope("a+*".to_owned()))),
        ] {
            assert_eq!(Scope::of(key), scope, "{key}");
        }
    }

    #[test]
    fn shapes_match_segment_by_segment() {
        for (shape, path, matches) in [
            ("+", "x", true),
            ("+", "", true),
            ("+", "x/", false),
            ("x/+", "x/", true),
            ("x/+", "x/y", true),
            ("x/+", "x", false),
            ("a/+/*", "a/b", false),
            ("a/+/*", "a/b/", true),
            ("a/+/*", "a//c", true),
            ("a/+/*", "a/b/c/d", true),
            ("a/+/c*", "a/b/cd/e", true),
            ("a/+/c*", "a/b/c/e", true),
            ("a/+/c*", "a/b/d", false),
            ("a/+b/*", "a/+b/c", true),
            ("a/+b/*", "a/xb/c", false),
            ("a/b+/+", "a/b+/c", true),
            ("a/b+/+", "a/bc/c", false),
            ("a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/+/b", "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/x/b", true),
            ("a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/+/b", "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/x/c", false),
            ("a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/+/b*", "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/x/bc/d", true),
        ] {
            assert_eq!(Segments::new(shape).match_path(&Parts::of(path)), matches, "{shape} on {path}");
        }
    }

    /// The examples of the documentation, each pair the winner first.
    #[test]
    fn the_more_specific_shape_wins() {
        for (winner, loser) in [
            ("foo/bar/+/baz", "foo/+/bar/baz"),
            ("foo/+/bar", "foo/+/ba*"),
            ("foo/+/baz/bar", "foo/+/+/bar"),
            ("foo/+/bar/ba*", "foo/+/bar/b*"),
            ("foo/+/b", "foo/+/a"),
        ] {
            assert!(Segments::new(winner).priority() > Segments::new(loser).priority(), "{winner} {loser}");
        }
        assert!(Priority::of_prefix("foo/a") > Segments::new("foo/+").priority());
        assert!(Segments::new("foo/+").priority() > Priority::of_prefix("foo/"));
    }
}
