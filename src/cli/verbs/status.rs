//! status: the seal and what the node says about its place in the cluster. version and print token live here too: they
//! tell what this side is.

use super::super::client::request::Call;
use super::super::output::secret::key_value_table;
use super::super::output::tree::Tree;
use super::super::session::{Failure, OK, Outcome, REFUSED, Session, failed};
use super::{Arity, Prints, Run, Verb, verb};

pub(super) fn verbs() -> Vec<Verb<Run>> {
    vec![
        verb(
            "status",
            ("[options]", "Show the seal and the place in the cluster; exit 0 unsealed, 2 sealed, 1 error"),
            Prints::Format,
            Arity::Exact(0),
            &[],
            status,
        ),
        verb("version", ("", "Show the version of this program"), Prints::Text, Arity::Any, &[], version),
        verb(
            "print token",
            ("", "Show the token that would be used"),
            Prints::Text,
            Arity::Any,
            &[],
            print_token,
        ),
    ]
}

fn version(s: &mut Session<'_>) -> Outcome {
    s.say(concat!("Understudy v", env!("CARGO_PKG_VERSION")))?;
    Ok(OK)
}

fn print_token(s: &mut Session<'_>) -> Outcome {
    let token = s.client.settings.token.as_ref().map(|token| token.expose().to_owned()).unwrap_or_default();
    s.say(&token)?;
    Ok(OK)
}

fn status(s: &mut Session<'_>) -> Outcome {
    s.client.settings.retries = 0;
    let wrong = |failure: Failure| Failure { code: if failure.is_result { OK } else { 1 }, ..failure };
    let seal = s.client.json(&Call::get("sys/seal-status"));
    let seal = seal.map_err(failed("Error checking seal status")).map_err(wrong)?;
    let whole = with_leader(s, seal).map_err(wrong)?;
    let sealed = whole.truth_at("sealed");
    s.show(&whole, seal_table)?;
    Ok(if sealed { REFUSED } else { OK })
}

/// The seal's fields with those of the leader behind them.
pub(super) fn with_leader(s: &Session<'_>, seal: Tree) -> Result<Tree, Failure> {
    let leader = match s.client.json(&Call::get("sys/leader")) {
        // A sealed node that has a leader to ask for refuses to; one without says that there is none.
        Err(error) if error.to_string().contains("Vault is sealed") => {
            Tree::map([("ha_enabled", true.into())])
        }
        other => other.map_err(failed("Error checking leader status"))?,
    };
    Ok(envelope(&seal, &leader))
}

/// In Vault's order; what is empty is left out where Vault leaves it out.
fn envelope(seal: &Tree, leader: &Tree) -> Tree {
    let text = || Tree::from("");
    let mut entries = Vec::new();
    let mut always = |name: &str, value: Tree| entries.push((name.to_owned(), value));
    always("type", seal.or("type", text()));
    always("initialized", seal.or("initialized", false.into()));
    always("sealed", seal.or("sealed", false.into()));
    for name in ["t", "n", "progress"] {
        always(name, seal.or(name, 0.into()));
    }
    for name in ["nonce", "version", "commit_date"] {
        always(name, seal.or(name, text()));
    }
    always("migration", seal.or("migration", false.into()));
    for name in ["cluster_name", "cluster_id"] {
        if !seal.text_at(name).is_empty() {
            always(name, seal.or(name, text()));
        }
    }
    always("recovery_seal", seal.or("recovery_seal", false.into()));
    always("storage_type", seal.or("storage_type", text()));
    always("build_date", seal.or("build_date", text()));
    always("ha_enabled", leader.or("ha_enabled", false.into()));
    for (name, value) in leader.entries().iter().filter(|(name, _)| !HEADS.contains(&name.as_str())) {
        if LEADER.contains(&name.as_str()) && is_set(name, value) {
            always(name, value.clone());
        }
    }
    let rank = |name: &str| LEADER.iter().position(|known| *known == name);
    let mut tail =
        entries.split_off(entries.iter().position(|(name, _)| rank(name).is_some()).unwrap_or(entries.len()));
    tail.sort_by_key(|(name, _)| rank(name));
    entries.append(&mut tail);
    Tree::Map(entries)
}

/// Fields of the leader's answer that stand elsewhere.
const HEADS: &[&str] = &["ha_enabled"];
/// The others, in their order.
const LEADER: &[&str] = &[
    "is_self",
    "active_time",
    "leader_address",
    "leader_cluster_address",
    "performance_standby",
    "performance_standby_last_remote_wal",
    "last_wal",
    "raft_committed_index",
    "raft_applied_index",
];

