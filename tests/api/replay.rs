//! Runs a scenario against a fresh server and compares it with what is recorded.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::answer::Answer;
use crate::compare::{self, Difference};
use crate::differences::{self, Differences};
use crate::hvac::{self, HVAC};
use crate::mask;
use crate::scenario::{Line, Saved, Scenario, Step, folder};
use crate::server::{Make, Server};
use crate::session::{self, SESSIONS};
use crate::wire::{self, Got};

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

/// A node must answer as recorded, but for the intended differences.
pub(crate) fn against_the_node(family: &str) {
    hold(family, family, || run(family, Make::Node));
}

/// A session with our command line against either server ends as recorded with the official one and the real server.
/// What the node answers otherwise on purpose it does here too.
pub(crate) fn with_our_client(session: &str, make: Make) {
    hold("own", session, || session::run(session, make, Make::Node));
}

/// A name of the list of open ones only says how it differs.
fn hold(name: &str, family: &str, answers: impl FnOnce() -> Vec<Answer> + std::panic::UnwindSafe) {
    let open = differences::not_yet().iter().any(|one| one == name);
    let outcome = std::panic::catch_unwind(|| unintended(name, family, &answers()));
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

fn unintended(name: &str, family: &str, answers: &[Answer]) -> (usize, Vec<Difference>) {
    let intended = Differences::load();
    let mut found = differences(&recorded(family), answers);
    found.retain(|one| !intended.intended(family, one) && !intended.intended(name, one));
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

/// Lines of a file may be more, fewer or others: then what is compared ends there.
fn differences(theirs: &[Answer], ours: &[Answer]) -> Vec<Difference> {
    let same = theirs.iter().zip(ours).take_while(|(a, b)| a.step == b.step).count();
    let pairs = theirs.iter().zip(ours).take(same).enumerate();
    let mut found: Vec<Difference> = pairs.flat_map(|(n, (a, b))| compare::answers(n + 1, a, b)).collect();
    let name = |answers: &[Answer]| answers.get(same).map_or("(the end)", |one| &one.step).to_owned();
    if same < theirs.len().max(ours.len()) {
        let (theirs, ours) = (name(theirs), name(ours));
        found.push(Difference { step: theirs.clone(), number: same + 1, field: "step".into(), theirs, ours });
    }
    found
}

fn run(family: &str, make: Make) -> Vec<Answer> {
    if SESSIONS.contains(&family) {
        return session::run(family, make, Make::OpenBao);
    }
    if family == HVAC {
        return hvac::run(make);
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
            Line::File(name) => answers.extend(file(&server.scratch.path().join(name), &saved)),
            Line::Step(step) => answers.push(take(server.address, step, &mut saved)),
        }
    }
    answers
}

/// Each line as an answer, named by what it says it is about.
fn file(path: &Path, saved: &Saved) -> Vec<Answer> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let answer = |line: &str| {
        let body = mask::body(serde_json::from_str(line).unwrap(), saved);
        let about = ["/type", "/request/path"].map(|at| body.pointer(at).and_then(Value::as_str));
        let step = about.map(Option::unwrap_or_default).join(" ");
        Answer { step, status: 0, headers: Default::default(), body }
    };
    text.lines().map(answer).collect()
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
