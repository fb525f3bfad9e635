//! `sys/loggers`: how much each part of this node writes to its log. Until the next start or reload.

use serde_json::{Map, Value, json};
use tracing::Level;

use crate::logical::Access::Token;
use crate::logical::field::Fields;
use crate::logical::{
    Answer, Call, Effect, Fault, Field, FieldKind, Method, Operation, Response, Route, Routes, WRITE,
};
use crate::telemetry::{LogControl, LogError};

/// See the module.
#[derive(Debug)]
pub struct LoggerEndpoints {
    log: LogControl,
    routes: Routes<Self>,
}

const NAME: Field =
    Field { name: "name", kind: FieldKind::String, description: "The name of the logger to be modified." };
const LEVEL: Field = Field {
    name: "level",
    kind: FieldKind::String,
    description: "trace, debug, info (or notice), warn (or warning), error (or err).",
};
const READ: &[Operation] = &[Operation::Read];
const DELETE: &[Operation] = &[Operation::Delete];

const ROUTES: &[Route<LoggerEndpoints>] = &[
    Route::new(
        "loggers",
        Token,
        &[
            Method::new(READ, Effect::Local, |at, _| Ok(at.shown(|_| true))),
            Method::new(WRITE, Effect::Local, LoggerEndpoints::set_all),
            Method::new(DELETE, Effect::Local, |at, _| at.changed(at.log.set_loggers(None))),
        ],
        &[LEVEL],
        "The level of every logger.",
    ),
    // The slash alone is a name that is missing.
    Route::new(
        "loggers/",
        Token,
        &[
            Method::new(READ, Effect::Local, |_, _| Err(no_name())),
            Method::new(WRITE, Effect::Local, |_, _| Err(no_name())),
            Method::new(DELETE, Effect::Local, |_, _| Err(no_name())),
        ],
        &[LEVEL],
        "The level of a logger without a name.",
    ),
    Route::new(
        "loggers/{name:rest}",
        Token,
        &[
            Method::new(READ, Effect::Local, LoggerEndpoints::read),
            Method::new(WRITE, Effect::Local, LoggerEndpoints::set),
            Method::new(DELETE, Effect::Local, |at, call| at.change(call, None)),
        ],
        &[NAME, LEVEL],
        "The level of one logger.",
    ),
];

// === impl LoggerEndpoints ===

impl LoggerEndpoints {
    #[must_use]
    pub fn new(log: LogControl) -> Self {
        Self { log, routes: Routes::new(ROUTES) }
    }

    /// A logger nobody knows is shown as none.
    fn read(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("name");
        Ok(self.shown(|known| known == name))
    }

    fn shown(&self, wanted: impl Fn(&str) -> bool) -> Response {
        let loggers = self.log.loggers().into_iter().filter(|(name, _)| wanted(name));
        let data: Map<String, Value> = loggers.map(|(name, level)| (name.to_owned(), json!(level))).collect();
        Response::of(data)
    }

    fn set_all(&self, call: &mut Call<'_>) -> Answer {
        let level = level(&Fields::new(&call.request.data))?;
        self.changed(self.log.set_loggers(Some(level)))
    }

    fn set(&self, call: &mut Call<'_>) -> Answer {
        let level = level(&Fields::new(&call.request.data))?;
        self.change(call, Some(level))
    }

    fn change(&self, call: &Call<'_>, level: Option<Level>) -> Answer {
        let name = call.captures.get("name");
        match self.log.set_logger(name, level) {
            Ok(true) => Ok(Response::empty()),
            Ok(false) => Err(Fault::invalid(format!("logger {name:?} not found"))),
            Err(error) => Err(Fault::Internal(error.to_string())),
        }
    }

    fn changed(&self, outcome: Result<(), LogError>) -> Answer {
        outcome.map(|()| Response::empty()).map_err(|error| Fault::Internal(error.to_string()))
    }
}

fn no_name() -> Fault {
    Fault::invalid("name is empty")
}

fn level(fields: &Fields<'_>) -> Result<Level, Fault> {
    let word = fields.text("level")?.ok_or_else(|| Fault::invalid("level is required"))?;
    match word.to_ascii_lowercase().as_str() {
        "" => Err(Fault::invalid("level is empty")),
        "trace" => Ok(Level::TRACE),
        "debug" => Ok(Level::DEBUG),
        "info" | "notice" => Ok(Level::INFO),
        "warn" | "warning" => Ok(Level::WARN),
        "error" | "err" => Ok(Level::ERROR),
        _ => Err(Fault::invalid(format!("invalid level provided: unknown log level: {word}"))),
    }
}

impl super::Tabled for LoggerEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_servers_words() {
        let read = |data: Value| level(&Fields::new(data.as_object().unwrap())).map_err(|f| f.to_string());
        for (word, expected) in [("trace", Level::TRACE), ("NOTICE", Level::INFO), ("err", Level::ERROR)] {
            assert_eq!(read(json!({"level": word})), Ok(expected));
        }
        for (data, text) in [
            (json!({}), "level is required"),
            (json!({"level": ""}), "level is empty"),
            (json!({"level": "off"}), "invalid level provided: unknown log level: off"),
        ] {
            assert_eq!(read(data), Err(text.to_owned()));
        }
    }
}
