//! operator raft: peers, and snapshots that are streamed and never held in memory.

use http::Method;

use super::super::client::request::Call;
use super::super::input::{read_file, reason};
use super::super::line::Kind;
use super::super::output::secret::key_value_table;
use super::super::output::table;
use super::super::output::tree::Tree;
use super::super::session::{Failure, OK, Outcome, Session, failed};
use super::{Arity, Flag, Prints, Run, Verb, flag, verb};

const JOIN: &[Flag] = &[
    flag("leader-ca-cert", Kind::Text, "CA of the leader, @file for a file."),
    flag("leader-client-cert", Kind::Text, "Client certificate, @file for a file."),
    flag("leader-client-key", Kind::Text, "Its key, @file for a file."),
    flag("retry", Kind::Switch, "Try until it works."),
    flag("non-voter", Kind::Switch, "Join without a vote."),
];
const FORCE: &[Flag] = &[flag("force", Kind::Switch, "Even when the snapshot is from another cluster.")];
const PEER: &[Flag] = &[flag("dr-token", Kind::Text, "Accepted for compatibility.")];

pub(super) fn verbs() -> Vec<Verb<Run>> {
    vec![
        verb(
            "operator raft list-peers",
            ("[options]", "List the peers"),
            Prints::Format,
            Arity::Any,
            PEER,
            list_peers,
        ),
        verb(
            "operator raft join",
            ("[options] [LEADER]", "Join a cluster by its leader's address"),
            Prints::Format,
            Arity::Between(0, 1, "0-1"),
            JOIN,
            join,
        ),
        verb(
            "operator raft remove-peer",
            ("[options] NODE", "Remove a peer"),
            Prints::Text,
            Arity::Any,
            PEER,
            remove_peer,
        ),
        verb(
            "operator raft snapshot save",
            ("[options] FILE", "Save a snapshot to a file"),
            Prints::Text,
            Arity::Any,
            &[],
            save,
        ),
        verb(
            "operator raft snapshot restore",
            ("[options] FILE", "Put a snapshot's state in the place of the cluster's"),
            Prints::Text,
            Arity::Any,
            FORCE,
            restore,
        ),
    ]
}

fn only_arg(s: &Session<'_>) -> Result<String, Failure> {
    match s.given.args.as_slice() {
        [one] => Ok(one.trim().to_owned()),
        args => Err(Failure::wrong(format!("Incorrect arguments (expected 1, got {})", args.len()))),
    }
}

fn list_peers(s: &mut Session<'_>) -> Outcome {
    let call = Call::get("sys/storage/raft/configuration");
    let none = || Failure::refused("No raft cluster configuration found");
    // Any 404 means that: other storages do not have the endpoint.
    let answer = s.client.json(&call).map_err(|error| match error.status() {
        Some(404) => none(),
        _ => failed("Error reading the raft cluster configuration")(error),
    })?;
    let servers = answer.at(&["data", "config", "servers"]).cloned().ok_or_else(none)?;
    if s.format != super::super::output::Format::Table {
        return s.secret(&answer);
    }
    let header = ["Node", "Address", "State", "Voter"].map(str::to_owned).to_vec();
    let row = |server: &Tree| {
        let state = if server.truth_at("leader") { "leader" } else { "follower" };
        [server.text_at("node_id"), server.text_at("address"), state, &server.truth_at("voter").to_string()]
            .map(str::to_owned)
            .to_vec()
    };
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(servers.items().iter().map(row)).collect();
    s.say(&table::with_header(&rows))?;
    Ok(OK)
}

/// The text itself, or that of the file behind `@`.
fn text_or_file(s: &Session<'_>, name: &str) -> Result<Tree, Failure> {
    match s.given.value(name) {
        Some(value) => match value.strip_prefix('@') {
            Some(file) => read_file(file)
                .map(Tree::from)
                .map_err(|why| Failure::wrong(format!("Failed to parse {name}: {why}"))),
            None => Ok(value.into()),
        },
        None => Ok("".into()),
    }
}

fn join(s: &mut Session<'_>) -> Outcome {
    let body = Tree::map([
        ("leader_api_addr", s.given.arg(0).trim().into()),
        ("leader_ca_cert", text_or_file(s, "leader-ca-cert")?),
        ("leader_client_cert", text_or_file(s, "leader-client-cert")?),
        ("leader_client_key", text_or_file(s, "leader-client-key")?),
        ("retry", s.given.on("retry").into()),
        ("non_voter", s.given.on("non-voter").into()),
    ]);
    let answer =
        s.json(&Call::post("sys/storage/raft/join", &body), "Error joining the node to the Raft cluster")?;
    let joined = answer.truth_at("joined");
    s.show(&Tree::map([("joined", joined.into())]), |_| {
        key_value_table(vec![("Joined".to_owned(), joined.to_string())])
    })
}

fn remove_peer(s: &mut Session<'_>) -> Outcome {
    let node = only_arg(s)?;
    let call = Call::post("sys/storage/raft/remove-peer", &Tree::map([("server_id", node.into())]));
    s.client.call(&call).map_err(failed("Error removing the peer from raft cluster"))?;
    s.say("Peer removed successfully!")?;
    Ok(OK)
}

fn save(s: &mut Session<'_>) -> Outcome {
    use std::os::unix::fs::OpenOptionsExt as _;
    let name = only_arg(s)?;
    let part = format!("{name}.part");
    // Private, and under its name only when it is whole.
    let opened = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
    let mut file = opened.map_err(|error| {
        Failure::refused(format!("Error opening snapshot file: open {part}: {}", reason(&error)))
    })?;
    let saved = s.client.download(&Call::get("sys/storage/raft/snapshot"), &mut file);
    let stored = saved.map_err(failed("Error taking the snapshot")).and_then(|bytes| {
        if bytes == 0 {
            return Err(Failure::refused("Error taking the snapshot: the server sent nothing"));
        }
        let kept = file.sync_all().and_then(|()| std::fs::rename(&part, &name));
        kept.map_err(|error| {
            Failure::refused(format!("Error writing the snapshot: {name}: {}", reason(&error)))
        })
    });
    if stored.is_err() {
        // What is left of it is no snapshot; the error that is told is the first one.
        drop(std::fs::remove_file(&part));
    }
    stored.map(|()| OK)
}

fn restore(s: &mut Session<'_>) -> Outcome {
    let name = only_arg(s)?;
    let file = std::fs::File::open(&name).map_err(|error| {
        Failure::refused(format!("Error opening snapshot file: open {name}: {}", reason(&error)))
    })?;
    let path =
        if s.given.on("force") { "sys/storage/raft/snapshot-force" } else { "sys/storage/raft/snapshot" };
    let call = Call::new(Method::POST, path);
    s.client.upload(&call, file).map_err(failed("Error installing the snapshot"))?;
    Ok(OK)
}
