//! Runs a scenario against a fresh server and compares it with what is recorded.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::answer::Answer;
use crate::compare::{self, Difference};
use crate::differences::{self, Differences};
use crate::scenario::{Line, Saved, Scenario, Step, folder};
use crate::server::{Make, Server};
use crate::wire::{self, Got};

/// The family whose steps are lines for the command line.
pub(crate) const SESSION: &str = "bao_session";

/// Records when asked to; otherwise the real server must answer as recorded: the masks hide all that varies.
pub(crate) fn against_openbao(family: &str) {
    let answers = run(family, Make::OpenBao);
    if std::env::var_os("UNDERSTUDY_RECORD").is_some() {
        let mut text = String::from("[\n");
        let lines: Vec<String> = answers.iter().map(|a| serde_json::to_string(a).unwrap()).collect();
        writeln!(text, "{}\n]", lines.join(",\n")).unwrap();
        fs::write(fixture(family), text).unwrap();
        return;
    }
    let found = differences(&recorded(family), &answers);
    assert!(found.is_empty(), "the real server answered otherwise than recorded:\n{}", lines(&found));
}

/// A node must answer as recorded, but for the intended differences. A family of the list of open ones only says so.
pub(crate) fn against_the_node(family: &str) {
    let open = differences::not_yet().iter().any(|name| name == family);
    let outcome = std::panic::catch_unwind(|| node_differences(family));
    match outcome {
        Ok((steps, found)) if open => {
            println!("NOT YET: {family}: {} difference(s) in {steps} steps\n{}", found.len(), lines(&found));
        }
        Ok((_, found)) => {
            assert!(found.is_empty(), "{family}: {} difference(s):\n{}", found.len(), lines(&found));
        }
        Err(_) if open => println!("NOT YET: {family}: did not run"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn node_differences(family: &str) -> (usize, Vec<Difference>) {
    let answers = run(family, Make::Node);
    let intended = Differences::load();
    let mut found = differences(&recorded(family), &answers);
    found.retain(|one| !intended.intended(family, one));
    report(family, answers.len(), &found);
    (answers.len(), found)
}

fn fixture(family: &str) -> PathBuf {
    folder().join(format!("fixtures/{family}.json"))
}

fn recorded(family: &str) -> Vec<Answer> {
    let file = fixture(family);
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap()
}

fn lines(found: &[Difference]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn report(family: &str, steps: usize, found: &[Difference]) {
    if let Some(dir) = std::env::var_os("UNDERSTUDY_DIFFS") {
        let text = format!("{family}: {} difference(s) in {steps} steps\n{}\n", found.len(), lines(found));
        fs::write(PathBuf::from(dir).join(format!("{family}.txt")), text).unwrap();
    }
}

fn differences(theirs: &[Answer], ours: &[Answer]) -> Vec<Difference> {
    assert_eq!(theirs.len(), ours.len(), "the scenario has changed since it was recorded");
    let pairs = theirs.iter().zip(ours).enumerate();
    pairs.flat_map(|(n, (a, b))| compare::answers(n + 1, a, b)).collect()
}

fn run(family: &str, make: Make) -> Vec<Answer> {
    if family == SESSION {
        return crate::session::run(make);
    }
    let scenario = Scenario::load(family);
    let server = Server::start(make, scenario.kind);
    let mut saved = Saved::from([("root".to_owned(), "root".to_owned())]);
    let scratch = server.scratch.path().display().to_string();
    saved.insert("scratch".to_owned(), scratch);
    let mut answers = Vec::new();
    for line in &scenario.lines {
        match line {
            Line::Wait(millis) => std::thread::sleep(Duration::from_millis(*millis)),
            Line::Step(step) => answers.push(take(server.address, step, &mut saved)),
        }
    }
    answers
}

fn take(to: SocketAddr, step: &Step, saved: &mut Saved) -> Answer {
    let got = exchange(to, step, saved);
    let json: serde_json::Value = serde_json::from_slice(&got.body).unwrap_or_default();
    for (name, pointer) in &step.save {
        let value = json.pointer(pointer);
        let text = value.and_then(serde_json::Value::as_str).map(str::to_owned);
        let value = text.or_else(|| value.map(ToString::to_string)).unwrap_or("unsaved".to_owned());
        saved.insert(name.clone(), value);
    }
    let answer = Answer::new(&step.name, &got, saved);
    if step.shape { answer.shape() } else { answer }
}

/// A new version-2 mount says "Upgrading" for a moment.
fn exchange(to: SocketAddr, step: &Step, saved: &Saved) -> Got {
    for _ in 0..200 {
        // No answer at all is an answer too: the real server drops some connections.
        let got = wire::send(to, &step.request(saved)).unwrap_or_default();
        if !String::from_utf8_lossy(&got.body).contains("Upgrading") {
            return got;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    Got::default()
}
