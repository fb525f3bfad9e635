//! Header maps that are used again: a request's map ends when its answer's begins, and allocating one costs more than
//! filling it.

use std::cell::RefCell;

use http::HeaderMap;

/// More are not kept: as many as answers are read at once by a busy worker.
const MOST: usize = 64;
/// A map that grew beyond this many lines is given back to the allocator.
const LARGEST: usize = 48;

/// Emptied header maps of one worker.
#[derive(Debug, Default)]
pub(super) struct SpareMaps(RefCell<Vec<HeaderMap>>);

// === impl SpareMaps ===

impl SpareMaps {
    /// An empty map, with room where one was kept.
    pub(super) fn take(&self) -> HeaderMap {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Empties a map and keeps its room; what it held (tokens among it) is dropped here.
    pub(super) fn keep(&self, mut map: HeaderMap) {
        let mut maps = self.0.borrow_mut();
        if maps.len() < MOST && (1..=LARGEST).contains(&map.capacity()) {
            map.clear();
            maps.push(map);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_kept_map_comes_back_empty_with_its_room() {
        let spare = SpareMaps::default();
        let mut map = HeaderMap::with_capacity(12);
        let room = map.capacity();
        map.append("x-vault-token", HeaderValue::from_static("s.one"));
        map.append("x-vault-token", HeaderValue::from_static("s.two"));
        spare.keep(map);
        let map = spare.take();
        assert_eq!((map.len(), map.capacity()), (0, room));
        assert_eq!(spare.take().capacity(), 0, "there was one");
    }

    #[test]
    fn neither_too_many_nor_too_large() {
        let spare = SpareMaps::default();
        spare.keep(HeaderMap::with_capacity(LARGEST * 2));
        assert_eq!(spare.take().capacity(), 0);
        (0..=MOST).for_each(|_| spare.keep(HeaderMap::with_capacity(8)));
        assert_eq!(spare.0.borrow().len(), MOST);
    }
}
