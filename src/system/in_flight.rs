//! `sys/in-flight-req`: the requests this node is answering now.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

use crate::api::operation::Operation as Asked;
use crate::core::in_flight::{Flying, InFlight};
use crate::logical::{Access, Answer, Call, Effect, Method, Operation, Response, Route, Routes};

/// Most that one answer tells.
const MAX_SHOWN: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub struct InFlightEndpoints {
    in_flight: Arc<InFlight>,
    routes: Routes<Self>,
}

const ROUTES: &[Route<InFlightEndpoints>] = &[Route {
    pattern: "in-flight-req",
    access: Access::Token,
    methods: &[Method::new(&[Operation::Read], Effect::Local, InFlightEndpoints::read)],
    exists: None,
    fields: &[],
    summary: "Reports in-flight requests.",
}];

// === impl InFlightEndpoints ===

impl InFlightEndpoints {
    #[must_use]
    pub fn new(in_flight: Arc<InFlight>) -> Self {
        Self { in_flight, routes: Routes::new(ROUTES) }
    }

    fn read(&self, _call: &mut Call<'_>) -> Answer {
        let rows: Map<String, Value> = self
            .in_flight
            .list(MAX_SHOWN)
            .iter()
            .map(|flying| (flying.incoming.id.to_string(), shown(flying)))
            .collect();
        Ok(Response::raw_json(&Value::Object(rows)))
    }
}

fn shown(flying: &Flying) -> Value {
    let incoming = &flying.incoming;
    let address =
        incoming.client.address.map(|address| std::net::SocketAddr::new(address, incoming.client.port));
    json!({
        "start_time": flying.since.format(&Rfc3339).unwrap_or_default(),
        "client_remote_address": address.map(|address| address.to_string()).unwrap_or_default(),
        "request_path": format!("/v1/{}", incoming.path),
        "request_method": verb(incoming.operation),
    })
}

/// The verb that asks for the operation; of two, the one the command line uses.
fn verb(operation: Asked) -> &'static str {
    match operation {
        Asked::Read | Asked::Help => "GET",
        Asked::Head => "HEAD",
        Asked::List => "LIST",
        Asked::Scan => "SCAN",
        Asked::Write => "PUT",
        Asked::Patch => "PATCH",
        Asked::Delete => "DELETE",
        Asked::Options => "OPTIONS",
        Asked::Other => "",
    }
}

impl super::Tabled for InFlightEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
