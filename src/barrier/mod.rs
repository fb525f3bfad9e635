//! Everything below this is ciphertext; everything above it is plaintext.
//!
//! [`Transaction`] is what a request runs against: it reads one consistent snapshot, buffers its writes and leaves as one
//! atomic change. A read-only one refuses its first write, which is how a standby notices that a request needs the active.

mod handle;
mod keyring;
mod transaction;

pub use handle::{Barrier, Sealed};
pub use keyring::{Keyring, KeyringError};
pub use transaction::{MAX_ENTRY_BYTES, MAX_WRITES, Mode, StoreError, Transaction, View};
