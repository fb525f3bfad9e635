//! `storage` (older: `backend`): where the ciphertext lies.

use std::time::Duration;

use zeroize::Zeroizing;

use super::address::{self, URL_FORM};
use super::environment::Environment;
use super::idle;
use super::model::{Pem, Raft, RetryJoin, Storage};
use super::notes::Given;
use super::section::Section;

/// Kinds there are.
const KINDS: [&str; 3] = ["file", "inmem", "raft"];
/// Kinds of Vault's that are not here.
const OTHERS: [&str; 21] = [
    "aerospike",
    "alicloudoss",
    "azure",
    "cassandra",
    "cockroachdb",
    "consul",
    "couchdb",
    "dynamodb",
    "etcd",
    "foundationdb",
    "gcs",
    "inmem_ha",
    "manta",
    "mssql",
    "mysql",
    "oci",
    "postgresql",
    "s3",
    "spanner",
    "swift",
    "zookeeper",
];
/// Log entries kept after a snapshot, as Vault has it: a node that was away for a few minutes catches up from the log.
const TRAILING_LOGS: u64 = 10_000;
/// Log entries between two snapshots, as Vault has it.
const SNAPSHOT_THRESHOLD: u64 = 8192;
/// Bytes of one log entry, as Vault has it: what a follower must take in one piece.
const MAX_ENTRY_SIZE: u64 = 1 << 20;
/// Factor on election times. Vault's 5 is for laptops; elections here take under a second, so 1.
const PERFORMANCE_MULTIPLIER: u32 = 1;
/// Time between two reconciliations of autopilot, as Vault has it.
const RECONCILE: Duration = Duration::from_secs(10);
/// Time between two looks of autopilot at its nodes, as Vault has it.
const UPDATE: Duration = Duration::from_secs(2);

/// Reads the storage; `None` when there is none (and it is reported).
pub(super) fn read(root: &Section<'_>, environment: &Environment) -> Option<Storage> {
    let help = "a node's own storage is its replica: use storage \"raft\"";
    for key in ["ha_storage", "ha_backend"] {
        root.unsupported(key, help);
    }
    let (older, section) = (root.block_once("backend", 1), root.block_once("storage", 1));
    if let (Some(older), Some(section)) = (&older, &section)
        && older.spot.file == section.spot.file
    {
        let message = "`backend` is the older name of `storage`, and both are given";
        root.notes.error_help(&older.spot, "conflict", message, "keep `storage`");
    }
    let Some(section) = section.or(older) else {
        root.notes.missing(
            &root.spot,
            "storage",
            "write storage \"raft\" { path = \"/var/lib/understudy\" }",
        );
        return None;
    };
    let storage = of_kind(&section, environment);
    if storage.is_some() {
        section.close();
    }
    storage
}

fn of_kind(section: &Section<'_>, environment: &Environment) -> Option<Storage> {
    match section.labels.first().map(String::as_str).unwrap_or_default() {
        "inmem" => {
            section.without_effect("disable_transactions", "every storage here has transactions");
            Some(Storage::Inmem)
        }
        "file" => {
            let path = section.path("path");
            if path.is_none() {
                section.notes.missing(&section.spot, "path", "write path = \"/var/lib/understudy\"");
            }
            Some(Storage::File { path: path?.value })
        }
        "raft" => raft(section, environment).map(Storage::Raft),
        other if OTHERS.contains(&other) => {
            let message = format!("storage `{other}` is not supported by this version");
            let help = format!("storages here: {}", KINDS.join(", "));
            section.notes.error_help(&section.spot, "unsupported", message, help);
            None
        }
        other => {
            section.notes.unknown_word(&section.spot, other, &KINDS);
            None
        }
    }
}

