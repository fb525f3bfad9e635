//! `sys/host-info`: what the kernel says about the machine a node runs on. Names and units are those of Vault's answer.
//!
//! One file a part; each turns the text of `/proc` into JSON and is tested with such texts.

mod cpu;
mod disk;
mod machine;
mod memory;

use std::io;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::logical::Access::Token;
use crate::logical::{Effect, Method, Operation, Response, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct HostEndpoints {
    routes: Routes<Self>,
}

const ROUTES: &[Route<HostEndpoints>] = &[Route::new(
    "host-info/?",
    Token,
    &[Method::heavy(&[Operation::Read], Effect::Local, |_, call| Ok(collected(call.now)))],
    &[],
    "Information about the host instance that this server is running on.",
)];

/// Makes a part of the answer.
type Part = fn() -> io::Result<Value>;

/// The parts, by their names in the answer.
const PARTS: &[(&str, Part)] = &[
    ("cpu", cpu::models),
    ("cpu_times", cpu::times),
    ("disk", disk::usage),
    ("host", machine::about),
    ("memory", memory::usage),
];

// === impl HostEndpoints ===

impl HostEndpoints {
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Routes::new(ROUTES) }
    }
}

impl Default for HostEndpoints {
    fn default() -> Self {
        Self::new()
    }
}

/// Every part that could be read; a warning for every other.
fn collected(now: OffsetDateTime) -> Response {
    let (mut data, mut warnings) = (Map::new(), Vec::new());
    for (name, part) in PARTS {
        match part() {
            Ok(value) => drop(data.insert((*name).to_owned(), value)),
            Err(error) => warnings.push(format!("error fetching {name} information: {error}")),
        }
    }
    data.insert("timestamp".to_owned(), json!(now.format(&Rfc3339).unwrap_or_default()));
    Response { warnings, ..Response::of(data) }
}

/// Of nothing, nothing is used.
#[expect(clippy::cast_precision_loss, reason = "a share, told to a person")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

impl super::Tabled for HostEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::Body;

    #[test]
    fn this_machine_tells_every_part() {
        let response = collected(OffsetDateTime::UNIX_EPOCH);
        assert!(response.warnings.is_empty(), "{:?}", response.warnings);
        let Body::Map(data) = response.body else { panic!("no data") };
        let names: Vec<&str> = data.keys().map(String::as_str).collect();
        assert_eq!(names, ["cpu", "cpu_times", "disk", "host", "memory", "timestamp"]);
        assert!(data["cpu"].as_array().is_some_and(|cpus| !cpus.is_empty()));
        assert!(data["memory"]["total"].as_u64().is_some_and(|bytes| bytes > 0));
        assert!(data["host"]["bootTime"].as_u64().is_some_and(|seconds| seconds > 0));
    }
}
