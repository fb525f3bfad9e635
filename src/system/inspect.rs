//! `sys/internal/inspect/router`: what is mounted where, from four sides. Only where the configuration says
//! `introspection_endpoint = true`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::core::mounts::Mounts;
use crate::core::router::Mounted;
use crate::logical::Access::Sudo;
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Method, Response, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct InspectEndpoints {
    mounts: Arc<Mounts>,
    routes: Routes<Self>,
}

const FIELDS: &[Field] =
    &[Field { name: "tag", kind: FieldKind::String, description: "root, uuid, accessor or storage." }];

const ROUTES: &[Route<InspectEndpoints>] = &[Route::new(
    "internal/inspect/router/{tag}",
    Sudo,
    &[Method::read(InspectEndpoints::inspect)],
    FIELDS,
    "What is mounted where.",
)];

// === impl InspectEndpoints ===

impl InspectEndpoints {
    #[must_use]
    pub fn new(mounts: Arc<Mounts>) -> Self {
        Self { mounts, routes: Routes::new(ROUTES) }
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

impl super::Tabled for InspectEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
