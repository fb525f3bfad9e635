//! One metric with its labels.

use crate::meter::{Counter, Reading, Timer};

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// With dots, without the first word, which is configured: `core.handle_request`.
    pub name: String,
    pub labels: Vec<(&'static str, String)>,
    pub value: Value,
}

/// What is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Gauge(f64),
    Counter(u64),
    Timer(Reading),
}

// === impl Family ===

impl Family {
    #[must_use]
    pub fn gauge(name: &str, value: f64) -> Self {
        Self { name: name.to_owned(), labels: Vec::new(), value: Value::Gauge(value) }
    }

    #[must_use]
    pub fn counter(name: &str, counter: &Counter) -> Self {
        Self { name: name.to_owned(), labels: Vec::new(), value: Value::Counter(counter.read()) }
    }

    #[must_use]
    pub fn timer(name: &str, timer: &Timer) -> Self {
        Self { name: name.to_owned(), labels: Vec::new(), value: Value::Timer(timer.read()) }
    }

    #[must_use]
    pub fn with(mut self, label: &'static str, value: &str) -> Self {
        self.labels.push((label, value.to_owned()));
        self
    }

    /// As the real server names it to Prometheus: a mount's `/` and `-` and every dot become `_`.
    #[must_use]
    pub(super) fn prometheus_name(&self, prefix: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' };
        prefix.chars().chain(['_']).chain(self.name.chars()).map(plain).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_real_servers() {
        for (prefix, name, shown) in [
            ("vault", "core.handle_request", "vault_core_handle_request"),
            ("vault", "route.read.auth-token-", "vault_route_read_auth_token_"),
            ("my.own", "core.unsealed", "my_own_core_unsealed"),
        ] {
            assert_eq!(Family::gauge(name, 0.0).prometheus_name(prefix), shown);
        }
    }
}
