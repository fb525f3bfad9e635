//! Names to numbers: which row of a grid belongs to which server or listener.
//!
//! A configured name keeps its row for the life of the process, whatever its position after a reload,
//! so a counter never changes owner. The last row (`other`) takes what is over the bound.

use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;

/// Named rows; one more is for the rest.
pub(super) const NAMED: usize = 16;
/// Rows of a grid that has one row a name.
pub(super) const ROWS: usize = NAMED + 1;
/// Positions (`ServerId`) the map follows; higher ones count as `other`.
const POSITIONS: usize = 64;

/// The row of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerSlot(pub(super) u8);

/// The row of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerSlot(pub(super) u8);

#[derive(Debug)]
pub(super) struct Slots {
    /// Held for a few comparisons, never across an await.
    names: Mutex<Vec<String>>,
    /// Position → row.
    map: [AtomicU8; POSITIONS],
}

impl Default for Slots {
    fn default() -> Self {
        let map = std::array::from_fn(|position| AtomicU8::new(position.min(NAMED) as u8));
        Self { names: Mutex::default(), map }
    }
}

impl Slots {
    /// The row of a name, a new one while there is room.
    pub(super) fn of_name(&self, name: &str) -> u8 {
        let mut names = self.names.lock();
        if let Some(row) = names.iter().position(|known| known == name) {
            return row as u8;
        }
        if names.len() < NAMED {
            names.push(name.to_owned());
            return (names.len() - 1) as u8;
        }
        NAMED as u8
    }

    /// Tells which name stands at which position now.
    pub(super) fn place<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        for (name, position) in names.into_iter().zip(&self.map) {
            position.store(self.of_name(name), Ordering::Relaxed);
        }
    }

    pub(super) fn at(&self, position: usize) -> u8 {
        self.map.get(position).map_or(NAMED as u8, |row| row.load(Ordering::Relaxed))
    }

    /// The label words of the rows in use, `other` last when every named row is taken.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = self.names.lock().clone();
        if words.len() == NAMED {
            words.push("other".to_owned());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_row_when_it_moves() {
        let slots = Slots::default();
        slots.place(["n1", "n2", "n3"]);
        assert_eq!((slots.at(0), slots.at(2)), (0, 2));
        slots.place(["n3", "n1", "n4"]);
        assert_eq!((slots.at(0), slots.at(1), slots.at(2)), (2, 0, 3));
        assert_eq!(slots.words(), ["n1", "n2", "n3", "n4"]);
    }

    #[test]
    fn what_is_over_the_bound_is_other() {
        let slots = Slots::default();
        let names: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
        slots.place(names.iter().map(String::as_str));
        assert_eq!((slots.at(15), slots.at(16), slots.at(500)), (15, 16, 16));
        assert_eq!(slots.words().last().unwrap(), "other");
    }
}
