//! kv version 1: whatever is written at a path is read there again.
//!
//! A field `ttl` or `lease` of a secret is a hint to its readers how long they may keep it; nothing ends when it is over.
//! A leased mount (`leased_passthrough`, type `generic`) makes a lease of every read, which therefore writes.

use zeroize::Zeroizing;

use super::listing::{self, Page};
use super::record::{self, PLAIN, Plain};
use crate::json_text::Node;
use crate::logical::{
    Access, Answer, Backend, Body, Call, Captures, Effect, Endpoint, Fault, Field, FieldKind, LeaseCall,
    LeaseRequest, Method, Operation, Renewed, Response, Route, Routes,
};

/// One mount of the engine.
#[derive(Debug)]
pub(super) struct Kv1 {
    routes: Routes<Self>,
    leased: bool,
}

const FIELDS: &[Field] =
    &[Field { name: "path", kind: FieldKind::String, description: "Location of the secret." }];

/// The root of the mount and everything below it; reading has `read`'s effect.
const fn routes(read: &'static [Method<Kv1>]) -> [Route<Kv1>; 2] {
    [route("", read), route("{path:rest}", read)]
}

const fn route(pattern: &'static str, methods: &'static [Method<Kv1>]) -> Route<Kv1> {
    Route {
        pattern,
        access: Access::Token,
        methods,
        exists: Some(Kv1::is_there),
        fields: FIELDS,
        summary: "Keep a secret at a path.",
    }
}

const fn methods(read: Effect) -> [Method<Kv1>; 5] {
    [
        Method::new(&[Operation::Read], read, Kv1::read),
        Method::new(&[Operation::Create, Operation::Update], Effect::Write, Kv1::write),
        Method::new(&[Operation::Delete], Effect::Write, Kv1::delete),
        Method::new(&[Operation::List], Effect::Read, Kv1::list),
        Method::new(&[Operation::Scan], Effect::Read, Kv1::scan),
    ]
}

const PLAIN_ROUTES: &[Route<Kv1>] = &routes(&methods(Effect::Read));
const LEASED_ROUTES: &[Route<Kv1>] = &routes(&methods(Effect::Write));

// === impl Kv1 ===

impl Kv1 {
    pub(super) fn plain() -> Self {
        Self { routes: Routes::new(PLAIN_ROUTES), leased: false }
    }

    pub(super) fn leased() -> Self {
        Self { routes: Routes::new(LEASED_ROUTES), leased: true }
    }

    fn is_there(&self, call: &mut Call<'_>) -> Result<bool, Fault> {
        Ok(call.store.version(&key(&call.request.path))?.is_some())
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let Some(record) = call.store.get(&key(&call.request.path))? else { return Ok(Response::empty()) };
        let secret = Plain::decode(record)?;
        let secs = secret.lease_secs.unwrap_or(call.mount.default_ttl.as_secs());
        let lease = self.leased.then(|| Box::new(lease(secs, secret.lease_secs.is_some())));
        let body = Body::Encoded(secret.json);
        Ok(Response { body, lease, lease_duration_secs: secs, ..Response::empty() })
    }

    fn write(&self, call: &mut Call<'_>) -> Answer {
        if call.request.path.is_empty() {
            return Err(Fault::invalid("missing path"));
        }
        let secret = secret(&record::sent(call.request), call)?;
        call.store.put(&key(&call.request.path), secret)?;
        Ok(Response::empty())
    }

    fn delete(&self, call: &mut Call<'_>) -> Answer {
        call.store.delete(&key(&call.request.path))?;
        Ok(Response::empty())
    }

    fn list(&self, call: &mut Call<'_>) -> Answer {
        let folder = key(&listing::folder(&call.request.path));
        Ok(listing::children(&call.store, &folder, &Page::WHOLE)?)
    }

    fn scan(&self, call: &mut Call<'_>) -> Answer {
        let folder = key(&listing::folder(&call.request.path));
        let keys = listing::below(&call.store, &folder)?;
        Ok(listing::scanned(listing::scan_order(&keys)))
    }
}

fn key(path: &str) -> String {
    [PLAIN, path].concat()
}

fn secret(sent: &[u8], call: &Call<'_>) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let node = record::filled_object(sent).ok_or_else(|| Fault::invalid("missing data fields"))?;
    let (json, lease_secs) = (record::text(&node, sent.len()), lease_hint(&node));
    Ok(Plain { json, lease_secs, written: record::nanos(call.now) }.encode())
}

/// The secret's own hint in seconds: `ttl`, or else `lease`, where it is a duration.
fn lease_hint(secret: &Node<'_>) -> Option<u64> {
    match secret.get("ttl").or_else(|| secret.get("lease"))? {
        Node::Text("") | Node::Word("null") => Some(0),
        Node::Text(text) | Node::Word(text) if !text.contains(' ') => {
            crate::duration::parse(text).ok().map(|hint| hint.as_secs())
        }
        Node::Text(_) | Node::Word(_) | Node::Object(_) | Node::List(_) => None,
    }
}

fn lease(secs: u64, renewable: bool) -> LeaseRequest {
    let internal = serde_json::Map::from_iter([("ttl".to_owned(), secs.into())]);
    LeaseRequest { ttl_secs: secs, max_ttl_secs: 0, renewable, internal }
}

