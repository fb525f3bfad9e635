//! Shares coming in one by one, from different hands, until they are enough. Pure.

use std::fmt;

use super::shamir::Share;

/// Shares of one round. The nonce names it, so that nobody's share ends up in somebody else's round.
#[derive(Clone, Default)]
pub(super) struct Gathering {
    /// UUID; empty before the round has begun.
    nonce: String,
    /// At most the threshold, which is at most 255.
    shares: Vec<Share>,
}

/// What a share did.
#[derive(Debug)]
pub(super) enum Added {
    /// It was here already; nothing changed.
    Known,
    /// More are needed.
    Waiting,
    /// They are enough. The round is over and holds none any more.
    Enough(Vec<Share>),
}

// === impl Gathering ===

impl Gathering {
    #[must_use]
    pub(super) fn named(nonce: String) -> Self {
        Self { nonce, shares: Vec::new() }
    }

    #[must_use]
    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    #[must_use]
    pub(super) fn progress(&self) -> usize {
        self.shares.len()
    }

    /// Takes one more share; `required` are enough.
    pub(super) fn add(&mut self, share: Share, required: u8) -> Added {
        if self.shares.iter().any(|known| known.is(&share)) {
            return Added::Known;
        }
        self.shares.push(share);
        if self.shares.len() < usize::from(required) {
            return Added::Waiting;
        }
        Added::Enough(std::mem::take(&mut self.shares))
    }
}

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gathering({} shares)", self.shares.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_counts_once() {
        let share = |byte: u8| Share::parse(&hex::encode([byte; 33])).unwrap();
        let mut round = Gathering::named("n".to_owned());
        assert!(matches!(round.add(share(1), 3), Added::Waiting));
        assert!(matches!(round.add(share(1), 3), Added::Known));
        assert!(matches!(round.add(share(2), 3), Added::Waiting));
        assert_eq!((round.progress(), round.nonce()), (2, "n"));
        let Added::Enough(shares) = round.add(share(3), 3) else { panic!("three are enough") };
        assert_eq!((shares.len(), round.progress()), (3, 0));
        assert!(matches!(round.add(share(1), 1), Added::Enough(_)));
    }
}
