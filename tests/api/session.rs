//! Sessions with a command line: exit code, output and complaint of every step must be as with the official client
//! and the real server.
//!
//! A file of `tests/clients` is a session, one shell line a step:
//!
//! ```text
//! server: fresh      how the server starts, as in scenarios
//! format: table      what the client prints unless a line says otherwise (`json`)
//! # a remark
//! bao kv get one/a
//! ```

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::mask;
use crate::scenario::Saved;
use crate::server::{Kind, Make, Server, program};

/// The families that are sessions.
pub(crate) const SESSIONS: &[&str] = &["bao_ceremonies", "bao_output", "bao_session"];

/// A file of lines and how they are run.
struct Session {
    kind: Kind,
    format: String,
    lines: Vec<String>,
}

/// Runs every line against a fresh server of `make`, with the command line of `client`.
pub(crate) fn run(name: &str, make: Make, client: Make) -> Vec<Answer> {
    let session = Session::load(name);
    let place = Place::new(&session, make, client);
    session.lines.iter().map(|line| place.step(line)).collect()
}

// === impl Session ===

impl Session {
    fn load(name: &str) -> Self {
        let file = format!("{}/tests/clients/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
        let mut session = Self { kind: Kind::Dev, format: "json".to_owned(), lines: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.split_once(' ') {
                Some(("server:", kind)) => session.kind = Kind::named(kind),
                Some(("format:", format)) => format.clone_into(&mut session.format),
                Some(_) | None => session.lines.push(line.to_owned()),
            }
        }
        session
    }
}

/// Where the lines run: a server, a home, and a directory with the client under the name the lines call it by.
struct Place {
    server: Server,
    home: tempfile::TempDir,
    clients: tempfile::TempDir,
    client: Make,
    format: String,
    saved: Saved,
}

impl Place {
    fn new(session: &Session, make: Make, client: Make) -> Self {
        let server = Server::start(make, session.kind);
        let (home, clients) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(program(client), clients.path().join("bao")).unwrap();
        let saved = Saved::from([
            ("here".to_owned(), home.path().display().to_string()),
            ("scratch".to_owned(), server.scratch.path().display().to_string()),
        ]);
        Self { server, home, clients, client, format: session.format.clone(), saved }
    }

    fn step(&self, line: &str) -> Answer {
        // The client first; the rest of the path is the test's own.
        let line_with_client = format!("PATH=\"$CLIENT:$PATH\"\n{line}");
        let output = Command::new("bash")
            .args(["-c", &line_with_client])
            .current_dir(self.home.path())
            .env("CLIENT", self.clients.path())
            .env("HOME", self.home.path())
            .env("BAO_ADDR", format!("http://{}", self.server.address))
            .env("BAO_TOKEN", "root")
            .env("BAO_FORMAT", &self.format)
            .env("BAO_MAX_RETRIES", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let code = output.status.code().and_then(|code| u16::try_from(code).ok()).unwrap_or(u16::MAX);
        let body = json!({ "out": self.shown(&output.stdout), "err": self.shown(&output.stderr) });
        Answer { step: line.to_owned(), status: code, headers: Default::default(), body }
    }

    fn shown(&self, bytes: &[u8]) -> Value {
        if let Ok(json) = serde_json::from_slice(bytes) {
            return mask::body(json, &self.saved);
        }
        let text = mask::text(&String::from_utf8_lossy(bytes), &self.saved);
        let text = if self.format == "json" { text } else { plain(&text) };
        Value::String(if self.client == Make::Node { as_official(&text) } else { text })
    }
}

/// A table without what its widths and the clock make of it.
fn plain(text: &str) -> String {
    static SHAPES: OnceLock<Vec<(Regex, &'static str)>> = OnceLock::new();
    let shapes = SHAPES.get_or_init(|| {
        [
            (r"(?m)^( *)(Unseal|Recovery) Key (\d+): \S+$", "$1$2 Key $3: <key>"),
            (r"(?m)^(Initial Root Token|Root Token|Encoded Token|OTP)(:? +)\S+$", "$1$2<random>"),
            (r"(?m)^( *)(barcode|url|otp|random_bytes)(:? +)\S+$", "$1$2$3<random>"),
            (r"(?m)^( *)(ttl|expire_time|creation_time|creation_ttl_left)(:? +)\S.*$", "$1$2$3<left>"),
            (r"(?m)^( *)(token_duration|lease_duration)( +)(\d+h)?\d+m5\ds$", "$1$2$3<left>"),
            (r"(?m)(Version +|version: )\S+$", "$1<version>"),
            (r"v\d+\.\d+\.\d+\+builtin\.\w+", "<version>"),
            (r"\b2\.\d+\.\d+(\+\S+)?", "<version>"),
            (r"(?m)(Encryption Count +|encryptions: )\d+", "$1<number>"),
            (r"\b1[789]\d{8}\b", "<moment>"),
            (r"\d\d [A-Z][a-z]{2} \d\d \d\d:\d\d UTC", "<time>"),
            (r"-{3,}", "---"),
            (r"(\S) {2,}", "$1  "),
            (r"(?m) +$", ""),
        ]
        .into_iter()
        .map(|(pattern, instead)| (Regex::new(pattern).unwrap(), instead))
        .collect()
    });
    shapes
        .iter()
        .fold(text.to_owned(), |text, (shape, instead)| shape.replace_all(&text, *instead).into_owned())
}

/// What our client says of itself, as the official one would.
fn as_official(text: &str) -> String {
    text.replace("understudy", "bao").replace("VAULT_", "BAO_")
}
