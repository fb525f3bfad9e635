//! The policies every node begins with: what a token may do for itself, and what a wrapping token may do.
//!
//! They are stored like any other. `default` may be changed and is then left alone; `response-wrapping` may not.

pub const DEFAULT: &str = "default";
pub const RESPONSE_WRAPPING: &str = "response-wrapping";
pub const ROOT: &str = "root";

/// May neither be changed nor removed.
pub const IMMUTABLE: [&str; 2] = [ROOT, RESPONSE_WRAPPING];

/// Clients read it back: it is the server's to the letter.
pub const DEFAULT_TEXT: &str = include_str!("default.hcl");

pub const RESPONSE_WRAPPING_TEXT: &str = include_str!("response_wrapping.hcl");
