//! audit: devices that keep a record of every request.

use super::super::client::request::Call;
use super::super::line::Kind;
use super::super::output::tree::Tree;
use super::super::output::{Format, go, table};
use super::super::session::{Failure, OK, Outcome, REFUSED, Session, clean, failed, mount};
use super::{Arity, Flag, Prints, Run, Verb, flag, verb};

const ENABLE: &[Flag] = &[
    flag("path", Kind::Text, "Name of the device; default: its type."),
    flag("description", Kind::Text, "For people."),
    flag("local", Kind::Switch, "Not replicated."),
];
const DETAILED: &[Flag] = &[flag("detailed", Kind::Switch, "Show every setting.")];

pub(super) fn verbs() -> Vec<Verb<Run>> {
    vec![
        verb(
            "audit list",
            ("[options]", "List audit devices"),
            Prints::Format,
            Arity::Exact(0),
            DETAILED,
            list,
        ),
        verb(
            "audit enable",
            ("[options] TYPE [KEY=VALUE...]", "Enable an audit device"),
            Prints::Text,
            Arity::Any,
            ENABLE,
            enable,
        ),
        verb(
            "audit disable",
            ("[options] PATH", "Disable an audit device"),
            Prints::Text,
            Arity::Exact(1),
            &[],
            disable,
        ),
    ]
}

fn list(s: &mut Session<'_>) -> Outcome {
    let answer = s.json(&Call::get("sys/audit"), "Error listing audits")?;
    let devices = answer.get("data").filter(|data| !data.is_null()).cloned().unwrap_or(Tree::Map(Vec::new()));
    if s.format == Format::Table && devices.entries().is_empty() {
        s.say("No audit devices are enabled.")?;
        return Ok(REFUSED);
    }
    let detailed = s.given.on("detailed");
    s.show(&devices, |devices| {
        let mut rows = vec![vec!["Path".to_owned(), "Type".to_owned(), "Description".to_owned()]];
        if detailed {
            rows.iter_mut()
                .for_each(|header| header.extend(["Replication".to_owned(), "Options".to_owned()]));
        }
        rows.extend(devices.entries().iter().map(|(path, device)| row(path, device, detailed)));
        table::with_header(&rows)
    })
}

fn row(path: &str, device: &Tree, detailed: bool) -> Vec<String> {
    let mut cells =
        vec![path.to_owned(), device.text_at("type").to_owned(), device.text_at("description").to_owned()];
    if detailed {
        let options = device.get("options").map(Tree::entries).unwrap_or_default();
        let options: Vec<String> =
            options.iter().map(|(name, value)| format!("{name}={}", go::show(value))).collect();
        cells.push(if device.truth_at("local") { "local" } else { "replicated" }.to_owned());
        cells.push(options.join(" "));
    }
    cells
}

fn enable(s: &mut Session<'_>) -> Outcome {
    let kind = s.given.arg(0).trim().to_owned();
    if kind.is_empty() {
        return Err(Failure::wrong(
            "Error enabling audit device: audit type missing. Valid types include 'file', 'socket' and 'syslog'.",
        ));
    }
    let options = s.data(1)?;
    let path = mount(s.given.value("path").unwrap_or(&kind));
    let body = Tree::map([
        ("type", kind.as_str().into()),
        ("description", s.given.value("description").unwrap_or_default().into()),
        ("options", options),
        ("local", s.given.on("local").into()),
    ]);
    let call = Call::put(format!("sys/audit/{}", clean(&path)), &body);
    s.client.call(&call).map_err(failed("Error enabling audit device"))?;
    s.say(&format!("Success! Enabled the {kind} audit device at: {path}"))?;
    Ok(OK)
}

fn disable(s: &mut Session<'_>) -> Outcome {
    let path = mount(s.given.arg(0));
    let call = Call::delete(format!("sys/audit/{}", clean(&path)));
    s.client.call(&call).map_err(failed("Error disabling audit device"))?;
    s.say(&format!("Success! Disabled audit device (if it was enabled) at: {path}"))?;
    Ok(OK)
}
