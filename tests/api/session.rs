//! A session with the official command line: exit code, JSON and complaint of every step must be as with the real
//! server.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::mask;
use crate::scenario::Saved;
use crate::server::{Kind, Make, Server, program};

/// Runs every line of `tests/clients/bao_session.txt` against a fresh server.
pub(crate) fn run(make: Make) -> Vec<Answer> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/bao_session.txt");
    let text = std::fs::read_to_string(file).unwrap();
    let server = Server::start(make, Kind::Dev);
    let scratch = tempfile::tempdir().unwrap();
    let saved = Saved::from([("here".to_owned(), scratch.path().display().to_string())]);
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| step(line, &server, &scratch, &saved)).collect()
}

fn step(line: &str, server: &Server, scratch: &tempfile::TempDir, saved: &Saved) -> Answer {
    let client = program(Make::OpenBao);
    // The official client first; the rest of the path is the test's own.
    let line_with_client = format!("PATH=\"$CLIENT:$PATH\"\n{line}");
    let output = Command::new("bash")
        .args(["-c", &line_with_client])
        .current_dir(scratch.path())
        .env("CLIENT", client.parent().unwrap())
        .env("HOME", scratch.path())
        .env("BAO_ADDR", format!("http://{}", server.address))
        .env("BAO_TOKEN", "root")
        .env("BAO_FORMAT", "json")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let code = output.status.code().and_then(|code| u16::try_from(code).ok()).unwrap_or(u16::MAX);
    let body = json!({ "out": shown(&output.stdout, saved), "err": shown(&output.stderr, saved) });
    Answer { step: line.to_owned(), status: code, headers: Default::default(), body }
}

fn shown(bytes: &[u8], saved: &Saved) -> Value {
    match serde_json::from_slice(bytes) {
        Ok(json) => mask::body(json, saved),
        Err(_) => Value::String(mask::text(&String::from_utf8_lossy(bytes), saved)),
    }
}
