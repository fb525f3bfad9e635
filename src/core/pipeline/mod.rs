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

mod complete;
mod gate;
mod opening;
mod target;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use time::OffsetDateTime;

use super::answer::{self, Answered};
use super::audit::Broker;
use super::identity::Identity;
use super::in_flight::InFlight;
use super::incoming::Incoming;
use super::lockout::Lockouts;
use super::meters::Meters;
use super::mounts::Mounts;
use super::policy::{KeyFilter, Subjects};
use super::quota::{Quotas, Verdict as Limit};
use super::token_store::{TokenEntry, TokenStore};
use super::trail::{self, Grounds, Trail};
use super::wrapping;
use crate::api::operation::Operation as Asked;
use crate::barrier::{Barrier, Mode, Transaction};
use crate::logical::{Access, Cost, Effect, Fault, Operation, Request, Response};
use crate::meter::Timer;
use crate::storage::CommitError;
use target::Target;

/// How often a request that loses to concurrent changes is run.
const MAX_RUNS: u32 = 32;

/// What policies say of a request.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    pub allowed: bool,
    pub sudo: bool,
    /// The `limit` a list runs with, in place of the one asked for.
    pub limit: Option<i64>,
    /// Which keys of a list are shown.
    pub key_filter: Option<KeyFilter>,
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
    pub identity: Arc<Identity>,
    pub quotas: Arc<Quotas>,
    pub lockouts: Arc<Lockouts>,
    pub policies: Arc<dyn Authorizer>,
    pub audit: Arc<Broker>,
    pub meters: Arc<Meters>,
    pub in_flight: Arc<InFlight>,
    /// Where clients reach this node: signed wrapping tokens say where to open them.
    pub api_addr: String,
}

/// One run of a request: what its steps read.
#[derive(Clone, Copy)]
struct Turn<'r> {
    incoming: &'r Incoming,
    target: Option<&'r Target>,
    /// Of the token shown, where it is one and may be used from here.
    token: Option<&'r Arc<TokenEntry>>,
    now: OffsetDateTime,
}

/// What one run came to.
struct Run {
    trail: Trail,
    outcome: Result<Response, Fault>,
    transaction: Transaction,
}

/// A request that may be done.
struct Admitted {
    request: Request,
    /// Which keys of a list are shown.
    key_filter: Option<KeyFilter>,
}

/// What earlier runs of a request settled.
#[derive(Default)]
struct Settled {
    /// The token as it was before its use was taken.
    spent: Option<Arc<TokenEntry>>,
    /// What is almost always a read came to a write.
    writes: bool,
}

/// The token shown, if it is one, or why it could not be looked up.
type Token = Result<Option<Arc<TokenEntry>>, Fault>;

// === impl Core ===

impl Core {
    /// Answers a request, if its client may ask so often.
    pub async fn handle(self: &Arc<Self>, incoming: Incoming, now: OffsetDateTime) -> Answered {
        let incoming = Arc::new(incoming);
        let _flight = self.in_flight.enter(&incoming, now);
        let mut trail = Trail::new(&self.audit, &incoming, target::plain(incoming.operation), now);
        let answered = match self.limit(&incoming, now) {
            Limit::Free => self.run_until_done(&incoming, &mut trail).await,
            Limit::Within(standing) => {
                Self::standing(self.run_until_done(&incoming, &mut trail).await, standing)
            }
            Limit::Exceeded(standing) => self.exceeded(&incoming, &mut trail, standing).await,
        };
        self.handled(&trail).since(trail.started);
        answered
    }

    fn handled(&self, trail: &Trail) -> &Timer {
        if trail.is_login() { &self.meters.handle_login_request } else { &self.meters.handle_request }
    }

    async fn run_until_done(self: &Arc<Self>, incoming: &Arc<Incoming>, trail: &mut Trail) -> Answered {
        let mut settled = Settled::default();
        let incoming = &match self.about_a_wrapping_token(incoming, trail.now) {
            Ok(incoming) => incoming,
            Err(fault) => return self.refused(incoming, trail, fault).await,
        };
        for _ in 0..MAX_RUNS {
            match self.run(incoming, &mut settled, trail).await {
                Ok(Some(answered)) => return answered,
                Ok(None) => {}
                Err(CommitError::Conflict) => self.meters.conflicts.add(1),
                Err(error) => return self.told(trail, Err(commit_fault(&error)), Cost::Light).await,
            }
        }
        let text = "too many concurrent changes of what this request reads; try again".to_owned();
        self.told(trail, Err(Fault::Status { status: 500, text }), Cost::Light).await
    }

