//! Auth methods: each proves who somebody is and says what token they get. Making the token is the core's work.

pub mod approle;
mod registry;
mod token_params;
pub mod userpass;

pub use registry::{KINDS, build};
