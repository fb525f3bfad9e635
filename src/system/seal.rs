//! `sys/seal` and `sys/step-down`.

use std::sync::Arc;

use crate::barrier::Barrier;
use crate::logical::Access::Sudo;
use crate::logical::{Answer, Call, Effect, Method, Response, Route, Routes, WRITE};

/// See the module.
#[derive(Debug)]
pub struct SealEndpoints {
    barrier: Arc<Barrier>,
    routes: Routes<Self>,
}

const ROUTES: &[Route<SealEndpoints>] = &[
    Route::new(
        "seal",
        Sudo,
        &[Method::new(WRITE, Effect::Local, SealEndpoints::seal)],
        &[],
        "Seal this node.",
    ),
    Route::new(
        "step-down",
        Sudo,
        &[Method::write(SealEndpoints::step_down)],
        &[],
        "Make the active node give up its leadership.",
    ),
];

// === impl SealEndpoints ===

impl SealEndpoints {
    #[must_use]
    pub fn new(barrier: Arc<Barrier>) -> Self {
        Self { barrier, routes: Routes::new(ROUTES) }
    }

    /// From the answer on nothing is answered any more; the node is cleared by whoever watches the barrier.
    fn seal(&self, _call: &mut Call<'_>) -> Answer {
        self.barrier.seal();
        Ok(Response::empty())
    }

    /// A node that shares its storage with nobody has nobody to step down for.
    fn step_down(&self, _call: &mut Call<'_>) -> Answer {
        Ok(Response::empty())
    }
}

impl super::Tabled for SealEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
