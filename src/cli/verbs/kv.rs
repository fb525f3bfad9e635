//! kv: keys and values of both versions. Which version a mount has is asked of the server first.

use http::Method;

use super::super::client::request::{ApiError, Call};
use super::super::line::Kind;
use super::super::output::secret::{data_rows, key_value_table};
use super::super::output::tree::Tree;
use super::super::session::{Failure, OK, Outcome, Session, clean, failed, mount};
use super::basic::show_keys;
use super::{Arity, Flag, Prints, Run, Verb, flag, verb};

const MOUNT: Flag = flag("mount", Kind::Text, "Where the engine is mounted; KEY is then a path below it.");
const VERSIONS: &[Flag] = &[MOUNT, flag("versions", Kind::List, "Version numbers, with commas.")];
const VERSION: &[Flag] = &[MOUNT, flag("version", Kind::Integer, "Version number.")];
const ONLY_MOUNT: &[Flag] = &[MOUNT];
const PUT: &[Flag] =
    &[MOUNT, flag("cas", Kind::Integer, "Write only over this version; 0: only where nothing is.")];
const PATCH: &[Flag] = &[
    MOUNT,
    flag("cas", Kind::Integer, "Write only over this version."),
    flag("method", Kind::Text, "patch, or rw: read, merge here, write."),
    flag("remove-data", Kind::List, "Key to remove; repeatable."),
];

pub(super) fn verbs() -> Vec<Verb<Run>> {
    let (one, any) = (Arity::Exact(1), Arity::Between(1, usize::MAX, ">1"));
    vec![
        verb("kv get", ("[options] KEY", "Read a secret"), Prints::Field, one, VERSION, get),
        verb("kv put", ("[options] KEY [NAME=VALUE...]", "Write a secret"), Prints::Field, any, PUT, put),
        verb(
            "kv patch",
            ("[options] KEY [NAME=VALUE...]", "Change some names of a secret"),
            Prints::Field,
            any,
            PATCH,
            patch,
        ),
        verb(
            "kv delete",
            ("[options] KEY", "Delete the newest or given versions"),
            Prints::Format,
            one,
            VERSIONS,
            delete,
        ),
        verb(
            "kv undelete",
            ("[options] KEY", "Bring deleted versions back"),
            Prints::Format,
            one,
            VERSIONS,
            undelete,
        ),
        verb(
            "kv destroy",
            ("[options] KEY", "Remove versions for good"),
            Prints::Format,
            one,
            VERSIONS,
            destroy,
        ),
        verb(
            "kv list",
            ("[options] PATH", "List keys"),
            Prints::Format,
            Arity::Between(0, 1, "1"),
            ONLY_MOUNT,
            list,
        ),
        verb(
            "kv rollback",
            ("[options] KEY", "Write an older version again"),
            Prints::Format,
            one,
            VERSION,
            rollback,
        ),
        verb(
            "kv enable-versioning",
            ("[options] MOUNT", "Turn a version 1 engine into version 2"),
            Prints::Text,
            one,
            &[],
            enable_versioning,
        ),
    ]
}

/// Where a key lies.
pub(super) struct Place {
    mount: String,
    rest: String,
    pub(super) v2: bool,
}

impl Place {
    /// The API path; `part` is `data`, `metadata`, ... and does not exist in version 1.
    pub(super) fn path(&self, part: &str) -> String {
        let part = if self.v2 { part } else { "" };
        let pieces = [clean(&self.mount), part, &self.rest];
        pieces.into_iter().filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join("/")
    }
}

/// Asks the server for the mount of the first argument.
pub(super) fn place(s: &Session<'_>) -> Result<Place, Failure> {
    let key = clean(s.given.arg(0)).to_owned();
    let (asked, whole) = match s.given.value("mount").map(clean) {
        Some(mount) => (mount.to_owned(), join(mount, &key)),
        None => (key.clone(), key),
    };
    let call = Call::get(format!("sys/internal/ui/mounts/{asked}")).never_wrapped();
    // A dry run prints the request that matters, so this one is sent anyway.
    let answer = s.preflight(&call);
    let answer = match answer {
        Ok(answer) => answer,
        // Servers from before this endpoint have version 1 only.
        Err(error) if error.status() == Some(404) => Tree::Null,
        Err(error) => return Err(failed("")(error)),
    };
    let found = answer.at(&["data", "path"]).and_then(Tree::text).unwrap_or_default();
    let v2 = answer.at(&["data", "options", "version"]).and_then(Tree::text) == Some("2");
    let base = clean(found).to_owned();
    let rest = whole.strip_prefix(&base).unwrap_or(&whole);
    // The API path was given: mount/data/key means mount/key only with -mount.
    Ok(Place { rest: clean(rest).to_owned(), mount: base, v2 })
}

