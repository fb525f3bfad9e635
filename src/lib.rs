//! # Understudy
//!
//! The single client endpoint of a Vault-API cluster: standbys take the reads, the active node takes the writes, and no
//! client ever reads the past.
//!
//! ## Bird's-eye view
//!
//! ```text
//!   control thread                                      worker threads (one per core, nothing shared per request)
//!   ┌──────────────────────────────────────┐            ┌──────────────────────────────────────────────┐
//!   │ cluster owner ← probers, discovery    │─Snapshot──>│ sockets (SO_REUSEPORT) → hyper → service      │
//!   │ admin, metrics, signals, reload       │<─observe───│ service → pools → servers                     │
//!   └──────────────────────────────────────┘            └──────────────────────────────────────────────┘
//! ```
//!
//! ## Life of a request
//!
//! [`proxy::service`] tells it: guard the head ([`proxy::guard`]), judge what it needs ([`proxy::verdict`]: rules, the
//! table in [`api::classify`], learning, mount changes), find the floor its session must see ([`proxy::affinity`]), choose
//! a server ([`proxy::route`], [`proxy::balance`]), send it ([`proxy::forward`] over [`net::upstream`]), read what came
//! back ([`proxy::answer`]) and either go on ([`proxy::retry`], held by `hold`) or take it, note what it teaches
//! (`observe`) and count it (`finish`). The loop is in `pursue`.
//!
//! ## Layers
//!
//! A file imports only from its own layer and those above it in this list (`tests/tidy.rs` checks it):
//!
//! * vocabulary: [`backoff`], [`clock`], [`index`], [`json_text`], [`path`], [`secret`], [`shutdown`], [`telemetry`]
//! * [`hcl`] (the language of configuration and policies)
//! * [`api`] (Vault's wire; does not know the configuration) and [`config`] (what we are told)
//! * [`net`] (bytes and HTTP; does not know Vault)
//! * [`proxy`] (knows Vault's wire, never a node's inside)
//! * the node, which knows nothing of the proxy: [`raft`] (agreement on a log of bytes), [`storage`] (transactions with
//!   an index), [`barrier`] (ciphertext below, plaintext above), [`logical`] (what a backend is)
//! * [`cli`] (the way in; decides nothing)
//!
//! ## Invariants
//!
//! * A worker never changes a snapshot; the cluster owner is the only writer. The exceptions are numbers that only rise.
//! * Only answers raise floors. A standby's answer below the floor is not believed.
//! * A request that may have run and is not a read is never sent twice.
//! * Nothing that writes is sent to a standby first; what is not known goes to the active node.
//! * Tokens are hashed at the door: no log, metric, error or `Debug` output can hold one.
//! * Every queue, map, body, retry and wait has a bound beside it.
//!
//! ## Cross-cutting
//!
//! *Time*: one [`clock::Clock`] per process; deadlines are swept, not timed (decision 005). *Errors*: small enums beside
//! what fails; [`proxy::error`] is the only file that picks a status. *Shutdown*: accept loops stop, connections finish
//! with their last answer, the grace period cuts the rest.

pub mod backoff;
pub mod clock;
pub mod duration;
pub mod entropy;
pub mod index;
pub mod json_text;
pub mod path;
pub mod secret;
pub mod shutdown;
pub mod telemetry;

pub mod hcl;

pub mod api;
pub mod config;

pub mod net;

pub mod proxy;

pub mod raft;

pub mod storage;

pub mod barrier;

pub mod seal;

pub mod logical;

pub mod auth;
pub mod engine;

pub mod core;

pub mod system;

pub mod node;

pub mod cli;
