//! The last moves of mounts, by the id their operators were given: they ask afterwards how it went.
//!
//! A record of the store, so that every node answers, also after the active one has changed.

use serde::{Deserialize, Serialize};

use crate::barrier::{StoreError, Transaction};

const KEY: &str = "core/moves";
/// Moves remembered at most; the oldest goes.
const MAX: usize = 64;

/// One move that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub id: String,
    /// Whole paths: `kv/`, `auth/userpass/`.
    pub from: String,
    pub to: String,
}

/// Remembers a move, in the transaction that makes it.
///
/// # Errors
/// The record cannot be read or written.
pub fn note(tx: &mut Transaction, made: Move) -> Result<(), StoreError> {
    let mut moves = load(tx)?;
    moves.push(made);
    let over = moves.len().saturating_sub(MAX);
    moves.drain(..over);
    tx.view("").put_record(KEY, &moves)
}

/// The move with this id, while it is remembered.
///
/// # Errors
/// The record cannot be read.
pub fn find(tx: &mut Transaction, id: &str) -> Result<Option<Move>, StoreError> {
    Ok(load(tx)?.into_iter().find(|made| made.id == id))
}

fn load(tx: &mut Transaction) -> Result<Vec<Move>, StoreError> {
    Ok(tx.view("").get_record(KEY)?.unwrap_or_default())
}
