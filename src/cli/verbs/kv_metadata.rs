//! kv metadata: what is kept about a key and its versions. Version 2 only.

use http::Method;

use super::super::client::request::Call;
use super::super::line::Kind;
use super::super::output::Format;
use super::super::output::tree::Tree;
use super::super::session::{Failure, OK, Outcome, Session};
use super::kv::{path_heading, place, titled};
use super::{Arity, Flag, Prints, Run, Verb, flag, verb};

const MOUNT: Flag = flag("mount", Kind::Text, "Where the engine is mounted.");
const WRITE: &[Flag] = &[
    MOUNT,
    flag("max-versions", Kind::Integer, "Versions to keep."),
    flag("cas-required", Kind::Switch, "Refuse writes without -cas."),
    flag("delete-version-after", Kind::Duration, "Delete versions by themselves after this time."),
    flag("custom-metadata", Kind::Pairs, "A name=value of your own; repeatable."),
    flag("remove-custom-metadata", Kind::List, "A name of your own to remove (patch only)."),
];

pub(super) fn verbs() -> Vec<Verb<Run>> {
    let one = Arity::Exact(1);
    vec![
        verb(
            "kv metadata get",
            ("[options] KEY", "Show a key's settings and versions"),
            Prints::Format,
            one,
            &[MOUNT],
            get,
        ),
        verb("kv metadata put", ("[options] KEY", "Set a key's settings"), Prints::Format, one, WRITE, put),
        verb(
            "kv metadata patch",
            ("[options] KEY", "Change some of a key's settings"),
            Prints::Format,
            one,
            WRITE,
            patch,
        ),
        verb(
            "kv metadata delete",
            ("[options] KEY", "Remove a key with all its versions"),
            Prints::Format,
            one,
            &[MOUNT],
            delete,
        ),
    ]
}

fn path(s: &Session<'_>) -> Result<String, Failure> {
    let place = place(s)?;
    if place.v2 {
        Ok(place.path("metadata"))
    } else {
        Err(Failure::wrong("Metadata not supported on KV Version 1"))
    }
}

fn get(s: &mut Session<'_>) -> Outcome {
    let path = path(s)?;
    let answer = s.find(&Call::get(&path), format!("Error reading {path}"))?;
    let answer = answer.ok_or_else(|| Failure::refused(format!("No value found at {path}")))?;
    if s.format != Format::Table {
        return s.secret(&answer);
    }
    let data = answer.get("data").cloned().unwrap_or(Tree::Null);
    let settings = data.entries().iter().filter(|(name, _)| name != "versions").cloned().collect();
    let mut text = path_heading("Metadata Path", &path);
    text.push('\n');
    text.push_str(&titled("Metadata", &Tree::Map(settings)));
    for (number, version) in sorted(data.get("versions")) {
        text.push('\n');
        text.push_str(&titled(&format!("Version {number}"), &version));
    }
    s.print(&text)?;
    Ok(OK)
}

fn sorted(versions: Option<&Tree>) -> Vec<(u64, Tree)> {
    let entries = versions.map(Tree::entries).unwrap_or_default();
    let mut all: Vec<(u64, Tree)> = entries
        .iter()
        .filter_map(|(number, version)| Some((number.parse().ok()?, version.clone())))
        .collect();
    all.sort_by_key(|(number, _)| *number);
    all
}

fn settings(s: &Session<'_>) -> Tree {
    let given = &s.given;
    let mut entries = Vec::new();
    if let Some(max) = given.integer("max-versions") {
        entries.push(("max_versions".to_owned(), max.into()));
    }
    if given.value("cas-required").is_some() {
        entries.push(("cas_required".to_owned(), given.on("cas-required").into()));
    }
    if let Some(after) = given.integer("delete-version-after") {
        entries.push(("delete_version_after".to_owned(), format!("{after}s").into()));
    }
    let mut custom = s.pairs("custom-metadata").entries().to_vec();
    custom.extend(given.items("remove-custom-metadata").map(|name| (name.to_owned(), Tree::Null)));
    if !custom.is_empty() {
        entries.push(("custom_metadata".to_owned(), Tree::Map(custom)));
    }
    Tree::Map(entries)
}

fn put(s: &mut Session<'_>) -> Outcome {
    write(s, Method::PUT)
}

fn patch(s: &mut Session<'_>) -> Outcome {
    write(s, Method::PATCH)
}

fn write(s: &mut Session<'_>, method: Method) -> Outcome {
    let path = path(s)?;
    let call = Call::new(method, &path).with_body(&settings(s));
    let answer = s.json(&call, format!("Error writing data to {path}"))?;
    if answer.is_null() { s.success(&format!("Success! Data written to: {path}")) } else { s.secret(&answer) }
}

fn delete(s: &mut Session<'_>) -> Outcome {
    let path = path(s)?;
    let answer = s.json(&Call::delete(&path), format!("Error deleting {path}"))?;
    if answer.is_null() {
        // In every format, as the official client has it here.
        s.say(&format!("Success! Data deleted (if it existed) at: {path}"))?;
        Ok(OK)
    } else {
        s.secret(&answer)
    }
}
