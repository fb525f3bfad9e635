//! One request, start to end.
//!
//! ```text
//!   route ─> begin ─> token ─> policies ─> audit ─> backend ─> token of a login, lease, wrapping ─> commit ─> audit
//!              └────────────────── run again when a concurrent change came first ──────────────────────┘
//! ```
//!
//! Everything between begin and commit is one transaction: a login that spends a secret id, makes a token and registers
//! its lease does all of it or nothing. A use of a use-limited token is taken before, on its own: a request that fails
//! has used it too.

use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::answer::{self, Answered};
use super::audit::Broker;
use super::incoming::Incoming;
use super::mounts::Mounts;
use super::router::Mounted;
use super::token_store::{TokenEntry, TokenStore};
use super::trail::{self, Grounds, Trail};
use super::{expiration, wrapping};
use crate::api::operation::Operation as Asked;
use crate::barrier::{Barrier, Mode, Transaction};
use crate::logical::{
    Access, Auth, Body, Call, Caller, Captures, Cost, Effect, Endpoint, Fault, LeaseRequest, Operation,
    Request, Response, envelope,
};
use crate::storage::CommitError;

/// How often a request that loses to concurrent changes is run.
const MAX_RUNS: u32 = 32;

/// What policies say of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    pub sudo: bool,
}

/// What is asked of policies.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    pub operation: Operation,
    /// The whole path.
    pub path: &'q str,
    pub request: &'q Incoming,
    /// Policies and their paths may expire.
    pub now: OffsetDateTime,
}

/// Decides by the token's policies.
pub trait Authorizer: Send + Sync + fmt::Debug {
    /// # Errors
    /// The policies cannot be read.
    fn decide(
        &self,
        tx: &mut Transaction,
        entry: &TokenEntry,
        question: Question<'_>,
    ) -> Result<Verdict, Fault>;

    /// Why [`decide`](Self::decide) said what it did; asked only when there is an audit log.
    ///
    /// # Errors
    /// The policies cannot be read.
    fn grounds(
        &self,
        _tx: &mut Transaction,
        entry: &TokenEntry,
        _question: Question<'_>,
    ) -> Result<Grounds, Fault> {
        let granting = if entry.is_root() { vec!["root".to_owned()] } else { Vec::new() };
        Ok(Grounds { granting, ..Grounds::default() })
    }
}

/// The heart: handles and no behaviour of its own beyond the order of the steps.
#[derive(Debug)]
pub struct Core {
    pub barrier: Arc<Barrier>,
    pub mounts: Arc<Mounts>,
    pub tokens: Arc<TokenStore>,
    pub policies: Arc<dyn Authorizer>,
    pub audit: Arc<Broker>,
}

/// Where a request goes, found before anything of it runs.
struct Target {
    mounted: Arc<Mounted>,
    /// Relative to the mount.
    path: String,
    endpoint: Option<usize>,
    access: Access,
    effect: Effect,
    cost: Cost,
}

/// What one run came to.
struct Run {
    trail: Trail,
    outcome: Result<Response, Fault>,
    transaction: Transaction,
}

// === impl Core ===

impl Core {
    /// Answers a request.
    pub async fn handle(self: &Arc<Self>, incoming: Incoming, now: OffsetDateTime) -> Answered {
        let incoming = Arc::new(incoming);
        let mut trail = Trail::new(&self.audit, &incoming, plain(incoming.operation), now);
        let spent = match self.take_use(&incoming, now).await {
            Ok(spent) => spent,
            Err(error) => return failed(&trail, commit_fault(&error)),
        };
        for _ in 0..MAX_RUNS {
            match self.run(&incoming, spent.clone(), &mut trail).await {
                Ok(answered) => return answered,
                Err(CommitError::Conflict) => {}
                Err(error) => return failed(&trail, commit_fault(&error)),
            }
        }
        let text = "too many concurrent changes of what this request reads; try again".to_owned();
        failed(&trail, Fault::Status { status: 500, text })
    }

