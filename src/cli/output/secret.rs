//! The envelope every endpoint answers with: in Vault's field order, as the rows of a table, and field by field.

use super::tree::Tree;
use super::{go, table};

/// Width of a warning's text.
const WRAP: usize = 78;

/// An answer's envelope as the official client holds it: every field there, in its order.
#[must_use]
pub fn envelope(answer: &Tree) -> Tree {
    let warnings = answer.get("warnings").filter(|list| !list.items().is_empty());
    let mut entries = vec![
        ("request_id".to_owned(), answer.or("request_id", "".into())),
        ("lease_id".to_owned(), answer.or("lease_id", "".into())),
        ("lease_duration".to_owned(), answer.or("lease_duration", 0.into())),
        ("renewable".to_owned(), answer.or("renewable", false.into())),
        ("data".to_owned(), answer.or("data", Tree::Null)),
        ("warnings".to_owned(), warnings.cloned().unwrap_or(Tree::Null)),
    ];
    let there = |name: &str| answer.get(name).filter(|inner| !inner.is_null());
    entries.extend(there("auth").map(|inner| ("auth".to_owned(), auth(inner))));
    entries.extend(there("wrap_info").map(|inner| ("wrap_info".to_owned(), wrap_info(inner))));
    Tree::Map(entries)
}

fn auth(auth: &Tree) -> Tree {
    let list = |name| auth.get(name).filter(|list| !list.items().is_empty()).cloned().unwrap_or(Tree::Null);
    Tree::map([
        ("client_token", auth.or("client_token", "".into())),
        ("accessor", auth.or("accessor", "".into())),
        ("policies", list("policies")),
        ("token_policies", list("token_policies")),
        ("identity_policies", list("identity_policies")),
        ("metadata", auth.or("metadata", Tree::Null)),
        ("orphan", auth.or("orphan", false.into())),
        ("entity_id", auth.or("entity_id", "".into())),
        ("lease_duration", auth.or("lease_duration", 0.into())),
        ("renewable", auth.or("renewable", false.into())),
        ("mfa_requirement", auth.or("mfa_requirement", Tree::Null)),
    ])
}

fn wrap_info(info: &Tree) -> Tree {
    Tree::map([
        ("token", info.or("token", "".into())),
        ("accessor", info.or("accessor", "".into())),
        ("ttl", info.or("ttl", 0.into())),
        ("creation_time", info.or("creation_time", "".into())),
        ("creation_path", info.or("creation_path", "".into())),
        ("wrapped_accessor", info.or("wrapped_accessor", "".into())),
    ])
}

/// The table of an envelope; empty when there is nothing to show.
#[must_use]
pub fn as_table(secret: &Tree) -> String {
    let mut rows = lease_rows(secret);
    rows.extend(secret.get("auth").map(auth_rows).unwrap_or_default());
    rows.extend(secret.get("wrap_info").map(wrap_rows).unwrap_or_default());
    rows.extend(data_rows(secret.get("data").unwrap_or(&Tree::Null)));
    if rows.is_empty() {
        return String::new();
    }
    key_value_table(rows)
}

/// Rows under `Key` and `Value`.
#[must_use]
pub fn key_value_table(rows: Vec<(String, String)>) -> String {
    let mut all = vec![vec!["Key".to_owned(), "Value".to_owned()]];
    all.extend(rows.into_iter().map(|(key, value)| vec![key, value]));
    table::with_header(&all)
}

/// The entries of a map, durations made readable.
#[must_use]
pub fn data_rows(data: &Tree) -> Vec<(String, String)> {
    let mut rows: Vec<_> =
        data.entries().iter().map(|(name, value)| (name.clone(), cell(name, value))).collect();
    rows.sort();
    rows
}

fn cell(name: &str, value: &Tree) -> String {
    match value.integer().filter(|_| go::looks_like_duration(name)) {
        Some(seconds) => go::duration(seconds),
        None => go::show(value),
    }
}

fn lease_rows(secret: &Tree) -> Vec<(String, String)> {
    let lasts = go::duration(secret.integer_at("lease_duration"));
    let id = secret.text_at("lease_id");
    match (secret.integer_at("lease_duration"), id) {
        (..=0, _) => Vec::new(),
        (_, "") => rows([("refresh_interval", lasts)]),
        _ => rows([
            ("lease_id", id.to_owned()),
            ("lease_duration", lasts),
            ("lease_renewable", secret.truth_at("renewable").to_string()),
        ]),
    }
}

