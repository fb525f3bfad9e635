//! Secrets engines: each a file or a folder, none imports another, and none reaches outside its mount.

mod registry;

pub use registry::build;