    /// Before policies or a backend were asked: one line tells it.
    async fn refused(&self, incoming: &Arc<Incoming>, trail: &mut Trail, fault: Fault) -> Answered {
        let target = Target::find(&self.mounts.router(), incoming);
        let entry = self.barrier.begin(Mode::ReadOnly).ok();
        let entry = entry.and_then(|mut tx| self.token(&mut tx, incoming, trail.now).ok()).flatten();
        trail.about(target.as_ref().map(|target| &target.mounted), false, entry.as_ref());
        // The client is told more than the log.
        let unread = |trail: &mut Trail| trail.unread(&Fault::invalid(wrapping::INVALID));
        let fault = self.noted(trail, unread).await.err().unwrap_or(fault);
        answer::of(trail.operation, trail.request_id(), &Err(fault))
    }

    /// `None`: it is to be run again, and to write.
    async fn run(
        self: &Arc<Self>,
        incoming: &Arc<Incoming>,
        settled: &mut Settled,
        trail: &mut Trail,
    ) -> Result<Option<Answered>, CommitError> {
        let target = Target::find(&self.mounts.router(), incoming);
        let mode = target.as_ref().map_or(Mode::ReadOnly, |target| target.mode(incoming, settled.writes));
        let may_come_to_write =
            mode == Mode::ReadOnly && target.as_ref().is_some_and(|target| target.effect == Effect::Mixed);
        let sealed = || Some(Answered::errors(503, "Vault is sealed"));
        let Ok(mut tx) = self.barrier.begin(mode) else { return Ok(sealed()) };
        if target::writes_a_folder(incoming) {
            return Ok(Some(Answered::errors(400, "cannot write to a path ending in '/'")));
        }
        let mut token = match &settled.spent {
            Some(entry) => Ok(Some(Arc::clone(entry))),
            None => self.token(&mut tx, incoming, trail.now),
        };
        // An open endpoint needs no token and takes no use of one: a wrapping token may be looked at before it is used.
        let uses_token = target.as_ref().is_none_or(|target| target.access != Access::Open);
        let is_limited = matches!(&token, Ok(Some(entry)) if entry.num_uses > 0);
        if settled.spent.is_none() && uses_token && is_limited {
            settled.spent = self.take_use(incoming, trail.now).await?;
            token = Ok(settled.spent.clone());
            // What was read before the use was taken is old.
            let Ok(fresh) = self.barrier.begin(mode) else { return Ok(sealed()) };
            tx = fresh;
        }
        let cost = target.as_ref().map_or(Cost::Light, |target| target.cost);
        let Some(run) = self.evaluate_where_it_may(tx, target, incoming, token, trail.clone()).await else {
            return Ok(Some(self.told(trail, Err(trail::internal_error()), Cost::Light).await));
        };
        *trail = run.trail;
        if may_come_to_write && matches!(run.outcome, Err(Fault::NeedsActive)) {
            settled.writes = true;
            return Ok(None);
        }
        self.finish(trail, run.outcome, run.transaction, cost).await.map(Some)
    }

    /// The token shown, if it is one.
    fn token(&self, tx: &mut Transaction, incoming: &Incoming, now: OffsetDateTime) -> Token {
        let Some(text) = &incoming.token else { return Ok(None) };
        Ok(self.meters.token_lookup.time(|| self.tokens.lookup(tx, text, now))?)
    }

