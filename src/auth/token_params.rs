//! The `token_*` parameters every auth method has: read with the server's rules, shown in its shape, put into the login.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::logical::field::Fields;
use crate::logical::{Auth, Client, Fault, TokenKind};

/// Said of a `token_ttl` that is longer than `token_max_ttl`.
pub(super) const TTL_OVER_MAX: &str = "'token_ttl' cannot be greater than 'token_max_ttl'";

/// What tokens of a user or role get. Durations in seconds, 0 is "not set".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct TokenParams {
    pub(super) bound_cidrs: Vec<String>,
    pub(super) explicit_max_ttl: u64,
    pub(super) max_ttl: u64,
    pub(super) no_default_policy: bool,
    pub(super) num_uses: u64,
    pub(super) period: u64,
    pub(super) policies: Vec<String>,
    pub(super) strictly_bind_ip: bool,
    pub(super) ttl: u64,
    pub(super) kind: String,
}

impl TokenParams {
    /// Takes over what `fields` gives, and checks the whole.
    ///
    /// # Errors
    /// A value is not what it must be, or two contradict each other.
    pub(super) fn update(&mut self, fields: &Fields<'_>) -> Result<(), Fault> {
        if let Some(cidrs) = fields.list("token_bound_cidrs")? {
            self.bound_cidrs = parse_cidrs(&cidrs)?;
        }
        set(&mut self.explicit_max_ttl, fields.seconds("token_explicit_max_ttl")?);
        set(&mut self.max_ttl, fields.seconds("token_max_ttl")?);
        set(&mut self.no_default_policy, fields.flag("token_no_default_policy")?);
        set(&mut self.period, fields.seconds("token_period")?);
        set(&mut self.policies, fields.list("token_policies")?.map(clean_policies));
        set(&mut self.strictly_bind_ip, fields.flag("token_strictly_bind_ip")?);
        set(&mut self.ttl, fields.seconds("token_ttl")?);
        set(&mut self.kind, fields.text("token_type")?.map(|kind| token_type(&kind)).transpose()?);
        if let Some(uses) = fields.int("token_num_uses")? {
            self.num_uses =
                u64::try_from(uses).map_err(|_| Fault::invalid("'token_num_uses' cannot be negative"))?;
        }
        self.check()
    }

    /// # Errors
    /// Two values contradict each other.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.max_ttl > 0 && self.ttl > self.max_ttl {
            return Err(Fault::invalid(TTL_OVER_MAX));
        }
        let batch = matches!(self.kind.as_str(), "batch" | "default-batch");
        if batch && self.num_uses > 0 {
            let text = "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count";
            return Err(Fault::invalid(text));
        }
        if batch && self.period > 0 {
            return Err(Fault::invalid(
                "'token_type' cannot be 'batch' when set to generate periodic tokens",
            ));
        }
        Ok(())
    }

    /// As `read` shows them.
    pub(super) fn show(&self, data: &mut Map<String, Value>) {
        for (name, value) in [
            ("token_bound_cidrs", json!(self.bound_cidrs)),
            ("token_explicit_max_ttl", json!(self.explicit_max_ttl)),
            ("token_max_ttl", json!(self.max_ttl)),
            ("token_no_default_policy", json!(self.no_default_policy)),
            ("token_num_uses", json!(self.num_uses)),
            ("token_period", json!(self.period)),
            ("token_policies", json!(self.policies)),
            ("token_strictly_bind_ip", json!(self.strictly_bind_ip)),
            ("token_ttl", json!(self.ttl)),
            ("token_type", json!(self.shown_kind())),
        ] {
            data.insert(name.to_owned(), value);
        }
    }

    fn shown_kind(&self) -> &str {
        if self.kind.is_empty() { "default" } else { &self.kind }
    }

    /// The login's share of these parameters; `client` is who logs in.
    pub(super) fn fill(&self, auth: &mut Auth, client: &Client) {
        auth.policies.clone_from(&self.policies);
        auth.ttl_secs = self.ttl;
        auth.max_ttl_secs = self.max_ttl;
        auth.explicit_max_ttl_secs = self.explicit_max_ttl;
        auth.period_secs = self.period;
        auth.num_uses = self.num_uses;
        auth.no_default_policy = self.no_default_policy;
        auth.kind = self.token_kind();
        auth.renewable = true;
        auth.bound_cidrs.clone_from(&self.bound_cidrs);
        if let (true, Some(address)) = (self.strictly_bind_ip, client.address) {
            auth.bound_cidrs = vec![IpNet::from(address).to_string()];
        }
    }

    fn token_kind(&self) -> TokenKind {
        match self.kind.as_str() {
            "service" => TokenKind::Service,
            "batch" => TokenKind::Batch,
            "default-service" => TokenKind::DefaultService,
            "default-batch" => TokenKind::DefaultBatch,
            _ => TokenKind::Default,
        }
    }

    /// Whether `client` may log in from where it is.
    pub(super) fn admits(&self, client: &Client) -> bool {
        admits(&self.bound_cidrs, client.address)
    }
}

