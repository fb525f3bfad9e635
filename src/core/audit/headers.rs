//! Request headers that operators want in the audit log (`sys/config/auditing/request-headers`).

use std::collections::BTreeMap;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::entry::AuditedHeader;

/// Where the record is stored.
pub(super) const KEY: &str = "core/audited-headers";

/// Most headers: each may be in every line.
pub const MAX_HEADERS: usize = 256;

/// By name in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedHeaders {
    pub headers: BTreeMap<String, HeaderRule>,
}

/// How a header is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderRule {
    pub hmac: bool,
}

// === impl AuditedHeaders ===

impl AuditedHeaders {
    /// Those of `headers` that are wanted, with all their values.
    #[must_use]
    pub fn of(&self, headers: &HeaderMap) -> Vec<AuditedHeader> {
        let wanted = |(name, rule): (&String, &HeaderRule)| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            let values: Vec<String> = values.map(str::to_owned).collect();
            (!values.is_empty()).then(|| AuditedHeader { name: name.clone(), values, is_hidden: rule.hmac })
        };
        self.headers.iter().filter_map(wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wanted_headers_are_told_with_all_their_values() {
        let rules =
            [("x-a".to_owned(), HeaderRule { hmac: true }), ("x-b".to_owned(), HeaderRule::default())];
        let audited = AuditedHeaders { headers: rules.into() };
        let mut given = HeaderMap::new();
        for (name, value) in [("x-a", "1"), ("x-c", "2"), ("x-a", "3")] {
            given.append(name, value.parse().unwrap());
        }
        let found = audited.of(&given);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].values.as_slice(), found[0].is_hidden),
            (&["1".to_owned(), "3".to_owned()][..], true)
        );
    }
}
