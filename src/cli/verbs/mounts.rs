//! secrets and auth: what is mounted where. Both speak of the same things with other words and paths.

use std::time::Duration;

use super::super::client::request::Call;
use super::super::line::Kind;
use super::super::output::go;
use super::super::output::table;
use super::super::output::tree::Tree;
use super::super::session::{Failure, OK, Outcome, Session, clean, failed, mount};
use super::{Arity, Flag, Prints, Run, Verb, flag, verb};

const DETAILED: &[Flag] = &[flag("detailed", Kind::Switch, "Show every setting.")];
const SETTINGS: &[Flag] = &[
    flag("path", Kind::Text, "Where to mount it; default: its type."),
    flag("description", Kind::Text, "For people."),
    flag("default-lease-ttl", Kind::Duration, "Default life of leases and tokens."),
    flag("max-lease-ttl", Kind::Duration, "Longest life of leases and tokens."),
    flag("options", Kind::Pairs, "An option name=value; repeatable."),
    flag("version", Kind::Integer, "Version of the engine; kv: 1 or 2."),
    flag("local", Kind::Switch, "Not replicated."),
    flag("seal-wrap", Kind::Switch, "Wrapped by the seal too."),
    flag("force-no-cache", Kind::Switch, "Never cached."),
    flag("listing-visibility", Kind::Text, "unauth or hidden."),
    flag("token-type", Kind::Text, "Type of the tokens of an auth method."),
    flag("audit-non-hmac-request-keys", Kind::List, "Request keys that audit devices show."),
    flag("audit-non-hmac-response-keys", Kind::List, "Response keys that audit devices show."),
    flag("passthrough-request-headers", Kind::List, "Headers the engine sees."),
    flag("allowed-response-headers", Kind::List, "Headers the engine may set."),
    flag("plugin-version", Kind::Text, "Version of the plugin."),
    flag("plugin-name", Kind::Text, "Name of the plugin, with type plugin."),
];

pub(super) fn verbs() -> Vec<Verb<Run>> {
    let (one, two) = (Arity::Exact(1), Arity::Exact(2));
    vec![
        verb(
            "secrets list",
            ("[options]", "List secrets engines"),
            Prints::Format,
            Arity::Exact(0),
            DETAILED,
            |s| list(s, &SECRETS),
        ),
        verb(
            "secrets enable",
            ("[options] TYPE", "Enable a secrets engine"),
            Prints::Text,
            one,
            SETTINGS,
            |s| enable(s, &SECRETS),
        ),
        verb(
            "secrets disable",
            ("[options] PATH", "Disable a secrets engine and remove its data"),
            Prints::Text,
            one,
            &[],
            |s| disable(s, &SECRETS),
        ),
        verb(
            "secrets tune",
            ("[options] PATH", "Change a secrets engine's settings"),
            Prints::Text,
            one,
            SETTINGS,
            |s| tune(s, &SECRETS),
        ),
        verb(
            "secrets move",
            ("[options] FROM TO", "Move a secrets engine to another path"),
            Prints::Text,
            two,
            &[],
            |s| remap(s, &SECRETS),
        ),
        verb(
            "auth list",
            ("[options]", "List auth methods"),
            Prints::Format,
            Arity::Exact(0),
            DETAILED,
            |s| list(s, &AUTH),
        ),
        verb("auth enable", ("[options] TYPE", "Enable an auth method"), Prints::Text, one, SETTINGS, |s| {
            enable(s, &AUTH)
        }),
        verb(
            "auth disable",
            ("[options] PATH", "Disable an auth method and end its tokens"),
            Prints::Text,
            one,
            &[],
            |s| disable(s, &AUTH),
        ),
        verb(
            "auth tune",
            ("[options] PATH", "Change an auth method's settings"),
            Prints::Text,
            one,
            SETTINGS,
            |s| tune(s, &AUTH),
        ),
        verb(
            "auth move",
            ("[options] FROM TO", "Move an auth method to another path"),
            Prints::Text,
            two,
            &[],
            |s| remap(s, &AUTH),
        ),
    ]
}

/// The words of one of the two families.
struct Family {
    api: &'static str,
    noun: &'static str,
    auth: bool,
}

static SECRETS: Family = Family { api: "sys/mounts", noun: "secrets engine", auth: false };
static AUTH: Family = Family { api: "sys/auth", noun: "auth method", auth: true };

fn list(s: &mut Session<'_>, family: &Family) -> Outcome {
    let what =
        if family.auth { "Error listing enabled authentications" } else { "Error listing secrets engines" };
    let answer = s.json(&Call::get(family.api), what)?;
    let mounts = answer.get("data").cloned().unwrap_or(Tree::Null);
    let whole = Tree::Map(mounts.entries().iter().map(|(path, of)| (path.clone(), envelope(of))).collect());
    let detailed = s.given.on("detailed");
    s.show(&whole, |_| if detailed { detailed_table(&mounts, family) } else { simple_table(&mounts, family) })
}

