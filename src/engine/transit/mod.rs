//! `transit`: cryptography as a service. Keys never leave unless their settings say so; data are never stored.
//!
//! ```text
//!   request ─> routes ─> endpoints (keys, crypt, sign, tools, export, moving, import, settings)
//!                            └─> Key (encrypting, signing, mac) ─> material: cipher, ecdsa, rsa
//!                            └─> keystore: record in the store, parsed key in memory
//! ```
//!
//! Every operation on data only reads, so any node does it; [`keystore`] says why a key in memory is never stale.

mod backend;
mod backup;
mod batch;
mod certificates;
mod cipher;
mod crypt;
mod decimal;
mod der;
mod derive;
mod ecdsa;
mod encoding;
mod encrypting;
mod export;
mod hash;
mod import;
mod key;
mod keys;
mod keystore;
mod kind;
mod mac;
mod marked;
mod material;
mod moving;
mod pss;
mod record;
mod refusal;
mod routes;
mod rsa;
mod settings;
mod sign;
mod signing;
#[cfg(test)]
mod tests;
mod tools;
mod trim;
mod xchacha;

pub(super) use backend::Transit;
