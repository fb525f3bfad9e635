//! `cubbyhole`: a private place for each token; it goes when the token does.
//!
//! Secrets are kept below the token's own random id. Clearing them is the token store's, in the transaction that revokes.

use zeroize::Zeroizing;

use super::listing::{self, Page};
use super::record::{self, Plain};
use crate::logical::{
    Access, Answer, Backend, Body, Call, Captures, Effect, Endpoint, Fault, Field, FieldKind, Method,
    Operation, Response, Route, Routes,
};

/// The only mount of the engine.
#[derive(Debug)]
pub(super) struct Cubbyhole {
    routes: Routes<Self>,
}

const FIELDS: &[Field] =
    &[Field { name: "path", kind: FieldKind::String, description: "Location of the secret." }];

const METHODS: &[Method<Cubbyhole>] = &[
    Method::new(&[Operation::Read], Effect::Read, Cubbyhole::read),
    Method::new(&[Operation::Create, Operation::Update], Effect::Write, Cubbyhole::write),
    Method::new(&[Operation::Delete], Effect::Write, Cubbyhole::delete),
    Method::new(&[Operation::List], Effect::Read, Cubbyhole::list),
];

const ROUTES: &[Route<Cubbyhole>] = &[route(""), route("{path:rest}")];

const fn route(pattern: &'static str) -> Route<Cubbyhole> {
    Route {
        pattern,
        access: Access::Token,
        methods: METHODS,
        exists: Some(Cubbyhole::is_there),
        fields: FIELDS,
        summary: "Keep a secret only this token can see.",
    }
}

// === impl Cubbyhole ===

impl Cubbyhole {
    pub(super) fn new() -> Self {
        Self { routes: Routes::new(ROUTES) }
    }

    fn is_there(&self, call: &mut Call<'_>) -> Result<bool, Fault> {
        let key = key(call)?;
        Ok(call.store.get(&key)?.is_some())
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let key = key(call)?;
        needs_path(call)?;
        let Some(record) = call.store.get(&key)? else { return Ok(Response::empty()) };
        Ok(Response { body: Body::Encoded(Plain::decode(record)?.json), ..Response::empty() })
    }

    fn write(&self, call: &mut Call<'_>) -> Answer {
        let key = key(call)?;
        needs_path(call)?;
        let secret = secret(&record::sent(call.request), call)?;
        call.store.put(&key, secret)?;
        Ok(Response::empty())
    }

    fn delete(&self, call: &mut Call<'_>) -> Answer {
        let key = key(call)?;
        call.store.delete(&key)?;
        Ok(Response::empty())
    }

    fn list(&self, call: &mut Call<'_>) -> Answer {
        let folder = listing::folder(&key(call)?);
        Ok(listing::children(&call.store, &folder, &Page::WHOLE)?)
    }
}

/// Where the caller's secret is.
fn key(call: &Call<'_>) -> Result<String, Fault> {
    let own = call.request.caller.as_ref().filter(|caller| !caller.is_batch && !caller.cubbyhole.is_empty());
    let own = own
        .ok_or_else(|| Fault::invalid("cubbyhole operations are only supported by 'service' type tokens"))?;
    Ok([own.cubbyhole.as_str(), "/", &call.request.path].concat())
}

/// The server calls what a client forgot here an internal error.
fn needs_path(call: &Call<'_>) -> Result<(), Fault> {
    if call.request.path.is_empty() { Err(Fault::Internal("missing path".to_owned())) } else { Ok(()) }
}

fn secret(sent: &[u8], call: &Call<'_>) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let missing = || Fault::Internal("missing data fields".to_owned());
    let node = record::filled_object(sent).ok_or_else(missing)?;
    let json = record::text(&node, sent.len());
    Ok(Plain { json, lease_secs: None, written: record::nanos(call.now) }.encode())
}

impl Backend for Cubbyhole {
    fn endpoints(&self) -> &[Endpoint] {
        self.routes.endpoints()
    }

    fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)> {
        self.routes.find(path)
    }

    fn exists(&self, endpoint: usize, call: &mut Call<'_>) -> Result<Option<bool>, Fault> {
        self.routes.exists(endpoint, self, call)
    }

    fn handle(&self, endpoint: usize, call: &mut Call<'_>) -> Answer {
        self.routes.handle(endpoint, self, call)
    }

    fn changed(&self, _key: Option<&str>) {
        // Nothing of the store is cached.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::Caller;
    use crate::logical::testing::{Bench, data_of};
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn bench() -> Bench {
        Bench::new(Arc::new(Cubbyhole::new()))
    }

    #[test]
    fn each_token_sees_its_own() {
        let mut bench = bench();
        bench.call(Operation::Update, "d/a", json!({"v": 1})).unwrap();
        assert_eq!(bench.data(Operation::Read, "d/a", json!({})), json!({"v": 1}));
        assert_eq!(bench.data(Operation::List, "", json!({})), json!({"keys": ["d/"]}));
        assert_eq!(bench.keys(), ["hole/d/a"]);
        bench.caller = Caller { cubbyhole: "other".to_owned(), ..Caller::default() };
        assert_eq!(bench.data(Operation::Read, "d/a", json!({})), Value::Null);
        assert_eq!(bench.data(Operation::List, "", json!({})), Value::Null);
        bench.call(Operation::Delete, "d/a", json!({})).unwrap();
        bench.caller = Caller { cubbyhole: "hole".to_owned(), ..Caller::default() };
        assert_eq!(data_of(&bench.call(Operation::Read, "d/a", json!({})).unwrap()), json!({"v": 1}));
    }

    #[test]
    fn a_batch_token_has_none() {
        let mut bench = bench();
        bench.caller.is_batch = true;
        for operation in [Operation::Read, Operation::Update, Operation::Delete, Operation::List] {
            let text = "cubbyhole operations are only supported by 'service' type tokens";
            assert_eq!(bench.fault(operation, "a", json!({"v": 1})), text);
        }
    }

    #[test]
    fn what_is_missing_is_an_internal_error() {
        let bench = bench();
        for (operation, path, data, text) in [
            (Operation::Update, "a", json!({}), "missing data fields"),
            (Operation::Update, "", json!({"v": 1}), "missing path"),
            (Operation::Read, "", json!({}), "missing path"),
        ] {
            let fault = bench.call(operation, path, data).unwrap_err();
            assert!(matches!(&fault, Fault::Internal(said) if said == text), "{fault}");
        }
        bench.call(Operation::Delete, "", json!({})).unwrap();
    }
}
