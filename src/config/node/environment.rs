//! What the process's environment says about a node. Where Vault lets a variable win over the file, it wins here.

/// The variables, read once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    pub api_addr: Option<String>,
    pub cluster_addr: Option<String>,
    pub raft_path: Option<String>,
    pub raft_node_id: Option<String>,
    pub log_level: Option<String>,
    pub log_format: Option<String>,
    pub kubernetes_namespace: Option<String>,
    pub kubernetes_pod: Option<String>,
}

// === impl Environment ===

impl Environment {
    /// Asks `variable` for `BAO_NAME`, then for `VAULT_NAME`. An empty one is none.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            let of = |prefix| variable(&format!("{prefix}_{name}")).filter(|text| !text.is_empty());
            of("BAO").or_else(|| of("VAULT"))
        };
        Self {
            api_addr: either("API_ADDR").or_else(|| either("REDIRECT_ADDR")),
            cluster_addr: either("CLUSTER_ADDR"),
            raft_path: either("RAFT_PATH"),
            raft_node_id: either("RAFT_NODE_ID"),
            log_level: either("LOG_LEVEL"),
            log_format: either("LOG_FORMAT"),
            kubernetes_namespace: either("K8S_NAMESPACE"),
            kubernetes_pod: either("K8S_POD_NAME"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_prefix_wins_and_empty_is_none() {
        let variable = |name: &str| match name {
            "BAO_API_ADDR" => Some("http://a:1".to_owned()),
            "VAULT_API_ADDR" => Some("http://b:1".to_owned()),
            "BAO_CLUSTER_ADDR" => Some(String::new()),
            "VAULT_CLUSTER_ADDR" => Some("https://c:1".to_owned()),
            _ => None,
        };
        let environment = Environment::read(&variable);
        assert_eq!(environment.api_addr.as_deref(), Some("http://a:1"));
        assert_eq!(environment.cluster_addr.as_deref(), Some("https://c:1"));
        assert_eq!(environment.log_level, None);
    }
}
