//! A policy as it was parsed: paths and what each allows. How rules of several policies come together is here too,
//! because it is the meaning of the fields; how a request finds its rule is `acl`'s matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use super::capability::Capabilities;
use super::key_filter::KeyTemplate;
use super::parameter::ParameterValue;

/// A parsed policy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    pub paths: Vec<PathRule>,
}

/// A `path` block.
#[derive(Debug, Clone, PartialEq)]
pub struct PathRule {
    /// As written, templates included.
    pub key: String,
    /// Whether the key holds templates, so that each subject has its own path.
    pub templated: bool,
    /// From then on the block is as if it were not there.
    pub expires_at: Option<OffsetDateTime>,
    pub permissions: Arc<Permissions>,
}

/// Parameters by name, lower case; `*` is any name. No values: any value.
pub type Parameters = BTreeMap<String, Vec<ParameterValue>>;

/// What a path allows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Permissions {
    pub capabilities: Capabilities,
    /// Nanoseconds; 0: no bound. The language takes negative ones, which bound nothing.
    pub min_wrapping_ttl: i64,
    pub max_wrapping_ttl: i64,
    pub allowed: Parameters,
    pub denied: Parameters,
    /// Lower case.
    pub required: Vec<String>,
    /// Longest page of a list; 0 or less: no bound.
    pub pagination_limit: i64,
    /// Which keys of a list are shown.
    pub key_filter: Option<Arc<KeyTemplate>>,
}

// === impl Permissions ===

impl Permissions {
    /// Adds what another policy says of the same path. A denial outweighs everything.
    pub fn merge(&mut self, other: &Self) {
        if self.capabilities.has(Capabilities::DENY) {
            return;
        }
        if other.capabilities.has(Capabilities::DENY) {
            *self = Self { capabilities: Capabilities::DENY, ..Self::default() };
            return;
        }
        self.capabilities = self.capabilities.with(other.capabilities);
        // Of two bounds the lesser, for the lower bound too: what is wrapped shall live short.
        self.min_wrapping_ttl = lesser(self.min_wrapping_ttl, other.min_wrapping_ttl);
        self.max_wrapping_ttl = lesser(self.max_wrapping_ttl, other.max_wrapping_ttl);
        merge_parameters(&mut self.allowed, &other.allowed);
        merge_parameters(&mut self.denied, &other.denied);
        for name in &other.required {
            if !self.required.contains(name) {
                self.required.push(name.clone());
            }
        }
        if other.pagination_limit > 0
            && (self.pagination_limit <= 0 || other.pagination_limit < self.pagination_limit)
        {
            self.pagination_limit = other.pagination_limit;
        }
        if self.key_filter.is_none() {
            self.key_filter.clone_from(&other.key_filter);
        }
    }
}

/// The lesser of two bounds, 0 being none. A negative one stays: it was the first and bounds nothing.
fn lesser(own: i64, other: i64) -> i64 {
    if other > 0 && (own == 0 || other < own) { other } else { own }
}

/// "Any value" swallows lists of values.
fn merge_parameters(own: &mut Parameters, other: &Parameters) {
    for (name, values) in other {
        match own.get_mut(name) {
            None => {
                own.insert(name.clone(), values.clone());
            }
            Some(known) if known.is_empty() || values.is_empty() => known.clear(),
            Some(known) => known.extend(values.iter().cloned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowing(name: &str, values: &[&str]) -> Parameters {
        let values = values.iter().map(|value| ParameterValue::Text((*value).to_owned())).collect();
        Parameters::from([(name.to_owned(), values)])
    }

    #[test]
    fn a_denial_outweighs_what_came_before_and_what_comes_after() {
        let read = Permissions {
            capabilities: Capabilities::READ,
            allowed: allowing("a", &["x"]),
            ..Permissions::default()
        };
        let deny = Permissions { capabilities: Capabilities::DENY, ..Permissions::default() };
        for (first, second) in [(&read, &deny), (&deny, &read)] {
            let mut merged = first.clone();
            merged.merge(second);
            assert_eq!(merged, deny);
        }
    }

    #[test]
    fn bounds_get_narrower_and_parameters_wider() {
        let mut merged = Permissions {
            max_wrapping_ttl: 60,
            min_wrapping_ttl: 10,
            pagination_limit: 5,
            allowed: allowing("a", &["x"]),
            required: vec!["a".to_owned()],
            ..Permissions::default()
        };
        merged.merge(&Permissions {
            max_wrapping_ttl: 30,
            min_wrapping_ttl: 5,
            pagination_limit: 3,
            allowed: allowing("a", &["y"]),
            required: vec!["a".to_owned(), "b".to_owned()],
            ..Permissions::default()
        });
        assert_eq!((merged.max_wrapping_ttl, merged.min_wrapping_ttl, merged.pagination_limit), (30, 5, 3));
        assert_eq!(merged.allowed, allowing("a", &["x", "y"]));
        assert_eq!(merged.required, ["a", "b"]);
        merged.merge(&Permissions { allowed: allowing("a", &[]), ..Permissions::default() });
        assert_eq!(merged.allowed, allowing("a", &[]), "any value");
        merged.merge(&Permissions::default());
        assert_eq!(merged.max_wrapping_ttl, 30, "no bound is no bound to take");
    }
}