fn join(mount: &str, key: &str) -> String {
    if key.starts_with(&format!("{mount}/")) { key.to_owned() } else { format!("{mount}/{key}") }
}

/// A heading between equal signs, `width` wide when it fits.
fn title(heading: &str, width: usize) -> String {
    let room = match width.saturating_sub(heading.len() + 2) {
        0 => 4,
        room => room + room % 2,
    };
    let signs = "=".repeat(room / 2);
    format!("{signs} {heading} {signs}")
}

/// A table under its heading. The width counts as the official client counts it: longest key, gap, `Value`.
pub(super) fn titled(heading: &str, data: &Tree) -> String {
    let longest = data.entries().iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    format!("{}\n{}\n", title(heading, longest + 9), key_value_table(data_rows(data)))
}

/// `== Secret Path ==` with the path under it.
pub(super) fn path_heading(heading: &str, path: &str) -> String {
    format!("{}\n{path}\n", title(heading, path.len()))
}

fn get(s: &mut Session<'_>) -> Outcome {
    let place = place(s)?;
    let path = place.path("data");
    let mut call = Call::get(&path);
    if let Some(version) = s.given.integer("version").filter(|version| place.v2 && *version > 0) {
        call = call.with_query("version", &version.to_string());
    }
    let Some(answer) = s.find(&call, format!("Error reading {path}"))? else {
        return Err(Failure::refused(format!("No value found at {path}")));
    };
    if let Some(field) = s.given.value("field").map(str::to_owned) {
        return field_of(s, &answer, place.v2, &field);
    }
    if s.format != super::super::output::Format::Table
        || answer.get("wrap_info").is_some_and(|w| !w.is_null())
    {
        return s.secret(&answer);
    }
    let data = answer.get("data").cloned().unwrap_or(Tree::Null);
    let mut text = String::new();
    let shown = if place.v2 {
        text.push_str(&path_heading("Secret Path", &path));
        text.push('\n');
        if let Some(metadata) = data.get("metadata") {
            text.push_str(&titled("Metadata", metadata));
            text.push('\n');
        }
        data.get("data").cloned().unwrap_or(Tree::Null)
    } else {
        data
    };
    s.warnings(&answer);
    if !shown.is_null() {
        text.push_str(&titled("Data", &shown));
    }
    s.print(&text)?;
    Ok(OK)
}

/// Names of the secret itself; in version 2 they lie one level deeper.
fn field_of(s: &mut Session<'_>, answer: &Tree, v2: bool, name: &str) -> Outcome {
    if answer.get("wrap_info").is_some_and(|info| !info.is_null()) {
        return s.secret(answer);
    }
    if !v2 {
        return s.secret(answer);
    }
    let data = answer.at(&["data", "data"]).cloned().unwrap_or(Tree::Null);
    if data.is_null() {
        return Err(Failure::refused("No data found in the secret"));
    }
    match data.get(name).filter(|value| !value.is_null()) {
        Some(value) => s.print_value(&s.format.field(value)),
        None => Err(Failure::wrong(format!("Field \"{name}\" not present in map"))),
    }
}

/// What a write answered: a sentence, or the new version under its path.
fn written(s: &mut Session<'_>, answer: &Tree, path: &str) -> Outcome {
    if answer.is_null() {
        return s.success(&format!("Success! Data written to: {path}"));
    }
    let structured = s.format != super::super::output::Format::Table;
    let Some(data) = answer.get("data").filter(|data| !data.is_null() && !structured) else {
        return s.secret(answer);
    };
    if s.given.value("field").is_some() {
        return s.secret(answer);
    }
    s.warnings(answer);
    let text = format!("{}\n{}", path_heading("Secret Path", path), titled("Metadata", data));
    s.print(&text)?;
    Ok(OK)
}

