//! `sys/*`: an ordinary backend, one file a topic. Each topic is a table of its own; here they are joined.

pub mod absent;
pub mod audit;
pub mod audited_headers;
pub mod authority;
pub mod capabilities;
pub mod cors;
pub mod counters;
pub mod generate_root;
pub mod ha_status;
pub mod host;
pub mod identity;
pub mod in_flight;
pub mod inspect;
pub mod keys;
pub mod leases;
pub mod locked_users;
mod lockout_config;
pub mod loggers;
pub mod metrics;
pub mod monitor;
pub mod mounts;
pub mod namespaces;
pub mod openapi;
mod outside;
pub mod plugins;
pub mod policies;
pub mod quotas;
pub mod raft;
pub mod raw;
pub mod rotation;
pub mod sanitized;
pub mod seal;
pub mod token;
pub mod tools;
pub mod ui_headers;
pub mod versions;
pub mod wrapping;

use crate::barrier::Transaction;
use crate::logical::{Answer, Backend, Call, Captures, Endpoint, Fault, Routes};

/// One topic's table.
pub trait Endpoints: Send + Sync + std::fmt::Debug {
    fn endpoints(&self) -> &[Endpoint];

    /// See [`Backend::find`].
    fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)>;

    /// # Errors
    /// See [`Fault`].
    fn handle(&self, endpoint: usize, call: &mut Call<'_>) -> Answer;
}

/// A topic whose endpoints are one table.
pub trait Tabled: Send + Sync + std::fmt::Debug + Sized + 'static {
    fn routes(&self) -> &Routes<Self>;
}

impl<T: Tabled> Endpoints for T {
    fn endpoints(&self) -> &[Endpoint] {
        self.routes().endpoints()
    }

    fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)> {
        self.routes().find(path)
    }

    fn handle(&self, endpoint: usize, call: &mut Call<'_>) -> Answer {
        self.routes().handle(endpoint, self, call)
    }
}

/// The joined tables, as one backend. Earlier topics win where two match.
#[derive(Debug)]
pub struct System {
    topics: Vec<Box<dyn Endpoints>>,
    /// All endpoints in topic order, and for each its topic and place there.
    endpoints: Vec<Endpoint>,
    places: Vec<(usize, usize)>,
    /// Place of each topic's first endpoint.
    starts: Vec<usize>,
}

impl System {
    #[must_use]
    pub fn new(topics: Vec<Box<dyn Endpoints>>) -> Self {
        let (mut endpoints, mut places, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        for (number, topic) in topics.iter().enumerate() {
            starts.push(endpoints.len());
            places.extend((0..topic.endpoints().len()).map(|at| (number, at)));
            endpoints.extend(topic.endpoints().iter().cloned());
        }
        Self { topics, endpoints, places, starts }
    }
}

/// The whole store: topics keep records of the core.
///
/// # Errors
/// The backend was mounted as an ordinary one.
fn whole<'c>(call: &'c mut Call<'_>) -> Result<&'c mut Transaction, Fault> {
    call.store.whole().ok_or_else(|| Fault::Internal("a system backend needs the whole store".to_owned()))
}

impl Backend for System {
    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)> {
        self.topics.iter().zip(&self.starts).find_map(|(topic, start)| {
            let (at, captures) = topic.find(path)?;
            Some((start + at, captures))
        })
    }

    fn exists(&self, _endpoint: usize, _call: &mut Call<'_>) -> Result<Option<bool>, Fault> {
        Ok(None)
    }

    fn handle(&self, endpoint: usize, call: &mut Call<'_>) -> Answer {
        let (topic, at) = self.places.get(endpoint).ok_or(Fault::UnsupportedPath)?;
        self.topics.get(*topic).ok_or(Fault::UnsupportedPath)?.handle(*at, call)
    }

    fn changed(&self, _key: Option<&str>) {
        // Topics keep nothing: their managers do, and are told by the core.
    }
}
