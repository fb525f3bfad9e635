//! Endpoints that this server does not have and whose refusal has words of its own.

use crate::logical::Access::Token;
use crate::logical::{Fault, Method, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct AbsentEndpoints {
    routes: Routes<Self>,
}

const ROUTES: &[Route<AbsentEndpoints>] = &[
    Route::new(
        "internal/counters/requests",
        Token,
        &[Method::read(|_, _| Err(missing("The functionality has been removed on this path")))],
        &[],
        "Removed.",
    ),
    Route::new(
        "replication/status",
        Token,
        &[Method::read(|_, _| Err(missing("unsupported path")))],
        &[],
        "There is no replication between clusters.",
    ),
];

// === impl AbsentEndpoints ===

impl AbsentEndpoints {
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Routes::new(ROUTES) }
    }
}

impl Default for AbsentEndpoints {
    fn default() -> Self {
        Self::new()
    }
}

fn missing(text: &str) -> Fault {
    Fault::NotFound(text.to_owned())
}

impl super::Tabled for AbsentEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