fn rows<const N: usize>(rows: [(&str, String); N]) -> Vec<(String, String)> {
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn auth_rows(auth: &Tree) -> Vec<(String, String)> {
    let lasts = match auth.integer_at("lease_duration") {
        0 => "∞".to_owned(),
        seconds => go::duration(seconds),
    };
    let mut all = rows([
        ("token", auth.text_at("client_token").to_owned()),
        ("token_accessor", auth.text_at("accessor").to_owned()),
        ("token_duration", lasts),
        ("token_renewable", auth.truth_at("renewable").to_string()),
        ("token_policies", go::show_quoted(auth.get("token_policies"))),
        ("identity_policies", go::show_quoted(auth.get("identity_policies"))),
        ("policies", go::show_quoted(auth.get("policies"))),
    ]);
    let metadata = auth.get("metadata").map(Tree::entries).unwrap_or_default();
    all.extend(metadata.iter().map(|(name, value)| (format!("token_meta_{name}"), go::show(value))));
    all
}

fn wrap_rows(info: &Tree) -> Vec<(String, String)> {
    let text = |name| info.text_at(name).to_owned();
    let mut all = rows([
        ("wrapping_token:", text("token")),
        ("wrapping_accessor:", text("accessor")),
        ("wrapping_token_ttl:", go::duration(info.integer_at("ttl"))),
        ("wrapping_token_creation_time:", go_time(info.text_at("creation_time"))),
        ("wrapping_token_creation_path:", text("creation_path")),
    ]);
    if !info.text_at("wrapped_accessor").is_empty() {
        all.extend(rows([("wrapped_accessor:", text("wrapped_accessor"))]));
    }
    all
}

/// `2026-11-23T02:16:19.96Z` as Go's `Time.String` has it.
fn go_time(rfc3339: &str) -> String {
    match rfc3339.strip_suffix('Z').and_then(|utc| utc.split_once('T')) {
        Some((day, clock)) => format!("{day} {clock} +0000 UTC"),
        None => rfc3339.to_owned(),
    }
}

/// What `-field` names, in an envelope; `None` when it is not there.
#[must_use]
pub fn field(secret: &Tree, name: &str) -> Option<Tree> {
    let data = secret.get("data").and_then(|data| data.get(name)).filter(|value| !value.is_null());
    let special = match (secret.get("auth"), secret.get("wrap_info")) {
        (Some(auth), _) => auth_field(auth, name),
        (None, Some(info)) => wrap_field(info, name),
        (None, None) => plain_field(secret, name),
    };
    special.or_else(|| data.cloned())
}

fn auth_field(auth: &Tree, name: &str) -> Option<Tree> {
    let inner = match name {
        "token" => "client_token",
        "token_accessor" => "accessor",
        "token_duration" => "lease_duration",
        "token_renewable" => "renewable",
        "token_policies" | "identity_policies" | "policies" => {
            return Some(auth.or(name, Tree::List(Vec::new())));
        }
        _ => return None,
    };
    auth.get(inner).cloned()
}

fn wrap_field(info: &Tree, name: &str) -> Option<Tree> {
    match name {
        "wrapping_token" => info.get("token").cloned(),
        "wrapping_accessor" => info.get("accessor").cloned(),
        "wrapping_token_ttl" => info.get("ttl").cloned(),
        "wrapping_token_creation_time" => Some(go_time(info.text_at("creation_time")).into()),
        "wrapping_token_creation_path" => info.get("creation_path").cloned(),
        "wrapped_accessor" => info.get("wrapped_accessor").cloned(),
        _ => None,
    }
}

fn plain_field(secret: &Tree, name: &str) -> Option<Tree> {
    match name {
        "lease_duration" | "lease_id" => secret.get(name).cloned(),
        "lease_renewable" => secret.get("renewable").cloned(),
        "refresh_interval" => secret.get("lease_duration").cloned(),
        "data" => secret.get("data").filter(|data| !data.is_null()).cloned(),
        _ => None,
    }
}

/// The warnings of an envelope as they go to standard error; empty without one.
#[must_use]
pub fn warnings(secret: &Tree) -> String {
    let list = secret.get("warnings").map(Tree::items).unwrap_or_default();
    if list.is_empty() {
        return String::new();
    }
    let each: String = list.iter().filter_map(Tree::text).map(|text| wrapped(text) + "\n\n").collect();
    format!("WARNING! The following warnings were returned from Vault:\n\n{each}")
}

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::from("  *")];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is a first line");
        if last.len() + 1 + word.len() > WRAP && last.len() > 3 {
            lines.push(format!("    {word}"));
        } else {
            last.push(' ');
            last.push_str(word);
        }
    }
    lines.join("\n")
}
