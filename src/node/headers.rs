//! Headers the configuration adds to every answer: who answered, and what the operator wants said. They are put
//! together once; an answer only copies them.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::api::header;
use crate::config::node::model::{CustomHeaders, StatusClass};

/// Who answers. `None`: it is not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub hostname: Option<String>,
    pub raft_node_id: Option<String>,
}

/// What is added, the most special class last: it replaces what a more general one said.
#[derive(Debug, Clone, Default)]
pub struct AddedHeaders {
    rules: Vec<(StatusClass, HeaderName, HeaderValue)>,
}

// === impl AddedHeaders ===

impl AddedHeaders {
    /// The configuration has checked every name and value; one that is none all the same is left out.
    #[must_use]
    pub fn new(custom: &CustomHeaders, identity: &Identity) -> Self {
        // The map's order is from general to special.
        let headers = custom.0.iter().flat_map(|(class, headers)| {
            headers.iter().filter_map(|(name, values)| Some((*class, rule(name, values)?)))
        });
        let mut rules: Vec<_> = headers.map(|(class, (name, value))| (class, name, value)).collect();
        for (name, text) in [
            (header::X_VAULT_HOSTNAME, &identity.hostname),
            (header::X_VAULT_RAFT_NODE_ID, &identity.raft_node_id),
        ] {
            let value = text.as_deref().and_then(|text| HeaderValue::try_from(text).ok());
            rules.extend(value.map(|value| (StatusClass::Every, name, value)));
        }
        Self { rules }
    }

    /// Adds them to an answer with this status.
    pub fn apply(&self, status: u16, headers: &mut HeaderMap) {
        for (class, name, value) in &self.rules {
            if class.holds(status) {
                headers.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Several values are one line, as the server writes them.
fn rule(name: &str, values: &[String]) -> Option<(HeaderName, HeaderValue)> {
    let value = HeaderValue::try_from(values.join("; ")).ok()?;
    (!values.is_empty()).then_some((HeaderName::try_from(name).ok()?, value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn custom(rules: &[(StatusClass, &str, &[&str])]) -> CustomHeaders {
        let mut map: BTreeMap<StatusClass, Vec<(String, Vec<String>)>> = BTreeMap::new();
        for (class, name, values) in rules {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            map.entry(*class).or_default().push(((*name).to_owned(), values));
        }
        CustomHeaders(map)
    }

    fn added(headers: &AddedHeaders, status: u16) -> Vec<String> {
        let mut map = HeaderMap::new();
        map.insert("cache-control", HeaderValue::from_static("no-store"));
        headers.apply(status, &mut map);
        map.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn the_most_special_class_wins() {
        let headers = AddedHeaders::new(
            &custom(&[
                (StatusClass::Exactly(404), "X-A", &["exact"]),
                (StatusClass::Every, "X-A", &["every"]),
                (StatusClass::Hundred(4), "X-A", &["hundred", "more"]),
                (StatusClass::Every, "Cache-Control", &["x"]),
                (StatusClass::Every, "X-Empty", &[]),
            ]),
            &Identity { hostname: Some("h".into()), raft_node_id: Some("n1".into()) },
        );
        let common = ["cache-control: x", "x-vault-hostname: h", "x-vault-raft-node-id: n1"];
        for (status, value) in [(200, "every"), (400, "hundred; more"), (404, "exact")] {
            let mut found = added(&headers, status);
            found.sort();
            let own = format!("x-a: {value}");
            let mut expected: Vec<&str> = common.to_vec();
            expected.push(&own);
            expected.sort_unstable();
            assert_eq!(found, expected, "{status}");
        }
    }

    #[test]
    fn nothing_is_added_unless_it_is_asked_for() {
        let headers = AddedHeaders::new(&CustomHeaders::default(), &Identity::default());
        assert_eq!(added(&headers, 200), ["cache-control: no-store"]);
    }
}
