//! Type name → constructor. A further engine is its own folder and one line here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cubbyhole::Cubbyhole;
use super::kv1::Kv1;
use super::kv2::Kv2;
use super::totp::Totp;
use super::transit::Transit;
use crate::logical::Backend;

/// Options of a mount (`version` of kv).
type Options = BTreeMap<String, String>;

/// Makes a backend; `None`: not with these options.
type Make = fn(&Options) -> Option<Arc<dyn Backend>>;

/// Every engine there is. The contract suite holds each of them to what a backend promises.
pub(super) const ENGINES: &[(&str, Make)] = &[
    ("cubbyhole", |_| Some(Arc::new(Cubbyhole::new()))),
    ("generic", |_| Some(Arc::new(Kv1::leased()))),
    ("kv", key_value),
    ("totp", |_| Some(Arc::new(Totp::new()))),
    ("transit", |_| Some(Arc::new(Transit::new()))),
];

/// The kinds an operator may mount; those that exist once, and old names, are not among them.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    ENGINES.iter().map(|(name, _)| *name).filter(|name| !matches!(*name, "cubbyhole" | "generic"))
}

/// A backend for a new or restored mount; `None`: no such engine.
#[must_use]
pub fn build(kind: &str, options: &Options) -> Option<Arc<dyn Backend>> {
    let (_, make) = ENGINES.iter().find(|(name, _)| *name == kind)?;
    make(options)
}

fn key_value(options: &Options) -> Option<Arc<dyn Backend>> {
    let option = |name: &str| options.get(name).map_or("", String::as_str);
    match (option("version"), option("leased_passthrough")) {
        ("2", _) => Some(Arc::new(Kv2::new())),
        ("" | "1", "true") => Some(Arc::new(Kv1::leased())),
        ("" | "1", _) => Some(Arc::new(Kv1::plain())),
        _ => None,
    }
}
