//! `sys/internal/counters` and `sys/internal/inspect/router`: how many there are, and what is mounted where.

use std::sync::Arc;

use serde_json::{Value, json};

use super::whole;
use crate::core::identity;
use crate::core::mounts::Mounts;
use crate::core::router::Mounted;
use crate::core::token_store::TokenStore;
use crate::logical::{
    Access, Answer, Call, Effect, Fault, Field, FieldKind, Method, Operation, Response, Route, Routes,
};

/// See the module.
#[derive(Debug)]
pub struct CounterEndpoints {
    mounts: Arc<Mounts>,
    tokens: Arc<TokenStore>,
    routes: Routes<Self>,
}

const INSPECT_FIELDS: &[Field] =
    &[Field { name: "tag", kind: FieldKind::String, description: "root, uuid, accessor or storage." }];

macro_rules! reads {
    ($pattern:literal, $access:ident, $fields:expr, $run:expr, $summary:literal) => {
        Route {
            pattern: $pattern,
            access: Access::$access,
            methods: &[Method::new(&[Operation::Read], Effect::Read, $run)],
            exists: None,
            fields: $fields,
            summary: $summary,
        }
    };
}

const ROUTES: &[Route<CounterEndpoints>] = &[
    reads!("internal/counters/tokens", Token, &[], CounterEndpoints::tokens, "The number of service tokens."),
    reads!("internal/counters/entities", Token, &[], |_, call| entities(call), "The number of entities."),
    reads!("internal/counters/requests", Token, &[], |_, _| Err(removed()), "Removed."),
    reads!(
        "internal/inspect/router/{tag}",
        Sudo,
        INSPECT_FIELDS,
        CounterEndpoints::inspect,
        "What is mounted where."
    ),
];

// === impl CounterEndpoints ===

impl CounterEndpoints {
    #[must_use]
    pub fn new(mounts: Arc<Mounts>, tokens: Arc<TokenStore>) -> Self {
        Self { mounts, tokens, routes: Routes::new(ROUTES) }
    }

    fn tokens(&self, call: &mut Call<'_>) -> Answer {
        let total = self.tokens.count(whole(call)?)?;
        Ok(Response::json(json!({ "counters": { "service_tokens": { "total": total } } })))
    }

    fn inspect(&self, call: &mut Call<'_>) -> Answer {
        let tag = call.captures.get("tag");
        let shows_storage = match tag {
            "root" | "storage" => true,
            "uuid" | "accessor" => false,
            _ => return Err(Fault::UnsupportedPath),
        };
        let router = self.mounts.router();
        let mut mounts: Vec<&Arc<Mounted>> = router.mounts().collect();
        mounts.sort_by(|one, other| one.info.path.cmp(&other.info.path));
        let rows: Vec<Value> = mounts.into_iter().map(|mounted| inspected(mounted, shows_storage)).collect();
        let mut data = serde_json::Map::new();
        data.insert(tag.to_owned(), Value::Array(rows));
        Ok(Response::of(data))
    }
}

fn removed() -> Fault {
    Fault::NotFound("The functionality has been removed on this path".to_owned())
}

fn entities(call: &mut Call<'_>) -> Answer {
    let total = identity::entity_ids(whole(call)?)?.len();
    Ok(Response::json(json!({ "counters": { "entities": { "total": total } } })))
}

fn inspected(mounted: &Mounted, shows_storage: bool) -> Value {
    let mut row = json!({
        "accessor": mounted.entry.accessor,
        "mount_namespace": "",
        "mount_path": mounted.entry.path,
        "mount_type": mounted.entry.kind,
        "uuid": mounted.entry.uuid,
    });
    if let (true, Some(row)) = (shows_storage, row.as_object_mut()) {
        row.insert("storage_prefix".to_owned(), json!(mounted.storage));
        row.insert("tainted".to_owned(), json!(false));
    }
    row
}

impl super::Tabled for CounterEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
