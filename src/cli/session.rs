//! One run of a client verb: its flags, its client, where it prints. Results go to standard output, everything else to
//! standard error.

use std::io::{Read, Write};

use super::client::Client;
use super::client::request::{ApiError, Call};
use super::input;
use super::line::Given;
use super::output::tree::Tree;
use super::output::{Format, secret};

/// An exit code, or why there is no result.
pub type Outcome = Result<u8, Failure>;

/// It worked.
pub const OK: u8 = 0;
/// The command line cannot be obeyed.
pub const WRONG: u8 = 1;
/// The server refused, or has nothing.
pub const REFUSED: u8 = 2;

/// A sentence for standard error and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: u8,
    pub text: String,
    /// The sentence is the result asked for (`-output-curl-string`).
    pub is_result: bool,
}

/// What a verb works with.
pub struct Session<'a> {
    pub client: Client,
    pub given: Given,
    pub format: Format,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    pub out: &'a mut dyn Write,
    pub err: &'a mut dyn Write,
    pub input: &'a mut dyn Read,
    /// Standard output is a terminal: single values get a line end there.
    pub terminal: bool,
}

// === impl Failure ===

impl Failure {
    #[must_use]
    pub fn wrong(text: impl Into<String>) -> Self {
        Self { code: WRONG, text: text.into(), is_result: false }
    }

    #[must_use]
    pub fn refused(text: impl Into<String>) -> Self {
        Self { code: REFUSED, text: text.into(), is_result: false }
    }
}

/// `PREFIX: what the API said`, exit code 2.
pub fn failed(prefix: impl Into<String>) -> impl FnOnce(ApiError) -> Failure {
    let prefix = prefix.into();
    move |error| match error {
        ApiError::Dry(text) => Failure { code: OK, text, is_result: true },
        error @ (ApiError::Settings(_)
        | ApiError::Transport { .. }
        | ApiError::Refused(_)
        | ApiError::Malformed(_)) => {
            let colon = if prefix.is_empty() { "" } else { ": " };
            Failure::refused(format!("{prefix}{colon}{error}"))
        }
    }
}

// === impl Session ===

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("given", &self.given)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Session<'_> {
    /// One line of result.
    ///
    /// # Errors
    /// Nobody reads it any more.
    pub fn say(&mut self, line: &str) -> Result<(), Failure> {
        let written = self.out.write_all(line.as_bytes()).and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|error| Failure::wrong(format!("cannot write the result: {error}")))
    }

    /// Text as it is.
    ///
    /// # Errors
    /// Nobody reads it any more.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.out.write_all(text.as_bytes());
        written.map_err(|error| Failure::wrong(format!("cannot write the result: {error}")))
    }

    /// One value, with a line end only for eyes.
    ///
    /// # Errors
    /// Nobody reads it any more.
    pub fn print_value(&mut self, value: &str) -> Outcome {
        let end = if self.terminal { "\n" } else { "" };
        self.print(&format!("{value}{end}"))?;
        Ok(OK)
    }

    /// A line for standard error; one that cannot be written is lost, as there is no other place.
    pub fn warn(&mut self, line: &str) {
        drop(writeln!(self.err, "{line}"));
    }

    /// A sentence of success, for people only: other formats print nothing.
    ///
    /// # Errors
    /// Nobody reads it any more.
    pub fn success(&mut self, line: &str) -> Outcome {
        if self.format == Format::Table {
            self.say(line)?;
        }
        Ok(OK)
    }

    /// A value in a structured format, else `table`.
    ///
    /// # Errors
    /// Nobody reads it any more.
    pub fn show(&mut self, tree: &Tree, table: impl FnOnce(&Tree) -> String) -> Outcome {
        match self.format.structured(tree) {
            Some(text) => self.print(&text)?,
            None => self.say(&table(tree))?,
        }
        Ok(OK)
    }

    /// The envelope of an answer, or the field of it that was asked for.
    ///
    /// # Errors
    /// The field is not there.
    pub fn secret(&mut self, answer: &Tree) -> Outcome {
        let envelope = secret::envelope(answer);
        if let Some(field) = self.given.value("field").map(str::to_owned) {
            return self.field(&envelope, &field);
        }
        if let Some(text) = self.format.structured(&envelope) {
            self.print(&text)?;
            return Ok(OK);
        }
        self.warnings(&envelope);
        let table = secret::as_table(&envelope);
        if !table.is_empty() {
            self.say(&table)?;
        }
        Ok(OK)
    }

    fn field(&mut self, envelope: &Tree, name: &str) -> Outcome {
        self.warnings(envelope);
        let value = secret::field(envelope, name)
            .ok_or_else(|| Failure::wrong(format!("Field \"{name}\" not present in secret")))?;
        self.print_value(&self.format.field(&value))
    }

    /// The server's warnings, on standard error.
    pub fn warnings(&mut self, envelope: &Tree) {
        drop(self.err.write_all(secret::warnings(envelope).as_bytes()));
    }

    /// `key=value` arguments from the `from`th on.
    ///
    /// # Errors
    /// Exit code 1 with the argument that is wrong.
    pub fn data(&mut self, from: usize) -> Result<Tree, Failure> {
        let args = self.given.args.get(from..).unwrap_or_default();
        input::data(args, self.input)
            .map_err(|why| Failure::wrong(format!("Failed to parse K=V data: {why}")))
    }

    /// What a `name=value,...` or repeated flag gives.
    #[must_use]
    pub fn pairs(&self, flag: &str) -> Tree {
        let pairs = self.given.values(flag).filter_map(|pair| pair.split_once('='));
        let mut entries: Vec<(String, Tree)> = pairs.map(|(n, v)| (n.to_owned(), v.into())).collect();
        entries.sort_by(|left, right| left.0.cmp(&right.0));
        Tree::Map(entries)
    }

    /// The JSON of an accepted answer.
    ///
    /// # Errors
    /// Exit code 2 with `prefix` in front.
    pub fn json(&self, call: &Call, prefix: impl Into<String>) -> Result<Tree, Failure> {
        self.client.json(call).map_err(failed(prefix))
    }

    /// As [`Self::json`]; `None` for a 404 without data: there is nothing, whatever it says.
    ///
    /// # Errors
    /// Exit code 2 with `prefix` in front.
    pub fn find(&self, call: &Call, prefix: impl Into<String>) -> Result<Option<Tree>, Failure> {
        let answer = self.client.ask(call);
        let tree = answer.and_then(|answer| {
            if answer.status.as_u16() != 404 {
                return answer.accepted(&call.method, &call.url(&self.client.settings))?.tree().map(Some);
            }
            // A deleted version is a 404 with data.
            let tree = answer.tree().unwrap_or(Tree::Null);
            let some = |name| tree.get(name).is_some_and(|inner| !inner.is_null());
            Ok((some("data") || some("warnings")).then_some(tree))
        });
        Ok(tree.map_err(failed(prefix))?.filter(|tree| !tree.is_null()))
    }
}

/// A path without slashes around it.
#[must_use]
pub fn clean(path: &str) -> &str {
    path.trim().trim_matches('/')
}

/// A mount's path as it is shown: one slash at its end.
#[must_use]
pub fn mount(path: &str) -> String {
    format!("{}/", clean(path))
}
