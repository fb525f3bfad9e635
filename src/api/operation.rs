//! Operation: method and query flags → what is asked.
//!
//! One verb of this API is not one HTTP method: a GET lists with `?list=true`, walks with `?scan=true` (OpenBao) and
//! explains with `?help=1`. Whether the operation writes is decided in `classify`, not here.

use http::Method;
use thiserror::Error;

use crate::path::hex_value;

/// What is asked of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Read,
    List,
    /// Recursive list (OpenBao).
    Scan,
    /// POST and PUT: the API does not tell them apart.
    Write,
    Patch,
    Delete,
    Head,
    Help,
    Options,
    /// Any other verb; the server answers 405.
    Other,
}

/// The server answers 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadQuery {
    #[error("`list` in the query is not a boolean")]
    List,
    #[error("`scan` in the query is not a boolean")]
    Scan,
    #[error("`list` and `scan` cannot both be asked for")]
    ListAndScan,
}

/// What `method` with this raw query asks (vault-semantics §10.4).
///
/// # Errors
/// `list` or `scan` on a GET that is no Go boolean, or both true.
pub fn of(method: &Method, query: Option<&str>) -> Result<Operation, BadQuery> {
    let operation = by_method(method);
    match query {
        Some(query) if !query.is_empty() => with_query(operation, query),
        _ => Ok(operation),
    }
}

fn by_method(method: &Method) -> Operation {
    match method.as_str() {
        "GET" => Operation::Read,
        "POST" | "PUT" => Operation::Write,
        "LIST" => Operation::List,
        "DELETE" => Operation::Delete,
        "PATCH" => Operation::Patch,
        "HEAD" => Operation::Head,
        "SCAN" => Operation::Scan,
        "HELP" => Operation::Help,
        "OPTIONS" => Operation::Options,
        _ => Operation::Other,
    }
}

/// `help` is honoured for operations that change nothing only: should a server run a `DELETE …?help=1`, it must have
/// been sent where deletes belong.
fn with_query(operation: Operation, query: &str) -> Result<Operation, BadQuery> {
    if !operation.is_read() {
        return Ok(operation);
    }
    let flags = Flags::of(query);
    if flags.help.is_some_and(|value| !value.is_empty()) {
        return Ok(Operation::Help);
    }
    if operation == Operation::Read { flags.operation() } else { Ok(operation) }
}

/// The raw first values of the three names that matter, as Go's `Query().Get` finds them: pairs with a `;` are dropped.
#[derive(Default)]
struct Flags<'q> {
    list: Option<&'q str>,
    scan: Option<&'q str>,
    help: Option<&'q str>,
}

impl<'q> Flags<'q> {
    fn of(query: &'q str) -> Self {
        let mut flags = Self::default();
        for pair in
            query.split('&').filter(|pair| pair.starts_with(['l', 's', 'h', '%']) && !pair.contains(';'))
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let Some(slot) = flags.slot(name) {
                slot.get_or_insert(value);
            }
        }
        flags
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<&'q str>> {
        let is = |word: &str| Decoded::new(name).eq(word.bytes());
        if is("list") {
            Some(&mut self.list)
        } else if is("scan") {
            Some(&mut self.scan)
        } else if is("help") {
            Some(&mut self.help)
        } else {
            None
        }
    }

    fn operation(&self) -> Result<Operation, BadQuery> {
        match (flag(self.list).ok_or(BadQuery::List)?, flag(self.scan).ok_or(BadQuery::Scan)?) {
            (true, true) => Err(BadQuery::ListAndScan),
            (true, false) => Ok(Operation::List),
            (false, true) => Ok(Operation::Scan),
            (false, false) => Ok(Operation::Read),
        }
    }
}

