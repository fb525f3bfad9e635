//! How a store is sealed: the configured method, and the plain record of the shares that were handed out.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::static_key::StaticKeys;

/// `type` of a seal by shares.
pub(super) const SHAMIR: &str = "shamir";
/// `type` of a seal by a key of the configuration.
pub(super) const STATIC: &str = "static";

/// How the root key is protected, as the node was configured.
#[derive(Debug, Default)]
pub enum Method {
    /// By a key cut into shares, which operators bring.
    #[default]
    Shamir,
    /// By a key beside the configuration: the node unseals itself.
    Static(StaticKeys),
}

/// Into how many shares a key is cut and how many give it back: 1 ≤ threshold ≤ shares ≤ 255, and a lone threshold only
/// with a lone share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawSplit")]
pub struct Split {
    shares: u8,
    threshold: u8,
}

#[derive(Deserialize)]
struct RawSplit {
    shares: i64,
    threshold: i64,
}

/// Numbers that make no split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SplitError {
    #[error("shares must be at least one")]
    NoShares,
    #[error("threshold must be at least one")]
    NoThreshold,
    #[error("threshold must be greater than one for multiple shares")]
    LoneThreshold,
    #[error("shares must be less than 256")]
    ManyShares,
    #[error("threshold must be less than 256")]
    LargeThreshold,
    #[error("threshold cannot be larger than shares")]
    Unreachable,
}

/// The plain record of a store that was initialised: enough to ask for shares while sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SealRecord {
    pub(super) version: u8,
    /// [`Method::name`].
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Of the unseal key; none where a key of the configuration unseals.
    pub(super) split: Option<Split>,
}

// === impl Method ===

impl Method {
    /// `type` of `sys/seal-status`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shamir => SHAMIR,
            Self::Static(_) => STATIC,
        }
    }

    /// Whether the shares operators hold are of a recovery key: they authorise, but do not unseal.
    #[must_use]
    pub fn has_recovery(&self) -> bool {
        match self {
            Self::Shamir => false,
            Self::Static(_) => true,
        }
    }
}

// === impl Split ===

impl Split {
    /// # Errors
    /// The numbers make no split; the first thing wrong is told.
    pub fn check(shares: i64, threshold: i64) -> Result<Self, SplitError> {
        match (u8::try_from(shares), u8::try_from(threshold)) {
            _ if shares < 1 => Err(SplitError::NoShares),
            _ if threshold < 1 => Err(SplitError::NoThreshold),
            _ if shares > 1 && threshold == 1 => Err(SplitError::LoneThreshold),
            (Err(_), _) => Err(SplitError::ManyShares),
            (_, Err(_)) => Err(SplitError::LargeThreshold),
            (Ok(shares), Ok(threshold)) if threshold > shares => Err(SplitError::Unreachable),
            (Ok(shares), Ok(threshold)) => Ok(Self { shares, threshold }),
        }
    }

    #[must_use]
    pub fn shares(self) -> u8 {
        self.shares
    }

    #[must_use]
    pub fn threshold(self) -> u8 {
        self.threshold
    }
}

impl TryFrom<RawSplit> for Split {
    type Error = SplitError;

    fn try_from(raw: RawSplit) -> Result<Self, SplitError> {
        Self::check(raw.shares, raw.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_wrong_is_told() {
        for (shares, threshold, error) in [
            (0, 0, SplitError::NoShares),
            (-1, 1, SplitError::NoShares),
            (3, 0, SplitError::NoThreshold),
            (2, 1, SplitError::LoneThreshold),
            (300, 3, SplitError::ManyShares),
            (255, 256, SplitError::LargeThreshold),
            (1, 2, SplitError::Unreachable),
        ] {
            assert_eq!(Split::check(shares, threshold), Err(error), "{shares} {threshold}");
        }
        for (shares, threshold) in [(1, 1), (2, 2), (255, 255), (5, 3)] {
            assert!(Split::check(shares, threshold).is_ok());
        }
    }

    #[test]
    fn a_stored_record_is_checked_again() {
        let text = r#"{"version":1,"type":"shamir","split":{"shares":5,"threshold":3}}"#;
        let record: SealRecord = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
        assert!(serde_json::from_str::<SealRecord>(&text.replace('5', "2")).is_err());
    }
}
