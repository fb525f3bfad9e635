//! From a verdict to an answer: choose a server, try, read what came back, and go on until there is an answer or a
//! reason to stop. Every decision in here is another file's: `route`, `answer`, `retry`. This one keeps the tally.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode};

use crate::api::classify::Class;
use crate::api::header::{X_UNDERSTUDY_REASON, X_UNDERSTUDY_ROLE, X_UNDERSTUDY_SERVED_BY};
use crate::backoff::Backoff;
use crate::config::proxy::{ConsistencyMode, Retry, RetryOn};
use crate::net::body::AnswerBody;
use crate::net::pool::Reuse;
use crate::net::upstream::Answer;

use super::affinity::{Floor, SessionKey};
use super::answer::{self, Asked as AskedOf, Reading, answered_itself, leader_hint};
use super::attempts::Terms;
use super::error::{Refusal, mark_in_doubt};
use super::finish::Record;
use super::forward::{Attempted, Outgoing, Verify, attempt};
use super::guard::strip_response;
use super::hold::Hold;
use super::metrics::label::{ConsistencyOutcome, PredictionOutcome, RetryReason};
use super::observation::{FailureKind, Observation};
use super::observe::{self, SeenIndex};
use super::retry::{self, Ended, Verdict as Next};
use super::route::{Ask, FloorOutcome, Route, Wants, route};
use super::snapshot::{Dialect, Role, ServerId, ServerView, Snapshot};
use super::tunnel::{self, OnUpgrade};
use super::verdict::{Destination, Verdict};
use super::worker::{Upstream, View, Worker};

/// What the service found out before the first attempt.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) verdict: Verdict,
    pub(super) session: Option<SessionKey>,
    pub(super) floor: Floor,
    pub(super) upgrading: Option<OnUpgrade>,
}

/// The tally of one request.
struct Pursuit<'a> {
    worker: &'a Rc<Worker>,
    outgoing: Box<Outgoing>,
    asked: Asked,
    record: &'a mut Record,
    wants: Wants,
    floor: Floor,
    /// When the first attempt begins, if nothing was waited for since the request came: a clock is not free.
    began: Option<Instant>,
    /// The index of the last answer.
    index: Option<SeenIndex>,
    tried: u16,
    left: u32,
    /// A leader hint to follow next.
    forced: Option<ServerId>,
    hold: Hold,
    waited_for_index: bool,
    retrying: bool,
}

/// The server of the next attempt and how its floor was met.
struct Chosen {
    view: Rc<View>,
    server: ServerId,
    floor: FloorOutcome,
    unneeded_active: bool,
}

/// Follows the request to its end.
///
/// # Errors
/// No server answered it; the refusal says whether it may have been executed.
pub(super) async fn pursue(
    worker: &Rc<Worker>,
    outgoing: Box<Outgoing>,
    asked: Asked,
    record: &mut Record,
) -> Result<Response<AnswerBody>, Refusal> {
    let view = worker.view();
    let wants = match asked.verdict.destination {
        Destination::Servers(wants) => wants,
        Destination::Cluster => Wants::Status,
        Destination::Deny { .. } => Wants::Active,
    };
    let (floor, wants) = observe::with_client_index(worker, &view.snapshot, &outgoing, asked.floor, wants);
    let left = view.snapshot.config.retry.attempts;
    drop(view);
    let began = Some(record.started).filter(|_| outgoing.has_no_body());
    let mut pursuit = Pursuit {
        worker,
        outgoing,
        asked,
        record,
        wants,
        floor,
        began,
        index: None,
        tried: 0,
        left,
        forced: None,
        hold: Hold::default(),
        waited_for_index: false,
        retrying: false,
    };
    loop {
        if let Some(answer) = pursuit.step().await? {
            return Ok(answer);
        }
    }
}

impl Drop for Pursuit<'_> {
    fn drop(&mut self) {
        self.worker.spare_maps.keep(std::mem::take(&mut self.outgoing.headers));
        if self.retrying {
            self.worker.retries.set(self.worker.retries.get() - 1);
        }
    }
}

