//! Secrets engines: each a file or a folder, none imports another, and none reaches outside its mount.

#[cfg(test)]
mod contract;
mod cubbyhole;
mod kv1;
mod kv2;
mod listing;
mod record;
mod registry;
mod totp;
mod transit;

pub use registry::{build, kinds};
