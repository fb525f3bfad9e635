//! `sys/metrics`: what this node counts, under the real server's names, as JSON or in Prometheus' text.
//!
//! ```text
//!   Source (the node: gauges, counters, timers) ─> Family (named, labelled) ─> json | prometheus
//! ```

mod family;
mod json;
mod prometheus;
mod window;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use family::{Family, Value};
use window::Window;

use crate::logical::field::Fields;
use crate::logical::{
    Access, Answer, Body, Call, Effect, Field, FieldKind, Method, Operation, Raw, Response, Route, Routes,
};

/// What a node knows to tell.
pub trait Source: Send + Sync + fmt::Debug {
    /// All families of this moment, any order.
    fn families(&self) -> Vec<Family>;
}

/// See the module.
#[derive(Debug)]
pub struct MetricsEndpoints {
    source: Arc<dyn Source>,
    window: Window,
    routes: Routes<Self>,
}

const FIELDS: &[Field] =
    &[Field { name: "format", kind: FieldKind::String, description: "prometheus, or nothing for JSON." }];

const METHODS: &[Method<MetricsEndpoints>] =
    &[Method::new(&[Operation::Read], Effect::Local, MetricsEndpoints::read)];

const fn route(access: Access) -> Route<MetricsEndpoints> {
    Route::new("metrics", access, METHODS, FIELDS, "Export the metrics aggregated for telemetry purpose.")
}

const ROUTES: &[Route<MetricsEndpoints>] = &[route(Access::Token)];
/// `unauthenticated_metrics_access` of a listener.
const OPEN_ROUTES: &[Route<MetricsEndpoints>] = &[route(Access::Open)];

// === impl MetricsEndpoints ===

impl MetricsEndpoints {
    /// `is_open`: whether a token is not needed.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, is_open: bool) -> Self {
        let routes = Routes::new(if is_open { OPEN_ROUTES } else { ROUTES });
        Self { source, window: Window::default(), routes }
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let format = Fields::new(&call.request.data).text("format")?.unwrap_or_default();
        let mut families = self.source.families();
        families.sort_by(|one, other| one.name.cmp(&other.name));
        let recent = |family: &Family| self.window.recent(family, call.now);
        let (status, content_type, body) = match format.as_str() {
            "" => (200, "application/json", json::write(&families, recent, call.now)),
            "prometheus" => (200, prometheus::CONTENT_TYPE, prometheus::write(&families, recent)),
            other => (400, "text/plain", format!("metric response format {other:?} unknown")),
        };
        let raw = Raw { status, content_type, body: Bytes::from(body) };
        Ok(Response { body: Body::Raw(raw), ..Response::default() })
    }
}

impl super::Tabled for MetricsEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
