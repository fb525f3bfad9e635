//! One mount of the engine, and its endpoints.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use subtle::ConstantTimeEq;

use super::key::{Key, Wanted};
use super::routes::ROUTES;
use super::{barcode, uri};
use crate::engine::listing::{self, Page};
use crate::logical::field::Fields;
use crate::logical::{Answer, Backend, Call, Captures, Endpoint, Fault, Response, Routes};

const KEYS: &str = "key/";
const USED: &str = "used/";

/// See the module. It keeps nothing in memory.
#[derive(Debug)]
pub(in crate::engine) struct Totp {
    routes: Arc<Routes<Self>>,
}

/// Steps whose code was accepted. At most as many as are accepted at one time: older ones are dropped.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Used {
    steps: Vec<u64>,
}

// === impl Totp ===

impl Totp {
    pub(in crate::engine) fn new() -> Self {
        Self { routes: Arc::new(Routes::new(ROUTES)) }
    }

    pub(super) fn list(&self, call: &mut Call<'_>) -> Answer {
        let page = Page::of(&Fields::new(&call.request.data))?;
        Ok(listing::children(&call.store, KEYS, &page)?)
    }

    pub(super) fn read_key(&self, call: &mut Call<'_>) -> Answer {
        let Some(key) = load(call)? else { return Ok(Response::empty()) };
        Ok(Response::json(json!({
            "issuer": key.issuer,
            "account_name": key.account,
            "period": key.period_secs,
            "algorithm": key.algorithm.name(),
            "digits": key.digits,
        })))
    }

    /// A key replaces one of the same name, with what was used of that.
    pub(super) fn write_key(&self, call: &mut Call<'_>) -> Answer {
        let wanted = Wanted::of(&Fields::new(&call.request.data))?;
        let shown = if wanted.is_shown { show(&wanted)? } else { Response::empty() };
        call.store.put_record(&path(KEYS, call), &wanted.key)?;
        call.store.delete(&path(USED, call))?;
        Ok(shown)
    }

    pub(super) fn delete_key(&self, call: &mut Call<'_>) -> Answer {
        call.store.delete(&path(KEYS, call))?;
        call.store.delete(&path(USED, call))?;
        Ok(Response::empty())
    }

    pub(super) fn read_code(&self, call: &mut Call<'_>) -> Answer {
        let key = load(call)?.ok_or_else(|| unknown(call))?;
        let step = key.step(call.now);
        Ok(Response::json(json!({
            "code": key.code(step)?,
            "generated": call.now.unix_timestamp(),
            "expire_time": (step + 1) * key.period_secs,
            "period": go_duration(Duration::from_secs(key.period_secs)),
        })))
    }

    pub(super) fn check_code(&self, call: &mut Call<'_>) -> Answer {
        let given = Fields::new(&call.request.data).text("code")?.filter(|code| !code.is_empty());
        let given = given.ok_or_else(|| Fault::invalid("the code value is required"))?;
        let key = load(call)?.ok_or_else(|| unknown(call))?;
        if given.len() != key.digits as usize {
            return Err(Fault::invalid("invalid number of digits for the code"));
        }
        let valid = match matching(&key, call, &given)? {
            Some(step) => {
                take_use(&key, call, step)?;
                true
            }
            None => false,
        };
        Ok(Response::json(json!({ "valid": valid })))
    }
}

fn path(folder: &str, call: &Call<'_>) -> String {
    format!("{folder}{}", call.captures.get("name"))
}

fn load(call: &mut Call<'_>) -> Result<Option<Key>, Fault> {
    let path = path(KEYS, call);
    Ok(call.store.get_record(&path)?)
}

fn unknown(call: &Call<'_>) -> Fault {
    Fault::invalid(format!("unknown key: {}", call.captures.get("name")))
}

fn show(wanted: &Wanted) -> Answer {
    let url = uri::write(&wanted.key);
    let mut data = json!({ "url": url.as_str() });
    if wanted.qr_pixels > 0 {
        data["barcode"] = STANDARD.encode(barcode::png(&url, wanted.qr_pixels)?).into();
    }
    Ok(Response::json(data))
}

/// The step whose code was given. Every code is compared, in constant time.
fn matching(key: &Key, call: &Call<'_>, given: &str) -> Result<Option<u64>, Fault> {
    let mut found = None;
    for step in key.accepted(call.now) {
        let is_equal: bool = key.code(step)?.as_bytes().ct_eq(given.as_bytes()).into();
        found = if is_equal { Some(step) } else { found };
    }
    Ok(found)
}

/// Notes that the step's code was accepted, in the transaction of the answer: of two at the same time one is run again,
/// and refused.
fn take_use(key: &Key, call: &mut Call<'_>, step: u64) -> Result<(), Fault> {
    let path = path(USED, call);
    let mut used: Used = call.store.get_record(&path)?.unwrap_or_default();
    if used.steps.contains(&step) {
        return Err(Fault::invalid("code already used; wait until the next time period"));
    }
    let oldest = key.accepted(call.now).next().unwrap_or(step);
    used.steps.retain(|used| *used >= oldest);
    used.steps.push(step);
    Ok(call.store.put_record(&path, &used)?)
}

/// Whole seconds as Go writes them: `1h0m5s`.
fn go_duration(duration: Duration) -> String {
    let secs = duration.as_secs();
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    match (hours, minutes) {
        (0, 0) => format!("{secs}s"),
        (0, _) => format!("{minutes}m{secs}s"),
        _ => format!("{hours}h{minutes}m{secs}s"),
    }
}