// === impl Pursuit ===

impl Pursuit<'_> {
    /// One attempt, or one wait. `None`: go round again.
    async fn step(&mut self) -> Result<Option<Response<AnswerBody>>, Refusal> {
        let Some(chosen) = self.choose().await? else {
            self.began = None;
            return Ok(None);
        };
        let view = Rc::clone(&chosen.view);
        let (Some(server), Some(upstream)) =
            (view.snapshot.server(chosen.server), view.upstreams.get(chosen.server.index()))
        else {
            return Err(Refusal::NoServer);
        };
        let asked_of = asked_of(&view.snapshot, server.id);
        self.dress(&view.snapshot, server);
        self.record.asked(server, asked_of);
        let began = self.began.take().unwrap_or_else(Instant::now);
        let terms = self.terms(&view.snapshot, server.id, began);
        let reuse = if self.outgoing.class == Class::Read { Reuse::Any } else { Reuse::FreshOnly };
        let (attempted, took) = attempt(self.worker, upstream, &mut self.outgoing, terms, reuse, began).await;
        self.record.upstream += took;
        match attempted {
            Attempted::Refused(refusal) => Err(refusal),
            // Boxed, because rare: every request would pay for the room.
            Attempted::Ended(ended) => Box::pin(self.ended(ended, &chosen, None)).await,
            Attempted::Answered(answer) => self.read(answer, &chosen, server, upstream, asked_of).await,
        }
    }

    // --- before the attempt ---

    async fn choose(&mut self) -> Result<Option<Chosen>, Refusal> {
        let view = self.worker.view();
        if let Some(server) = self.forced.take() {
            let floor = FloorOutcome::NoFloor;
            return Ok(Some(Chosen { view, server, floor, unneeded_active: false }));
        }
        let turn = self.worker.turn.get();
        self.worker.turn.set(turn.wrapping_add(1));
        let ask = Ask {
            wants: self.wants,
            mode: self.asked.verdict.mode,
            floor: self.floor,
            tried: self.tried,
            now: self.record.started,
            turn,
        };
        let routed = {
            let mut rng = self.worker.rng.borrow_mut();
            route(&view.snapshot, &ask, |id| view.load(id), &mut rng)
        };
        match routed {
            Route::To { server, floor, unneeded_active } => {
                Ok(Some(Chosen { view, server, floor, unneeded_active }))
            }
            Route::Wait { for_at_most } => self.wait_for_index(&view, for_at_most).await,
            Route::Hold => self.hold(&view).await,
            Route::Stale => {
                self.worker.metrics.consistency(self.asked.verdict.mode, ConsistencyOutcome::Rejected);
                Err(Refusal::Stale)
            }
            Route::Nobody => self.hold(&view).await.map_err(|_| Refusal::NoServer),
        }
    }

    /// For servers that cannot wait themselves: watch the known index, then ask again (the active the second time).
    async fn wait_for_index(&mut self, view: &View, limit: Duration) -> Result<Option<Chosen>, Refusal> {
        if std::mem::replace(&mut self.waited_for_index, true) {
            self.record.consistency = Some(ConsistencyOutcome::Timeout);
            self.wants = Wants::Active;
            return Ok(None);
        }
        self.worker.observe(Observation::IndexWanted { index: self.floor.index() });
        let began = Instant::now();
        observe::until_reached(&view.snapshot, self.floor, limit).await;
        self.worker.metrics.consistency_waited(self.asked.verdict.mode, began.elapsed());
        self.record.consistency = Some(ConsistencyOutcome::Waited);
        Ok(None)
    }

    async fn hold(&mut self, view: &View) -> Result<Option<Chosen>, Refusal> {
        self.worker.observe(Observation::LeaderWanted);
        self.hold.wait(self.worker, &view.snapshot.config).await?;
        Ok(None)
    }

    fn dress(&mut self, snapshot: &Snapshot, server: &ServerView) {
        let on_data = matches!(self.wants, Wants::Fresh | Wants::Active);
        let cluster = snapshot.cluster_id.as_deref().filter(|_| on_data);
        let leads = self.wants == Wants::Active;
        let verify = cluster.map(|cluster| Verify { cluster, floor: self.floor.index(), leads });
        self.outgoing.dress(self.worker, server, verify);
    }

    /// The request's whole time, and for a read that can go elsewhere the time of one try.
    fn terms(&self, snapshot: &Snapshot, server: ServerId, now: Instant) -> Terms {
        let movable = self.is_idempotent() && self.outgoing.is_replayable();
        let retry = &snapshot.config.retry;
        let deadline = self.asked.verdict.timeout.map(|timeout| {
            let whole = self.record.started + timeout;
            if movable && self.left > 0 { whole.min(now + retry.per_try_timeout) } else { whole }
        });
        let deadline_ms = deadline.map_or(u64::MAX, |at| self.worker.shared.sessions.ms(at));
        Terms { deadline_ms, server, movable }
    }

    fn is_idempotent(&self) -> bool {
        self.outgoing.class == Class::Read && self.asked.verdict.traits.idempotent
    }

    // --- after the attempt ---

    async fn read(
        &mut self,
        answer: Box<Answer>,
        chosen: &Chosen,
        server: &ServerView,
        upstream: &Upstream,
        asked_of: AskedOf,
    ) -> Result<Option<Response<AnswerBody>>, Refusal> {
        let mut reading = answer::read(&answer, asked_of);
        self.index = observe::index_of(self.worker, &chosen.view.snapshot, &answer.headers);
        if reading == Reading::Final && self.is_behind(server, asked_of) {
            reading = Reading::Not(Ended::StaleIndex);
        }
        match reading {
            Reading::Not(ended) => Box::pin(self.ended(ended, chosen, Some(answer))).await,
            Reading::Final => self.accept(answer, chosen, server, upstream, asked_of).map(Some),
            // A read may simply be asked again.
            Reading::InDoubt if self.is_idempotent() => {
                self.worker.observe(Observation::NotLeader { server: server.id, leader_hint: None });
                Box::pin(self.ended(Ended::Gateway, chosen, Some(answer))).await
            }
            Reading::InDoubt => {
                let mut answer = answer;
                self.doubt(&mut answer, upstream);
                self.worker.observe(Observation::NotLeader { server: server.id, leader_hint: None });
                self.accept(answer, chosen, server, upstream, asked_of).map(Some)
            }
        }
    }

    /// The proxy's own check of a standby's answer: an index below the floor is not believed, whatever was sent.
    fn is_behind(&self, server: &ServerView, asked_of: AskedOf) -> bool {
        if asked_of == AskedOf::Active || self.floor.index() == 0 || self.wants != Wants::Fresh {
            return false;
        }
        self.index.map_or_else(
            || {
                !observe::verified_by_server(server, &self.outgoing)
                    && !super::route::satisfies(server, self.floor)
            },
            |index| index.value < self.floor.index(),
        )
    }

    async fn ended(
        &mut self,
        ended: Ended,
        chosen: &Chosen,
        answer: Option<Box<Answer>>,
    ) -> Result<Option<Response<AnswerBody>>, Refusal> {
        let server = chosen.server;
        self.tell(ended, server, answer.as_deref());
        let view = self.worker.view();
        let settings = &view.snapshot.config.retry;
        let request = retry::Request {
            idempotent: self.is_idempotent(),
            replayable: self.outgoing.is_replayable(),
            left: self.left,
            budget: self.retrying
                || retry::budget_allows(settings, self.worker.retries.get(), self.worker.requests.get()),
        };
        if !request.budget && retry::needs_budget(ended) {
            self.worker.metrics.retry_budget_exhausted();
        }
        // What only the active node can answer has nowhere else to go: it waits for the next one to lead instead of
        // using up its attempts on this one.
        let unreachable_leader = retry::was_not_sent(ended) && chosen.view.snapshot.active == Some(server);
        if unreachable_leader && request.replayable && ended != Ended::Overflow {
            self.record.retried(RetryReason::Connect);
            self.hold(&view).await.map_err(|_| Refusal::NotSent)?;
            return Ok(None);
        }
        match retry::decide(ended, request, settings) {
            Next::Again(reason) => {
                self.again(reason, server);
                // A server that is gone was asked once; the others need no pause on its account. The active node has no
                // others: while a killed process is taken down its port still accepts for some milliseconds.
                if retry::needs_budget(ended) || chosen.view.snapshot.active == Some(server) {
                    self.pause(settings).await;
                }
                Ok(None)
            }
            Next::AwaitLeader => self.await_leader(server, answer.as_deref(), &view).await,
            Next::AskActive if self.wants != Wants::Active => {
                self.record.retried(RetryReason::StaleIndex);
                self.record.consistency = Some(ConsistencyOutcome::ToActive);
                self.wants = Wants::Active;
                Ok(None)
            }
            Next::PassOn | Next::AskActive => self.pass_on(ended, answer, chosen).map(Some),
            Next::GiveUp => Err(give_up(ended)),
            Next::InDoubt => {
                self.record.in_doubt = true;
                if let Some(upstream) = view.upstreams.get(server.index()) {
                    self.worker.metrics.in_doubt(upstream.slot);
                }
                let late = matches!(ended, Ended::TimedOut { .. });
                Err(if late { Refusal::InDoubtTimeout } else { Refusal::InDoubt })
            }
        }
    }

    fn tell(&self, ended: Ended, server: ServerId, answer: Option<&Answer>) {
        let observation = match ended {
            Ended::NotLeader => {
                let hint = answer.and_then(|answer| leader_hint(&answer.headers)).map(Into::into);
                Observation::NotLeader { server, leader_hint: hint }
            }
            Ended::StaleIndex | Ended::Overflow => return,
            Ended::Connect => Observation::Failure { server, kind: FailureKind::Connect },
            Ended::Broken { .. } => Observation::Failure { server, kind: FailureKind::Reset },
            Ended::TimedOut { .. } => Observation::Failure { server, kind: FailureKind::Timeout },
            Ended::Garbage => Observation::Failure { server, kind: FailureKind::Garbage },
            Ended::Gateway => Observation::Failure { server, kind: FailureKind::Gateway },
        };
        self.worker.observe(observation);
    }

    fn again(&mut self, reason: RetryOn, server: ServerId) {
        if !self.retrying {
            self.retrying = true;
            self.worker.retries.set(self.worker.retries.get() + 1);
        }
        self.left = self.left.saturating_sub(1);
        self.tried |= 1 << (server.0 & 15);
        self.record.retried(retry_reason(reason));
    }

    /// Before the next attempt, so that a server that fails at once is not asked at once again.
    async fn pause(&self, settings: &Retry) {
        let backoff = Backoff { base: settings.backoff_base, max: settings.backoff_max };
        let again = settings.attempts.saturating_sub(self.left).saturating_sub(1);
        let roll = self.worker.rng.borrow_mut().f64();
        tokio::time::sleep(backoff.delay(again, roll)).await;
    }

    /// It did not run. Follow the hint when it names a server of ours, else wait until somebody leads.
    async fn await_leader(
        &mut self,
        asked: ServerId,
        answer: Option<&Answer>,
        view: &View,
    ) -> Result<Option<Response<AnswerBody>>, Refusal> {
        self.record.retried(RetryReason::NotLeader);
        if self.outgoing.class == Class::Read && self.wants == Wants::Fresh {
            self.record.prediction = Some(PredictionOutcome::Redirected);
        }
        self.wants = if self.wants == Wants::Any { Wants::Any } else { Wants::Active };
        self.tried |= 1 << (asked.0 & 15);
        let hinted = answer
            .and_then(|answer| leader_hint(&answer.headers))
            .and_then(|hint| observe::server_at(&view.snapshot, &hint))
            .filter(|hinted| *hinted != asked && self.may_follow(&view.snapshot, *hinted))
            .filter(|_| self.hold.follows_hint());
        match hinted {
            Some(server) => self.forced = Some(server),
            None if view.snapshot.active.is_some_and(|active| active != asked)
                && self.hold.follows_hint() => {}
            None => drop(self.hold(view).await?),
        }
        Ok(None)
    }

    /// A hint may be out of date. A write is safe with it, because nobody but the active node runs it; a read would
    /// be answered by any standby that reads, so it follows only to one that checks the floor itself.
    fn may_follow(&self, snapshot: &Snapshot, hinted: ServerId) -> bool {
        self.outgoing.class != Class::Read
            || snapshot.active == Some(hinted)
            || snapshot.server(hinted).is_some_and(|server| server.dialect == Dialect::OpenBao)
    }

    // --- the end ---

    /// Whoever answered does not know whether the write happened.
    fn doubt(&mut self, answer: &mut Answer, upstream: &Upstream) {
        if self.outgoing.class != Class::Read {
            mark_in_doubt(&mut answer.headers);
            self.record.in_doubt = true;
            self.worker.metrics.in_doubt(upstream.slot);
        }
    }

    fn pass_on(
        &mut self,
        ended: Ended,
        answer: Option<Box<Answer>>,
        chosen: &Chosen,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let view = Rc::clone(&chosen.view);
        match (answer, view.snapshot.server(chosen.server), view.upstreams.get(chosen.server.index())) {
            (Some(mut answer), Some(server), Some(upstream)) => {
                // No node says 502 or 504: something between it and us lost the answer.
                let lost = matches!(answer.status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
                if ended == Ended::Gateway && lost {
                    self.doubt(&mut answer, upstream);
                }
                let asked_of = asked_of(&view.snapshot, server.id);
                self.accept(answer, chosen, server, upstream, asked_of)
            }
            _ => Err(Refusal::BadAnswer),
        }
    }

    /// Takes the answer: what it teaches is noted, what must not leave is taken off.
    fn accept(
        &mut self,
        answer: Box<Answer>,
        chosen: &Chosen,
        server: &ServerView,
        upstream: &Upstream,
        asked_of: AskedOf,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let itself = answered_itself(&answer.headers, server);
        let snapshot = &chosen.view.snapshot;
        self.note(&answer, chosen, server, asked_of, itself);
        let Answer { status, mut headers, body, early, tunnel, at } = *answer;
        self.record.answered = Some(at);
        if let Some(tunnel) = tunnel {
            let upgrading = self.asked.upgrading.take().ok_or(Refusal::BadAnswer)?;
            return Ok(tunnel::switch(self.worker, upgrading, tunnel, headers, self.record));
        }
        strip_response(&mut headers);
        localise(&mut headers, snapshot);
        if self.record.answer_headers {
            headers.insert(X_UNDERSTUDY_SERVED_BY, upstream.name.clone());
            headers.insert(X_UNDERSTUDY_ROLE, HeaderValue::from_static(role_word(asked_of, server.role)));
            headers.insert(X_UNDERSTUDY_REASON, HeaderValue::from_static(self.asked.verdict.reason));
        }
        self.record.close |= early;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    fn note(
        &mut self,
        answer: &Answer,
        chosen: &Chosen,
        server: &ServerView,
        asked_of: AskedOf,
        itself: Option<bool>,
    ) {
        let mode = self.asked.verdict.mode;
        if self.wants == Wants::Fresh || self.record.consistency.is_some() {
            let outcome = self.record.consistency.unwrap_or(consistency(chosen.floor));
            self.record.consistency = Some(outcome);
            self.worker.metrics.consistency(mode, outcome);
            let wanted = mode != ConsistencyMode::Strong;
            if wanted
                && matches!(
                    outcome,
                    ConsistencyOutcome::ToActive
                        | ConsistencyOutcome::OtherStandby
                        | ConsistencyOutcome::Waited
                )
            {
                self.worker.observe(Observation::IndexWanted { index: self.floor.index() });
            }
        }
        // Asked to wait, it waited in vain and forwarded: the class was right, only the index was late.
        let waited = chosen.floor == FloorOutcome::Waited;
        let itself_or_late = if waited && itself == Some(false) { None } else { itself };
        let prediction = self.record.prediction.unwrap_or(predicted(asked_of, chosen, itself_or_late));
        self.record.prediction = Some(prediction);
        self.worker.metrics.prediction(self.outgoing.class, prediction);
        observe::learn(
            self.worker,
            &chosen.view.snapshot,
            answer.status,
            server,
            &observe::Seen {
                outgoing: &self.outgoing,
                verdict: &self.asked.verdict,
                session: self.asked.session,
                floor: self.floor,
                asked_of,
                index: self.index,
                itself,
                waited,
                now: answer.at,
            },
        );
    }
}

fn asked_of(snapshot: &Snapshot, server: ServerId) -> AskedOf {
    if snapshot.active == Some(server) { AskedOf::Active } else { AskedOf::Standby }
}

fn predicted(asked_of: AskedOf, chosen: &Chosen, itself: Option<bool>) -> PredictionOutcome {
    match (asked_of, itself) {
        (AskedOf::Active, _) if chosen.unneeded_active => PredictionOutcome::UnneededActive,
        (AskedOf::Active, _) | (AskedOf::Standby, Some(true)) => PredictionOutcome::Correct,
        (AskedOf::Standby, Some(false)) => PredictionOutcome::Forwarded,
        (AskedOf::Standby, None) => PredictionOutcome::Unverifiable,
    }
}

fn consistency(floor: FloorOutcome) -> ConsistencyOutcome {
    match floor {
        FloorOutcome::NoFloor => ConsistencyOutcome::NoFloor,
        FloorOutcome::Satisfied => ConsistencyOutcome::Satisfied,
        FloorOutcome::OtherStandby => ConsistencyOutcome::OtherStandby,
        FloorOutcome::Waited => ConsistencyOutcome::Waited,
        FloorOutcome::ToActive => ConsistencyOutcome::ToActive,
        FloorOutcome::Rejected => ConsistencyOutcome::Rejected,
    }
}

fn retry_reason(reason: RetryOn) -> RetryReason {
    match reason {
        RetryOn::ConnectFailure => RetryReason::Connect,
        RetryOn::RefusedStream => RetryReason::Refused,
        RetryOn::NotLeader => RetryReason::NotLeader,
        RetryOn::StaleIndex => RetryReason::StaleIndex,
        RetryOn::Reset => RetryReason::Reset,
        RetryOn::GatewayError => RetryReason::Gateway,
    }
}

fn give_up(ended: Ended) -> Refusal {
    match ended {
        Ended::Connect
        | Ended::Overflow
        | Ended::Broken { sent: false }
        | Ended::TimedOut { sent: false } => Refusal::NotSent,
        Ended::TimedOut { sent: true } => Refusal::Timeout,
        Ended::Broken { sent: true } => Refusal::Lost,
        Ended::Garbage | Ended::Gateway => Refusal::BadAnswer,
        Ended::NotLeader | Ended::StaleIndex => Refusal::NotReplayable,
    }
}

fn role_word(asked_of: AskedOf, role: Role) -> &'static str {
    match (asked_of, role) {
        (AskedOf::Active, _) => "active",
        (AskedOf::Standby, Role::PerfStandby) => "perf_standby",
        (AskedOf::Standby, _) => "standby",
    }
}

/// A redirect to a server of the cluster would take the client past this proxy and tell it an internal address.
fn localise(headers: &mut http::HeaderMap, snapshot: &Snapshot) {
    if !headers.contains_key(LOCATION) {
        return;
    }
    let Some(hint) = leader_hint(headers) else { return };
    if observe::server_at(snapshot, &hint).is_none() {
        return;
    }
    let local = headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok()?.parse::<http::Uri>().ok())
        .and_then(|uri| HeaderValue::from_str(uri.path_and_query()?.as_str()).ok());
    if let Some(local) = local {
        headers.insert(LOCATION, local);
    }
}
