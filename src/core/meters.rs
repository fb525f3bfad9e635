//! What the core counts of itself, for `sys/metrics`. Names are given where it is shown.

use std::sync::Arc;

use crate::logical::Operation;
use crate::meter::{Counter, Timer};

/// See the module.
#[derive(Debug, Default)]
pub struct Meters {
    pub handle_request: Timer,
    pub handle_login_request: Timer,
    /// Whether the token may do what is asked.
    pub check_token: Timer,
    pub token_lookup: Timer,
    /// Runs that lost to a concurrent change and were run again.
    pub conflicts: Counter,
}

/// Of the audit log.
#[derive(Debug, Default)]
pub struct AuditMeters {
    pub request: Timer,
    pub response: Timer,
    pub request_failure: Counter,
    pub response_failure: Counter,
}

/// Of one mount: how long each operation took. Made with the mount's first request of a kind.
#[derive(Debug, Default, Clone)]
pub struct RouteMeters(Arc<[std::sync::OnceLock<Timer>; OPERATIONS.len()]>);

/// In the order of a mount's timers.
pub const OPERATIONS: [Operation; 8] = [
    Operation::Create,
    Operation::Update,
    Operation::Patch,
    Operation::Read,
    Operation::List,
    Operation::Scan,
    Operation::Delete,
    Operation::Help,
];

// === impl RouteMeters ===

impl RouteMeters {
    #[must_use]
    pub fn of(&self, operation: Operation) -> &Timer {
        self.0[place(operation)].get_or_init(Timer::default)
    }

    /// Those that were ever used.
    pub fn used(&self) -> impl Iterator<Item = (Operation, &Timer)> {
        OPERATIONS.into_iter().filter_map(|operation| Some((operation, self.0[place(operation)].get()?)))
    }
}

fn place(operation: Operation) -> usize {
    match operation {
        Operation::Create => 0,
        Operation::Update => 1,
        Operation::Patch => 2,
        Operation::Read => 3,
        Operation::List => 4,
        Operation::Scan => 5,
        Operation::Delete => 6,
        Operation::Help => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_timer_of_its_own() {
        let meters = RouteMeters::default();
        OPERATIONS.iter().for_each(|operation| meters.of(*operation).add(std::time::Duration::ZERO));
        assert!(meters.used().map(|(operation, _)| operation).eq(OPERATIONS));
        assert!(meters.used().all(|(_, timer)| timer.read().count == 1));
    }
}
