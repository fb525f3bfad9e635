//! A policy as it is stored, and as it is kept in memory.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::parse;
use super::rule::Policy;
use super::template::Allowance;

/// As stored at `sys/policy/<name>`. Times are RFC 3339; empty: none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Rises by one with each change.
    pub version: u64,
    /// Whether a change must name the version it replaces.
    pub cas_required: bool,
    pub text: String,
    pub modified: String,
    pub expires_at: String,
    pub allow_slashes_in_templates: bool,
    pub allow_wildcards_in_templates: bool,
}

/// A policy with its rules read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stored {
    pub name: Arc<str>,
    pub record: Record,
    pub policy: Policy,
    pub expires_at: Option<OffsetDateTime>,
    pub allowance: Allowance,
}

pub(super) fn time_text(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_default()
}

// === impl Record ===

impl Record {
    pub(super) fn end(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(&self.expires_at, &Rfc3339).ok()
    }
}

// === impl Stored ===

impl Stored {
    /// Reads the record's text.
    ///
    /// # Errors
    /// It is not the policy language: an older release took what this one does not.
    pub(super) fn read(name: &str, record: Record) -> Result<Self, parse::PolicyError> {
        Ok(Self {
            name: name.into(),
            policy: parse::policy(&record.text)?,
            expires_at: record.end(),
            allowance: Allowance {
                slashes: record.allow_slashes_in_templates,
                wildcards: record.allow_wildcards_in_templates,
            },
            record,
        })
    }

    /// `root`, which is nowhere stored.
    #[must_use]
    pub fn root() -> Self {
        Self { name: "root".into(), ..Self::default() }
    }

    #[must_use]
    pub fn is_root(&self) -> bool {
        &*self.name == "root"
    }

    #[must_use]
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}
