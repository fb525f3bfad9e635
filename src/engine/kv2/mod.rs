//! kv version 2: secrets with versions.
//!
//! ```text
//!   key/<name>        what is known of the key, its newest data, and the finished answer to reading it
//!   data/<n>/<name>   data of older versions, and of a newest one too large for the key's record
//!   config            of the mount                  plain/<name>   still of version 1: see `upgrade`
//! ```
//!
//! Reading the newest version takes one record and hands it out as it is; writing takes two.

mod config;
mod custom;
mod data;
mod key;
mod meta;
mod metadata;
mod subkeys;
#[cfg(test)]
mod tests;
mod upgrade;
mod versions;

use serde_json::{Map, Value};

use crate::logical::{
    Access, Answer, Backend, Call, Captures, Effect, Endpoint, Exists, Fault, Field, FieldKind, LeaseCall,
    Method, Operation, Response, Route, Routes,
};

/// One mount of the engine.
#[derive(Debug)]
pub(super) struct Kv2 {
    routes: Routes<Self>,
}

const PATH: Field = Field::new("path", FieldKind::String, "Location of the secret.");

const fn route(
    pattern: &'static str,
    methods: &'static [Method<Kv2>],
    exists: Option<Exists<Kv2>>,
    fields: &'static [Field],
    summary: &'static str,
) -> Route<Kv2> {
    Route { pattern, access: Access::Token, methods, exists, fields, summary }
}

const WRITE: &[Operation] = &[Operation::Create, Operation::Update];

const fn root_route(pattern: &'static str) -> Route<Kv2> {
    route(pattern, ROOT, None, ANYTHING, "Only lists are asked of a root.")
}

const ROOT: &[Method<Kv2>] = &[
    Method::new(&[Operation::Read, Operation::List, Operation::Scan], Effect::Read, Kv2::at_a_root),
    Method::new(&[Operation::Update, Operation::Patch, Operation::Delete], Effect::Write, Kv2::at_a_root),
];

const NOWHERE: &[Method<Kv2>] = &[
    Method::new(&[Operation::Read, Operation::List, Operation::Scan], Effect::Read, Kv2::nowhere),
    Method::new(&[Operation::Update, Operation::Patch, Operation::Delete], Effect::Write, Kv2::nowhere),
];

const NOWHERE_SUMMARY: &str = "Paths this engine does not have.";

/// Where nothing is taken nothing is unknown.
const ANYTHING: &[Field] = &[Field::new("", FieldKind::Rest, "Not read.")];

/// Each pattern with a rest has its twin without one: the server takes an empty name too.
const ROUTES: &[Route<Kv2>] = &[
    route("config", config::METHODS, None, config::FIELDS, "The settings of the mount."),
    root_route("data"),
    root_route("metadata"),
    root_route("delete"),
    root_route("undelete"),
    root_route("destroy"),
    route("data/{path:rest}", data::METHODS, Some(data::exists), data::FIELDS, data::SUMMARY),
    route("data/", data::METHODS, Some(data::exists), data::FIELDS, data::SUMMARY),
    route(
        "metadata/{path:rest}",
        metadata::METHODS,
        Some(metadata::exists),
        metadata::FIELDS,
        metadata::SUMMARY,
    ),
    route("metadata/", metadata::METHODS, Some(metadata::exists), metadata::FIELDS, metadata::SUMMARY),
    route(
        "detailed-metadata/{path:rest}",
        metadata::DETAILED,
        None,
        metadata::PAGE_FIELDS,
        "List keys with what is known of them.",
    ),
    route(
        "detailed-metadata/",
        metadata::DETAILED,
        None,
        metadata::PAGE_FIELDS,
        "List keys with what is known of them.",
    ),
    route("delete/{path:rest}", versions::DELETE, None, versions::FIELDS, "Mark versions as deleted."),
    route("delete/", versions::DELETE, None, versions::FIELDS, "Mark versions as deleted."),
    route("undelete/{path:rest}", versions::UNDELETE, None, versions::FIELDS, "Bring deleted versions back."),
    route("undelete/", versions::UNDELETE, None, versions::FIELDS, "Bring deleted versions back."),
    route("destroy/{path:rest}", versions::DESTROY, None, versions::FIELDS, "Remove the data of versions."),
    route("destroy/", versions::DESTROY, None, versions::FIELDS, "Remove the data of versions."),
    route("subkeys/{path:rest}", subkeys::METHODS, None, subkeys::FIELDS, subkeys::SUMMARY),
    route("subkeys/", subkeys::METHODS, None, subkeys::FIELDS, subkeys::SUMMARY),
    route("{path:rest}", NOWHERE, None, ANYTHING, NOWHERE_SUMMARY),
    route("", NOWHERE, None, ANYTHING, NOWHERE_SUMMARY),
];

// === impl Kv2 ===

impl Kv2 {
    pub(super) fn new() -> Self {
        Self { routes: Routes::new(ROUTES) }
    }

    fn at_a_root(&self, _call: &mut Call<'_>) -> Answer {
        Ok(not_found("Non-listing operations on the root of a K/V v2 mount are not supported."))
    }

    /// The names of the command line are part of the wire: clients show this text.
    fn nowhere(&self, call: &mut Call<'_>) -> Answer {
        let verb = match call.request.operation {
            Operation::Read | Operation::Help => "get",
            Operation::Create | Operation::Update => "put",
            Operation::Patch => "patch",
            Operation::List => "list",
            Operation::Scan => "scan",
            Operation::Delete => "delete",
        };
        Ok(not_found(&format!(
            "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to \
             use. If using the OpenBao CLI, use 'bao kv {verb}' for this operation."
        )))
    }
}

fn not_found(warning: &str) -> Response {
    Response { status: Some(404), ..Response::empty().with_warning(warning) }
}

/// A parameter that was given as `null` was given: it is the zero of its kind.
fn given<T: Default>(data: &Map<String, Value>, name: &str, value: Option<T>) -> Option<T> {
    value.or_else(|| data.contains_key(name).then(T::default))
}

impl Backend for Kv2 {
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

    fn changed(&self, _key: Option<&str>) {
        // Nothing of the store is cached.
    }

    fn tick(&self, call: &mut LeaseCall<'_>) -> Result<(), Fault> {
        Ok(upgrade::step(&mut call.store)?)
    }
}
