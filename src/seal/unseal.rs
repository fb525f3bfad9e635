//! Opening a store with shares: the round that gathers them. Pure; the manager does what it leads to.

use super::gather::{Added, Gathering};
use super::shamir::Share;

/// The round of unsealing under way, if any. Its nonce is made by the first share.
#[derive(Debug, Default)]
pub(super) struct Unsealing {
    round: Option<Gathering>,
}

// === impl Unsealing ===

impl Unsealing {
    /// Takes a share; the shares, when they are enough. Then the round is over, right or wrong.
    #[must_use]
    pub(super) fn give(
        &mut self,
        share: Share,
        required: u8,
        nonce: impl FnOnce() -> String,
    ) -> Option<Vec<Share>> {
        let round = self.round.get_or_insert_with(|| Gathering::named(nonce()));
        match round.add(share, required) {
            Added::Known | Added::Waiting => None,
            Added::Enough(shares) => {
                self.round = None;
                Some(shares)
            }
        }
    }

    /// Drops the shares given so far.
    pub(super) fn reset(&mut self) {
        self.round = None;
    }

    /// Shares given, and the round's nonce; 0 and empty between rounds.
    #[must_use]
    pub(super) fn progress(&self) -> (usize, String) {
        self.round.as_ref().map_or((0, String::new()), |round| (round.progress(), round.nonce().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(byte: u8) -> Share {
        Share::parse(&hex::encode([byte; 33])).unwrap()
    }

    #[test]
    fn a_round_begins_with_a_share_and_ends_with_the_last() {
        let mut unsealing = Unsealing::default();
        let nonces = ["first", "second"];
        let mut made = nonces.iter();
        let mut nonce = || (*made.next().unwrap()).to_owned();
        assert_eq!(unsealing.progress(), (0, String::new()));
        assert!(unsealing.give(share(1), 3, &mut nonce).is_none());
        assert!(unsealing.give(share(1), 3, &mut nonce).is_none(), "the same share does not advance");
        assert_eq!(unsealing.progress(), (1, "first".to_owned()));
        assert!(unsealing.give(share(2), 3, &mut nonce).is_none());
        assert_eq!(unsealing.give(share(3), 3, &mut nonce).unwrap().len(), 3);
        assert_eq!(unsealing.progress(), (0, String::new()));
        assert!(unsealing.give(share(1), 3, &mut nonce).is_none());
        assert_eq!(unsealing.progress(), (1, "second".to_owned()));
        unsealing.reset();
        assert_eq!(unsealing.progress(), (0, String::new()));
    }
}
