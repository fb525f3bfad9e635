//! `sys/config/auditing/request-headers`: which request headers the audit log tells.

use std::sync::Arc;

use serde_json::{Map, json};

use super::whole;
use crate::core::audit::{AuditedHeaders, HeaderRule, MAX_HEADERS};
use crate::core::cached::Cached;
use crate::logical::Access::Sudo;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Method, Response, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct AuditedHeaderEndpoints {
    headers: Arc<Cached<AuditedHeaders>>,
    routes: Routes<Self>,
}

const FIELDS: &[Field] = &[
    Field { name: "header", kind: FieldKind::String, description: "The name of the header." },
    Field {
        name: "hmac",
        kind: FieldKind::Bool,
        description: "Whether its values are hashed in the audit log.",
    },
];

const ROUTES: &[Route<AuditedHeaderEndpoints>] = &[
    Route::new(
        "config/auditing/request-headers",
        Sudo,
        &[Method::read(AuditedHeaderEndpoints::list)],
        &[],
        "List the request headers that are configured to be audited.",
    ),
    Route::new(
        "config/auditing/request-headers/{header:segment}",
        Sudo,
        &[
            Method::read(AuditedHeaderEndpoints::read),
            Method::write(AuditedHeaderEndpoints::write),
            Method::delete(AuditedHeaderEndpoints::delete),
        ],
        FIELDS,
        "Audit a request header, or stop auditing it.",
    ),
];

// === impl AuditedHeaderEndpoints ===

impl AuditedHeaderEndpoints {
    #[must_use]
    pub fn new(headers: Arc<Cached<AuditedHeaders>>) -> Self {
        Self { headers, routes: Routes::new(ROUTES) }
    }

    fn list(&self, call: &mut Call<'_>) -> Answer {
        let audited = self.headers.read(whole(call)?)?;
        Ok(Response { injected: true, ..Response::json(json!({ "headers": audited.headers })) })
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("header");
        let audited = self.headers.read(whole(call)?)?;
        let rule = audited.headers.get(&name.to_lowercase());
        let rule = rule.ok_or_else(|| Fault::invalid("Could not find header in config"))?;
        let data = Map::from_iter([(name.to_owned(), json!(rule))]);
        Ok(Response { injected: true, ..Response::of(data) })
    }

    fn write(&self, call: &mut Call<'_>) -> Answer {
        let hmac = Fields::new(&call.request.data).flag("hmac")?.unwrap_or_default();
        let name = call.captures.get("header").to_lowercase();
        let tx = whole(call)?;
        let mut audited = self.headers.read(tx)?;
        audited.headers.insert(name, HeaderRule { hmac });
        if audited.headers.len() > MAX_HEADERS {
            return Err(Fault::Invalid(format!("too many audited headers; max: {MAX_HEADERS}")));
        }
        self.headers.write(tx, &audited)?;
        Ok(Response::empty())
    }

    fn delete(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("header").to_lowercase();
        let tx = whole(call)?;
        let mut audited = self.headers.read(tx)?;
        if audited.headers.remove(&name).is_some() {
            self.headers.write(tx, &audited)?;
        }
        Ok(Response::empty())
    }
}

impl super::Tabled for AuditedHeaderEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