impl Backend for Kv1 {
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

    fn renew(&self, call: &mut LeaseCall<'_>) -> Result<Renewed, Fault> {
        let ttl_secs = call.internal.get("ttl").and_then(serde_json::Value::as_u64).unwrap_or_default();
        Ok(Renewed { ttl_secs, ..Renewed::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::testing::{Bench, data_of};
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn bench() -> Bench {
        Bench::new(Arc::new(Kv1::plain()))
    }

    fn read(bench: &Bench, path: &str) -> Response {
        bench.call(Operation::Read, path, json!({})).unwrap()
    }

    #[test]
    fn what_is_written_comes_back_as_it_was_written() {
        let bench = bench();
        let text = r#"{"z":1.10,"a":123456789012345678901234567890,"m":{"y":1E5,"x":"\u00e9"},"a":-0}"#;
        bench.call_text(Operation::Update, "a/b", text).unwrap();
        let Body::Encoded(stored) = read(&bench, "a/b").body else { panic!("no data") };
        assert_eq!(std::str::from_utf8(&stored).unwrap(), r#"{"a":-0,"m":{"x":"\u00e9","y":1E5},"z":1.10}"#);
        bench.call(Operation::Delete, "a/b", json!({})).unwrap();
        assert!(matches!(read(&bench, "a/b").body, Body::None));
        assert!(bench.keys().is_empty());
    }

    #[test]
    fn a_hint_of_the_secret_stands_for_the_mounts() {
        let bench = bench();
        for (data, secs) in [
            (json!({"v": 1}), 2_764_800),
            (json!({"ttl": "10m"}), 600),
            (json!({"ttl": 30}), 30),
            (json!({"ttl": "30"}), 30),
            (json!({"ttl": "1d"}), 86_400),
            (json!({"ttl": "1.5h"}), 5_400),
            (json!({"ttl": "1500ms"}), 1),
            (json!({"ttl": ""}), 0),
            (json!({"ttl": null, "lease": "1h"}), 0),
            (json!({"lease": "1h"}), 3_600),
            (json!({"lease": "2h", "ttl": "1h"}), 3_600),
            (json!({"ttl": "bad", "lease": "1h"}), 2_764_800),
            (json!({"ttl": 1.5}), 2_764_800),
            (json!({"ttl": true}), 2_764_800),
            (json!({"ttl": {"a": 1}}), 2_764_800),
            (json!({"ttl": 99_999_999_999_i64}), 2_764_800),
            (json!({"ttl": " 5s"}), 2_764_800),
            (json!({"TTL": "1h"}), 2_764_800),
        ] {
            bench.call(Operation::Update, "s", data.clone()).unwrap();
            assert_eq!(read(&bench, "s").lease_duration_secs, secs, "{data}");
        }
    }

    #[test]
    fn a_leased_mount_makes_leases_of_reads() {
        let bench = Bench::new(Arc::new(Kv1::leased()));
        for (data, secs, renewable) in
            [(json!({"ttl": "5m"}), 300, true), (json!({"v": 1}), 2_764_800, false)]
        {
            bench.call(Operation::Update, "s", data).unwrap();
            let lease = read(&bench, "s").lease.unwrap();
            assert_eq!((lease.ttl_secs, lease.renewable), (secs, renewable));
        }
        assert_eq!(bench.effect(Operation::Read, "s"), Some(Effect::Write));
    }

    #[test]
    fn refusals_are_in_the_servers_words() {
        let bench = bench();
        for (path, data, text) in [
            ("", json!({"v": 1}), "missing path"),
            ("a", json!({}), "missing data fields"),
            ("a", Value::Null, "missing data fields"),
        ] {
            assert_eq!(bench.fault(Operation::Update, path, data), text);
        }
        assert_eq!(bench.fault(Operation::Patch, "a", json!({"v": 1})), "unsupported operation");
    }

    #[test]
    fn lists_and_scans_go_down_from_a_folder() {
        let bench = bench();
        for path in ["b", "d/x", "d/e/y", "d/e/z", "c"] {
            bench.call(Operation::Update, path, json!({"v": 1})).unwrap();
        }
        let keys =
            |operation, path| data_of(&bench.call(operation, path, json!({})).unwrap())["keys"].clone();
        assert_eq!(keys(Operation::List, ""), json!(["b", "c", "d/"]));
        assert_eq!(keys(Operation::List, "d"), json!(["e/", "x"]));
        assert_eq!(keys(Operation::List, "none/"), Value::Null);
        assert_eq!(keys(Operation::List, "b"), Value::Null);
        assert_eq!(keys(Operation::Scan, ""), json!(["b", "c", "d/x", "d/e/y", "d/e/z"]));
        assert_eq!(keys(Operation::Scan, "d/"), json!(["x", "e/y", "e/z"]));
        assert_eq!(data_of(&bench.call(Operation::Scan, "none/", json!({})).unwrap()), json!({}));
    }

    #[test]
    fn a_secret_too_large_is_refused_with_the_servers_text() {
        let text = bench().fault(Operation::Update, "a", json!({"v": "x".repeat(1024 * 1024)}));
        assert_eq!(text, "put failed due to value being too large; got 1048601 bytes, max: 1048576");
    }
}
