//! What a store that is agreed on applies: transactions, and a whole other store that takes its place.
//!
//! A store is replaced in pieces, because what is agreed on at once is bounded, and all at once, because nobody may see
//! half of it:
//!
//! ```text
//!   piece 0 ─> piece 1 ─> ... ─> piece n-1 ─> install n
//!   └────────── beside the store ──────────┘   └─ in its place, as one step
//! ```

use bytes::Bytes;

use super::{Changes, CommitIndex};

/// Names one replacement: pieces of two are never mixed.
pub(super) type RestoreId = [u8; 16];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Changes(Changes),
    Piece(Piece),
    Install(Install),
}

/// Entries of a store to come. The first begins it anew.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) id: RestoreId,
    pub(super) number: u64,
    /// A key is in one piece, once.
    pub(super) entries: Vec<(String, Bytes)>,
}

/// Puts the pieces in the place of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Install {
    pub(super) id: RestoreId,
    /// How many there are.
    pub(super) pieces: u64,
}

/// What has come of a replacement so far, as it is kept beside the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Staged {
    Nothing,
    /// The pieces before this one.
    Before(RestoreId, u64),
    /// This store came whole from another node, which may have pieces: until a first piece comes, what the others do
    /// with the next is not known here.
    Unknown,
}

/// What a piece or an installation does to what has come so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It follows.
    Follows,
    /// It does not: nothing happens, on every node alike.
    Refused,
    /// The nodes might come to differ: this one must stop.
    Stop,
}

// === impl Staged ===

impl Staged {
    const UNKNOWN: &[u8] = b"?";

    /// `None`: these are not the bytes of one.
    pub(super) fn decode(bytes: Option<&[u8]>) -> Option<Self> {
        match bytes {
            None | Some([]) => Some(Self::Nothing),
            Some(Self::UNKNOWN) => Some(Self::Unknown),
            Some(bytes) => {
                let (id, number) = bytes.split_first_chunk::<16>()?;
                Some(Self::Before(*id, u64::from_le_bytes(number.try_into().ok()?)))
            }
        }
    }

    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Before(id, number) => [id.as_slice(), &number.to_le_bytes()].concat(),
            Self::Unknown => Self::UNKNOWN.to_vec(),
        }
    }

    pub(super) fn piece(self, piece: &Piece) -> Progress {
        if piece.number == 0 { Progress::Follows } else { self.expects(piece.id, piece.number) }
    }

    pub(super) fn install(self, install: Install) -> Progress {
        self.expects(install.id, install.pieces)
    }

    fn expects(self, id: RestoreId, number: u64) -> Progress {
        match self {
            Self::Before(begun, next) if (begun, next) == (id, number) => Progress::Follows,
            Self::Nothing | Self::Before(..) => Progress::Refused,
            Self::Unknown => Progress::Stop,
        }
    }
}

/// Values are ciphertext, but still nothing to print.
impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Piece({}, {} entries)", self.number, self.entries.len())
    }
}

/// A transaction as a command, with its index.
pub(super) fn transaction((index, changes): (CommitIndex, Changes)) -> (CommitIndex, Command) {
    (index, Command::Changes(changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(id: u8, number: u64) -> Piece {
        Piece { id: [id; 16], number, entries: Vec::new() }
    }

    #[test]
    fn pieces_follow_each_other_or_nothing_happens() {
        let begun = Staged::Before([1; 16], 2);
        for (staged, piece, expected) in [
            (Staged::Nothing, piece(1, 0), Progress::Follows),
            (Staged::Unknown, piece(1, 0), Progress::Follows),
            (begun, piece(2, 0), Progress::Follows),
            (begun, piece(1, 2), Progress::Follows),
            (begun, piece(1, 1), Progress::Refused),
            (begun, piece(1, 3), Progress::Refused),
            (begun, piece(2, 2), Progress::Refused),
            (Staged::Nothing, piece(1, 1), Progress::Refused),
            (Staged::Unknown, piece(1, 1), Progress::Stop),
        ] {
            assert_eq!(staged.piece(&piece), expected, "{staged:?} {piece:?}");
        }
        let install = |pieces| Install { id: [1; 16], pieces };
        assert_eq!(begun.install(install(2)), Progress::Follows);
        assert_eq!(begun.install(install(1)), Progress::Refused);
        assert_eq!(Staged::Nothing.install(install(0)), Progress::Refused);
        assert_eq!(Staged::Unknown.install(install(2)), Progress::Stop);
    }

    #[test]
    fn what_is_kept_is_read_back() {
        for staged in [Staged::Nothing, Staged::Unknown, Staged::Before([7; 16], 258)] {
            assert_eq!(Staged::decode(Some(&staged.encode())), Some(staged));
        }
        assert_eq!(Staged::decode(None), Some(Staged::Nothing));
        assert_eq!(Staged::decode(Some(&[1; 9])), None);
    }
}