fn options(s: &Session<'_>) -> Tree {
    let cas = s.given.integer("cas").filter(|cas| *cas >= 0);
    Tree::Map(cas.map(|cas| ("cas".to_owned(), cas.into())).into_iter().collect())
}

fn put(s: &mut Session<'_>) -> Outcome {
    if s.given.args.len() == 1 {
        return Err(Failure::wrong("Must supply data"));
    }
    let data = s.data(1)?;
    let place = place(s)?;
    let path = place.path("data");
    let body = if place.v2 { Tree::map([("data", data), ("options", options(s))]) } else { data };
    let answer = s.json(&Call::put(&path, &body), format!("Error writing data to {path}"))?;
    written(s, &answer, &path)
}

fn patch(s: &mut Session<'_>) -> Outcome {
    let removed: Vec<(String, Tree)> =
        s.given.items("remove-data").map(|name| (name.to_owned(), Tree::Null)).collect();
    if s.given.args.len() == 1 && removed.is_empty() {
        return Err(Failure::wrong("Must supply data"));
    }
    let mut changes = s.data(1)?.entries().to_vec();
    changes.extend(removed);
    let place = place(s)?;
    if !place.v2 {
        return Err(Failure::refused("K/V engine mount must be version 2 for patch support"));
    }
    let path = place.path("data");
    let answer = match s.given.value("method") {
        Some("rw") => read_then_write(s, &path, changes)?,
        None | Some("" | "patch") => {
            let body = Tree::map([("data", Tree::Map(changes.clone())), ("options", options(s))]);
            let call = Call::new(Method::PATCH, &path).with_body(&body);
            match s.client.json(&call) {
                // Before PATCH was known, and where a policy forbids it, Vault's client reads and writes.
                Err(error)
                    if s.given.value("method").is_none() && matches!(error.status(), Some(403 | 405)) =>
                {
                    read_then_write(s, &path, changes)?
                }
                other => other.map_err(failed(format!("Error writing data to {path}")))?,
            }
        }
        Some(other) => {
            return Err(Failure::wrong(format!("Unsupported method provided to -method flag: {other}")));
        }
    };
    written(s, &answer, &path)
}

/// The newest version with the changes in it, written over exactly that version.
fn read_then_write(s: &Session<'_>, path: &str, changes: Vec<(String, Tree)>) -> Result<Tree, Failure> {
    let read = s.find(&Call::get(path), format!("Error doing pre-read at {path}"))?;
    let found = read.as_ref().and_then(|answer| answer.get("data")).filter(|data| !data.is_null());
    let data = found.ok_or_else(|| Failure::refused(format!("No value found at {path}")))?;
    let current = data.at(&["metadata", "version"]).cloned().unwrap_or_else(|| 0.into());
    let before = data.get("data").filter(|before| !before.is_null());
    let before = before.ok_or_else(|| Failure::refused(format!("No data found at {path}")))?;
    let mut entries = before.entries().to_vec();
    entries.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    entries.extend(changes.into_iter().filter(|(_, value)| !value.is_null()));
    let cas = s.given.integer("cas").map_or(current, Tree::from);
    let body = Tree::map([("data", Tree::Map(entries)), ("options", Tree::map([("cas", cas)]))]);
    s.json(&Call::put(path, &body), format!("Error writing data to {path}"))
}

fn versions(s: &Session<'_>) -> Tree {
    Tree::map([(
        "versions",
        Tree::List(s.given.items("versions").map(|version| version.trim().into()).collect()),
    )])
}

fn delete(s: &mut Session<'_>) -> Outcome {
    let place = place(s)?;
    let some = s.given.items("versions").next().is_some();
    if some && !place.v2 {
        return Err(Failure::wrong("Versions not supported on KV Version 1"));
    }
    let path = place.path("data");
    let call = if some { Call::put(place.path("delete"), &versions(s)) } else { Call::delete(&path) };
    let answer = s.json(&call, format!("Error deleting {path}"))?;
    if answer.is_null() {
        s.success(&format!("Success! Data deleted (if it existed) at: {path}"))
    } else {
        s.secret(&answer)
    }
}

fn undelete(s: &mut Session<'_>) -> Outcome {
    on_versions(s, "undelete", "Undelete")
}

