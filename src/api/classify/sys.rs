//! Rows of `sys/…` (vault-semantics §2, §4.1 wrapping and leases, §4.2).
//!
//! A table of tables: most of `sys` reads by GET and writes by the rest; the words named here do not.

use super::super::operation::Operation;
use super::Classified;
use super::family::split;
use super::verdict::{active_read, any_node, by_verb, cluster, pure, this_node, write};

/// `rest` is what follows `sys/`.
pub(super) fn classify(operation: Operation, rest: &str, namespaced: bool) -> Classified {
    let (word, tail) = split(rest);
    match word {
        "health" | "leader" | "seal-status" | "init" => status(operation, word, namespaced),
        "unseal" | "seal" | "loggers" | "host-info" | "in-flight-req" | "metrics" | "seal-backend-status" => {
            this_node("node-local: the answer or effect is one node's own")
        }
        "monitor" | "pprof" => this_node("node-local: a stream of one node's own").streaming(),
        "events" => active_read("events are born on the active node").once_only().streaming(),
        "generate-root"
        | "generate-root-token"
        | "generate-recovery-token"
        | "rekey"
        | "rekey-recovery-key" => ceremony(operation),
        "locked-users" if operation.is_read() => active_read("wrong guesses are counted by the active node"),
        "step-down" => write("only the active node can step down"),
        "ha-status" => active_read("only the active node knows its peers"),
        "storage" => storage(operation, tail),
        "wrapping" => wrapping(operation, tail),
        "capabilities" | "capabilities-self" | "capabilities-accessor" => computed(operation),
        "leases" => leases(operation, tail),
        "tools" | "audit-hash" => computed(operation),
        "mounts" | "auth" | "policy" | "policies" | "remount" => {
            administration(operation, "changes what the cluster serves").changes_mounts_if_write()
        }
        "namespaces" => namespaces(operation, tail),
        "rotate" => rotate(operation, tail),
        "config" => config(operation, tail),
        "plugins" => plugins(operation, tail),
        "mfa" => mfa(operation, tail),
        "internal" => internal(operation, tail),
        "raw" => administration(operation, "raw storage"),
        _ => other(operation, word),
    }
}

/// Unauthenticated status (§2). Only the three that differ by role are answered by the proxy, and only where the
/// server answers them: in the root namespace and for GET and HEAD.
fn status(operation: Operation, word: &str, namespaced: bool) -> Classified {
    match (operation, word) {
        (Operation::Read | Operation::Head, "init") => {
            any_node("every node knows whether the cluster is initialised")
        }
        (_, "init") => this_node("initialises the node it reaches"),
        (Operation::Read | Operation::Head, _) if !namespaced => cluster("the proxy answers for the cluster"),
        _ => any_node("refused alike by every node"),
    }
}

/// Root generation and rekeying keep their progress in the memory of the active node, so even a GET belongs there.
fn ceremony(operation: Operation) -> Classified {
    let reason = "progress is kept in the active node's memory";
    if operation.is_read() { active_read(reason) } else { write(reason) }
}

/// `sys/storage/raft/…`.
fn storage(operation: Operation, tail: &str) -> Classified {
    let (_, word) = split(tail);
    let (word, _) = split(word);
    match (word, operation.is_read()) {
        ("snapshot", true) => active_read("a snapshot is taken at the active node").streaming(),
        ("snapshot" | "snapshot-force", false) => {
            write("a restore sent to a standby seals that standby and restores nothing").streaming()
        }
        ("join", _) => this_node("joins the node it reaches"),
        ("configuration", true) => active_read("a standby's list of peers can be old"),
        ("autopilot", true) => active_read("autopilot runs on the active node"),
        ("snapshot-auto", true) => active_read("automatic snapshots are taken by the active node"),
        (_, true) => active_read("raft administration"),
        (_, false) => write("raft administration"),
    }
}

/// `sys/wrapping/…`: on a standby `wrap` fails outright, and used tokens are judged on stale data.
fn wrapping(operation: Operation, tail: &str) -> Classified {
    match tail {
        "lookup" => computed(operation),
        "wrap" => write("a standby fails to wrap").mints_token(),
        "unwrap" | "rewrap" => write("consumes the wrapping token").mints_token(),
        _ => administration(operation, "wrapping administration"),
    }
}

/// Reads whatever their verb.
fn computed(operation: Operation) -> Classified {
    if operation == Operation::Write {
        return pure("a POST that only computes or looks up");
    }
    by_verb(operation, "looks up", "changes what the path names")
}

fn leases(operation: Operation, tail: &str) -> Classified {
    let (word, _) = split(tail);
    match word {
        "lookup" => computed(operation),
        _ => administration(operation, "leases are kept by the active node"),
    }
}

fn namespaces(operation: Operation, tail: &str) -> Classified {
    let last = tail.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    match last {
        // A namespace may itself be called so; the cost is one read at the active node.
        "seal-status" | "key-status" if operation.is_read() => {
            active_read("a namespace's seal is the active node's")
        }
        _ => administration(operation, "changes namespaces").changes_mounts_if_write(),
    }
}

/// `rotate/root/…`, `rotate/recovery/…` are the rekeying ceremonies of OpenBao; `rotate/config` is plain.
fn rotate(operation: Operation, tail: &str) -> Classified {
    let (word, _) = split(tail);
    match word {
        "root" | "recovery" => ceremony(operation),
        _ => administration(operation, "key rotation"),
    }
}

fn config(operation: Operation, tail: &str) -> Classified {
    let (word, _) = split(tail);
    match word {
        "state" => this_node("node-local: one node's own configuration"),
        "reload" => this_node("reloads the node it reaches"),
        _ => administration(operation, "configuration"),
    }
}

fn plugins(operation: Operation, tail: &str) -> Classified {
    let (word, _) = split(tail);
    match (word, operation) {
        ("reload", Operation::Write) => this_node("reloads the plugin on the node it reaches"),
        _ => administration(operation, "plugin administration"),
    }
}

fn mfa(operation: Operation, tail: &str) -> Classified {
    match tail {
        "validate" => write("ends a login").mints_token(),
        _ => administration(operation, "MFA administration"),
    }
}

/// `internal/specs/openapi` is the same at every node of a version; the rest depends on mounts and policies.
fn internal(operation: Operation, tail: &str) -> Classified {
    match (operation, tail) {
        (Operation::Read, "specs/openapi") => any_node("describes the API"),
        _ => administration(operation, "internal views"),
    }
}

/// GET and LIST read, the rest writes.
fn administration(operation: Operation, written: &'static str) -> Classified {
    by_verb(operation, "reads what the cluster is set to", written)
}

/// Named words without a row of their own read and write by their verb; unnamed ones are guesses.
fn other(operation: Operation, word: &str) -> Classified {
    if super::family::is_sys_word(word) {
        return administration(operation, "administration");
    }
    by_verb(operation, "reads by its verb", "a change to something new").as_fallback()
}

impl Classified {
    fn changes_mounts_if_write(self) -> Self {
        if self.class == super::Class::Write { self.changes_mounts() } else { self }
    }
}
