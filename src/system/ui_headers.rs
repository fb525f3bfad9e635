//! `sys/config/ui/headers`: response headers of the web UI. Kept for clients that manage them; this node serves no UI.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::whole;
use crate::core::cached::Cached;
use crate::logical::Access::Sudo;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Method, Response, Route, Routes};

/// Where the record is stored.
pub const KEY: &str = "core/ui-headers";
/// Most headers.
const MAX_HEADERS: usize = 256;

/// By name as it was given first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UiHeaders {
    headers: BTreeMap<String, Vec<String>>,
}

/// See the module.
#[derive(Debug)]
pub struct UiHeaderEndpoints {
    headers: Arc<Cached<UiHeaders>>,
    routes: Routes<Self>,
}

const FIELDS: &[Field] = &[
    Field { name: "header", kind: FieldKind::String, description: "The name of the header." },
    Field { name: "values", kind: FieldKind::List, description: "The values to set the header." },
    Field { name: "multivalue", kind: FieldKind::Bool, description: "Returns multiple values if true." },
];

const ROUTES: &[Route<UiHeaderEndpoints>] = &[
    Route::new(
        "config/ui/headers/?",
        Sudo,
        &[Method::list(UiHeaderEndpoints::list)],
        &[],
        "Return a list of configured UI headers.",
    ),
    Route::new(
        "config/ui/headers/{header:segment}",
        Sudo,
        &[
            Method::read(UiHeaderEndpoints::read),
            Method::write(UiHeaderEndpoints::write),
            Method::delete(UiHeaderEndpoints::delete),
        ],
        FIELDS,
        "Configure, return or remove a UI header.",
    ),
];

// === impl UiHeaders ===

impl UiHeaders {
    /// The name as it is kept: headers are alike whatever their case.
    fn kept(&self, name: &str) -> Option<String> {
        self.headers.keys().find(|kept| kept.eq_ignore_ascii_case(name)).cloned()
    }
}

// === impl UiHeaderEndpoints ===

impl UiHeaderEndpoints {
    #[must_use]
    pub fn new(headers: Arc<Cached<UiHeaders>>) -> Self {
        Self { headers, routes: Routes::new(ROUTES) }
    }

    fn list(&self, call: &mut Call<'_>) -> Answer {
        let kept = self.headers.read(whole(call)?)?;
        Ok(Response::keys(kept.headers.into_keys().collect()))
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let all = Fields::new(&call.request.data).flag("multivalue")?.unwrap_or_default();
        let name = call.captures.get("header");
        let kept = self.headers.read(whole(call)?)?;
        let Some(values) = kept.kept(name).and_then(|name| kept.headers.get(&name)) else {
            return Ok(Response::empty());
        };
        Ok(Response::json(match all {
            true => json!({ "values": values }),
            false => json!({ "value": values.first() }),
        }))
    }

    fn write(&self, call: &mut Call<'_>) -> Answer {
        let values = Fields::new(&call.request.data).list("values")?.unwrap_or_default();
        let name = call.captures.get("header");
        if values.is_empty() {
            return Err(Fault::invalid("header and values must be specified"));
        }
        if name.to_ascii_lowercase().starts_with("x-vault-") {
            return Err(Fault::invalid("X-Vault headers cannot be set"));
        }
        let tx = whole(call)?;
        let mut kept = self.headers.read(tx)?;
        kept.headers.insert(kept.kept(name).unwrap_or_else(|| name.to_owned()), values);
        if kept.headers.len() > MAX_HEADERS {
            return Err(Fault::Invalid(format!("too many headers; max: {MAX_HEADERS}")));
        }
        self.headers.write(tx, &kept)?;
        Ok(Response { status: Some(200), ..Response::empty() })
    }

    fn delete(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("header");
        let tx = whole(call)?;
        let mut kept = self.headers.read(tx)?;
        if let Some(name) = kept.kept(name) {
            kept.headers.remove(&name);
            self.headers.write(tx, &kept)?;
        }
        Ok(Response::empty())
    }
}

impl super::Tabled for UiHeaderEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
