//! Everything below this is ciphertext; everything above it is plaintext.
//!
//! [`Transaction`] is what a request runs against: it reads one consistent snapshot, buffers its writes and leaves as one
//! atomic change. A read-only one refuses its first write, which is how a standby notices that a request needs the active.
//!
//! ```text
//!   unseal key (shares, or a static key) ─> root key ─> keyring: data keys by term ─> values
//!          seal                              core/root-key     core/keyring
//! ```
//!
//! What is above the root key is the seal's business.

mod change;
mod envelope;
mod handle;
mod keyring;
mod meters;
mod record;
mod rotation;
mod secret_key;
mod transaction;

pub use change::{RotateError, replace_root, rotate, rotate_if_due, set_rotation, write_count};
pub use envelope::KeyringError;
pub use handle::{Barrier, Sealed};
pub use keyring::{KeyStatus, Keyring, MAX_TERMS};
pub use meters::BarrierMeters;
pub use record::{HANDOVER, KEYRING, KeysError};
pub use rotation::{MAX_OPERATIONS, MIN_INTERVAL, MIN_OPERATIONS, Rotation, RotationError};
pub use secret_key::{KEY_BYTES, SecretKey};
pub use transaction::{MAX_ENTRY_BYTES, MAX_WRITES, Mode, StoreError, Transaction, View};