/// In Vault's field order.
fn envelope(of: &Tree) -> Tree {
    let text = || Tree::from("");
    Tree::map([
        ("uuid", of.or("uuid", text())),
        ("type", of.or("type", text())),
        ("description", of.or("description", text())),
        ("accessor", of.or("accessor", text())),
        ("config", config(of.get("config").unwrap_or(&Tree::Null))),
        ("options", of.or("options", Tree::Null)),
        ("local", of.or("local", false.into())),
        ("seal_wrap", of.or("seal_wrap", false.into())),
        ("external_entropy_access", of.or("external_entropy_access", false.into())),
        ("plugin_version", of.or("plugin_version", text())),
        ("running_plugin_version", of.or("running_plugin_version", text())),
        ("running_sha256", of.or("running_sha256", text())),
        ("deprecation_status", of.or("deprecation_status", text())),
    ])
}

/// Three fields are always there, the others when they are set.
fn config(config: &Tree) -> Tree {
    const ALWAYS: &[&str] = &["default_lease_ttl", "max_lease_ttl"];
    const SOMETIMES: &[&str] = &[
        "audit_non_hmac_request_keys",
        "audit_non_hmac_response_keys",
        "listing_visibility",
        "passthrough_request_headers",
        "allowed_response_headers",
        "token_type",
        "allowed_managed_keys",
        "user_lockout_config",
    ];
    let mut entries: Vec<(String, Tree)> =
        ALWAYS.iter().map(|&name| (name.to_owned(), config.or(name, 0.into()))).collect();
    entries.push(("force_no_cache".to_owned(), config.or("force_no_cache", false.into())));
    let set = |value: &&Tree| !value.is_null() && value.text() != Some("");
    let there = SOMETIMES
        .iter()
        .filter_map(|&name| config.get(name).filter(set).map(|v| (name.to_owned(), v.clone())));
    entries.extend(there);
    Tree::Map(entries)
}

fn cells<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

fn simple_table(mounts: &Tree, family: &Family) -> String {
    let mut rows = vec![cells(["Path", "Type", "Accessor", "Description"])];
    if family.auth {
        rows.iter_mut().for_each(|header| header.push("Version".to_owned()));
    }
    for (path, of) in mounts.entries() {
        let mut row = cells([path, of.text_at("type"), of.text_at("accessor"), of.text_at("description")]);
        if family.auth {
            row.push(of.text_at("plugin_version").to_owned());
        }
        rows.push(row);
    }
    table::with_header(&rows)
}

fn detailed_table(mounts: &Tree, family: &Family) -> String {
    let sixth = if family.auth { "Token Type" } else { "Force No Cache" };
    let mut rows = vec![cells([
        "Path",
        "Plugin",
        "Accessor",
        "Default TTL",
        "Max TTL",
        sixth,
        "Replication",
        "Seal Wrap",
        "External Entropy Access",
        "Options",
        "Description",
        "UUID",
        "Version",
        "Running Version",
        "Running SHA256",
        "Deprecation Status",
    ])];
    rows.extend(mounts.entries().iter().map(|(path, of)| detailed_row(path, of, family)));
    table::with_header(&rows)
}

fn detailed_row(path: &str, of: &Tree, family: &Family) -> Vec<String> {
    let config = of.get("config").cloned().unwrap_or(Tree::Null);
    let fixed = matches!(of.text_at("type"), "system" | "cubbyhole");
    let ttl = |name: &str| match config.integer_at(name) {
        0 if fixed => String::new(),
        0 => "system".to_owned(),
        seconds => seconds.to_string(),
    };
    let sixth = if family.auth {
        config.text_at("token_type").to_owned()
    } else {
        config.truth_at("force_no_cache").to_string()
    };
    let replication = if of.truth_at("local") { "local" } else { "replicated" };
    let options = go::show(&of.or("options", Tree::Map(Vec::new())));
    cells([
        path,
        of.text_at("type"),
        of.text_at("accessor"),
        &ttl("default_lease_ttl"),
        &ttl("max_lease_ttl"),
        &sixth,
        replication,
        &of.truth_at("seal_wrap").to_string(),
        &of.truth_at("external_entropy_access").to_string(),
        &options,
        of.text_at("description"),
        of.text_at("uuid"),
        of.text_at("plugin_version"),
        of.text_at("running_plugin_version"),
        of.text_at("running_sha256"),
        of.text_at("deprecation_status"),
    ])
}

