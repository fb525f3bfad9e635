//! Type name → constructor. A further method is its own folder and one line here.

use std::sync::Arc;

use super::approle::AppRole;
use super::userpass::Userpass;
use crate::logical::Backend;

/// Every kind [`build`] knows, sorted.
pub const KINDS: &[&str] = &["approle", "userpass"];

/// A backend for a new or restored mount; `None`: no such auth method.
#[must_use]
pub fn build(kind: &str) -> Option<Arc<dyn Backend>> {
    match kind {
        "approle" => Some(Arc::new(AppRole::new())),
        "userpass" => Some(Arc::new(Userpass::new())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_built() {
        assert!(KINDS.is_sorted() && KINDS.iter().all(|kind| build(kind).is_some()));
    }
}