/// Whether `address` is in one of `cidrs`; none of them binds nobody. A caller without an address (a unix socket) is
/// bound by any.
pub(super) fn admits(cidrs: &[String], address: Option<IpAddr>) -> bool {
    if cidrs.is_empty() {
        return true;
    }
    let nets = cidrs.iter().filter_map(|cidr| cidr.parse::<IpNet>().ok());
    address.is_some_and(|address| nets.into_iter().any(|net| net.contains(&address)))
}

/// Networks as they are stored: a bare address is its own network, and stays written as given.
///
/// # Errors
/// One is neither.
pub(super) fn parse_cidrs(texts: &[String]) -> Result<Vec<String>, Fault> {
    let one = |text: &String| {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(|net| net.to_string())
            .map_err(|_| {
                Fault::invalid(format!(
                    "error parsing address {text:?}: Unable to convert {text:?} to an IPv4 or IPv6 address, or a UNIX Socket"
                ))
            })
    };
    texts.iter().map(one).collect()
}

/// Policies are lower case, each once, in order.
pub(super) fn clean_policies(policies: Vec<String>) -> Vec<String> {
    let mut clean: Vec<String> = policies.into_iter().map(|policy| policy.trim().to_lowercase()).collect();
    clean.retain(|policy| !policy.is_empty());
    clean.sort_unstable();
    clean.dedup();
    clean
}

fn token_type(kind: &str) -> Result<String, Fault> {
    match kind {
        "" | "default" => Ok(String::new()),
        "service" | "batch" | "default-service" | "default-batch" => Ok(kind.to_owned()),
        _ => Err(Fault::invalid(format!("invalid 'token_type' value {kind:?}"))),
    }
}

fn set<T>(target: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *target = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updated(data: Value) -> Result<TokenParams, Fault> {
        let mut params = TokenParams::default();
        params.update(&Fields::new(data.as_object().unwrap()))?;
        Ok(params)
    }

    #[test]
    fn values_are_checked_as_a_whole() {
        for (data, text) in [
            (
                json!({"token_ttl": "1h", "token_max_ttl": "30m"}),
                "'token_ttl' cannot be greater than 'token_max_ttl'",
            ),
            (
                json!({"token_type": "batch", "token_num_uses": 3}),
                "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count",
            ),
            (json!({"token_type": "x"}), "invalid 'token_type' value \"x\""),
            (
                json!({"token_bound_cidrs": "x"}),
                "error parsing address \"x\": Unable to convert \"x\" to an IPv4 or IPv6 address, or a UNIX Socket",
            ),
        ] {
            assert_eq!(updated(data).unwrap_err().to_string(), text);
        }
        let params = updated(json!({"token_policies": "B, a,a", "token_ttl": "1h"})).unwrap();
        assert_eq!((params.policies, params.ttl), (vec!["a".to_owned(), "b".to_owned()], 3600));
    }

    #[test]
    fn addresses_bind_logins() {
        let cidrs = ["10.0.0.0/8".to_owned(), "127.0.0.1/32".to_owned()];
        for (address, admitted) in
            [("10.1.2.3", true), ("127.0.0.1", true), ("127.0.0.2", false), ("::1", false)]
        {
            assert_eq!(admits(&cidrs, Some(address.parse().unwrap())), admitted, "{address}");
        }
        assert!(admits(&[], None) && !admits(&cidrs, None));
    }
}
