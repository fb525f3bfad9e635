//! The audit log: every request before it runs and every answer before it is given, values hidden by HMAC.
//!
//! ```text
//!   pipeline ── Entry ──> Broker ──> each device: hide with its own salt, one JSON line, written before going on
//!                            └── at least one device must have written it, or the request is refused
//! ```
//!
//! What was written may be compared (`sys/audit-hash`), never read back.

mod broker;
mod device;
mod entry;
mod file;
mod hash;
mod headers;
mod line;
mod socket;
mod table;

pub use broker::{AuditError, Broker};
pub use device::{DeviceConfig, DeviceError};
pub use entry::{
    AuditedHeader, AuthEntry, Entry, Kind, MountEntryInfo, PolicyResults, RequestEntry, ResponseEntry,
};
pub use hash::Salt;
pub use headers::{AuditedHeaders, HeaderRule, MAX_HEADERS};
pub use table::{DeviceTable, TableError};
