//! # Understudy
//!
//! A secrets cluster in which every node does work and no client ever reads the past: a proxy that is the single client
//! endpoint of a Vault-API cluster, and a Vault-compatible node.
//!
//! ## Bird's-eye view: the proxy
//!
//! ```text
//!   control thread                                      worker threads (one per core, nothing shared per request)
//!   ┌──────────────────────────────────────┐            ┌──────────────────────────────────────────────┐
//!   │ cluster owner ← probers, discovery    │─Snapshot──>│ sockets (SO_REUSEPORT) → hyper → service      │
//!   │ admin, metrics, signals, reload       │<─observe───│ service → pools → servers                     │
//!   └──────────────────────────────────────┘            └──────────────────────────────────────────────┘
//! ```
//!
//! [`proxy::service`] tells the life of a request: guard the head ([`proxy::guard`]), judge what it needs
//! ([`proxy::verdict`]: rules, the table in [`api::classify`], learning, mount changes), find the floor its session must
//! see ([`proxy::affinity`]), choose a server ([`proxy::route`], [`proxy::balance`]), send it ([`proxy::forward`] over
//! [`net::upstream`]), read what came back ([`proxy::answer`]) and either go on ([`proxy::retry`], held by `hold`) or take
//! it, note what it teaches (`observe`) and count it (`finish`). The loop is in `pursue`.
//!
//! ## Bird's-eye view: the node
//!
//! ```text
//!   HTTP workers (one per core)                                storage threads
//!   ┌────────────────────────────────────────────────┐         ┌────────────────────────────────────┐
//!   │ node::front → core::pipeline → backend          │─commit─>│ raft log (fsync a batch) → apply    │
//!   │        reads: a snapshot, no lock, no thread    │<─index──│ → table → observers (all caches)    │
//!   └────────────────────────────────────────────────┘         └────────────────────────────────────┘
//!   background thread: leases end, backends tick, removed mounts are wiped
//! ```
//!
//! [`core::pipeline`] tells the life of a request: find the mount, begin a transaction over a snapshot, look the token up,
//! ask its policies, write the audit line, run the backend, make the token of a login, register a lease, wrap, commit, write
//! the second line, answer with the index. A backend is synchronous and sees nothing but its [`logical::Call`]; what it
//! writes is buffered and leaves as one proposal, which fails when anything it had read has changed, and is run again.
//! Everything a node keeps in memory beside the store learns of changes by one path, [`core::invalidation`], which the store
//! calls in commit order: a node and a standby differ in who writes, not in how they learn.
//!
//! ## Layers
//!
//! A file imports only from its own layer and those above it in this list (`tests/tidy.rs` checks it):
//!
//! * vocabulary: [`backoff`], [`clock`], [`duration`], [`entropy`], [`index`], [`json_text`], [`path`], [`secret`],
//!   [`shutdown`], [`telemetry`]
//! * [`hcl`] (Vault's configuration and policy language)
//! * [`api`] (Vault's wire; does not know the configuration) and [`config`] (what we are told)
//! * [`net`] (bytes and HTTP; does not know Vault)
//! * [`proxy`] (knows Vault's wire, never a node's inside)
//! * the node, which knows nothing of the proxy: [`raft`] (agreement on a log of bytes), [`storage`] (transactions with an
//!   index), [`barrier`] (ciphertext below, plaintext above), [`seal`] (how the root key is kept), [`logical`] (what a backend
//!   is), [`engine`] and [`auth`] (backends: each a folder, none knows another), [`core`] (one request from its token to its
//!   answer), [`system`] (`sys/*`, ordinary backends over the core's stores), [`node`] (wiring and HTTP)
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
//! * A write is acknowledged only when it is durable and visible; a request's writes happen together or not at all.
//! * Nothing below the barrier sees plaintext, nothing above it a key; a value opens only at its own path.
//! * A cache is never older than the last change the store has told of.
//! * A further engine or auth method is its own folder and one line in its registry.
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
pub mod meter;
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
