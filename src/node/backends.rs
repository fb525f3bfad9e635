//! Every kind of backend there is: the one list that knows them all.

use std::sync::Arc;

use crate::core::mount::{MountEntry, Table};
use crate::core::router::BackendFactory;
use crate::logical::Backend;

/// Those that exist once are made with the node; the others for each mount.
#[derive(Debug)]
pub struct Backends {
    /// `sys/`
    pub system: Arc<dyn Backend>,
    /// `identity/`
    pub identity: Arc<dyn Backend>,
    /// `auth/token/`
    pub token: Arc<dyn Backend>,
}

impl BackendFactory for Backends {
    fn build(&self, table: Table, entry: &MountEntry) -> Option<Arc<dyn Backend>> {
        match (table, entry.kind.as_str()) {
            (Table::Secret, "system") => Some(Arc::clone(&self.system)),
            (Table::Secret, "identity") => Some(Arc::clone(&self.identity)),
            (Table::Auth, "token") => Some(Arc::clone(&self.token)),
            (Table::Secret, kind) => crate::engine::build(kind, &entry.options),
            (Table::Auth, kind) => crate::auth::build(kind),
        }
    }
}
