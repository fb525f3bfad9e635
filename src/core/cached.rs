//! Small records kept in memory: read again when they change, on every node by the same path.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::barrier::{StoreError, Transaction};

/// Something that follows one stored record.
pub trait FollowsRecord: Send + Sync + fmt::Debug {
    /// The record's key.
    fn key(&self) -> &'static str;

    /// Takes the record over; an absent one is the default.
    ///
    /// # Errors
    /// It cannot be read; what was known stays.
    fn load(&self, tx: &mut Transaction) -> Result<(), StoreError>;

    /// The node was sealed.
    fn clear(&self);
}

/// A record as it is, behind one swap.
pub struct Cached<T> {
    key: &'static str,
    value: ArcSwap<T>,
}

impl<T: Default + Serialize + DeserializeOwned> Cached<T> {
    #[must_use]
    pub fn new(key: &'static str) -> Self {
        Self { key, value: ArcSwap::default() }
    }

    /// As of the last change this node knows.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.value.load_full()
    }

    /// As the transaction sees it.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn read(&self, tx: &mut Transaction) -> Result<T, StoreError> {
        Ok(tx.view("").get_record(self.key)?.unwrap_or_default())
    }

    /// Changes the record; caches follow when the transaction commits.
    ///
    /// # Errors
    /// The transaction refuses.
    pub fn write(&self, tx: &mut Transaction, value: &T) -> Result<(), StoreError> {
        tx.view("").put_record(self.key, value)
    }
}

impl<T: Default + Serialize + DeserializeOwned + Send + Sync> FollowsRecord for Cached<T> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn load(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        self.value.store(Arc::new(self.read(tx)?));
        Ok(())
    }

    fn clear(&self) {
        self.value.store(Arc::default());
    }
}

impl<T> fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cached({})", self.key)
    }
}
