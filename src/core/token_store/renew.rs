//! Renewing: a longer life within the bounds a token was born with.

use time::OffsetDateTime;

use super::create::granted;
use super::entry::{TokenEntry, nanos, nanos_after};
use super::ttl::{self, Asked, Bounds};
use super::{Made, TokenStore};
use crate::barrier::Transaction;
use crate::core::expiration;
use crate::logical::{Fault, MountInfo, Renewed};

impl TokenStore {
    /// Renews `entry` by `increment` seconds (0: as long as last time). `fresh` are the bounds its auth method gives today, for
    /// tokens of logins; `None` for tokens of the token store.
    ///
    /// # Errors
    /// Batch tokens and those that never expire are not renewable; the maximum is reached.
    pub fn renew(
        &self,
        tx: &mut Transaction,
        entry: &TokenEntry,
        mount: &MountInfo,
        increment: u64,
        fresh: Option<Renewed>,
        now: OffsetDateTime,
    ) -> Result<Made, Fault> {
        if entry.is_batch() {
            return Err(Fault::invalid("batch tokens cannot be renewed"));
        }
        let mut entry = self
            .entry(tx, &entry.key)?
            .filter(|entry| entry.is_live(now))
            .ok_or_else(|| Fault::invalid("token not found"))?;
        if !entry.renewable || entry.expires_at.is_none() {
            return Err(Fault::invalid("lease is not renewable"));
        }
        let is_own = fresh.is_none();
        let life = ttl::calculate(asked(&entry, increment, fresh, now), Bounds::of(mount))
            .map_err(|_| Fault::invalid("past the max TTL, cannot renew"))?;
        entry.expires_at = Some(nanos_after(now, life.ttl));
        entry.last_renewal = Some(nanos(now));
        if is_own {
            entry.renewed_ttl_secs = life.ttl;
        }
        expiration::register_token(tx, &entry)?;
        self.save(tx, &entry)?;
        let granted = granted(&entry, life.ttl);
        Ok(Made { granted, warnings: life.warnings, key: entry.key, cubbyhole: entry.cubbyhole })
    }
}

fn asked(entry: &TokenEntry, increment: u64, fresh: Option<Renewed>, now: OffsetDateTime) -> Asked {
    let fresh = fresh.unwrap_or(Renewed {
        ttl_secs: if entry.renewed_ttl_secs > 0 { entry.renewed_ttl_secs } else { entry.ttl_secs },
        max_ttl_secs: entry.login_max_ttl_secs,
        period_secs: entry.period_secs,
    });
    Asked {
        increment,
        ttl: if fresh.ttl_secs > 0 { fresh.ttl_secs } else { entry.login_ttl_secs },
        period: fresh.period_secs,
        max_ttl: fresh.max_ttl_secs,
        explicit_max_ttl: entry.explicit_max_ttl_secs,
        age: u64::try_from(now.unix_timestamp().saturating_sub(entry.creation_time)).unwrap_or(0),
    }
}
