//! token, lease: what keeps access alive and ends it.

use super::super::client::request::Call;
use super::super::line::Kind;
use super::super::output::tree::Tree;
use super::super::session::{Failure, OK, Outcome, Session, clean, failed};
use super::{Arity, Flag, Prints, Run, Verb, flag, verb};

const CREATE: &[Flag] = &[
    flag("policy", Kind::List, "Policy of the token; repeatable."),
    flag("ttl", Kind::Duration, "How long it lives."),
    flag("explicit-max-ttl", Kind::Duration, "How long it can be renewed."),
    flag("period", Kind::Duration, "Renewable for ever, by this much."),
    flag("display-name", Kind::Text, "Name in logs."),
    flag("id", Kind::Text, "The token itself, if you must choose."),
    flag("entity-alias", Kind::Text, "Alias of the entity, with -role."),
    flag("metadata", Kind::Pairs, "A name=value for the audit log; repeatable."),
    flag("role", Kind::Text, "Token role to create it against."),
    flag("type", Kind::Text, "service or batch."),
    flag("use-limit", Kind::Integer, "Requests it is good for; 0: any number."),
    flag("renewable", Kind::Switch, "Whether it can be renewed; default true."),
    flag("orphan", Kind::Switch, "Without a parent."),
    flag("no-default-policy", Kind::Switch, "Without the policy `default`."),
];
const ACCESSOR: Flag = flag("accessor", Kind::Switch, "The argument is an accessor.");
const RENEW: &[Flag] = &[ACCESSOR, flag("increment", Kind::Duration, "Ask for this much.")];
const REVOKE: &[Flag] = &[
    ACCESSOR,
    flag("self", Kind::Switch, "The token in use."),
    flag("mode", Kind::Text, "orphan: leave its children; path: every token below a path."),
];
const LEASE_RENEW: &[Flag] = &[flag("increment", Kind::Duration, "Ask for this much.")];
const LEASE_REVOKE: &[Flag] = &[
    flag("prefix", Kind::Switch, "Every lease below the argument."),
    flag("force", Kind::Switch, "Even when the engine fails; with -prefix."),
    flag("sync", Kind::Switch, "Wait until it is done."),
];

pub(super) fn verbs() -> Vec<Verb<Run>> {
    let any = Arity::Any;
    vec![
        verb("token create", ("[options]", "Create a token"), Prints::Field, Arity::Exact(0), CREATE, create),
        verb(
            "token lookup",
            ("[options] [TOKEN|ACCESSOR]", "Show what a token is"),
            Prints::Field,
            any,
            &[ACCESSOR],
            lookup,
        ),
        verb(
            "token renew",
            ("[options] [TOKEN]", "Extend a token's life"),
            Prints::Field,
            Arity::Between(0, 1, "1"),
            RENEW,
            renew,
        ),
        verb(
            "token revoke",
            ("[options] [TOKEN|ACCESSOR]", "End a token and its children"),
            Prints::Text,
            any,
            REVOKE,
            revoke,
        ),
        verb(
            "token capabilities",
            ("[options] [TOKEN] PATH", "What a token may do at a path"),
            Prints::Format,
            Arity::Between(1, 2, "1-2"),
            &[],
            capabilities,
        ),
        verb("lease lookup", ("[options] ID", "Show a lease"), Prints::Field, any, &[], lease_lookup),
        verb("lease renew", ("[options] ID", "Extend a lease"), Prints::Field, any, LEASE_RENEW, lease_renew),
        verb(
            "lease revoke",
            ("[options] ID", "End a lease and what it stands for"),
            Prints::Text,
            Arity::Exact(1),
            LEASE_REVOKE,
            lease_revoke,
        ),
    ]
}