    /// Takes a use of a use-limited token, on its own; the entry as it was, because after its last use the token opens
    /// nothing any more but this request.
    async fn take_use(
        &self,
        incoming: &Incoming,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<TokenEntry>>, CommitError> {
        let Some(text) = &incoming.token else { return Ok(None) };
        for _ in 0..MAX_RUNS {
            let Ok(mut tx) = self.barrier.begin(Mode::ReadWrite) else { return Ok(None) };
            let Ok(Some(entry)) = self.tokens.lookup(&mut tx, text, now) else { return Ok(None) };
            if entry.num_uses <= 0 {
                return Ok(None);
            }
            if self.tokens.consume_use(&mut tx, &entry, now).is_err() {
                return Err(CommitError::NotWritable);
            }
            match self.barrier.commit(tx).await {
                Ok(_) => return Ok(Some(entry)),
                Err(CommitError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(CommitError::Conflict)
    }

    async fn run(
        self: &Arc<Self>,
        incoming: &Arc<Incoming>,
        spent: Option<Arc<TokenEntry>>,
        trail: &mut Trail,
    ) -> Result<Answered, CommitError> {
        let target = self.target(incoming);
        let mode = target.as_ref().map_or(Mode::ReadOnly, |target| target.mode(incoming));
        let Ok(transaction) = self.barrier.begin(mode) else {
            return Ok(Answered::errors(503, "Vault is sealed"));
        };
        let heavy = target.as_ref().is_some_and(|target| target.cost == Cost::Heavy);
        let begun = trail.clone();
        let run = if heavy {
            let (core, incoming) = (Arc::clone(self), Arc::clone(incoming));
            let evaluate = move || core.evaluate(transaction, target.as_ref(), &incoming, spent, begun);
            let Ok(run) = tokio::task::spawn_blocking(evaluate).await else {
                return Ok(failed(trail, trail::internal_error()));
            };
            run
        } else {
            self.evaluate(transaction, target.as_ref(), incoming, spent, begun)
        };
        *trail = run.trail;
        self.finish(trail, run.outcome, run.transaction).await
    }

    /// A failed request changes nothing. What was not written down is not told.
    async fn finish(
        &self,
        trail: &Trail,
        outcome: Result<Response, Fault>,
        transaction: Transaction,
    ) -> Result<Answered, CommitError> {
        let index = match outcome {
            Ok(_) => self.barrier.commit(transaction).await?,
            Err(_) => transaction.index(),
        };
        Ok(told(trail, &outcome).at(index))
    }

    fn target(&self, incoming: &Incoming) -> Option<Target> {
        let router = self.mounts.router();
        let (mounted, path) = router.route(&incoming.path)?;
        let endpoint = mounted.backend.find(path).map(|(endpoint, _)| endpoint);
        let known = endpoint.and_then(|endpoint| mounted.backend.endpoints().get(endpoint));
        let method = known.and_then(|known| method(known, incoming.operation));
        let (effect, cost) = method.unwrap_or((Effect::Read, Cost::Light));
        Some(Target {
            path: path.to_owned(),
            access: known.map_or(Access::Token, |known| known.access),
            mounted: Arc::clone(mounted),
            endpoint,
            effect,
            cost,
        })
    }

    fn evaluate(
        &self,
        mut tx: Transaction,
        target: Option<&Target>,
        incoming: &Incoming,
        spent: Option<Arc<TokenEntry>>,
        mut trail: Trail,
    ) -> Run {
        let now = trail.now;
        trail.operation = plain(incoming.operation);
        let token = match spent {
            Some(entry) => Ok(Some(entry)),
            None => self.token(&mut tx, incoming, now),
        };
        let admitted = token.map(|token| token.filter(|entry| entry.admits(incoming.client.address)));
        let outcome = match admitted {
            Ok(token) => self.steps(&mut tx, target, incoming, token, &mut trail),
            Err(fault) => trail.request(Some(&fault)).and(Err(fault)),
        };
        Run { trail, outcome, transaction: tx }
    }

    fn steps(
        &self,
        tx: &mut Transaction,
        target: Option<&Target>,
        incoming: &Incoming,
        token: Option<Arc<TokenEntry>>,
        trail: &mut Trail,
    ) -> Result<Response, Fault> {
        let open = target.is_some_and(|target| target.access == Access::Open);
        trail.about(target.map(|target| &target.mounted), open, token.as_ref());
        let admitted = self.admit(tx, target, incoming, token.as_deref(), trail);
        trail.request(admitted.as_ref().err())?;
        let (Some(target), Some(request)) = (target, admitted?) else {
            return Err(Fault::NotFound(format!(
                "no handler for route {:?}. route entry not found.",
                incoming.path
            )));
        };
        trail.routed();
        let response = self.backend(tx, target, &request, trail.now)?;
        self.complete(tx, target, incoming, token.as_deref(), response, trail.now)
    }

    /// The request as its backend gets it, once policies allow it; `None` where no mount serves the path.
    fn admit(
        &self,
        tx: &mut Transaction,
        target: Option<&Target>,
        incoming: &Incoming,
        token: Option<&TokenEntry>,
        trail: &mut Trail,
    ) -> Result<Option<Request>, Fault> {
        let shows_token = target.is_some_and(|target| target.mounted.entry.kind == "token");
        let text = incoming.token.as_ref().filter(|_| shows_token);
        let caller = token.map(|entry| Arc::new(caller(entry, text)));
        let mut request = target.map(|target| request(incoming, target, trail.operation, caller));
        if let (Some(target), Some(request)) = (target, &mut request) {
            request.operation = self.create_or_update(tx, target, request, trail.now)?;
            trail.operation = request.operation;
        }
        if target.is_none_or(|target| target.access != Access::Open) {
            self.authorize(tx, token.ok_or_else(denied)?, target, incoming, trail)?;
        }
        Ok(request)
    }

    /// The token shown, if it is one.
    fn token(
        &self,
        tx: &mut Transaction,
        incoming: &Incoming,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<TokenEntry>>, Fault> {
        let Some(text) = &incoming.token else { return Ok(None) };
        Ok(self.tokens.lookup(tx, text, now)?)
    }

    fn authorize(
        &self,
        tx: &mut Transaction,
        entry: &TokenEntry,
        target: Option<&Target>,
        incoming: &Incoming,
        trail: &mut Trail,
    ) -> Result<(), Fault> {
        let (operation, now) = (trail.operation, trail.now);
        let question = Question { operation, path: &incoming.path, request: incoming, now };
        let verdict = self.policies.decide(tx, entry, question)?;
        let needs_sudo = target.is_some_and(|target| target.access == Access::Sudo);
        let allowed = verdict.allowed && (verdict.sudo || !needs_sudo);
        if !trail.is_silent() {
            trail.judged(allowed, self.policies.grounds(tx, entry, question)?);
        }
        if allowed { Ok(()) } else { Err(Fault::Denied) }
    }

    /// A write of what does not exist is a create, where the endpoint tells.
    fn create_or_update(
        &self,
        tx: &mut Transaction,
        target: &Target,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<Operation, Fault> {
        let (Operation::Update, Some(endpoint)) = (request.operation, target.endpoint) else {
            return Ok(request.operation);
        };
        let mut call = target.call(tx, request, now);
        match target.mounted.backend.exists(endpoint, &mut call)? {
            Some(false) => Ok(Operation::Create),
            Some(true) | None => Ok(Operation::Update),
        }
    }

    fn backend(
        &self,
        tx: &mut Transaction,
        target: &Target,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<Response, Fault> {
        let endpoint = target.endpoint.ok_or(Fault::UnsupportedPath)?;
        let mut response = target.mounted.backend.handle(endpoint, &mut target.call(tx, request, now))?;
        let known = target.mounted.backend.endpoints().get(endpoint);
        if let Some(ignored) = known.and_then(|known| unrecognized(known, request)) {
            warn_beside_data(&mut response, ignored);
        }
        Ok(response)
    }

    /// What the answer of a backend still needs: the token of a login, the lease of a secret, its wrapping.
    fn complete(
        &self,
        tx: &mut Transaction,
        target: &Target,
        incoming: &Incoming,
        token: Option<&TokenEntry>,
        mut response: Response,
        now: OffsetDateTime,
    ) -> Result<Response, Fault> {
        if let Some(auth) = response.auth.take() {
            self.log_in(tx, target, incoming, &auth, &mut response, now)?;
        }
        if let (Some(lease), Some(token)) = (response.lease.take(), token) {
            register(tx, target, incoming, &lease, token, &mut response, now)?;
        }
        match incoming.wrap {
            Some(wrap) if has_content(&response) => {
                let envelope = envelope::write(&incoming.id, &response)
                    .map_err(|_| Fault::Internal("the answer to wrap is not JSON".to_owned()))?;
                let accessor =
                    response.granted.as_ref().map(|granted| granted.accessor.clone()).unwrap_or_default();
                let to_wrap = wrapping::ToWrap {
                    envelope: &envelope,
                    ttl_secs: wrap.ttl.as_secs(),
                    request_path: &incoming.path,
                    wrapped_accessor: &accessor,
                };
                let wrapped = wrapping::wrap(tx, &self.tokens, to_wrap, now)?;
                Ok(Response { wrapped: Some(Box::new(wrapped)), ..Response::empty() })
            }
            _ => Ok(response),
        }
    }

    fn log_in(
        &self,
        tx: &mut Transaction,
        target: &Target,
        incoming: &Incoming,
        auth: &Auth,
        response: &mut Response,
        now: OffsetDateTime,
    ) -> Result<(), Fault> {
        let mount = &target.mounted.info;
        let made = self.tokens.finish_login(tx, auth, mount, "", &[], &incoming.path, now)?;
        response.warnings.extend(made.warnings);
        response.granted = Some(Box::new(made.granted));
        Ok(())
    }
}

fn register(
    tx: &mut Transaction,
    target: &Target,
    incoming: &Incoming,
    lease: &LeaseRequest,
    token: &TokenEntry,
    response: &mut Response,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let (id, ttl) = expiration::register(tx, &incoming.path, &target.mounted.info, lease, token, now)?;
    response.lease_id = id;
    response.lease_renewable = lease.renewable;
    response.lease_duration_secs = ttl;
    Ok(())
}

// === impl Target ===

impl Target {
    /// Reads run read-only: they record nothing and conflict with nobody.
    fn mode(&self, incoming: &Incoming) -> Mode {
        match self.effect {
            Effect::Read | Effect::Local if incoming.wrap.is_none() => Mode::ReadOnly,
            Effect::Read | Effect::Local | Effect::Write => Mode::ReadWrite,
        }
    }

    fn call<'c>(&'c self, tx: &'c mut Transaction, request: &'c Request, now: OffsetDateTime) -> Call<'c> {
        let captures =
            self.mounted.backend.find(&self.path).map_or_else(Captures::default, |(_, found)| found);
        Call { request, store: tx.view(&self.mounted.storage), now, mount: &self.mounted.info, captures }
    }
}

/// What the endpoint does for the wire's operation; a write is whichever of create and update it has.
fn method(endpoint: &Endpoint, asked: Asked) -> Option<(Effect, Cost)> {
    let operation = plain(asked);
    endpoint.method(operation).or_else(|| {
        let creates = operation == Operation::Update;
        creates.then(|| endpoint.method(Operation::Create)).flatten()
    })
}

/// The wire's verb as an operation; whether a write creates is found out later.
fn plain(asked: Asked) -> Operation {
    match asked {
        Asked::Write => Operation::Update,
        Asked::Patch => Operation::Patch,
        Asked::List => Operation::List,
        Asked::Scan => Operation::Scan,
        Asked::Delete => Operation::Delete,
        Asked::Help => Operation::Help,
        Asked::Read | Asked::Head | Asked::Options | Asked::Other => Operation::Read,
    }
}

fn request(
    incoming: &Incoming,
    target: &Target,
    operation: Operation,
    caller: Option<Arc<Caller>>,
) -> Request {
    let wanted = &target.mounted.entry.config.passthrough_request_headers;
    let passes = |name: &str| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
    Request {
        id: incoming.id.clone(),
        operation,
        path: target.path.clone(),
        data: incoming.data.clone(),
        caller,
        client: incoming.client.clone(),
        wrap_ttl: incoming.wrap.map(|wrap| wrap.ttl),
        headers: incoming.headers.iter().filter(|(name, _)| passes(name)).cloned().collect(),
    }
}

fn caller(entry: &TokenEntry, text: Option<&Zeroizing<String>>) -> Caller {
    Caller {
        token_text: text.map(|text| Arc::new(text.clone())),
        accessor: entry.accessor.clone(),
        display_name: entry.display_name.clone(),
        policies: entry.policies.clone(),
        entity_id: entry.entity_id.clone(),
        cubbyhole: entry.cubbyhole.clone(),
        token_key: entry.key.clone(),
        is_root: entry.is_root(),
        is_batch: entry.is_batch(),
    }
}

/// No token, or none that is one: the words differ from a policy's denial.
fn denied() -> Fault {
    Fault::Status { status: 403, text: "permission denied".to_owned() }
}

fn has_content(response: &Response) -> bool {
    response.granted.is_some() || matches!(response.body, Body::Map(_) | Body::Encoded(_))
}

/// Parameters nobody reads, in the server's words.
fn unrecognized(endpoint: &Endpoint, request: &Request) -> Option<String> {
    if endpoint.fields.is_empty() {
        return None;
    }
    let known = |name: &str| endpoint.fields.iter().any(|field| field.name == name);
    let ignored: Vec<&str> = request.data.keys().map(String::as_str).filter(|name| !known(name)).collect();
    (!ignored.is_empty())
        .then(|| format!("Endpoint ignored these unrecognized parameters: [{}]", ignored.join(" ")))
}

/// An answer that says nothing stays a 204: the server warns only beside something.
fn warn_beside_data(response: &mut Response, warning: String) {
    if has_content(response) || response.auth.is_some() || !response.warnings.is_empty() {
        response.warnings.push(warning);
    }
}

/// What the client is told; what no audit device wrote down is not.
fn told(trail: &Trail, outcome: &Result<Response, Fault>) -> Answered {
    match trail.response(outcome) {
        Ok(()) => answer::of(trail.operation, trail.request_id(), outcome),
        Err(_) => answer::of(trail.operation, trail.request_id(), &Err(trail::internal_error())),
    }
}

fn failed(trail: &Trail, fault: Fault) -> Answered {
    told(trail, &Err(fault))
}

fn commit_fault(error: &CommitError) -> Fault {
    let (status, text) = match error {
        CommitError::NotWritable => (503, "node is not active".to_owned()),
        CommitError::Full => (507, "storage is out of space; free some and try again".to_owned()),
        CommitError::Conflict
        | CommitError::TooLarge { .. }
        | CommitError::Unknown
        | CommitError::Storage(_) => (500, error.to_string()),
    };
    Fault::Status { status, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barrier::Keyring;
    use crate::core::invalidation::Invalidation;
    use crate::core::mount::{MountEntry, Table};
    use crate::core::router::{BackendFactory, LeaseBounds};
    use crate::logical::{Backend, Client};
    use crate::storage::inmem;
    use serde_json::{Value, json};

    /// Root may everything, others nothing: policies are not this test's matter.
    #[derive(Debug)]
    struct RootOnly;

    impl Authorizer for RootOnly {
        fn decide(&self, _: &mut Transaction, entry: &TokenEntry, _: Question<'_>) -> Result<Verdict, Fault> {
            Ok(Verdict { allowed: entry.is_root(), sudo: entry.is_root() })
        }
    }

    #[derive(Debug)]
    struct Methods;

    impl BackendFactory for Methods {
        fn build(&self, table: Table, entry: &MountEntry) -> Option<Arc<dyn Backend>> {
            (table == Table::Auth).then(|| crate::auth::build(&entry.kind)).flatten()
        }
    }

    fn root() -> String {
        "s.root".to_owned()
    }

    async fn core() -> Arc<Core> {
        let barrier = Arc::new(Barrier::new(inmem::open()));
        barrier.open(Keyring::new([(1, &[7; 32])]));
        let (mounts, tokens) = (Arc::new(Mounts::new(LeaseBounds::default())), Arc::new(TokenStore::new()));
        mounts.set_factory(Arc::new(Methods));
        let expiration = Arc::new(expiration::Expiration::new());
        let audit = Arc::<Broker>::default();
        let told = Invalidation::new(
            &barrier,
            Arc::clone(&mounts),
            Arc::clone(&tokens),
            expiration,
            Arc::clone(&audit),
        );
        barrier.storage().observe(Arc::new(told));
        let now = OffsetDateTime::UNIX_EPOCH;
        let mut tx = barrier.begin(Mode::ReadWrite).unwrap();
        mounts.install(&mut tx).unwrap();
        tokens.create_root(&mut tx, Some(Zeroizing::new(root())), now).unwrap();
        for kind in ["userpass", "approle"] {
            mounts
                .enable(&mut tx, Table::Auth, MountEntry::new(Table::Auth, &format!("{kind}/"), kind), now)
                .unwrap();
        }
        barrier.commit(tx).await.unwrap();
        Arc::new(Core { barrier, mounts, tokens, policies: Arc::new(RootOnly), audit })
    }

    async fn ask(
        core: &Arc<Core>,
        token: Option<&str>,
        operation: Asked,
        path: &str,
        data: Value,
    ) -> (u16, Value) {
        let incoming = Incoming {
            id: "id".to_owned(),
            operation,
            path: path.to_owned(),
            data: data.as_object().unwrap().clone(),
            token: token.map(|token| Zeroizing::new(token.to_owned())),
            client: Client { address: Some([127, 0, 0, 1].into()), port: 1 },
            wrap: None,
            headers: Vec::new(),
        };
        let answered = core.handle(incoming, OffsetDateTime::UNIX_EPOCH).await;
        (answered.status, serde_json::from_slice(&answered.body).unwrap_or(Value::Null))
    }

    #[tokio::test]
    async fn a_login_makes_a_token_that_works() {
        let (core, root) = (core().await, root());
        let user = json!({"password": "pw", "token_num_uses": 1});
        let (status, _) = ask(&core, Some(&root), Asked::Write, "auth/userpass/users/bob", user).await;
        assert_eq!(status, 204);
        let login = |password: &'static str| {
            let core = Arc::clone(&core);
            async move {
                ask(&core, None, Asked::Write, "auth/userpass/login/bob", json!({"password": password})).await
            }
        };
        assert_eq!(login("no").await, (400, json!({"errors": ["invalid username or password"]})));
        let (status, body) = login("pw").await;
        assert_eq!(
            (status, &body["auth"]["num_uses"], &body["auth"]["token_type"]),
            (200, &json!(1), &json!("service"))
        );
        let token = body["auth"]["client_token"].as_str().unwrap().to_owned();
        let denial = json!({"errors": ["1 error occurred:\n\t* permission denied\n\n"]});
        let path = "auth/userpass/users/bob";
        assert_eq!(
            ask(&core, Some(&token), Asked::Read, path, json!({})).await,
            (403, denial),
            "its only use"
        );
        let none = json!({"errors": ["permission denied"]});
        assert_eq!(ask(&core, Some(&token), Asked::Read, path, json!({})).await, (403, none), "it is spent");
    }

    #[tokio::test]
    async fn a_secret_id_is_spent_with_the_token_it_makes() {
        let (core, root) = (core().await, root());
        let admin = async |operation, path: &str, data| ask(&core, Some(&root), operation, path, data).await;
        let role = json!({"secret_id_num_uses": 1, "token_ttl": "1h", "role_id": "me"});
        assert_eq!(admin(Asked::Write, "auth/approle/role/r", role).await.0, 204);
        let (_, body) = admin(Asked::Write, "auth/approle/role/r/secret-id", json!({})).await;
        let login = json!({"role_id": "me", "secret_id": body["data"]["secret_id"]});
        let (status, body) = ask(&core, None, Asked::Write, "auth/approle/login", login.clone()).await;
        assert_eq!((status, &body["auth"]["lease_duration"]), (200, &json!(3600)));
        let (status, body) = ask(&core, None, Asked::Write, "auth/approle/login", login).await;
        assert_eq!((status, body), (400, json!({"errors": ["invalid role or secret ID"]})));
        assert_eq!(admin(Asked::List, "auth/approle/role/r/secret-id", json!({})).await.0, 404);
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_only_to_who_may_know() {
        let (core, root) = (core().await, root());
        for (token, path, status, error) in [
            (None, "nothing/x", 403, "permission denied"),
            (Some("s.bogus"), "nothing/x", 403, "permission denied"),
            (
                Some(root.as_str()),
                "nothing/x",
                404,
                "no handler for route \"nothing/x\". route entry not found.",
            ),
            (Some(root.as_str()), "auth/userpass/zzz", 404, "1 error occurred:\n\t* unsupported path\n\n"),
        ] {
            let answer = ask(&core, token, Asked::Read, path, json!({})).await;
            assert_eq!(answer, (status, json!({"errors": [error]})), "{token:?} {path}");
        }
        core.barrier.seal();
        assert_eq!(ask(&core, Some(&root), Asked::Read, "nothing/x", json!({})).await.0, 503);
    }

    #[tokio::test]
    async fn concurrent_logins_never_share_a_use() {
        let (core, root) = (core().await, root());
        let role = json!({"secret_id_num_uses": 5, "role_id": "me"});
        assert_eq!(ask(&core, Some(&root), Asked::Write, "auth/approle/role/r", role).await.0, 204);
        let (_, body) =
            ask(&core, Some(&root), Asked::Write, "auth/approle/role/r/secret-id", json!({})).await;
        let login = json!({"role_id": "me", "secret_id": body["data"]["secret_id"]});
        let tries = (0..12).map(|_| {
            let (core, login) = (Arc::clone(&core), login.clone());
            tokio::spawn(async move { ask(&core, None, Asked::Write, "auth/approle/login", login).await.0 })
        });
        let mut granted = 0;
        for one in tries.collect::<Vec<_>>() {
            granted += usize::from(one.await.unwrap() == 200);
        }
        assert_eq!(granted, 5);
    }
}
