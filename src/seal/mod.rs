//! Opening the barrier: who may have the root key, and how.
//!
//! ```text
//!   shares ──combine──> unseal key ─┐
//!                                   ├─> root key ─> keyring ─> barrier open
//!   configuration ───> static key ──┘
//! ```
//!
//! [`SealManager`] initialises, unseals and watches; [`Rekey`] and [`GenerateRoot`] are ceremonies of several requests,
//! each step of which is a function over a transaction. What a node does when it is open is told to it
//! ([`Inside`]), not known here.

mod config;
mod follow;
mod gather;
mod generate_root;
mod init;
mod kept;
mod manager;
mod proof;
mod rekey;
mod shamir;
mod static_key;
mod steps;
#[cfg(test)]
mod tests;
mod unseal;

pub use config::{Method, Split, SplitError};
pub use follow::KeyringFollower;
pub use generate_root::{
    DecodeError, GenerateError, GenerateRoot, OTP_LENGTH, RootProgress, RootStep, decode, encode,
};
pub use init::{InitRequest, NewShares, PlanError};
pub use kept::{KeptError, RenewError};
pub use manager::{
    Ceremonies, InitError, Initialized, Inside, Opening, SealManager, SealStatus, TendError, UnsealError,
};
pub use proof::ProofError;
pub use rekey::{
    Rekey, RekeyError, RekeyProgress, RekeyRequest, RekeyStep, Target, VerifyProgress, VerifyStep,
};
pub use shamir::{CombineError, MAX_BYTES, MIN_BYTES, Share, ShareError, written};
pub use static_key::{NamedKey, StaticKeyError, StaticKeys, StaticTexts};
