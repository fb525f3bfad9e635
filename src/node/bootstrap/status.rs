//! `sys/leader`, `sys/seal-status`, `sys/init`, `sys/unseal`.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::body::Fields;
use crate::api::version::{RELEASED, VERSION};
use crate::core::answer::Answered;
use crate::node::Node;
use crate::seal::{
    InitError, InitRequest, Initialized, KeptError, SealStatus, Share, Split, UnsealError, written,
};

/// A node alone has no leader to name; where its store has a log, how far that is.
pub(super) fn leader(node: &Node) -> Answered {
    let mut shown = json!({ "ha_enabled": false });
    if let Some(status) = node.raft.as_ref().map(|raft| raft.status()) {
        shown["raft_committed_index"] = status.committed.into();
        shown["raft_applied_index"] = status.applied.into();
    }
    Answered::json(200, &shown)
}

pub(super) fn seal_status(node: &Node) -> Answered {
    match node.seal.status() {
        Ok(status) => Answered::json(200, &shown(node, &status)),
        Err(error) => Answered::errors(500, &error.to_string()),
    }
}

fn shown(node: &Node, status: &SealStatus) -> Value {
    let mut shown = json!({
        "type": status.kind,
        "initialized": status.initialized,
        "sealed": status.sealed,
        "t": status.split.map_or(0, Split::threshold),
        "n": status.split.map_or(0, Split::shares),
        "progress": status.progress,
        "nonce": status.nonce,
        "recovery_seal": status.recovery,
        "version": VERSION,
        "commit_date": RELEASED,
        "migration": false,
        "storage_type": status.storage,
    });
    if status.recovery {
        shown["recovery_seal_type"] = "shamir".into();
    }
    if let (false, Some(cluster)) = (status.sealed, node.cluster.info()) {
        shown["cluster_name"] = cluster.name.clone().into();
        shown["cluster_id"] = cluster.id.clone().into();
    }
    shown
}

pub(super) fn init_status(node: &Node) -> Answered {
    match node.seal.is_initialized() {
        Ok(initialized) => Answered::json(200, &json!({ "initialized": initialized })),
        Err(error) => Answered::errors(500, &error.to_string()),
    }
}

pub(super) async fn init(node: &Node, fields: &Fields, now: OffsetDateTime) -> Answered {
    let request = match init_request(fields) {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    match node.seal.initialize(&request, now).await {
        Ok(made) => Answered::json(200, &initialized(&made)),
        Err(error @ (InitError::Already | InitError::Plan(_))) => Answered::errors(400, &error.to_string()),
        Err(
            error @ (InitError::Occupied | InitError::Inside(_) | InitError::Store(_) | InitError::Commit(_)),
        ) => Answered::errors(500, &error.to_string()),
    }
}

fn init_request(fields: &Fields) -> Result<InitRequest, Answered> {
    Ok(InitRequest {
        secret_shares: fields.int("secret_shares")?,
        secret_threshold: fields.int("secret_threshold")?,
        recovery_shares: fields.int("recovery_shares")?,
        recovery_threshold: fields.int("recovery_threshold")?,
        pgp_keys: fields.count("pgp_keys")?,
        recovery_pgp_keys: fields.count("recovery_pgp_keys")?,
        root_token_pgp_key: !fields.text("root_token_pgp_key")?.is_empty(),
    })
}

fn initialized(made: &Initialized) -> Value {
    let (keys, keys_base64) = written(&made.shares.unseal);
    let mut shown =
        json!({ "keys": keys, "keys_base64": keys_base64, "root_token": made.root_token.as_str() });
    if !made.shares.recovery.is_empty() {
        let (keys, keys_base64) = written(&made.shares.recovery);
        shown["recovery_keys"] = keys.into();
        shown["recovery_keys_base64"] = keys_base64.into();
    }
    shown
}

pub(super) async fn unseal(node: &Node, fields: &Fields) -> Answered {
    match give(node, fields).await {
        Ok(()) => seal_status(node),
        Err(refused) => refused,
    }
}

async fn give(node: &Node, fields: &Fields) -> Result<(), Answered> {
    let (key, reset, migrate) = (fields.text("key")?, fields.flag("reset")?, fields.flag("migrate")?);
    if reset {
        if !node.core.barrier.is_sealed() {
            return Err(Answered::errors(400, "vault is unsealed"));
        }
        node.seal.reset();
        return Ok(());
    }
    if key.is_empty() {
        let text = "'key' must be specified in request body as JSON, or 'reset' set to true";
        return Err(Answered::errors(400, text));
    }
    if !node.seal.is_initialized().map_err(|error| Answered::errors(500, &error.to_string()))? {
        return Err(Answered::errors(400, &KeptError::NotInitialized.to_string()));
    }
    if !node.core.barrier.is_sealed() {
        return Ok(());
    }
    if migrate {
        return Err(Answered::errors(500, "can't perform a seal migration, no migration seal found"));
    }
    let share = Share::parse(&key).map_err(|error| Answered::errors(400, &error.to_string()))?;
    node.seal.unseal(share).await.map_err(|error| unseal_failed(&error))
}

fn unseal_failed(error: &UnsealError) -> Answered {
    let status = match error {
        UnsealError::Combine(_)
        | UnsealError::WrongKey
        | UnsealError::Proof(_)
        | UnsealError::Kept(KeptError::NotInitialized) => 400,
        UnsealError::Kept(_) | UnsealError::Keys(_) | UnsealError::Inside(_) => 500,
    };
    Answered::errors(status, &error.to_string())
}
