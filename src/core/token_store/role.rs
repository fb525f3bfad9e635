//! Roles of the token store: what tokens made through them may and must be.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::create::sanitize_policies;
use crate::logical::Fault;

/// As stored at `sys/token/roles/<name>`. Lengths in seconds, 0: not set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    pub name: String,
    pub allowed_policies: Vec<String>,
    pub allowed_policies_glob: Vec<String>,
    pub disallowed_policies: Vec<String>,
    pub disallowed_policies_glob: Vec<String>,
    pub allowed_entity_aliases: Option<Vec<String>>,
    pub orphan: bool,
    pub path_suffix: String,
    pub renewable: bool,
    /// Set through the old names: shown under them too.
    pub period: u64,
    pub explicit_max_ttl: u64,
    pub bound_cidrs: Vec<String>,
    pub token_period: u64,
    pub token_explicit_max_ttl: u64,
    pub token_bound_cidrs: Vec<String>,
    pub token_no_default_policy: bool,
    pub token_num_uses: u64,
    pub token_type: String,
}

impl Default for Role {
    fn default() -> Self {
        Self {
            name: String::new(),
            allowed_policies: Vec::new(),
            allowed_policies_glob: Vec::new(),
            disallowed_policies: Vec::new(),
            disallowed_policies_glob: Vec::new(),
            allowed_entity_aliases: None,
            orphan: false,
            path_suffix: String::new(),
            renewable: true,
            period: 0,
            explicit_max_ttl: 0,
            bound_cidrs: Vec::new(),
            token_period: 0,
            token_explicit_max_ttl: 0,
            token_bound_cidrs: Vec::new(),
            token_no_default_policy: false,
            token_num_uses: 0,
            token_type: "default-service".to_owned(),
        }
    }
}

impl Role {
    /// As the API shows it.
    #[must_use]
    pub fn shown(&self) -> Map<String, Value> {
        let mut shown = Map::new();
        let mut put = |name: &str, value: Value| {
            shown.insert(name.to_owned(), value);
        };
        put("name", json!(self.name));
        put("allowed_policies", json!(self.allowed_policies));
        put("allowed_policies_glob", json!(self.allowed_policies_glob));
        put("disallowed_policies", json!(self.disallowed_policies));
        put("disallowed_policies_glob", json!(self.disallowed_policies_glob));
        put("allowed_entity_aliases", json!(self.allowed_entity_aliases));
        put("orphan", json!(self.orphan));
        put("path_suffix", json!(self.path_suffix));
        put("renewable", json!(self.renewable));
        put("period", json!(self.period));
        put("explicit_max_ttl", json!(self.explicit_max_ttl));
        put("token_period", json!(self.token_period));
        put("token_explicit_max_ttl", json!(self.token_explicit_max_ttl));
        put("token_no_default_policy", json!(self.token_no_default_policy));
        put("token_type", json!(self.token_type));
        if !self.bound_cidrs.is_empty() {
            put("bound_cidrs", json!(self.bound_cidrs));
        }
        if !self.token_bound_cidrs.is_empty() {
            put("token_bound_cidrs", json!(self.token_bound_cidrs));
        }
        if self.token_num_uses > 0 {
            put("token_num_uses", json!(self.token_num_uses));
        }
        shown
    }

    /// Whether the role says anything of policies; if not, the rules without a role hold.
    #[must_use]
    pub fn rules_policies(&self) -> bool {
        [
            &self.allowed_policies,
            &self.allowed_policies_glob,
            &self.disallowed_policies,
            &self.disallowed_policies_glob,
        ]
        .iter()
        .any(|list| !list.is_empty())
    }

    /// The policies of a token made through this role.
    ///
    /// # Errors
    /// One is not allowed, or disallowed.
    pub fn policies(
        &self,
        asked: &[String],
        parent: &[String],
        add_default: bool,
    ) -> Result<Vec<String>, Fault> {
        let add_default = add_default && !self.token_no_default_policy;
        let restricts = !self.allowed_policies.is_empty() || !self.allowed_policies_glob.is_empty();
        let policies = match (asked.is_empty(), restricts) {
            (false, _) => sanitize_policies(asked, add_default),
            (true, true) => sanitize_policies(&self.allowed_policies, add_default),
            (true, false) => sanitize_policies(parent, add_default),
        };
        let allowed = sanitize_policies(&self.allowed_policies, add_default && restricts);
        let is_allowed =
            |policy: &String| allowed.contains(policy) || matches_any(&self.allowed_policies_glob, policy);
        if restricts && !policies.iter().all(is_allowed) {
            return Err(Fault::invalid(format!(
                "token policies ({}) must be subset of the role's allowed policies ({}) or glob policies ({})",
                go_list(&policies),
                go_list(&allowed),
                go_list(&self.allowed_policies_glob)
            )));
        }
        let banned = |policy: &&String| {
            self.disallowed_policies.contains(policy) || matches_any(&self.disallowed_policies_glob, policy)
        };
        match policies.iter().find(banned) {
            Some(policy) => {
                Err(Fault::invalid(format!("token policy {policy:?} is disallowed by this role")))
            }
            None => Ok(policies),
        }
    }

    /// Whether tokens of the role may be made for this alias.
    #[must_use]
    pub fn allows_alias(&self, alias: &str) -> bool {
        self.allowed_entity_aliases.as_ref().is_some_and(|allowed| {
            let alias = alias.to_lowercase();
            allowed.iter().any(|pattern| glob(&pattern.to_lowercase(), &alias))
        })
    }
}

fn matches_any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| glob(pattern, text))
}

/// `*` is any text, everything else itself.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// `["a" "b"]`, as Go prints a list of text.
fn go_list(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn roles_say_which_policies() {
        let role = Role { allowed_policies: list(&["a", "b"]), ..Role::default() };
        assert_eq!(role.policies(&[], &[], true).unwrap(), ["a", "b", "default"]);
        assert_eq!(role.policies(&list(&["default"]), &[], true).unwrap(), ["default"]);
        let Err(Fault::Invalid(text)) = role.policies(&list(&["a", "c"]), &[], true) else {
            panic!("allowed")
        };
        assert_eq!(
            text,
            "token policies ([\"a\" \"c\" \"default\"]) must be subset of the role's allowed policies \
             ([\"a\" \"b\" \"default\"]) or glob policies ([])"
        );
        let role = Role { disallowed_policies_glob: list(&["x*"]), ..Role::default() };
        assert!(role.policies(&list(&["xy"]), &[], true).is_err());
        assert_eq!(role.policies(&[], &list(&["p"]), false).unwrap(), ["p"]);
    }

    #[test]
    fn globs() {
        for (pattern, text, matches) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "acb", false),
            ("*b*", "abc", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
