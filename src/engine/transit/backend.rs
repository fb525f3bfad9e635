//! One mount of the engine.

use std::sync::Arc;

use super::keystore::Keystore;
use super::routes::ROUTES;
use crate::logical::{Answer, Backend, Call, Captures, Endpoint, Fault, LeaseCall, Routes};

/// See the module. It keeps parsed keys and nothing else.
#[derive(Debug)]
pub(in crate::engine) struct Transit {
    routes: Arc<Routes<Self>>,
    pub(super) keys: Keystore,
}

// === impl Transit ===

impl Transit {
    pub(in crate::engine) fn new() -> Self {
        Self { routes: Arc::new(Routes::new(ROUTES)), keys: Keystore::new() }
    }
}

impl Backend for Transit {
    fn endpoints(&self) -> &[Endpoint] {
        self.routes.endpoints()
    }

    fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)> {
        self.routes.find(path)
    }

    fn exists(&self, endpoint: usize, call: &mut Call<'_>) -> Result<Option<bool>, Fault> {
        self.routes.exists(endpoint, self, call)
    }

    fn handle(&self, endpoint: usize, call: &mut Call<'_>) -> Answer {
        self.routes.handle(endpoint, self, call)
    }

    fn changed(&self, key: Option<&str>) {
        self.keys.changed(key);
    }

    fn tick(&self, call: &mut LeaseCall<'_>) -> Result<(), Fault> {
        self.rotate_due(call)
    }
}
