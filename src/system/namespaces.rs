//! `sys/namespaces`: there is the root namespace, and no other can be made.

use serde_json::Map;

use crate::logical::{
    Access, Answer, Call, Effect, Fault, Field, FieldKind, Method, Operation, Response, Route, Routes,
};

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
    Route {
        pattern: "namespaces/?",
        access: Access::Token,
        methods: &[Method::new(&[Operation::List], Effect::Read, |_, _| Ok(Response::empty()))],
        exists: None,
        fields: &[],
        summary: "List the child namespaces.",
    },
    Route {
        pattern: "namespaces/{path:rest}",
        access: Access::Token,
        methods: &[
            Method::new(&[Operation::Read], Effect::Read, |_, _| Ok(Response::empty())),
            Method::new(&[Operation::Create, Operation::Update], Effect::Write, |_, _| Err(none_but_root())),
            Method::new(&[Operation::Delete], Effect::Write, |_, _| Ok(Response::empty())),
        ],
        exists: None,
        fields: FIELDS,
        summary: "A child namespace.",
    },
    Route {
        pattern: "internal/ui/namespaces",
        access: Access::Open,
        methods: &[Method::new(&[Operation::Read], Effect::Read, |_, call| visible(call))],
        exists: None,
        fields: &[],
        summary: "The namespaces the caller may see.",
    },
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
