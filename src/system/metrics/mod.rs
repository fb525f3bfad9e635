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
use time::OffsetDateTime;

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

/// How they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// First word of their names.
    pub prefix: String,
    /// Whether there is the Prometheus form.
    pub prometheus: bool,
}

/// The numbers of this moment, as text; also for listeners that ask for no token.
#[derive(Debug)]
pub struct Exporter {
    source: Arc<dyn Source>,
    form: Form,
    window: Window,
}

/// See the module.
#[derive(Debug)]
pub struct MetricsEndpoints {
    exporter: Arc<Exporter>,
    routes: Routes<Self>,
}

const FIELDS: &[Field] =
    &[Field { name: "format", kind: FieldKind::String, description: "prometheus, or nothing for JSON." }];

const ROUTES: &[Route<MetricsEndpoints>] = &[Route::new(
    "metrics",
    Access::Token,
    &[Method::new(&[Operation::Read], Effect::Local, MetricsEndpoints::read)],
    FIELDS,
    "Export the metrics aggregated for telemetry purpose.",
)];

// === impl Form ===

impl Default for Form {
    /// The server's.
    fn default() -> Self {
        Self { prefix: "vault".to_owned(), prometheus: true }
    }
}

// === impl Exporter ===

impl Exporter {
    #[must_use]
    pub fn new(source: Arc<dyn Source>, form: Form) -> Self {
        Self { source, form, window: Window::default() }
    }

    /// In JSON, or as `format` says.
    #[must_use]
    pub fn export(&self, format: &str, now: OffsetDateTime) -> Raw {
        let mut families = self.source.families();
        families.sort_by(|one, other| one.name.cmp(&other.name));
        let recent = |family: &Family| self.window.recent(family, now);
        let prefix = &self.form.prefix;
        let (status, content_type, body) = match format {
            "" => (200, "application/json", json::write(prefix, &families, recent, now)),
            "prometheus" if self.form.prometheus => {
                (200, prometheus::CONTENT_TYPE, prometheus::write(prefix, &families, recent))
            }
            "prometheus" => (400, "text/plain", "prometheus is not enabled".to_owned()),
            other => (400, "text/plain", format!("metric response format {other:?} unknown")),
        };
        Raw { status, content_type, body: Bytes::from(body) }
    }
}

// === impl MetricsEndpoints ===

impl MetricsEndpoints {
    #[must_use]
    pub fn new(exporter: Arc<Exporter>) -> Self {
        Self { exporter, routes: Routes::new(ROUTES) }
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let format = Fields::new(&call.request.data).text("format")?.unwrap_or_default();
        let raw = self.exporter.export(&format, call.now);
        Ok(Response { body: Body::Raw(raw), ..Response::default() })
    }
}

impl super::Tabled for MetricsEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
