//! What is left of auth mounts that are no more: the names by which they knew entities and groups. It goes in bounded
//! steps, in the background: a record names the mount until it is done.

use zeroize::Zeroizing;

use super::{alias, group_alias};
use crate::barrier::{StoreError, Transaction};

/// Mounts that are gone, by accessor.
const GONE: &str = "identity/gone/";
/// Entities changed by one step.
const STEP: usize = 500;

/// Remembers that the mount is gone.
///
/// # Errors
/// The store refuses.
pub fn mount_removed(tx: &mut Transaction, accessor: &str) -> Result<(), StoreError> {
    tx.put(&format!("{GONE}{accessor}"), Zeroizing::default())
}

/// Removes some of what is left of mounts that are gone. `true`: there is more.
///
/// # Errors
/// The store refuses.
pub fn forget_step(tx: &mut Transaction) -> Result<bool, StoreError> {
    let Some(accessor) = tx.list(GONE, "", 1)?.into_iter().next() else { return Ok(false) };
    let entities = alias::forget_mount(tx, &accessor, STEP)?;
    let groups = group_alias::forget_mount(tx, &accessor, STEP)?;
    if !entities && !groups {
        tx.delete(&format!("{GONE}{accessor}"))?;
    }
    Ok(true)
}
