//! The loggers of a node: parts of the program whose log has a level of its own.
//!
//! A line belongs to the logger with the longest name that its module begins with; what is no part of this program, and
//! parts without a logger, belong to [`REST`].

use std::collections::BTreeMap;

use tracing::Level;
use tracing_subscriber::filter::Targets;

/// Every line that is of no other logger.
pub const REST: &str = "libraries";

/// The parts, as lines name them.
const PARTS: &[&str] = &[
    "auth",
    "barrier",
    "cli",
    "core",
    "core.audit",
    "core.expiration",
    "core.identity",
    "core.policy",
    "core.quota",
    "core.router",
    "core.token_store",
    "engine",
    "net",
    "node",
    "raft",
    "seal",
    "storage",
    "system",
];

/// The levels in force.
#[derive(Debug)]
pub(super) struct Loggers {
    /// What the configuration says.
    configured: Level,
    now: BTreeMap<&'static str, Level>,
}

// === impl Loggers ===

impl Loggers {
    pub(super) fn new(configured: Level) -> Self {
        Self { configured, now: PARTS.iter().chain([&REST]).map(|name| (*name, configured)).collect() }
    }

    /// Name and level of each, by name.
    pub(super) fn list(&self) -> Vec<(&'static str, Level)> {
        self.now.iter().map(|(name, level)| (*name, *level)).collect()
    }

    pub(super) fn configured(&self) -> Level {
        self.configured
    }

    /// All of them, until they are told otherwise.
    pub(super) fn set_all(&mut self, level: Level) {
        self.now.values_mut().for_each(|now| *now = level);
    }

    /// `false`: there is no such logger.
    pub(super) fn set(&mut self, name: &str, level: Level) -> bool {
        self.now.get_mut(name).map(|now| *now = level).is_some()
    }

    /// What lines pass.
    pub(super) fn targets(&self) -> Targets {
        let rest = self.now.get(REST).copied().unwrap_or(self.configured);
        let parts = self.now.iter().filter(|(name, _)| **name != REST);
        Targets::new().with_default(rest).with_targets(
            parts.map(|(name, level)| (format!("understudy::{}", name.replace('.', "::")), *level)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_belongs_to_the_longest_name() {
        let mut loggers = Loggers::new(Level::INFO);
        assert!(loggers.set("core", Level::DEBUG) && loggers.set("core.audit", Level::ERROR));
        assert!(!loggers.set("nobody", Level::TRACE));
        let targets = loggers.targets();
        for (target, level, passes) in [
            ("understudy::core::pipeline", Level::DEBUG, true),
            ("understudy::core::audit::broker", Level::WARN, false),
            ("understudy::node::workers", Level::DEBUG, false),
            ("hyper::proto", Level::INFO, true),
            ("hyper::proto", Level::DEBUG, false),
        ] {
            assert_eq!(targets.would_enable(target, &level), passes, "{target} {level}");
        }
        loggers.set_all(Level::TRACE);
        assert!(loggers.targets().would_enable("hyper::proto", &Level::TRACE));
        assert_eq!(loggers.configured(), Level::INFO);
    }
}
