//! A scenario is a text: one step a line, run in order against one fresh server.
//!
//! ```text
//! server: dev                      how the server starts: `dev`, `fresh` or `audited`
//! # a remark
//! POST sys/mounts/kv {"type":"kv"} the root token, below /v1/
//! @t GET kv/a +X-Vault-Wrap-TTL=60 the token saved as `t` (`@-`: none), one more header
//! POST auth/token/create {} -> t=/auth/client_token
//! PUT kv/a raw:{"broken            a body that is not JSON; `{{t}}` stands for a saved value everywhere
//! ~GET sys/host-info               only the shape of the answer counts: its values are the machine's
//! wait 1100                        milliseconds
//! lines audit.log                  every line of a file in the server's directory is an answer
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::server::Kind;
use crate::wire::Sent;

/// What was saved so far, by name.
pub(crate) type Saved = BTreeMap<String, String>;

/// One line.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    Wait(u64),
    /// A file of JSON lines in the server's directory.
    File(String),
    Step(Step),
}

/// One request, still with its `{{name}}`s.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// `METHOD path`, as differences name it.
    pub(crate) name: String,
    token: Option<String>,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    /// Only the names and types of the outer fields are compared.
    pub(crate) shape: bool,
    /// Variable and JSON pointer.
    pub(crate) save: Vec<(String, String)>,
}

/// A whole file.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) kind: Kind,
    pub(crate) lines: Vec<Line>,
}

impl Scenario {
    pub(crate) fn load(family: &str) -> Self {
        let file = folder().join(format!("scenarios/{family}.txt"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut kind = Kind::Dev;
        let mut lines = Vec::new();
        for line in text.lines().map(str::trim_end).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            match line.split_once(' ') {
                Some(("server:", named)) => kind = Kind::named(named),
                Some(("wait", time)) => lines.push(Line::Wait(time.parse().unwrap())),
                Some(("lines", file)) => lines.push(Line::File(file.to_owned())),
                Some(_) | None => lines.push(Line::Step(step(line))),
            }
        }
        Self { kind, lines }
    }
}

/// `tests/api`.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/api")
}

fn step(line: &str) -> Step {
    let (request, save) = line.rsplit_once(" -> ").unwrap_or((line, ""));
    let save = save.split_whitespace().map(|pair| owned(pair.split_once('=').unwrap())).collect();
    let (mut rest, shape) = request.strip_prefix('~').map_or((request, false), |rest| (rest, true));
    let mut token = Some("root".to_owned());
    if let Some(named) = rest.strip_prefix('@') {
        let (name, after) = named.split_once(' ').unwrap();
        token = (name != "-").then(|| format!("{{{{{name}}}}}"));
        rest = after;
    }
    let (method, after) = rest.split_once(' ').unwrap_or_else(|| panic!("no path in {line:?}"));
    let (path, mut rest) = after.split_once(' ').unwrap_or((after, ""));
    let mut headers = Vec::new();
    while let Some(header) = rest.strip_prefix('+') {
        let (one, after) = header.split_once(' ').unwrap_or((header, ""));
        headers.push(owned(one.split_once('=').unwrap()));
        rest = after;
    }
    let body = rest.strip_prefix("raw:").unwrap_or(rest).to_owned();
    let name = format!("{method} {path}");
    Step { name, token, method: method.to_owned(), path: path.to_owned(), headers, body, shape, save }
}

fn owned((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

impl Step {
    /// The request with every `{{name}}` filled in; `%20` in a header value is a space.
    pub(crate) fn request(&self, saved: &Saved) -> Sent {
        let fill = |text: &str| filled(text, saved);
        let mut headers: Vec<(String, String)> =
            self.headers.iter().map(|(n, v)| (n.clone(), fill(v).replace("%20", " "))).collect();
        if let Some(token) = &self.token {
            headers.push(("X-Vault-Token".to_owned(), fill(token)));
        }
        let path = fill(&self.path);
        let path = if path.starts_with('/') { path } else { format!("/v1/{path}") };
        Sent { method: self.method.clone(), path, headers, body: fill(&self.body).into_bytes() }
    }
}

fn filled(text: &str, saved: &Saved) -> String {
    let mut text = text.to_owned();
    for (name, value) in saved {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    text
}
