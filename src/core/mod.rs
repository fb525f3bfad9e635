//! The heart of a node: one request from its token to its answer. Knows no HTTP, no role and no seal.

pub mod answer;
pub mod audit;
pub mod cached;
pub mod cluster;
pub mod expiration;
pub mod identity;
pub mod in_flight;
pub mod incoming;
pub mod invalidation;
pub mod lockout;
pub mod meters;
pub mod mount;
pub mod mounts;
pub mod moves;
pub mod pipeline;
pub mod policy;
pub mod quota;
pub mod router;
pub mod token_store;
pub mod trail;
pub mod wrapping;
