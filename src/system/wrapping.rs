//! `sys/wrapping/*`: wrap, look at, open and wrap anew.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::whole;
use crate::core::token_store::{TokenEntry, TokenStore};
use crate::core::wrapping::{self, INVALID};
use crate::logical::Access::{Open, Token};
use crate::logical::field::Fields;
use crate::logical::{
    Answer, Body, Call, Effect, Fault, Field, FieldKind, Method, Operation, Raw, Response, Route, Routes,
};

/// See the module.
#[derive(Debug)]
pub struct WrappingEndpoints {
    tokens: Arc<TokenStore>,
    routes: Routes<Self>,
}

const READ_OR_WRITE: &[Operation] = &[Operation::Read, Operation::Create, Operation::Update];
const ANYTHING: &[Field] = &[Field { name: "", kind: FieldKind::Rest, description: "What is to be wrapped" }];
const TOKEN: &[Field] =
    &[Field { name: "token", kind: FieldKind::String, description: "The wrapping token" }];

/// The wrapping token may be the caller's own, or come in the body beside that of a caller who may ask.
const ROUTES: &[Route<WrappingEndpoints>] = &[
    Route::new(
        "wrapping/wrap",
        Token,
        &[Method::write(WrappingEndpoints::wrap)],
        ANYTHING,
        "Wrap the given data.",
    ),
    Route::new(
        "wrapping/lookup",
        Open,
        &[Method::new(READ_OR_WRITE, Effect::Read, WrappingEndpoints::lookup)],
        TOKEN,
        "Look at a wrapping token.",
    ),
    Route::new(
        "wrapping/unwrap",
        Token,
        &[Method::write(WrappingEndpoints::unwrap)],
        TOKEN,
        "Open a wrapped answer.",
    ),
    Route::new(
        "wrapping/rewrap",
        Token,
        &[Method::write(WrappingEndpoints::rewrap)],
        TOKEN,
        "Wrap an answer anew.",
    ),
];

// === impl WrappingEndpoints ===

impl WrappingEndpoints {
    #[must_use]
    pub fn new(tokens: Arc<TokenStore>) -> Self {
        Self { tokens, routes: Routes::new(ROUTES) }
    }

    /// The data comes back; the pipeline wraps it, as any answer.
    fn wrap(&self, call: &mut Call<'_>) -> Answer {
        if call.request.wrap_ttl.is_none() {
            return Err(Fault::invalid("endpoint requires response wrapping to be used"));
        }
        Ok(Response::of(serde_json::Map::clone(&call.request.data)))
    }

    fn lookup(&self, call: &mut Call<'_>) -> Answer {
        let entry = self.wrapping_token(call)?;
        let wrapped = wrapping::lookup(whole(call)?, entry.as_ref())?;
        Ok(Response::json(json!({
            "creation_path": wrapped.creation_path,
            "creation_time": wrapped.creation_time,
            "creation_ttl": wrapped.creation_ttl,
        })))
    }

    /// The kept answer is the whole answer, its envelope included.
    fn unwrap(&self, call: &mut Call<'_>) -> Answer {
        let entry = self.wrapping_token(call)?;
        let now = call.now;
        let opened = wrapping::unwrap(whole(call)?, &self.tokens, entry.as_ref(), now)?;
        let body = Bytes::copy_from_slice(opened.envelope.as_bytes());
        let raw = Raw { status: opened.status, content_type: "application/json", body };
        Ok(Response { body: Body::Raw(raw), ..Response::default() })
    }

    fn rewrap(&self, call: &mut Call<'_>) -> Answer {
        let entry = self.wrapping_token(call)?;
        let (now, ttl) = (call.now, call.request.wrap_ttl.map(|ttl| ttl.as_secs()));
        let info = wrapping::rewrap(whole(call)?, &self.tokens, entry.as_ref(), ttl, now)?;
        Ok(Response { wrapped: Some(Box::new(info)), ..Response::default() })
    }

    /// The token of the body, else the caller's, though its only use was just taken.
    fn wrapping_token(&self, call: &mut Call<'_>) -> Result<Option<TokenEntry>, Fault> {
        let text = Fields::new(&call.request.data).text("token")?.filter(|text| !text.is_empty());
        let (now, caller) = (call.now, call.request.caller.clone());
        let tx = whole(call)?;
        match (text, caller) {
            (Some(text), _) => Ok(self.tokens.lookup(tx, &text, now)?.map(|entry| (*entry).clone())),
            (None, Some(caller)) => Ok(self.tokens.entry(tx, &caller.token_key)?),
            (None, None) => Err(Fault::invalid(INVALID)),
        }
    }
}

impl super::Tabled for WrappingEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
