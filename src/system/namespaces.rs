//! `sys/namespaces`: there is the root namespace, and no other can be made.

use serde_json::Map;

use crate::logical::Access::{Open, Token};
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Method, Response, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct NamespaceEndpoints {
    routes: Routes<Self>,
}

const FIELDS: &[Field] = &[
    Field { name: "path", kind: FieldKind::String, description: "Path of the namespace." },
    Field { name: "custom_metadata", kind: FieldKind::Map, description: "Metadata of the namespace." },
];

const ROUTES: &[Route<NamespaceEndpoints>] = &[
    Route::new(
        "namespaces/?",
        Token,
        &[Method::list(|_, _| Ok(Response::empty()))],
        &[],
        "List the child namespaces.",
    ),
    Route::new(
        "namespaces/{path:rest}",
        Token,
        &[
            Method::read(|_, _| Ok(Response::empty())),
            Method::write(|_, _| Err(none_but_root())),
            Method::delete(|_, _| Ok(Response::empty())),
        ],
        FIELDS,
        "A child namespace.",
    ),
    Route::new(
        "internal/ui/namespaces",
        Open,
        &[Method::read(|_, call| visible(call))],
        &[],
        "The namespaces the caller may see.",
    ),
];

// === impl NamespaceEndpoints ===

impl NamespaceEndpoints {
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Routes::new(ROUTES) }
    }
}

impl Default for NamespaceEndpoints {
    fn default() -> Self {
        Self::new()
    }
}

fn none_but_root() -> Fault {
    Fault::invalid("this server has the root namespace only; none can be created")
}

/// The root namespace shows no child of its own as an absent list.
fn visible(call: &Call<'_>) -> Answer {
    match call.request.caller {
        Some(_) => Ok(Response::of(Map::new())),
        None => Err(Fault::Status { status: 500, text: "client token empty".to_owned() }),
    }
}

impl super::Tabled for NamespaceEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
