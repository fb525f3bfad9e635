//! A bench for backends: mounted over a store in memory and called as the pipeline calls them, token and policies left
//! out. For tests of every engine and auth method.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::runtime::Runtime;

use super::{Answer, Backend, Body, Call, Caller, Client, Effect, Fault, LeaseCall, MountInfo, Operation};
use super::{Request, Response};
use crate::barrier::{Barrier, Keyring, Mode, Transaction};
use crate::storage::inmem;

/// Where the mount keeps its records.
const PREFIX: &str = "logical/bench/";

/// A mounted backend. A call that succeeds is committed.
pub(crate) struct Bench {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) mount: MountInfo,
    /// The moment of every call; tests move it.
    pub(crate) now: OffsetDateTime,
    pub(crate) caller: Caller,
    barrier: Barrier,
    runtime: Runtime,
}

// === impl Bench ===

impl Bench {
    /// A new store, a service token's caller, the year 2001.
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        let barrier = Barrier::new(inmem::open());
        barrier.open(Keyring::new([(1, &[7; 32])]));
        let month = Duration::from_secs(768 * 3600);
        let mount = MountInfo {
            path: "bench/".to_owned(),
            uuid: "bench".to_owned(),
            default_ttl: month,
            max_ttl: month,
            ..MountInfo::default()
        };
        let caller = Caller { cubbyhole: "hole".to_owned(), ..Caller::default() };
        let now = OffsetDateTime::from_unix_timestamp(1_000_000_000).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { backend, mount, now, caller, barrier, runtime }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// Calls the endpoint at `path`; `data` is body or query.
    pub(crate) fn call(&self, operation: Operation, path: &str, data: Value) -> Answer {
        self.call_text(operation, path, &data.to_string())
    }

    /// As [`call`](Self::call), with the JSON text as it came over the wire.
    pub(crate) fn call_text(&self, operation: Operation, path: &str, body: &str) -> Answer {
        let effect = self.effect(operation, path);
        let mode = if effect == Some(Effect::Write) { Mode::ReadWrite } else { Mode::ReadOnly };
        let (answer, tx) = self.run(mode, operation, path, body);
        if answer.is_ok() {
            self.runtime.block_on(self.barrier.commit(tx)).unwrap();
        }
        answer
    }

    /// What the endpoint declares for the operation.
    pub(crate) fn effect(&self, operation: Operation, path: &str) -> Option<Effect> {
        let (endpoint, _) = self.backend.find(path)?;
        let declared = self.backend.endpoints().get(endpoint)?;
        let method = declared.method(operation).or_else(|| {
            (operation == Operation::Update).then(|| declared.method(Operation::Create)).flatten()
        });
        method.map(|(effect, _)| effect)
    }

    /// Runs a call and leaves its transaction to the test.
    pub(crate) fn run(
        &self,
        mode: Mode,
        operation: Operation,
        path: &str,
        body: &str,
    ) -> (Answer, Transaction) {
        let mut tx = self.barrier.begin(mode).unwrap();
        let mut request = self.request(operation, path, body);
        let answer = match self.backend.find(path) {
            None => Err(Fault::UnsupportedPath),
            Some((endpoint, captures)) => (|| {
                if operation == Operation::Update
                    && self.backend.exists(endpoint, &mut self.over(&mut tx, &request, captures))?
                        == Some(false)
                {
                    request.operation = Operation::Create;
                }
                self.backend.handle(endpoint, &mut self.over(&mut tx, &request, captures))
            })(),
        };
        (answer, tx)
    }

    fn over<'c>(
        &'c self,
        tx: &'c mut Transaction,
        request: &'c Request,
        captures: super::Captures<'c>,
    ) -> Call<'c> {
        Call { request, store: tx.view(PREFIX), now: self.now, mount: &self.mount, captures }
    }

    fn request(&self, operation: Operation, path: &str, body: &str) -> Request {
        Request {
            id: "id".into(),
            operation,
            path: path.to_owned(),
            data: Arc::new(serde_json::from_str(body).unwrap_or_default()),
            body: body.as_bytes().to_vec().into(),
            upload: None,
            caller: Some(Arc::new(self.caller.clone())),
            shows_token: true,
            client: Client::default(),
            wrap_ttl: None,
            headers: Vec::new(),
        }
    }

    /// One turn of the periodic work.
    pub(crate) fn tick(&self) {
        let mut tx = self.barrier.begin(Mode::ReadWrite).unwrap();
        let internal = serde_json::Map::new();
        let mut call =
            LeaseCall { store: tx.view(PREFIX), now: self.now, mount: &self.mount, internal: &internal };
        self.backend.tick(&mut call).unwrap();
        self.runtime.block_on(self.barrier.commit(tx)).unwrap();
    }

    /// Every key of the mount.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.barrier.begin(Mode::ReadOnly).unwrap().view(PREFIX).keys("", usize::MAX).unwrap()
    }

    /// The data of a call that succeeds.
    pub(crate) fn data(&self, operation: Operation, path: &str, data: Value) -> Value {
        data_of(&self.call(operation, path, data).unwrap_or_else(|fault| panic!("{path}: {fault}")))
    }

    /// The text of a call that fails.
    pub(crate) fn fault(&self, operation: Operation, path: &str, data: Value) -> String {
        match self.call(operation, path, data) {
            Ok(response) => panic!("{path} succeeded: {}", data_of(&response)),
            Err(fault) => fault.to_string(),
        }
    }
}

/// The `data` of a response; `null` when there is none.
pub(crate) fn data_of(response: &Response) -> Value {
    match &response.body {
        Body::Map(map) => json!(map),
        Body::Encoded(text) => serde_json::from_slice(text).unwrap(),
        Body::None | Body::Raw(_) | Body::Stream(_) => Value::Null,
    }
}

/// The `data` of a 404 that has some.
pub(crate) fn gone(answer: &Answer) -> Value {
    match answer {
        Err(Fault::NotFoundWith(response)) => data_of(response),
        Ok(_) => panic!("it is there"),
        Err(fault) => panic!("{fault}"),
    }
}
