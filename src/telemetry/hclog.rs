//! The look of a Vault server's log, which collectors know: `2026-11-24T06:18:56.184Z [INFO]  core: message: key=value`,
//! and its JSON form with `@level`, `@message`, `@module` and `@timestamp`.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Milliseconds in the text form, as Vault writes them.
const TEXT_TIME: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
/// Microseconds in the JSON form.
const JSON_TIME: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
/// What every target begins with, and no reader needs.
const OWN: &str = "understudy::";

/// One of the two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hclog {
    Text,
    Json,
}

impl<S, N> FormatEvent<S, N> for Hclog
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, module) = (*event.metadata().level(), module(event.metadata().target()));
        out.write_str(&self.line(OffsetDateTime::now_utc(), level, &module, &fields))
    }
}

// === impl Hclog ===

impl Hclog {
    /// One event as a line, with its end.
    pub(super) fn line(self, now: OffsetDateTime, level: Level, module: &str, fields: &Fields) -> String {
        let mut line = match self {
            Self::Text => text(now, level, module, fields),
            Self::Json => json(now, level, module, fields),
        };
        line.push('\n');
        line
    }
}

/// `understudy::node::workers` → `node.workers`.
pub(super) fn module(target: &str) -> String {
    target.strip_prefix(OWN).unwrap_or(target).replace("::", ".")
}

fn text(now: OffsetDateTime, level: Level, module: &str, fields: &Fields) -> String {
    let label = format!("[{level}]");
    let mut line = format!("{} {label:<7} {module}: {}", written(now, TEXT_TIME), one_line(&fields.message));
    for (at, (name, value)) in fields.others.iter().enumerate() {
        let before = if at == 0 { ": " } else { " " };
        // A String takes text; an error would be a value's own.
        if write!(line, "{before}{name}={}", quoted(value)).is_err() {
            break;
        }
    }
    line
}

fn json(now: OffsetDateTime, level: Level, module: &str, fields: &Fields) -> String {
    let mut object = Map::new();
    for (key, value) in [
        ("@level", level.as_str().to_ascii_lowercase()),
        ("@message", fields.message.clone()),
        ("@module", module.to_owned()),
        ("@timestamp", written(now, JSON_TIME)),
    ] {
        object.insert(key.to_owned(), value.into());
    }
    object.extend(fields.others.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Value::Object(object).to_string()
}

fn written(now: OffsetDateTime, form: &[BorrowedFormatItem<'_>]) -> String {
    now.format(&form).unwrap_or_default()
}

/// A value as it can stand in a line: in quotes where it would be read as something else.
fn quoted(value: &Value) -> String {
    let is_plain = |text: &&str| !text.is_empty() && !text.contains([' ', '"', '=', '\n', '\t']);
    value.as_str().filter(is_plain).map_or_else(|| value.to_string(), str::to_owned)
}

fn one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}

/// An event's message and its other fields, in their order.
#[derive(Debug, Default)]
pub(super) struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    /// A message and nothing else.
    pub(super) fn of(message: String) -> Self {
        Self { message, others: Vec::new() }
    }

    fn put(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            name => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-24 06:18:56.184_5 UTC);

    fn fields() -> Fields {
        let others = vec![
            ("address", Value::from("127.0.0.1:8200")),
            ("why", Value::from("a \"b\"\nc")),
            ("count", Value::from(3)),
        ];
        Fields { message: "listening\nnow".into(), others }
    }

    #[test]
    fn lines_look_like_vaults() {
        let line = text(NOW, Level::INFO, "node.workers", &fields());
        let expected = "2026-11-24T06:18:56.184Z [INFO]  node.workers: listening\\nnow: address=127.0.0.1:8200 \
                        why=\"a \\\"b\\\"\\nc\" count=3";
        assert_eq!(line, expected);
        assert!(text(NOW, Level::ERROR, "core", &Fields::default()).contains(" [ERROR] core: "));
    }

    #[test]
    fn objects_look_like_vaults() {
        let line: Value = serde_json::from_str(&json(NOW, Level::WARN, "core", &fields())).unwrap();
        assert_eq!((line["@level"].as_str(), line["@module"].as_str()), (Some("warn"), Some("core")));
        assert_eq!(line["@timestamp"], "2026-11-24T06:18:56.184500Z");
        assert_eq!((line["@message"].as_str(), line["count"].as_u64()), (Some("listening\nnow"), Some(3)));
    }

    #[test]
    fn modules_are_named_from_the_package_on() {
        assert_eq!(module("understudy::node::workers"), "node.workers");
        assert_eq!(module("hyper::proto"), "hyper.proto");
    }
}