fn raft(section: &Section<'_>, environment: &Environment) -> Option<Raft> {
    let given = section.path("path").map(|given| given.value);
    let path = environment.raft_path.clone().map(Into::into).or(given);
    if path.is_none() {
        section.notes.missing(&section.spot, "path", "write path = \"/var/lib/understudy\"");
    }
    let node_id = environment.raft_node_id.clone().or(section.text("node_id").map(|given| given.value));
    let whole = |key, default: u64, least: i64| whole(section, key, least).unwrap_or(default);
    let time = |key, default| section.time(key).map_or(default, |given| given.value);
    let raft = Raft {
        node_id: node_id.filter(|id| !id.is_empty()),
        retry_join: section.blocks("retry_join", 0).iter().filter_map(retry_join).collect(),
        non_voter: section.is_on("retry_join_as_non_voter", false),
        performance_multiplier: multiplier(section),
        trailing_logs: whole("trailing_logs", TRAILING_LOGS, 0),
        snapshot_threshold: whole("snapshot_threshold", SNAPSHOT_THRESHOLD, 1),
        max_entry_size: whole("max_entry_size", MAX_ENTRY_SIZE, 64 * 1024),
        autopilot_reconcile_interval: time("autopilot_reconcile_interval", RECONCILE),
        autopilot_update_interval: time("autopilot_update_interval", UPDATE),
        path: path?,
    };
    for (key, why) in [
        ("snapshot_interval", "snapshots follow the number of log entries"),
        ("max_mount_and_namespace_table_entry_size", "mounts are entries of their own"),
        ("max_batch_entries", "how much one write of the log takes is measured, not set"),
        ("max_batch_size", "how much one write of the log takes is measured, not set"),
        ("raft_log_verifier_enabled", "every record of the log has a checksum"),
        ("raft_log_verification_interval", "every record of the log has a checksum"),
        ("raft_wal", "there is one kind of log"),
        ("autopilot_redundancy_zone", "there are no redundancy zones"),
        ("autopilot_upgrade_version", "there are no automated upgrades"),
    ] {
        section.without_effect(key, why);
    }
    idle::in_raft(section);
    Some(raft)
}

/// A whole number that is not below `least`.
fn whole(section: &Section<'_>, key: &'static str, least: i64) -> Option<u64> {
    let given = section.number(key)?;
    section.notes.within(&given, &(least..=i64::MAX));
    u64::try_from(given.value).ok()
}

fn multiplier(section: &Section<'_>) -> u32 {
    let Some(given) = section.number("performance_multiplier") else { return PERFORMANCE_MULTIPLIER };
    section.notes.within(&given, &(0..=10));
    u32::try_from(given.value).ok().filter(|number| *number > 0).unwrap_or(PERFORMANCE_MULTIPLIER)
}

fn retry_join(section: &Section<'_>) -> Option<RetryJoin> {
    for key in ["auto_join", "auto_join_scheme", "auto_join_port"] {
        section.unsupported(key, "name the nodes: one retry_join block each, with leader_api_addr");
    }
    let address = section.text("leader_api_addr");
    let join = RetryJoin {
        tls_server_name: section.text("leader_tls_servername").map(|given| given.value),
        ca_cert: pem(section, "leader_ca_cert", "leader_ca_cert_file"),
        client: client(section),
        leader_api_addr: address.as_ref().map(|given| given.value.clone()).unwrap_or_default(),
    };
    section.close();
    match &address {
        None => section.notes.missing(
            &section.spot,
            "leader_api_addr",
            "write leader_api_addr = \"https://10.0.1.11:8200\"",
        ),
        Some(given) if address::url(&given.value).is_none() => {
            section.notes.error_help(&given.spot, "bad-value", "this is no address of a node", URL_FORM);
        }
        Some(_) => return Some(join),
    }
    None
}

fn client(section: &Section<'_>) -> Option<(Pem, Pem)> {
    let certificate = pem(section, "leader_client_cert", "leader_client_cert_file");
    let key = pem(section, "leader_client_key", "leader_client_key_file");
    if certificate.is_some() != key.is_some() {
        let message = "a client certificate is a pair";
        let help = "give leader_client_cert_file and leader_client_key_file";
        section.notes.error_help(&section.spot, "missing", message, help);
    }
    certificate.zip(key)
}

fn pem(section: &Section<'_>, text: &'static str, file: &'static str) -> Option<Pem> {
    let file = section.path(file).map(|given| Pem::File(given.value));
    let text = section.secret(text).map(|Given { value, .. }| Pem::Text(Zeroizing::new(value.to_string())));
    file.or(text)
}
