//! policy: rules by name, from files and standard input.

use super::super::client::request::Call;
use super::super::input;
use super::super::output::Format;
use super::super::output::tree::Tree;
use super::super::session::{Failure, OK, Outcome, Session, failed};
use super::{Arity, Prints, Run, Verb, verb};

pub(super) fn verbs() -> Vec<Verb<Run>> {
    let one = Arity::Exact(1);
    vec![
        verb("policy list", ("[options]", "List the policies"), Prints::Format, Arity::Exact(0), &[], list),
        verb("policy read", ("[options] NAME", "Show a policy"), Prints::Format, one, &[], read),
        verb(
            "policy write",
            ("[options] NAME FILE", "Set a policy from a file, or - for standard input"),
            Prints::Text,
            Arity::Exact(2),
            &[],
            write,
        ),
        verb("policy delete", ("[options] NAME", "Delete a policy"), Prints::Text, one, &[], delete),
    ]
}

fn name(s: &Session<'_>) -> String {
    s.given.arg(0).trim().to_lowercase()
}

fn path(name: &str) -> String {
    format!("sys/policies/acl/{name}")
}

fn list(s: &mut Session<'_>) -> Outcome {
    let answer = s.json(&Call::list("sys/policies/acl"), "Error listing policies")?;
    let keys = answer.at(&["data", "keys"]).cloned().unwrap_or(Tree::List(Vec::new()));
    s.show(&keys, |keys| keys.items().iter().filter_map(Tree::text).collect::<Vec<_>>().join("\n"))
}

fn read(s: &mut Session<'_>) -> Outcome {
    let name = name(s);
    let answer = s.find(&Call::get(path(&name)), format!("Error reading policy named {name}"))?;
    let rules = answer.as_ref().and_then(|answer| answer.at(&["data", "policy"])).and_then(Tree::text);
    let rules = rules.ok_or_else(|| Failure::refused(format!("No policy named: {name}")))?.to_owned();
    if s.format == Format::Table {
        s.say(rules.trim())?;
        return Ok(OK);
    }
    s.show(&Tree::map([("policy", rules.into())]), |_| String::new())
}

fn write(s: &mut Session<'_>) -> Outcome {
    let name = name(s);
    let rules = match s.given.arg(1).trim() {
        "-" => {
            input::limited(s.input).map_err(|why| Failure::refused(format!("Error reading policy: {why}")))?
        }
        file => input::read_file(file)
            .map_err(|why| Failure::refused(format!("Error opening policy file: {why}")))?,
    };
    let call = Call::put(path(&name), &Tree::map([("policy", rules.into())]));
    let answer = s.json(&call, "Error uploading policy")?;
    s.warnings(&answer);
    s.say(&format!("Success! Uploaded policy: {name}"))?;
    Ok(OK)
}

fn delete(s: &mut Session<'_>) -> Outcome {
    let name = name(s);
    s.client.call(&Call::delete(path(&name))).map_err(failed(format!("Error deleting {name}")))?;
    s.say(&format!("Success! Deleted policy: {name}"))?;
    Ok(OK)
}