fn is_set(name: &str, value: &Tree) -> bool {
    let zero_time = name == "active_time" && value.text().is_some_and(|time| time.starts_with("0001-"));
    let empty = matches!(value, Tree::Null | Tree::Bool(false))
        || value.text() == Some("")
        || value.integer() == Some(0);
    !zero_time && !empty
}

/// The rows of `status` and `operator unseal`.
pub(super) fn seal_table(status: &Tree) -> String {
    let mut rows = seal_rows(status);
    rows.extend(ha_rows(status));
    key_value_table(rows)
}

fn seal_rows(status: &Tree) -> Vec<(String, String)> {
    let sealed = status.truth_at("sealed");
    let recovery = if status.truth_at("recovery_seal") { "Recovery " } else { "" };
    let (threshold, number) = (status.integer_at("t"), |name| status.integer_at(name).to_string());
    let text = |name| status.text_at(name).to_owned();
    let mut rows = vec![(format!("{}Seal Type", recovery), text("type"))];
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    row("Initialized", status.truth_at("initialized").to_string());
    row("Sealed", sealed.to_string());
    row(&format!("Total {recovery}Shares"), number("n"));
    row("Threshold", number("t"));
    if sealed {
        row("Unseal Progress", format!("{}/{threshold}", number("progress")));
        row("Unseal Nonce", text("nonce"));
    }
    if status.truth_at("migration") {
        row("Seal Migration in Progress", "true".to_owned());
    }
    row("Version", text("version"));
    let dated = if status.text_at("commit_date").is_empty() {
        ("Build Date", "build_date")
    } else {
        ("Commit Date", "commit_date")
    };
    row(dated.0, text(dated.1));
    row("Storage Type", text("storage_type"));
    if !status.text_at("cluster_name").is_empty() && !status.text_at("cluster_id").is_empty() {
        row("Cluster Name", text("cluster_name"));
        row("Cluster ID", text("cluster_id"));
    }
    rows
}

fn ha_rows(status: &Tree) -> Vec<(String, String)> {
    let mut rows = vec![("HA Enabled".to_owned(), status.truth_at("ha_enabled").to_string())];
    if !status.truth_at("ha_enabled") || status.truth_at("sealed") {
        return rows;
    }
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    let (is_self, standby) = (status.truth_at("is_self"), status.truth_at("performance_standby"));
    row("HA Cluster", status.text_at("leader_cluster_address").to_owned());
    row("HA Mode", if is_self { "active" } else { "standby" }.to_owned());
    if is_self {
        row("Active Since", status.text_at("active_time").to_owned());
    } else if !status.text_at("leader_address").is_empty() {
        row("Active Node Address", status.text_at("leader_address").to_owned());
    }
    if standby {
        row("Performance Standby Node", "true".to_owned());
        row(
            "Performance Standby Last Remote WAL",
            status.integer_at("performance_standby_last_remote_wal").to_string(),
        );
    }
    for (name, field) in [
        ("Raft Committed Index", "raft_committed_index"),
        ("Raft Applied Index", "raft_applied_index"),
        ("Last WAL", "last_wal"),
    ] {
        if status.integer_at(field) != 0 {
            row(name, status.integer_at(field).to_string());
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(json: serde_json::Value) -> Tree {
        Tree::from(json)
    }

    #[test]
    fn a_sealed_node_as_the_official_client_prints_it() {
        let seal =
            tree(serde_json::json!({"type": "shamir", "initialized": true, "sealed": true, "t": 2, "n": 3,
            "progress": 1, "nonce": "x", "version": "2", "commit_date": "d", "storage_type": "raft"}));
        let leader = tree(serde_json::json!({"ha_enabled": true}));
        let expected = "Key                Value\n---                -----\nSeal Type          shamir\n\
            Initialized        true\nSealed             true\nTotal Shares       3\nThreshold          2\n\
            Unseal Progress    1/2\nUnseal Nonce       x\nVersion            2\nCommit Date        d\n\
            Storage Type       raft\nHA Enabled         true";
        assert_eq!(seal_table(&envelope(&seal, &leader)), expected);
    }

    #[test]
    fn a_performance_standby_says_so() {
        let leader =
            tree(serde_json::json!({"ha_enabled": true, "is_self": false, "leader_address": "http://a",
            "leader_cluster_address": "https://b", "performance_standby": true,
            "performance_standby_last_remote_wal": 7, "raft_applied_index": 5}));
        let rows = ha_rows(&envelope(&tree(serde_json::json!({"sealed": false})), &leader));
        let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "HA Enabled",
            "HA Cluster",
            "HA Mode",
            "Active Node Address",
            "Performance Standby Node",
            "Performance Standby Last Remote WAL",
            "Raft Applied Index",
        ];
        assert_eq!(names, expected);
    }
}