fn destroy(s: &mut Session<'_>) -> Outcome {
    on_versions(s, "destroy", "Destroy")
}

fn on_versions(s: &mut Session<'_>, part: &str, name: &str) -> Outcome {
    if s.given.items("versions").next().is_none() {
        let why =
            format!("No versions provided, use the \"-versions\" flag to specify the version to {part}.");
        return Err(Failure::wrong(why));
    }
    let place = place(s)?;
    if !place.v2 {
        return Err(Failure::wrong(format!("{name} not supported on KV Version 1")));
    }
    let path = place.path(part);
    let answer = s.json(&Call::put(&path, &versions(s)), format!("Error writing data to {path}"))?;
    if answer.is_null() { s.success(&format!("Success! Data written to: {path}")) } else { s.secret(&answer) }
}

fn list(s: &mut Session<'_>) -> Outcome {
    if s.given.args.is_empty() && s.given.value("mount").is_none() {
        return Err(Failure::wrong("Not enough arguments (expected 1, got 0)"));
    }
    let place = place(s)?;
    let path = place.path("metadata");
    let answer = s.find(&Call::list(&path), format!("Error listing {path}"))?;
    show_keys(s, answer.as_ref(), &path)
}

fn rollback(s: &mut Session<'_>) -> Outcome {
    let Some(version) = s.given.integer("version") else {
        return Err(Failure::wrong("Version flag must be specified"));
    };
    if version < 1 {
        return Err(Failure::wrong(format!("Invalid value {version} for the version flag")));
    }
    let place = place(s)?;
    if !place.v2 {
        return Err(Failure::refused("K/V engine mount must be version 2 for rollback support"));
    }
    let path = place.path("data");
    let newest = s.find(&Call::get(&path), format!("Error doing pre-read at {path}"))?;
    let newest = newest.ok_or_else(|| Failure::refused(format!("No value found at {path}")))?;
    let cas = newest.at(&["data", "metadata", "version"]).cloned().unwrap_or_else(|| 0.into());
    let call = Call::get(&path).with_query("version", &version.to_string());
    let old = s.find(&call, format!("Error doing pre-read at {path}"))?;
    let old = old.ok_or_else(|| Failure::refused(format!("No value found at {path}")))?;
    let metadata = old.at(&["data", "metadata"]).cloned().unwrap_or(Tree::Null);
    if metadata.truth_at("destroyed") {
        return Err(Failure::refused("Cannot roll back to a version that has been destroyed"));
    }
    let data = old.at(&["data", "data"]).filter(|data| !data.is_null()).cloned();
    let data = data.ok_or_else(|| Failure::refused("Cannot roll back to a version that has been deleted"))?;
    let body = Tree::map([("data", data), ("options", Tree::map([("cas", cas)]))]);
    let answer = s.json(&Call::put(&path, &body), format!("Error writing data to {path}"))?;
    s.secret(&answer)
}

fn enable_versioning(s: &mut Session<'_>) -> Outcome {
    let path = clean(s.given.arg(0)).to_owned();
    let body = Tree::map([("options", Tree::map([("version", "2".into())]))]);
    let call = Call::post(format!("sys/mounts/{path}/tune"), &body);
    s.client.call(&call).map_err(failed(format!("Error tuning secrets engine {path}")))?;
    s.say(&format!("Success! Tuned the secrets engine at: {}", mount(&path)))?;
    Ok(OK)
}

impl Session<'_> {
    /// A question that is asked even in a dry run, as its answer shapes the real one.
    fn preflight(&self, call: &Call) -> Result<Tree, ApiError> {
        let answer = self.client.ask_anyway(call)?;
        answer.accepted(&call.method, &call.url(&self.client.settings))?.tree()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_as_the_official_client_pads_them() {
        for (heading, width, expected) in [
            ("Secret Path", "secret/data/a".len(), "== Secret Path =="),
            ("Metadata Path", "secret/metadata/b".len(), "= Metadata Path ="),
            ("Metadata", 24, "======= Metadata ======="),
            ("Version 1", 22, "====== Version 1 ======"),
            ("Data", 10, "== Data =="),
        ] {
            assert_eq!(title(heading, width), expected);
        }
    }
}