/// Missing and empty are false; `None` is "not a boolean". The words are those of Go's `strconv.ParseBool`.
fn flag(value: Option<&str>) -> Option<bool> {
    let value = value.unwrap_or_default();
    let is = |word: &str| Decoded::new(value).eq(word.bytes());
    if value.is_empty() || ["0", "f", "F", "false", "FALSE", "False"].into_iter().any(is) {
        return Some(false);
    }
    ["1", "t", "T", "true", "TRUE", "True"].into_iter().any(is).then_some(true)
}

/// Query text decoded byte by byte (`+` and `%xx`), so that nothing is allocated.
/// A bad escape is kept as it stands: such a pair equals none of the words looked for, and Go drops it.
struct Decoded<'q> {
    rest: &'q [u8],
}

impl<'q> Decoded<'q> {
    fn new(text: &'q str) -> Self {
        Self { rest: text.as_bytes() }
    }
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let [b'%', high, low, after @ ..] = self.rest
            && let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low))
        {
            self.rest = after;
            return Some(high << 4 | low);
        }
        let (&byte, after) = self.rest.split_first()?;
        self.rest = after;
        Some(if byte == b'+' { b' ' } else { byte })
    }
}

// === impl Operation ===

impl Operation {
    /// Asks for something and, by its verb alone, changes nothing.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::List | Self::Scan | Self::Head)
    }

    /// Lower-case word for logs and `explain`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Scan => "scan",
            Self::Write => "write",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Head => "head",
            Self::Help => "help",
            Self::Options => "options",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, query: &str, want: Result<Operation, BadQuery>) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(of(&method, (!query.is_empty()).then_some(query)), want, "{method} ?{query}");
    }

    #[test]
    fn a_method_is_an_operation() {
        use Operation::{Delete, Head, Help, List, Options, Other, Patch, Read, Scan, Write};
        let table = [
            ("GET", Read),
            ("POST", Write),
            ("PUT", Write),
            ("LIST", List),
            ("SCAN", Scan),
            ("PATCH", Patch),
            ("DELETE", Delete),
            ("HEAD", Head),
            ("HELP", Help),
            ("OPTIONS", Options),
            ("TRACE", Other),
            ("CONNECT", Other),
            ("get", Other),
            ("FOO", Other),
        ];
        for (method, want) in table {
            check(method, "", Ok(want));
        }
    }

    #[test]
    fn the_query_of_a_get_can_change_what_is_asked() {
        use Operation::{Help, List, Read, Scan};
        let table = [
            ("list=true", Ok(List)),
            ("list=1", Ok(List)),
            ("list=T", Ok(List)),
            ("%6cist=%74rue", Ok(List)),
            ("after=x&list=true&limit=3", Ok(List)),
            ("list=false", Ok(Read)),
            ("list=", Ok(Read)),
            ("list", Ok(Read)),
            ("list=false&list=true", Ok(Read)),
            ("list=true;x=1", Ok(Read)),
            ("version=3", Ok(Read)),
            ("alist=true", Ok(Read)),
            ("scan=true", Ok(Scan)),
            ("scan=true&list=false", Ok(Scan)),
            ("help=1", Ok(Help)),
            ("help=0", Ok(Help)),
            ("help=", Ok(Read)),
            ("help=1&list=true", Ok(Help)),
            ("list=yes", Err(BadQuery::List)),
            ("list=tRUE", Err(BadQuery::List)),
            ("list=%", Err(BadQuery::List)),
            ("list=+true", Err(BadQuery::List)),
            ("scan=2", Err(BadQuery::Scan)),
            ("list=true&scan=1", Err(BadQuery::ListAndScan)),
        ];
        for (query, want) in table {
            check("GET", query, want);
        }
    }

    #[test]
    fn the_query_does_not_turn_a_write_into_a_read() {
        check("POST", "list=true", Ok(Operation::Write));
        check("DELETE", "help=1", Ok(Operation::Delete));
        check("POST", "help=1", Ok(Operation::Write));
        check("LIST", "help=1", Ok(Operation::Help));
        check("LIST", "list=nonsense", Ok(Operation::List));
    }
}
