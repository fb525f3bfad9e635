//! One rule and the configuration of all, as operators write them.

use serde::{Deserialize, Serialize};

use super::bucket::Limits;
use crate::entropy;
use crate::logical::Fault;

/// How long a rule counts where nobody says, in seconds.
const DEFAULT_INTERVAL_SECS: u64 = 1;

/// Paths no rule is about until an operator says otherwise: what an operator needs to get a node going again.
const EXEMPT: &[&str] = &[
    "sys/generate-recovery-token/attempt",
    "sys/generate-recovery-token/update",
    "sys/generate-root/attempt",
    "sys/generate-root/update",
    "sys/health",
    "sys/seal-status",
    "sys/unseal",
];

/// A rule as stored. Lengths in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Whole path of the mount with its slash; empty: every request.
    pub mount: String,
    /// The path below the mount, perhaps with a `*` at its end; empty: all of the mount.
    pub suffix: String,
    pub role: String,
    /// Requests an interval; above 0.
    pub rate: f64,
    /// At least 1.
    pub interval_secs: u64,
    /// How long an address is refused after it exceeded; 0: until the interval ends.
    pub block_secs: u64,
    /// Kept and shown; there is one namespace, which inherits from nobody.
    pub inheritable: bool,
    /// Made anew by every write: buckets are of a generation.
    pub generation: u64,
}

/// What an operator wants of a rule. It replaces the whole rule.
#[derive(Debug, Clone, Default)]
pub struct RuleChange {
    pub path: String,
    pub role: String,
    pub rate: f64,
    pub interval_secs: u64,
    pub block_secs: u64,
    pub inheritable: Option<bool>,
}

/// What is known of the mount a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleMount<'m> {
    /// Whole, with its slash.
    pub path: &'m str,
    /// Of the asked path, what is below the mount.
    pub rest: &'m str,
    pub is_auth: bool,
    /// Whether its logins have roles.
    pub has_roles: bool,
}

/// Configuration of all rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Beginnings of paths; `!` before one takes it out again.
    pub exempt_paths: Vec<String>,
    pub response_headers: bool,
    pub audit_logging: bool,
}

// === impl Rule ===

impl Rule {
    /// The rule an operator asks for. `mount` is what the path leads to.
    ///
    /// # Errors
    /// The rate is none, the path leads nowhere, or the mount knows no roles.
    pub fn new(change: &RuleChange, mount: Option<RuleMount<'_>>) -> Result<Self, Fault> {
        if !(change.rate > 0.0 && change.rate.is_finite()) {
            return Err(Fault::invalid("'rate' is invalid"));
        }
        let path = change.path.trim_matches('/');
        let (mount_path, suffix) = match mount {
            _ if path.is_empty() => ("", ""),
            Some(mount) => (mount.path, mount.rest.trim_matches('/')),
            None => return Err(Fault::invalid(format!("invalid mount path {:?}", format!("{path}/")))),
        };
        if !change.role.is_empty() {
            check_role(mount_path, suffix, mount.filter(|_| !path.is_empty()))?;
        }
        Ok(Self {
            mount: mount_path.to_owned(),
            suffix: suffix.to_owned(),
            role: change.role.clone(),
            rate: change.rate,
            interval_secs: if change.interval_secs == 0 {
                DEFAULT_INTERVAL_SECS
            } else {
                change.interval_secs
            },
            block_secs: change.block_secs,
            inheritable: change.inheritable.unwrap_or(path.is_empty()),
            generation: u64::from_be_bytes(entropy::bytes()),
        })
    }

    /// As the API shows the path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}{}", self.mount, self.suffix)
    }

    pub(super) fn is_about_the_same(&self, other: &Self) -> bool {
        (&self.mount, &self.suffix, &self.role) == (&other.mount, &other.suffix, &other.role)
    }

    /// Part of a request counts as one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a cast of what is too large gives the largest"
    )]
    pub(super) fn limits(&self) -> Limits {
        Limits {
            tokens: self.rate.ceil() as u64,
            interval_secs: self.interval_secs,
            block_secs: self.block_secs,
        }
    }
}

fn check_role(mount: &str, suffix: &str, known: Option<RuleMount<'_>>) -> Result<(), Fault> {
    if !suffix.is_empty() {
        return Err(Fault::invalid(
            "Quotas cannot contain both a path suffix and a role. If a role is provided, path must be a valid auth \
             mount with a concept of roles",
        ));
    }
    match known {
        Some(mount) if mount.is_auth && mount.has_roles => Ok(()),
        Some(RuleMount { is_auth: true, .. }) => {
            Err(Fault::invalid(format!("Mount path {mount:?} does not support use with role-based quotas")))
        }
        Some(_) | None => Err(Fault::invalid(format!(
            "Mount path {mount:?} is not a valid auth method and therefore unsuitable for use with role-based quotas"
        ))),
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            exempt_paths: EXEMPT.iter().map(|path| (*path).to_owned()).collect(),
            response_headers: false,
            audit_logging: false,
        }
    }
}
