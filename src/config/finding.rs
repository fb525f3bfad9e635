//! One remark about a configuration file, and how a person or a program reads it.
//!
//! It leaves collecting and placing remarks to `report`.

use std::fmt;

use serde::Serialize;

/// How bad a finding is. Ordered: the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; changes no exit code.
    Note,
    /// Works, but probably not as meant. `--strict` refuses it.
    Warning,
    /// The file is refused.
    Error,
}

/// One remark, with its place in the file. Never holds a secret: lines are masked before they get here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// A stable word for programs: `unknown-key`, `bad-value`, `missing`, ...
    pub code: &'static str,
    pub file: String,
    /// 1-based; 0: the remark concerns the file as a whole.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// Where the setting is, as `cluster.servers[1].address`; empty for the whole file.
    pub path: String,
    pub message: String,
    /// What to write instead, when that is known.
    pub help: Option<String>,
    #[serde(skip)]
    pub snippet: Option<Snippet>,
}

/// The offending line and how many characters from `Finding::column` on are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    pub text: String,
    pub width: usize,
}

/// How many findings of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    pub errors: usize,
    pub warnings: usize,
}

/// Counts errors and warnings.
#[must_use]
pub fn count(findings: &[Finding]) -> Count {
    let of = |severity| findings.iter().filter(|f| f.severity == severity).count();
    Count { errors: of(Severity::Error), warnings: of(Severity::Warning) }
}

/// All findings in the compiler's form, then the summary line: `prod.yaml: 2 errors, 1 warning`.
#[must_use]
pub fn render(file: &str, findings: &[Finding]) -> String {
    let mut text: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    let Count { errors, warnings } = count(findings);
    let summary = match (errors, warnings) {
        (0, 0) => "no errors, no warnings".to_owned(),
        (errors, 0) => plural(errors, "error"),
        (0, warnings) => plural(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
    };
    text.push_str(&format!("{file}: {summary}\n"));
    text
}

fn plural(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

// === impl Severity ===

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

// === impl Finding ===

impl Finding {
    /// What asking a server of the file showed. `path` is the server's setting, as `cluster.servers[1]`.
    #[must_use]
    pub fn probe(severity: Severity, path: &str, message: String, help: Option<String>) -> Self {
        let (file, path) = (String::new(), path.to_owned());
        Self { severity, code: "probe", file, line: 0, column: 0, path, message, help, snippet: None }
    }
}

impl fmt::Display for Finding {
    /// The rustc form: headline, place, the line with a caret, help beside the caret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: {}", self.severity, self.code, self.message)?;
        if self.line == 0 {
            write!(f, "\n  --> {}", self.file)?;
        } else {
            write!(f, "\n  --> {}:{}:{}", self.file, self.line, self.column)?;
        }
        let help = self.help.as_deref().unwrap_or_default();
        let Some(snippet) = &self.snippet else {
            return if help.is_empty() { Ok(()) } else { write!(f, "\n   = help: {help}") };
        };
        let gutter = " ".repeat(self.line.to_string().len());
        let indent = " ".repeat(self.column.saturating_sub(1));
        let carets = "^".repeat(snippet.width.max(1));
        write!(f, "\n{gutter} |\n{} | {}\n{gutter} | {indent}{carets}", self.line, snippet.text)?;
        if help.is_empty() { Ok(()) } else { write!(f, " {help}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity) -> Finding {
        Finding {
            severity,
            code: "unknown-key",
            file: "prod.yaml".into(),
            line: 58,
            column: 5,
            path: "cluster.health_check.fall".into(),
            message: "`fall` is not a setting of cluster.health_check".into(),
            help: Some("HAProxy's `fall` is `unhealthy_threshold` here".into()),
            snippet: Some(Snippet { text: "    fall: 3".into(), width: 4 }),
        }
    }

    #[test]
    fn reads_like_a_compiler_message() {
        let expected = "\
error[unknown-key]: `fall` is not a setting of cluster.health_check
  --> prod.yaml:58:5
   |
58 |     fall: 3
   |     ^^^^ HAProxy's `fall` is `unhealthy_threshold` here";
        assert_eq!(finding(Severity::Error).to_string(), expected);
    }

    #[test]
    fn the_summary_counts_each_kind() {
        let both = [finding(Severity::Error), finding(Severity::Warning), finding(Severity::Error)];
        assert!(render("a.yaml", &both).ends_with("a.yaml: 2 errors, 1 warning\n"));
        assert_eq!(render("a.yaml", &[]), "a.yaml: no errors, no warnings\n");
    }
}