impl Backend for Totp {
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
        // Nothing of the store is kept in memory.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barrier::{Barrier, Keyring, Mode, Transaction};
    use crate::logical::{Body, Client, MountInfo, Operation, Request};
    use crate::storage::inmem;
    use serde_json::Value;
    use time::OffsetDateTime;

    fn barrier() -> Barrier {
        let barrier = Barrier::new(inmem::open());
        barrier.open(Keyring::new([(1, &[7; 32])]));
        barrier
    }

    fn ask(
        tx: &mut Transaction,
        now: i64,
        operation: Operation,
        path: &str,
        data: &Value,
    ) -> Result<Value, String> {
        let (totp, mount) = (Totp::new(), MountInfo::default());
        let request = Request {
            id: "".into(),
            operation,
            path: path.to_owned(),
            data: Arc::new(data.as_object().cloned().unwrap_or_default()),
            body: bytes::Bytes::new(),
            upload: None,
            caller: None,
            shows_token: false,
            client: Client::default(),
            wrap_ttl: None,
            headers: Vec::new(),
        };
        let (endpoint, captures) = totp.find(path).unwrap();
        let now = OffsetDateTime::from_unix_timestamp(now).unwrap();
        let mut call = Call { request: &request, store: tx.view("logical/o/"), now, mount: &mount, captures };
        match totp.handle(endpoint, &mut call).map_err(|fault| fault.to_string())?.body {
            Body::Map(map) => Ok(Value::Object(map)),
            Body::None | Body::Encoded(_) | Body::Raw(_) | Body::Stream(_) => Ok(Value::Null),
        }
    }

    fn key(tx: &mut Transaction, skew: u64) {
        let data = json!({"key": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "issuer": "I", "account_name": "a", "skew": skew});
        ask(tx, 0, Operation::Update, "keys/k", &data).unwrap();
    }

    #[test]
    fn a_code_is_good_around_its_time_and_once() {
        let barrier = barrier();
        let mut tx = barrier.begin(Mode::ReadWrite).unwrap();
        key(&mut tx, 1);
        let code = ask(&mut tx, 59, Operation::Read, "code/k", &json!({})).unwrap();
        assert_eq!(code, json!({"code": "287082", "generated": 59, "expire_time": 60, "period": "30s"}));
        let mut check =
            |now: i64, code: &str| ask(&mut tx, now, Operation::Update, "code/k", &json!({ "code": code }));
        let valid = |valid: bool| Ok(json!({ "valid": valid }));
        assert_eq!(check(120, "287082"), valid(false), "two steps later");
        assert_eq!(check(89, "287082"), valid(true), "one step later");
        let used = Err("code already used; wait until the next time period".to_owned());
        assert_eq!((check(89, "287082"), check(59, "287082")), (used.clone(), used));
        assert_eq!(check(59, "000000"), valid(false));
        assert_eq!(check(59, "28708"), Err("invalid number of digits for the code".to_owned()));
        key(&mut tx, 0);
        let mut check =
            |now: i64| ask(&mut tx, now, Operation::Update, "code/k", &json!({ "code": "287082" }));
        assert_eq!(
            (check(60), check(59)),
            (valid(false), valid(true)),
            "a new key, used never, without skew"
        );
    }

    #[tokio::test]
    async fn of_two_at_the_same_time_one_is_refused() {
        let barrier = barrier();
        let mut tx = barrier.begin(Mode::ReadWrite).unwrap();
        key(&mut tx, 1);
        barrier.commit(tx).await.unwrap();
        let mut both: Vec<_> = (0..2).map(|_| barrier.begin(Mode::ReadWrite).unwrap()).collect();
        for tx in &mut both {
            let told = ask(tx, 59, Operation::Update, "code/k", &json!({"code": "287082"}));
            assert_eq!(told, Ok(json!({"valid": true})));
        }
        let (second, first) = (both.pop().unwrap(), both.pop().unwrap());
        assert!(barrier.commit(first).await.is_ok() && barrier.commit(second).await.is_err());
    }

    #[test]
    fn a_key_that_was_made_is_shown_once_and_its_uri_brings_it_back() {
        let barrier = barrier();
        let mut tx = barrier.begin(Mode::ReadWrite).unwrap();
        let asked = json!({"generate": true, "issuer": "V", "account_name": "a b", "algorithm": "SHA512", "digits": 8});
        let made = ask(&mut tx, 0, Operation::Update, "keys/one", &asked).unwrap();
        assert!(made["barcode"].as_str().unwrap().starts_with("iVBORw0KGgo"));
        ask(&mut tx, 0, Operation::Update, "keys/two", &json!({ "url": made["url"] })).unwrap();
        let mut read = |path: &str| ask(&mut tx, 1_000_000, Operation::Read, path, &json!({})).unwrap();
        assert_eq!(read("keys/one"), read("keys/two"));
        assert_eq!(read("code/one"), read("code/two"));
        let hidden = json!({"generate": true, "issuer": "V", "account_name": "a", "exported": false});
        assert_eq!(ask(&mut tx, 0, Operation::Update, "keys/three", &hidden), Ok(Value::Null));
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (secs, text) in [(30, "30s"), (60, "1m0s"), (3605, "1h0m5s")] {
            assert_eq!(go_duration(Duration::from_secs(secs)), text);
        }
    }
}