fn create(s: &mut Session<'_>) -> Outcome {
    let given = &s.given;
    let seconds = |name| Tree::from(format!("{}s", given.integer(name).unwrap_or_default()));
    let text = |name| Tree::from(given.value(name).unwrap_or_default());
    let mut entries = vec![
        ("ttl", seconds("ttl")),
        ("explicit_max_ttl", seconds("explicit-max-ttl")),
        ("period", seconds("period")),
        ("display_name", text("display-name")),
        ("num_uses", given.integer("use-limit").unwrap_or_default().into()),
        ("renewable", (given.value("renewable") != Some("false")).into()),
        ("type", given.value("type").unwrap_or("service").into()),
        ("entity_alias", text("entity-alias")),
    ];
    let policies: Vec<Tree> = given.items("policy").map(Tree::from).collect();
    if !policies.is_empty() {
        entries.push(("policies", Tree::List(policies)));
    }
    if given.value("metadata").is_some() {
        entries.push(("meta", s.pairs("metadata")));
    }
    if given.value("id").is_some() {
        entries.push(("id", text("id")));
    }
    for (flag, name) in [("orphan", "no_parent"), ("no-default-policy", "no_default_policy")] {
        if given.on(flag) {
            entries.push((name, true.into()));
        }
    }
    let body = Tree::Map(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let path = match given.value("role") {
        Some(role) => format!("auth/token/create/{role}"),
        None => "auth/token/create".to_owned(),
    };
    let answer = s.json(&Call::post(path, &body), "Error creating token")?;
    s.secret(&answer)
}

fn lookup(s: &mut Session<'_>) -> Outcome {
    let accessor = s.given.on("accessor");
    let token = s.given.arg(0).to_owned();
    let call = match (accessor, s.given.args.len()) {
        (true, 1) => Call::post("auth/token/lookup-accessor", &Tree::map([("accessor", token.into())])),
        (true, got @ 0) => {
            return Err(Failure::wrong(format!(
                "Not enough arguments with -accessor (expected 1, got {got})"
            )));
        }
        (true, got) => {
            return Err(Failure::wrong(format!("Too many arguments with -accessor (expected 1, got {got})")));
        }
        (false, 0) => Call::get("auth/token/lookup-self"),
        (false, 1) => Call::post("auth/token/lookup", &Tree::map([("token", token.into())])),
        (false, got) => return Err(Failure::wrong(format!("Too many arguments (expected 0-1, got {got})"))),
    };
    let answer = s.json(&call, "Error looking up token")?;
    s.secret(&answer)
}

fn renew(s: &mut Session<'_>) -> Outcome {
    let token = s.given.arg(0).to_owned();
    let increment = Tree::from(s.given.integer("increment").unwrap_or_default());
    let call = if s.given.on("accessor") {
        Call::post(
            "auth/token/renew-accessor",
            &Tree::map([("accessor", token.into()), ("increment", increment)]),
        )
    } else if token.is_empty() {
        Call::put("auth/token/renew-self", &Tree::map([("increment", increment)]))
    } else {
        Call::put("auth/token/renew", &Tree::map([("token", token.into()), ("increment", increment)]))
    };
    let answer = s.json(&call, "Error renewing token")?;
    s.secret(&answer)
}

fn revoke(s: &mut Session<'_>) -> Outcome {
    let (own, accessor, mode) =
        (s.given.on("self"), s.given.on("accessor"), s.given.value("mode").unwrap_or_default());
    let got = s.given.args.len();
    match got {
        0 if !own => return Err(Failure::wrong("Not enough arguments (expected 1 or -self, got 0)")),
        1.. if own => {
            return Err(Failure::wrong(format!("Too many arguments with -self (expected 0, got {got})")));
        }
        2.. => return Err(Failure::wrong(format!("Too many arguments (expected 1 or -self, got {got})"))),
        _ if own && accessor => return Err(Failure::wrong("Cannot use -self with -accessor!")),
        _ if own && !mode.is_empty() => return Err(Failure::wrong("Cannot use -self with -mode!")),
        _ if accessor && mode == "path" => {
            return Err(Failure::wrong("Cannot use -accessor with -mode=path"));
        }
        _ => {}
    }
    let token = Tree::from(s.given.arg(0));
    let call = match (own, accessor, mode) {
        (true, ..) => Call::put("auth/token/revoke-self", &Tree::Map(Vec::new())),
        (_, true, _) => Call::post("auth/token/revoke-accessor", &Tree::map([("accessor", token)])),
        (_, _, "") => Call::put("auth/token/revoke", &Tree::map([("token", token)])),
        (_, _, "orphan") => Call::put("auth/token/revoke-orphan", &Tree::map([("token", token)])),
        (_, _, "path") => {
            Call::put(format!("sys/leases/revoke-prefix/{}", clean(s.given.arg(0))), &Tree::Map(Vec::new()))
        }
        (_, _, other) => return Err(Failure::wrong(format!("Invalid mode: {other}"))),
    };
    s.client.call(&call).map_err(failed("Error revoking token"))?;
    s.say("Success! Revoked token (if it existed)")?;
    Ok(OK)
}

fn capabilities(s: &mut Session<'_>) -> Outcome {
    let call = match s.given.args.as_slice() {
        [token, path] => Call::post(
            "sys/capabilities",
            &Tree::map([("token", token.as_str().into()), ("path", path.as_str().into())]),
        ),
        _ => Call::post("sys/capabilities-self", &Tree::map([("path", s.given.arg(0).into())])),
    };
    let answer = s.json(&call, "Error listing capabilities")?;
    let mut found: Vec<String> = answer
        .at(&["data", "capabilities"])
        .map(Tree::items)
        .unwrap_or_default()
        .iter()
        .filter_map(Tree::text)
        .map(str::to_owned)
        .collect();
    found.sort();
    let tree = Tree::List(found.iter().map(|name| name.as_str().into()).collect());
    s.show(&tree, |_| found.join(", "))
}

fn lease_id(s: &Session<'_>) -> Result<Tree, Failure> {
    match s.given.args.len() {
        0 => Err(Failure::wrong("Missing ID!")),
        1 => Ok(s.given.arg(0).into()),
        got => Err(Failure::wrong(format!("Too many arguments (expected 1, got {got})"))),
    }
}

fn lease_lookup(s: &mut Session<'_>) -> Outcome {
    let id = lease_id(s)?;
    let prefix = format!("error looking up lease id {}", s.given.arg(0));
    let answer = s.json(&Call::put("sys/leases/lookup", &Tree::map([("lease_id", id)])), prefix)?;
    s.secret(&answer)
}

fn lease_renew(s: &mut Session<'_>) -> Outcome {
    let id = lease_id(s)?;
    let increment = Tree::from(s.given.integer("increment").unwrap_or_default());
    let prefix = format!("Error renewing {}", s.given.arg(0));
    let body = Tree::map([("increment", increment), ("lease_id", id)]);
    let answer = s.json(&Call::put("sys/leases/renew", &body), prefix)?;
    s.secret(&answer)
}

fn lease_revoke(s: &mut Session<'_>) -> Outcome {
    let (force, prefix, sync) = (s.given.on("force"), s.given.on("prefix"), s.given.on("sync"));
    let id = clean(s.given.arg(0)).to_owned();
    if force && !prefix {
        return Err(Failure::wrong("Specifying -force requires also specifying -prefix"));
    }
    if force {
        s.warn("Warning! Force-removing leases can cause Vault to become out of sync with\nsecret engines!");
        let call = Call::put(format!("sys/leases/revoke-force/{id}"), &Tree::Map(Vec::new()));
        s.client.call(&call).map_err(failed(format!("Error force revoking leases with prefix {id}")))?;
        s.say(&format!("Success! Force revoked any leases with prefix: {id}"))?;
        return Ok(OK);
    }
    let (call, what) = if prefix {
        (
            Call::put(format!("sys/leases/revoke-prefix/{id}"), &Tree::map([("sync", sync.into())])),
            "leases with prefix",
        )
    } else {
        let body = Tree::map([("lease_id", id.as_str().into()), ("sync", sync.into())]);
        (Call::put("sys/leases/revoke", &body), "lease")
    };
    s.client.call(&call).map_err(failed(format!("Error revoking {what} {id}")))?;
    match (sync, prefix) {
        (false, _) => s.say("All revocation operations queued successfully!")?,
        (true, true) => s.say(&format!("Success! Revoked any leases with prefix: {id}"))?,
        (true, false) => s.say(&format!("Success! Revoked lease: {id}"))?,
    }
    Ok(OK)
}
