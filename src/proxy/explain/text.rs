//! The form of an explanation that people read: a few aligned lines.

use std::fmt::Write as _;

use super::{Candidate, Decided, Explanation, PathExplanation};

impl Explanation {
    /// The form for people: a few aligned lines.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            writeln!(out, "{name:<12} {value}").unwrap_or_default();
        };
        line("request", &format!("{} {}", self.method, self.target));
        line("path", &self.path.to_text());
        if let Some(refused) = &self.refused {
            line("refused", &format!("{}: {}", refused.status, refused.why));
        }
        if let Some(decided) = &self.decision {
            decided.write(&mut line);
        }
        match &self.servers {
            Some(servers) => servers.iter().for_each(|server| line("server", &server.to_text())),
            None if self.decision.is_some() => {
                line("server", "no live state: ask a running proxy for candidates")
            }
            None => {}
        }
        out
    }
}

impl PathExplanation {
    fn to_text(&self) -> String {
        let shown = self.canonical.as_deref().map(|path| format!(" `{path}`")).unwrap_or_default();
        let template =
            self.template.as_deref().map(|text| format!(", logged as `{text}`")).unwrap_or_default();
        let why = self.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{}{shown}{template}{why}", self.view)
    }
}

impl Decided {
    fn write(&self, line: &mut impl FnMut(&str, &str)) {
        let status = self.status.map(|status| format!(" with {status}")).unwrap_or_default();
        line("goes to", &format!("{}{status}", self.goes_to));
        line("because", &format!("{} ({})", self.reason, self.source));
        line("operation", &format!("{}, class {}", self.operation, self.class));
        if let Some(rule) = &self.rule {
            line("rule", rule);
        }
        line("consistency", self.consistency);
        line("timeout", &self.timeout_ms.map_or("none".to_owned(), |timeout| format!("{timeout} ms")));
        if !self.traits.is_empty() {
            line("traits", &self.traits.join(", "));
        }
    }
}

impl Candidate {
    fn to_text(&self) -> String {
        let verdict = if self.candidate { "yes" } else { "no" };
        format!("{} ({}, index {}): {verdict}, {}", self.server, self.role, self.applied_index, self.why)
    }
}
