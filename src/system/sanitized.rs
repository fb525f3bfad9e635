//! `sys/config/state/sanitized`: what this node was configured with, without anything secret.

use serde_json::{Map, Value};

use crate::logical::Access::Token;
use crate::logical::{Effect, Method, Operation, Response, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct SanitizedEndpoints {
    configuration: Map<String, Value>,
    routes: Routes<Self>,
}

const ROUTES: &[Route<SanitizedEndpoints>] = &[Route::new(
    "config/state/sanitized",
    Token,
    &[Method::new(&[Operation::Read], Effect::Local, |at, _| Ok(Response::of(at.configuration.clone())))],
    &[],
    "Return a sanitized version of the server's configuration.",
)];

// === impl SanitizedEndpoints ===

impl SanitizedEndpoints {
    /// `configuration` is shown as it is: it must hold no secret.
    #[must_use]
    pub fn new(configuration: Map<String, Value>) -> Self {
        Self { configuration, routes: Routes::new(ROUTES) }
    }
}

impl super::Tabled for SanitizedEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
