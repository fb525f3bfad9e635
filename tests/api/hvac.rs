//! What hvac, the Python client, makes of every answer: the script prints one JSON line for each call.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use crate::answer::Answer;
use crate::mask;
use crate::scenario::Saved;
use crate::server::{Kind, Make, Server};

/// The family whose steps are calls of hvac.
pub(crate) const HVAC: &str = "hvac_session";

/// One call as the script prints it.
#[derive(Debug, Deserialize)]
struct Call {
    step: String,
    /// The status of the answer as hvac took it, or that of the exception it raised.
    status: u16,
    result: Value,
}

/// Runs `tests/clients/hvac_session.py` against a server with a token, and one that is not initialised.
pub(crate) fn run(make: Make) -> Vec<Answer> {
    let (server, fresh) = (Server::start(make, Kind::Dev), Server::start(make, Kind::Fresh));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/hvac_session.py");
    let output = Command::new(python())
        .arg(script)
        .env("BAO_ADDR", format!("http://{}", server.address))
        .env("BAO_FRESH", format!("http://{}", fresh.address))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the script ends well; the server's log:\n{}", server.log());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| answer(serde_json::from_str(line).unwrap())).collect()
}

fn answer(Call { step, status, result }: Call) -> Answer {
    Answer { step, status, headers: Default::default(), body: mask::body(result, &Saved::new()) }
}

/// `tests/run` names one that has hvac; by hand, the one it made.
fn python() -> PathBuf {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/venv/bin/python");
    let python = std::env::var_os("TEST_PYTHON").map_or(made, PathBuf::from);
    assert!(python.exists(), "no Python with hvac: `tests/run tools` installs one");
    python
}
