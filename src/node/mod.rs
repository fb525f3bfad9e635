//! A node: the core behind HTTP. The only module that names everything.

pub mod http;
pub mod workers;
