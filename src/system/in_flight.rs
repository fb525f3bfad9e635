//! `sys/in-flight-req`: the requests this node is answering now.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::whole;
use crate::api::operation::Operation as Asked;
use crate::barrier::{StoreError, Transaction};
use crate::core::in_flight::{Flying, InFlight};
use crate::core::token_store::TokenStore;
use crate::logical::Access::Token;
use crate::logical::{Answer, Call, Effect, Method, Operation, Response, Route, Routes};

/// Most that one answer tells.
const MAX_SHOWN: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub struct InFlightEndpoints {
    in_flight: Arc<InFlight>,
    tokens: Arc<TokenStore>,
    routes: Routes<Self>,
}

const ROUTES: &[Route<InFlightEndpoints>] = &[Route::new(
    "in-flight-req",
    Token,
    &[Method::new(&[Operation::Read], Effect::Local, InFlightEndpoints::read)],
    &[],
    "Reports in-flight requests.",
)];

// === impl InFlightEndpoints ===

impl InFlightEndpoints {
    #[must_use]
    pub fn new(in_flight: Arc<InFlight>, tokens: Arc<TokenStore>) -> Self {
        Self { in_flight, tokens, routes: Routes::new(ROUTES) }
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let now = call.now;
        let tx = whole(call)?;
        let mut rows = Map::new();
        for flying in self.in_flight.list(MAX_SHOWN) {
            let mut row = shown(&flying);
            if let Some(client) = self.client(tx, &flying, now)? {
                row["client_id"] = client.into();
            }
            rows.insert(flying.incoming.id.to_string(), row);
        }
        Ok(Response::raw_json(&Value::Object(rows)))
    }

    /// Whose token it shows; looked up only when somebody asks.
    fn client(
        &self,
        tx: &mut Transaction,
        flying: &Flying,
        now: OffsetDateTime,
    ) -> Result<Option<String>, StoreError> {
        let Some(token) = &flying.incoming.token else { return Ok(None) };
        Ok(self.tokens.lookup(tx, token, now)?.map(|entry| entry.client_id()))
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
