//! read, write, patch, delete, list, unwrap: the API as it is.

use http::Method;

use super::super::client::request::{ApiError, Call};
use super::super::line::Kind;
use super::super::output::tree::Tree;
use super::super::output::{Format, table};
use super::super::session::{Failure, OK, Outcome, REFUSED, Session, clean, failed};
use super::{Arity, Flag, Prints, Run, Verb, flag, verb};

const FORCE: &[Flag] = &[flag("force", Kind::Switch, "Write without data; -f for short.")];
const DETAILED: &[Flag] = &[flag("detailed", Kind::Switch, "Show what the server says about each key.")];

pub(super) fn verbs() -> Vec<Verb<Run>> {
    let at_least_1 = Arity::Between(1, usize::MAX, "1");
    vec![
        verb(
            "read",
            ("[options] PATH [QUERY=VALUE...]", "Read data and secrets"),
            Prints::Field,
            at_least_1,
            &[],
            read,
        ),
        verb(
            "write",
            ("[options] PATH [KEY=VALUE...]", "Write data, configuration and secrets"),
            Prints::Field,
            at_least_1,
            FORCE,
            write,
        ),
        verb(
            "patch",
            ("[options] PATH [KEY=VALUE...]", "Change some keys of what is there"),
            Prints::Field,
            at_least_1,
            FORCE,
            patch,
        ),
        verb(
            "delete",
            ("[options] PATH [QUERY=VALUE...]", "Delete secrets and configuration"),
            Prints::Field,
            Arity::Between(1, usize::MAX, "at least 1"),
            &[],
            delete,
        ),
        verb(
            "list",
            ("[options] PATH", "List the keys below a path"),
            Prints::Format,
            Arity::Exact(1),
            DETAILED,
            list,
        ),
        verb(
            "unwrap",
            ("[options] [TOKEN]", "Open a response-wrapping token"),
            Prints::Field,
            Arity::Between(0, 1, "0-1"),
            &[],
            unwrap,
        ),
    ]
}

fn read(s: &mut Session<'_>) -> Outcome {
    let path = clean(s.given.arg(0)).to_owned();
    let call = with_query(s, Call::get(&path))?;
    let prefix = format!("Error reading {path}");
    if s.format == Format::Raw {
        let answer = s.client.call(&call).map_err(failed(prefix))?;
        s.print(&String::from_utf8_lossy(&answer.body))?;
        return Ok(OK);
    }
    match s.find(&call, prefix)? {
        Some(answer) => s.secret(&answer),
        None => Err(Failure::refused(format!("No value found at {path}"))),
    }
}

fn with_query(s: &mut Session<'_>, mut call: Call) -> Result<Call, Failure> {
    for (name, value) in s.data(1)?.entries() {
        let values = if let Tree::List(items) = value { items.clone() } else { vec![value.clone()] };
        for value in &values {
            call = call.with_query(name, value.text().unwrap_or_default());
        }
    }
    Ok(call)
}

fn write(s: &mut Session<'_>) -> Outcome {
    put(s, Method::PUT)
}

fn patch(s: &mut Session<'_>) -> Outcome {
    put(s, Method::PATCH)
}

fn put(s: &mut Session<'_>, method: Method) -> Outcome {
    if s.given.args.len() == 1 && !s.given.on("force") {
        return Err(Failure::wrong("Must supply data or use -force"));
    }
    let path = clean(s.given.arg(0)).to_owned();
    let mut call = Call::new(method, &path);
    // With -force and nothing to write there is no body at all.
    if s.given.args.len() > 1 {
        let data = s.data(1)?;
        call = call.with_body(&data);
    }
    let answer = s.json(&call, format!("Error writing data to {path}"))?;
    if answer.is_null() { s.success(&format!("Success! Data written to: {path}")) } else { s.secret(&answer) }
}

fn delete(s: &mut Session<'_>) -> Outcome {
    let path = clean(s.given.arg(0)).to_owned();
    let call = with_query(s, Call::delete(&path)).map_err(|failure| Failure {
        text: failure.text.replace("Failed to parse K=V data", "Failed to parse string list data"),
        ..failure
    })?;
    let answer = s.json(&call, format!("Error deleting {path}"))?;
    if answer.is_null() {
        s.success(&format!("Success! Data deleted (if it existed) at: {path}"))
    } else {
        s.secret(&answer)
    }
}

fn list(s: &mut Session<'_>) -> Outcome {
    let path = clean(s.given.arg(0)).to_owned();
    let answer = s.find(&Call::list(&path), format!("Error listing {path}"))?;
    show_keys(s, answer.as_ref(), &path)
}

/// The `keys` of an answer to LIST.
pub(super) fn show_keys(s: &mut Session<'_>, answer: Option<&Tree>, path: &str) -> Outcome {
    let nothing = || Failure::refused(format!("No value found at {path}"));
    let keys = answer.and_then(|answer| answer.at(&["data", "keys"]));
    let Some((answer, keys)) = answer.zip(keys) else {
        // Scripts read an empty object.
        if s.format == Format::Table || answer.is_some() {
            return Err(nothing());
        }
        s.say("{}")?;
        return Ok(REFUSED);
    };
    let info = answer.at(&["data", "key_info"]).filter(|_| s.given.on("detailed")).cloned();
    s.warnings(answer);
    s.show(keys, |keys| match &info {
        Some(info) => detailed_keys(keys, info),
        None => {
            let rows = keys.items().iter().map(|key| vec![key.text().unwrap_or_default().to_owned()]);
            table::with_header(&std::iter::once(vec!["Keys".to_owned()]).chain(rows).collect::<Vec<_>>())
        }
    })
}

fn detailed_keys(keys: &Tree, info: &Tree) -> String {
    let mut columns: Vec<&String> =
        info.entries().iter().flat_map(|(_, of)| of.entries().iter().map(|(name, _)| name)).collect();
    columns.sort();
    columns.dedup();
    let header = std::iter::once("Keys".to_owned()).chain(columns.iter().map(|&name| name.clone())).collect();
    let row = |key: &Tree| {
        let key = key.text().unwrap_or_default();
        let cell =
            |name: &&String| info.at(&[key, name]).map(super::super::output::go::show).unwrap_or_default();
        std::iter::once(key.to_owned()).chain(columns.iter().map(cell)).collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(keys.items().iter().map(row)).collect();
    table::with_header(&rows)
}

fn unwrap(s: &mut Session<'_>) -> Outcome {
    let token = s.given.arg(0).trim().to_owned();
    let mut call = Call::new(Method::PUT, "sys/wrapping/unwrap");
    // Without a token of its own it is the session's token that is unwrapped.
    if !token.is_empty() && s.client.settings.token.as_ref().is_none_or(|own| own.expose() != token) {
        if s.client.settings.token.is_some() {
            call = call.with_body(&Tree::map([("token", token.into())]));
        } else {
            s.client.settings.token = Some(token.into());
        }
    }
    match s.client.json(&call) {
        Ok(Tree::Null) => Err(Failure::refused("Could not find wrapped response")),
        Ok(answer) => s.secret(&answer),
        Err(error @ ApiError::Dry(_)) => Err(failed("")(error)),
        Err(error) => Err(failed("Error unwrapping")(error)),
    }
}
