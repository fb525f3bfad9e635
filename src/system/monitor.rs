//! `sys/monitor`: the lines of this node's log while they are written, until the client goes.

use tracing::level_filters::LevelFilter;

use crate::logical::Access::Token;
use crate::logical::field::Fields;
use crate::logical::{
    Answer, Body, Call, Effect, Fault, Field, FieldKind, Method, Operation, Response, Route, Routes, Stream,
    Streamed,
};
use crate::telemetry::{LogControl, LogError};

/// See the module.
#[derive(Debug)]
pub struct MonitorEndpoints {
    log: LogControl,
    routes: Routes<Self>,
}

const FIELDS: &[Field] = &[
    Field {
        name: "log_level",
        kind: FieldKind::String,
        description: "The level from which on lines are sent: trace, debug, info, warn, error.",
    },
    Field {
        name: "log_format",
        kind: FieldKind::String,
        description: "How the lines look: standard or json. The default is standard.",
    },
];

const ROUTES: &[Route<MonitorEndpoints>] = &[Route::new(
    "monitor",
    Token,
    &[Method::new(&[Operation::Read], Effect::Local, MonitorEndpoints::watch)],
    FIELDS,
    "Stream the lines of the log.",
)];

// === impl MonitorEndpoints ===

impl MonitorEndpoints {
    #[must_use]
    pub fn new(log: LogControl) -> Self {
        Self { log, routes: Routes::new(ROUTES) }
    }

    fn watch(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let level = level(&fields.text("log_level")?.unwrap_or_default())?;
        let as_json = is_json(&fields.text("log_format")?.unwrap_or_default())?;
        let lines = self.log.watch(level, as_json).map_err(|error| match error {
            LogError::Watchers(many) => Fault::TooMany(many.to_string()),
            LogError::Open { .. } | LogError::Installed | LogError::Gone(_) | LogError::UnknownLevel(_) => {
                Fault::Internal(error.to_string())
            }
        })?;
        let streamed = Streamed { content_type: "", stream: Stream::of(lines) };
        Ok(Response { body: Body::Stream(streamed), ..Response::empty() })
    }
}

fn level(word: &str) -> Result<LevelFilter, Fault> {
    match word.to_ascii_lowercase().as_str() {
        "trace" => Ok(LevelFilter::TRACE),
        "debug" => Ok(LevelFilter::DEBUG),
        "" | "info" => Ok(LevelFilter::INFO),
        "warn" => Ok(LevelFilter::WARN),
        "error" => Ok(LevelFilter::ERROR),
        "off" => Ok(LevelFilter::OFF),
        _ => Err(Fault::invalid("unknown log level")),
    }
}

fn is_json(word: &str) -> Result<bool, Fault> {
    match word.to_ascii_lowercase().as_str() {
        "" | "standard" => Ok(false),
        "json" => Ok(true),
        _ => Err(Fault::invalid("unknown log format")),
    }
}

impl super::Tabled for MonitorEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
