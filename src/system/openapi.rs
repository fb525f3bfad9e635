//! `sys/internal/specs/openapi`: every mount's endpoints as one document.

use std::sync::Arc;

use super::outside;
use crate::core::mount::Table;
use crate::core::mounts::Mounts;
use crate::core::router::Mounted;
use crate::logical::Access::Open;
use crate::logical::openapi::{Described, Document};
use crate::logical::{
    Answer, Call, Effect, Endpoint, Fault, Field, FieldKind, Method, Operation, Response, Route, Routes,
};

/// See the module.
#[derive(Debug)]
pub struct OpenApiEndpoints {
    mounts: Arc<Mounts>,
    /// Served beside the backends.
    outside: Vec<Endpoint>,
    routes: Routes<Self>,
}

const FIELDS: &[Field] = &[
    Field {
        name: "context",
        kind: FieldKind::String,
        description: "Context string appended to every operationId.",
    },
    Field { name: "generic_mount_paths", kind: FieldKind::Bool, description: "Use generic mount paths." },
];

const ROUTES: &[Route<OpenApiEndpoints>] = &[Route::new(
    "internal/specs/openapi",
    Open,
    &[Method::new(
        &[Operation::Read, Operation::Create, Operation::Update],
        Effect::Read,
        OpenApiEndpoints::document,
    )],
    FIELDS,
    "Generate an OpenAPI 3 document of all mounted paths.",
)];

// === impl OpenApiEndpoints ===

impl OpenApiEndpoints {
    #[must_use]
    pub fn new(mounts: Arc<Mounts>) -> Self {
        Self { mounts, outside: outside::endpoints(), routes: Routes::new(ROUTES) }
    }

    /// Nobody's secrets are in it, but what is mounted is: who shows no token is told nothing.
    fn document(&self, call: &mut Call<'_>) -> Answer {
        let is_known = call.request.caller.is_some();
        if call.request.shows_token && !is_known {
            return Err(Fault::Status { status: 403, text: "permission denied".to_owned() });
        }
        let router = self.mounts.router();
        let mut mounts: Vec<&Arc<Mounted>> = router.mounts().filter(|_| is_known).collect();
        mounts.sort_by(|one, other| one.info.path.cmp(&other.info.path));
        let mut document = Document::default();
        if is_known {
            document.add(Described { prefix: "sys/", kind: "", tag: "system", endpoints: &self.outside });
        }
        for mounted in mounts {
            document.add(Described {
                prefix: &mounted.info.path,
                kind: if mounted.info.kind == "system" { "" } else { &mounted.info.kind },
                tag: tag(mounted),
                endpoints: mounted.backend.endpoints(),
            });
        }
        Ok(Response::raw_json(&document.into_json()))
    }
}

fn tag(mounted: &Mounted) -> &'static str {
    match (mounted.table, mounted.info.kind.as_str()) {
        (_, "system") => "system",
        (_, "identity") => "identity",
        (Table::Secret, _) => "secrets",
        (Table::Auth, _) => "auth",
    }
}

impl super::Tabled for OpenApiEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
