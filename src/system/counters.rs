//! `sys/internal/counters`: how many there are.

use std::sync::Arc;

use serde_json::json;

use super::whole;
use crate::core::identity;
use crate::core::token_store::TokenStore;
use crate::logical::Access::Token;
use crate::logical::{Answer, Call, Method, Response, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct CounterEndpoints {
    tokens: Arc<TokenStore>,
    routes: Routes<Self>,
}

const ROUTES: &[Route<CounterEndpoints>] = &[
    Route::new(
        "internal/counters/tokens",
        Token,
        &[Method::read(CounterEndpoints::tokens)],
        &[],
        "The number of service tokens.",
    ),
    Route::new(
        "internal/counters/entities",
        Token,
        &[Method::read(|_, call| entities(call))],
        &[],
        "The number of entities.",
    ),
];

// === impl CounterEndpoints ===

impl CounterEndpoints {
    #[must_use]
    pub fn new(tokens: Arc<TokenStore>) -> Self {
        Self { tokens, routes: Routes::new(ROUTES) }
    }

    fn tokens(&self, call: &mut Call<'_>) -> Answer {
        let total = self.tokens.count(whole(call)?)?;
        Ok(Response::json(json!({ "counters": { "service_tokens": { "total": total } } })))
    }
}

fn entities(call: &mut Call<'_>) -> Answer {
    let total = identity::entity_ids(whole(call)?)?.len();
    Ok(Response::json(json!({ "counters": { "entities": { "total": total } } })))
}

impl super::Tabled for CounterEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