/// Settings that `enable` and `tune` share.
fn tuned(s: &Session<'_>) -> Vec<(String, Tree)> {
    let given = &s.given;
    let mut entries = Vec::new();
    for name in ["default-lease-ttl", "max-lease-ttl"] {
        entries.extend(given.integer(name).map(|n| (name.replace('-', "_"), Tree::from(format!("{n}s")))));
    }
    for name in ["listing-visibility", "token-type", "plugin-version"] {
        entries.extend(given.value(name).map(|text| (name.replace('-', "_"), Tree::from(text))));
    }
    for name in [
        "audit-non-hmac-request-keys",
        "audit-non-hmac-response-keys",
        "passthrough-request-headers",
        "allowed-response-headers",
    ] {
        if given.value(name).is_some() {
            entries.push((name.replace('-', "_"), Tree::List(given.items(name).map(Tree::from).collect())));
        }
    }
    entries
}

fn options(s: &Session<'_>) -> Option<Tree> {
    let mut all = s.pairs("options").entries().to_vec();
    all.extend(s.given.value("version").map(|version| ("version".to_owned(), version.into())));
    (!all.is_empty()).then_some(Tree::Map(all))
}

fn enable(s: &mut Session<'_>, family: &Family) -> Outcome {
    let kind = s.given.arg(0).trim().to_owned();
    let named =
        if kind == "plugin" { s.given.value("plugin-name").unwrap_or_default() } else { kind.as_str() }
            .to_owned();
    let path = mount(s.given.value("path").unwrap_or(&named));
    let mut config = tuned(s);
    if s.given.on("force-no-cache") {
        config.push(("force_no_cache".to_owned(), true.into()));
    }
    let mut entries = vec![
        ("type".to_owned(), named.as_str().into()),
        ("description".to_owned(), s.given.value("description").unwrap_or_default().into()),
        ("config".to_owned(), Tree::Map(config)),
        ("local".to_owned(), s.given.on("local").into()),
        ("seal_wrap".to_owned(), s.given.on("seal-wrap").into()),
    ];
    entries.extend(options(s).map(|options| ("options".to_owned(), options)));
    let call = Call::post(format!("{}/{}", family.api, clean(&path)), &Tree::Map(entries));
    let what = if family.auth { format!("Error enabling {named} auth") } else { "Error enabling".to_owned() };
    s.client.call(&call).map_err(failed(what))?;
    let said =
        if family.auth { format!("{named} auth method") } else { format!("the {named} secrets engine") };
    s.say(&format!("Success! Enabled {said} at: {path}"))?;
    Ok(OK)
}

fn disable(s: &mut Session<'_>, family: &Family) -> Outcome {
    let path = mount(s.given.arg(0));
    let what = format!("Error disabling {} at {path}", family.noun);
    s.client.call(&Call::delete(format!("{}/{}", family.api, clean(&path)))).map_err(failed(what))?;
    s.say(&format!("Success! Disabled the {} (if it existed) at: {path}", family.noun))?;
    Ok(OK)
}

fn tune(s: &mut Session<'_>, family: &Family) -> Outcome {
    let path = mount(s.given.arg(0));
    let mut entries = tuned(s);
    entries.extend(s.given.value("description").map(|text| ("description".to_owned(), text.into())));
    entries.extend(options(s).map(|options| ("options".to_owned(), options)));
    let call = Call::post(format!("{}/{}/tune", family.api, clean(&path)), &Tree::Map(entries));
    s.client.call(&call).map_err(failed(format!("Error tuning {} {path}", family.noun)))?;
    s.say(&format!("Success! Tuned the {} at: {path}", family.noun))?;
    Ok(OK)
}

/// Between two looks at a migration.
const LOOK: Duration = Duration::from_millis(250);

fn remap(s: &mut Session<'_>, family: &Family) -> Outcome {
    let (from, to) = (mount(s.given.arg(0)), mount(s.given.arg(1)));
    let noun = family.noun;
    let what = format!("Error moving {noun} {from} to {to}");
    let body = Tree::map([("from", from.as_str().into()), ("to", to.as_str().into())]);
    let answer = s.json(&Call::post("sys/remount", &body), what.clone())?;
    let id = answer.at(&["data", "migration_id"]).and_then(Tree::text).unwrap_or_default().to_owned();
    let tail = format!("of {noun} {from} to {to}, with migration ID {id}");
    s.say(&format!("Started moving {noun} {from} to {to}, with migration ID {id}"))?;
    let mut waiting = false;
    loop {
        let answer = s.json(&Call::get(format!("sys/remount/status/{id}")), what.clone())?;
        match answer.at(&["data", "migration_info", "status"]).and_then(Tree::text) {
            Some("success") => break,
            Some("in-progress") => {
                if !waiting {
                    s.say(&format!("Waiting for terminal status in migration {tail}"))?;
                    waiting = true;
                }
                std::thread::sleep(LOOK);
            }
            Some(_) | None => {
                return Err(Failure::refused(format!(
                    "Failure! Error encountered moving {noun} {from} to {to}, with migration ID {id}"
                )));
            }
        }
    }
    s.say(&format!("Success! Finished moving {noun} {from} to {to}, with migration ID {id}"))?;
    Ok(OK)
}
