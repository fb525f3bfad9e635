//! The requests being answered at this moment: how many, and which (`sys/in-flight-req`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use slab::Slab;
use time::OffsetDateTime;

use super::incoming::Incoming;

/// Threads beyond them share a shelf.
const SHELVES: usize = 8;

/// See the module. Bounded by the connections and streams that are open.
#[derive(Default)]
pub struct InFlight {
    shelves: [Mutex<Slab<Flying>>; SHELVES],
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Flying {
    pub incoming: Arc<Incoming>,
    pub since: OffsetDateTime,
}

/// Until it is dropped, the request is in flight.
#[derive(Debug)]
pub(super) struct Flight<'f> {
    shelf: &'f Mutex<Slab<Flying>>,
    key: usize,
}

thread_local! {
    static SHELF: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Relaxed) % SHELVES
    };
}

// === impl InFlight ===

impl InFlight {
    pub(super) fn enter(&self, incoming: &Arc<Incoming>, since: OffsetDateTime) -> Flight<'_> {
        let shelf = &self.shelves[SHELF.with(|shelf| *shelf)];
        let key = shelf.lock().insert(Flying { incoming: Arc::clone(incoming), since });
        Flight { shelf, key }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.shelves.iter().map(|shelf| shelf.lock().len()).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// At most `limit` of them.
    #[must_use]
    pub fn list(&self, limit: usize) -> Vec<Flying> {
        let flying = self.shelves.iter().flat_map(|shelf| {
            let shelf = shelf.lock();
            shelf.iter().take(limit).map(|(_, one)| one.clone()).collect::<Vec<_>>()
        });
        flying.take(limit).collect()
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.shelf.lock().try_remove(self.key);
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InFlight({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::operation::Operation;
    use crate::logical::Client;

    #[test]
    fn a_request_is_in_flight_until_its_flight_ends() {
        let incoming = Arc::new(Incoming {
            id: "id".into(),
            operation: Operation::Read,
            path: "a".to_owned(),
            data: Arc::default(),
            body: bytes::Bytes::new(),
            upload: None,
            token: None,
            client: Client::default(),
            wrap: None,
            headers: http::HeaderMap::new(),
        });
        let in_flight = InFlight::default();
        let flights: Vec<_> =
            (0..3).map(|_| in_flight.enter(&incoming, OffsetDateTime::UNIX_EPOCH)).collect();
        assert_eq!((in_flight.len(), in_flight.list(2).len()), (3, 2));
        drop(flights);
        assert!(in_flight.is_empty());
    }
}