    /// Takes a use of a use-limited token, on its own; the entry as it was, because after its last use the token opens
    /// nothing any more but this request.
    async fn take_use(
        &self,
        incoming: &Incoming,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<TokenEntry>>, CommitError> {
        for _ in 0..MAX_RUNS {
            let Ok(mut tx) = self.barrier.begin(Mode::ReadWrite) else { return Ok(None) };
            let Ok(Some(entry)) = self.token(&mut tx, incoming, now) else { return Ok(None) };
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

    /// Heavy work and a slow audit device would hold up every other request of the thread. `None`: it panicked, and nothing was committed.
    async fn evaluate_where_it_may(
        self: &Arc<Self>,
        tx: Transaction,
        target: Option<Target>,
        incoming: &Arc<Incoming>,
        token: Token,
        trail: Trail,
    ) -> Option<Run> {
        let is_heavy = target.as_ref().is_some_and(|target| target.cost == Cost::Heavy);
        if !is_heavy && !self.audit.may_wait() {
            return Some(self.evaluate(tx, target.as_ref(), incoming, token, trail));
        }
        let (core, incoming) = (Arc::clone(self), Arc::clone(incoming));
        let evaluate = move || core.evaluate(tx, target.as_ref(), &incoming, token, trail);
        tokio::task::spawn_blocking(evaluate).await.ok()
    }

    fn evaluate(
        &self,
        mut tx: Transaction,
        target: Option<&Target>,
        incoming: &Incoming,
        token: Token,
        mut trail: Trail,
    ) -> Run {
        trail.operation = target::plain(incoming.operation);
        let outcome = match token.and_then(|token| self.usable(&mut tx, token, incoming)) {
            Ok(token) => {
                let token = token.as_ref();
                self.steps(&mut tx, Turn { incoming, target, token, now: trail.now }, &mut trail)
            }
            Err(fault) => trail.request(Some(&fault)).and(Err(fault)),
        };
        Run { trail, outcome, transaction: tx }
    }

    /// The token, where it may be used from here and by whom it was made for: tokens of an entity that is disabled or gone
    /// are as good as none.
    fn usable(&self, tx: &mut Transaction, token: Option<Arc<TokenEntry>>, incoming: &Incoming) -> Token {
        let Some(entry) = token.filter(|entry| entry.admits(incoming.client.address)) else {
            return Ok(None);
        };
        if entry.entity_id.is_empty() {
            return Ok(Some(entry));
        }
        let subject = self.identity.subject(tx, &entry.entity_id)?;
        Ok(subject.is_some_and(|subject| !subject.disabled).then_some(entry))
    }

    fn steps(&self, tx: &mut Transaction, turn: Turn<'_>, trail: &mut Trail) -> Result<Response, Fault> {
        let open = turn.target.is_some_and(|target| target.access == Access::Open);
        trail.about(turn.target.map(|target| &target.mounted), open, turn.token);
        let admitted = self.admit(tx, turn, trail);
        trail.request(admitted.as_ref().err())?;
        let (Some(target), Some(admitted)) = (turn.target, admitted?) else {
            return Err(no_handler(&turn.incoming.path));
        };
        if turn.incoming.operation == Asked::Head {
            return Err(Fault::UnsupportedOperation);
        }
        trail.routed();
        let guess = self.guess(tx, turn, target, &admitted.request)?;
        let outcome = match opening::kept_answer(tx, turn, trail.operation)? {
            Some(kept) => Ok(kept),
            None => target.answer(tx, &admitted.request, turn.now),
        };
        if let Some(guess) = &guess {
            self.guessed(guess, &outcome, turn.now);
        }
        let mut response = opening::wrappable(outcome, turn.incoming)
            .map_err(|fault| if open { plainly(fault) } else { fault })?;
        if let Some(filter) = &admitted.key_filter {
            filter.apply(&turn.incoming.path, &mut response.body, |path| self.needs_sudo(path))?;
        }
        self.complete(tx, turn, target, response)
    }

    /// The request as its backend gets it, once policies allow it; `None` where no mount serves the path.
    fn admit(
        &self,
        tx: &mut Transaction,
        turn: Turn<'_>,
        trail: &mut Trail,
    ) -> Result<Option<Admitted>, Fault> {
        let mut request =
            turn.target.map(|target| target.request(turn.incoming, trail.operation, turn.token));
        // Who may not ask at all is not told whether something exists, and neither is the log.
        let may_ask = |target: &&Target| turn.token.is_some() || target.access == Access::Open;
        if let (Some(target), Some(request)) = (turn.target.filter(may_ask), &mut request) {
            if request.operation == Operation::Update {
                trail.routed();
            }
            request.operation = target.create_or_update(tx, request, turn.now)?;
            trail.operation = request.operation;
        }
        let begin = Instant::now();
        let verdict = self.authorize(tx, turn, trail);
        self.meters.check_token.since(begin);
        let verdict = verdict?;
        let Some(mut request) = request else { return Ok(None) };
        if let Some(limit) = verdict.limit {
            Arc::make_mut(&mut request.data).insert("limit".to_owned(), limit.to_string().into());
        }
        Ok(Some(Admitted { request, key_filter: verdict.key_filter }))
    }

    /// Open endpoints ask nobody; all others a token, and its policies. Help is for everybody with a token.
    fn authorize(&self, tx: &mut Transaction, turn: Turn<'_>, trail: &mut Trail) -> Result<Verdict, Fault> {
        let access = turn.target.map_or(Access::Token, |target| target.access);
        if access == Access::Open {
            return Ok(Verdict::default());
        }
        let (entry, incoming) = (turn.token.ok_or_else(denied)?, turn.incoming);
        if trail.operation == Operation::Help {
            return Ok(Verdict::default());
        }
        let question =
            Question { operation: trail.operation, path: &incoming.path, request: incoming, now: turn.now };
        let verdict = self.policies.decide(tx, entry, question)?;
        let allowed = verdict.allowed && (verdict.sudo || access != Access::Sudo);
        if !trail.is_silent() {
            trail.judged(allowed, self.policies.grounds(tx, entry, question)?);
        }
        if allowed { Ok(verdict) } else { Err(Fault::Denied) }
    }

    fn needs_sudo(&self, path: &str) -> bool {
        let router = self.mounts.router();
        let found = router.route(path).and_then(|(mounted, rest)| {
            let (endpoint, _) = mounted.backend.find(rest)?;
            mounted.backend.endpoints().get(endpoint).map(|endpoint| endpoint.access)
        });
        found == Some(Access::Sudo)
    }

    /// A failed request changes nothing. What was not written down is not told.
    async fn finish(
        &self,
        trail: &Trail,
        outcome: Result<Response, Fault>,
        transaction: Transaction,
        cost: Cost,
    ) -> Result<Answered, CommitError> {
        let index = match outcome {
            Ok(_) => self.barrier.commit(transaction).await?,
            Err(_) => transaction.index(),
        };
        Ok(self.told(trail, outcome, cost).await.at(index))
    }

    /// Writes a line of the request, where a device may wait for its peer, not on this thread.
    ///
    /// # Errors
    /// No device took it.
    async fn noted(
        &self,
        trail: &mut Trail,
        write: impl FnOnce(&mut Trail) -> Result<(), Fault> + Send + 'static,
    ) -> Result<(), Fault> {
        if !self.audit.may_wait() {
            return write(trail);
        }
        let mut noting = trail.clone();
        let noted = tokio::task::spawn_blocking(move || {
            let written = write(&mut noting);
            (noting, written)
        });
        let (noting, written) = noted.await.map_err(|_| trail::internal_error())?;
        *trail = noting;
        written
    }

    /// What the client is told, once it is written down. What is long, or may have to wait, is written elsewhere.
    async fn told(&self, trail: &Trail, outcome: Result<Response, Fault>, cost: Cost) -> Answered {
        if cost == Cost::Light && !self.audit.may_wait() {
            return told(trail, &outcome);
        }
        let told_trail = trail.clone();
        let told = tokio::task::spawn_blocking(move || told(&told_trail, &outcome)).await;
        told.unwrap_or_else(|_| {
            answer::of(trail.operation, trail.request_id(), &Err(trail::internal_error()))
        })
    }
}

/// No token, or none that is one: the words differ from a policy's denial.
fn denied() -> Fault {
    Fault::Status { status: 403, text: "permission denied".to_owned() }
}

/// Where no token is asked for, what is not served is said in plain words.
fn plainly(fault: Fault) -> Fault {
    if matches!(fault, Fault::UnsupportedOperation) {
        return Fault::Status { status: 405, text: fault.to_string() };
    }
    fault
}

fn no_handler(path: &str) -> Fault {
    Fault::NotFound(format!("no handler for route {path:?}. route entry not found."))
}

/// What the client is told; what no audit device wrote down is not.
fn told(trail: &Trail, outcome: &Result<Response, Fault>) -> Answered {
    match trail.response(outcome) {
        Ok(()) => answer::of(trail.operation, trail.request_id(), outcome),
        Err(_) => answer::of(trail.operation, trail.request_id(), &Err(trail::internal_error())),
    }
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
