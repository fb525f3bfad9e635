//! Policies of a token and its subject, made into the rules that decide.

use std::sync::Arc;

use thiserror::Error;
use time::{Duration, OffsetDateTime};

use super::acl::{Acl, Builder};
use super::record::Stored;
use super::rule::PathRule;
use super::scope::{BadScope, Scope};
use super::subject::Subject;
use super::template::{self, Unfilled};

/// Rules, and until when they hold.
#[derive(Debug, Default)]
pub struct Compiled {
    pub acl: Acl,
    /// The first moment at which compiling again could give something else: a rule expires, or holds the time of day.
    pub expires_at: Option<OffsetDateTime>,
}

/// Policies that cannot be put together: nothing is allowed, rather than the rest of them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompileError {
    #[error("failed to construct ACL: other policies present along with root")]
    RootAmongOthers,
    #[error("error parsing templated policy {policy:?}: failed to parse policy: path {key:?}: {why}")]
    Forbidden { policy: String, key: String, why: Unfilled },
    #[error("error parsing templated policy {policy:?}: failed to parse policy: path {key:?}: {why}")]
    Scope { policy: String, key: String, why: BadScope },
}

/// Puts `policies` together for `subject`.
///
/// # Errors
/// See [`CompileError`].
pub(super) fn compile(
    policies: &[Arc<Stored>],
    subject: Option<&Subject>,
    now: OffsetDateTime,
) -> Result<Compiled, CompileError> {
    if policies.iter().any(|policy| policy.is_root()) {
        let alone = policies.len() == 1;
        let root = || Compiled { acl: Acl::root(), expires_at: None };
        return alone.then(root).ok_or(CompileError::RootAmongOthers);
    }
    let mut rules = Rules { subject, now, builder: Builder::default(), expires_at: None };
    for policy in policies {
        rules.add(policy)?;
    }
    Ok(Compiled { acl: rules.builder.build(), expires_at: rules.expires_at })
}

struct Rules<'s> {
    subject: Option<&'s Subject>,
    now: OffsetDateTime,
    builder: Builder,
    expires_at: Option<OffsetDateTime>,
}

// === impl Compiled ===

impl Compiled {
    #[must_use]
    pub fn holds(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

// === impl Rules ===

impl Rules<'_> {
    fn add(&mut self, policy: &Stored) -> Result<(), CompileError> {
        if !self.lives(policy.expires_at) {
            return Ok(());
        }
        policy.policy.paths.iter().try_for_each(|rule| self.add_rule(policy, rule))
    }

    /// Whether what ends at `end` is still there; notes when it will not be.
    fn lives(&mut self, end: Option<OffsetDateTime>) -> bool {
        let Some(end) = end else { return true };
        if end <= self.now {
            return false;
        }
        self.holds_until(end);
        true
    }

    fn holds_until(&mut self, end: OffsetDateTime) {
        self.expires_at = Some(self.expires_at.map_or(end, |known| known.min(end)));
    }

    fn add_rule(&mut self, policy: &Stored, rule: &PathRule) -> Result<(), CompileError> {
        if !self.lives(rule.expires_at) {
            return Ok(());
        }
        let (policy_name, written) = (|| policy.name.to_string(), || rule.key.clone());
        let scope = if rule.templated {
            let filled = match template::fill(&rule.key, self.subject, policy.allowance, self.now) {
                Ok(filled) => filled,
                Err(Unfilled::NoValue) => return Ok(()),
                Err(why @ Unfilled::Forbidden(_)) => {
                    return Err(CompileError::Forbidden { policy: policy_name(), key: written(), why });
                }
            };
            if filled.passes {
                self.holds_until(next_second(self.now));
            }
            Scope::of(&filled.key)
        } else {
            Scope::of(&rule.key)
        };
        let scope =
            scope.map_err(|why| CompileError::Scope { policy: policy_name(), key: written(), why })?;
        self.builder.add(&policy.name, scope, &rule.permissions);
        Ok(())
    }
}

fn next_second(now: OffsetDateTime) -> OffsetDateTime {
    now + (Duration::SECOND - Duration::nanoseconds(i64::from(now.nanosecond())))
}
