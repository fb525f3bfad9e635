//! What one request needs, after everybody had their word: operator rules, headers, the built-in table, learning,
//! mount changes and first touches. It decides nothing about servers; that is `route`.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method};

use crate::api::classify::{self, Class, Classified, Needs, Shape, Source, Traits};
use crate::api::operation::Operation;
use crate::config::proxy::{ConsistencyMode, RuleAction};

use super::first_touch::FirstTouch;
use super::mount_change::MountChanges;
use super::route::{Wants, unknown_wants};
use super::rules::{CompiledRules, RuleInput};
use super::snapshot::{ServerView, Snapshot};

/// The request as far as the verdict looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub method: &'a Method,
    pub operation: Operation,
    /// Canonical, without `/v1/`; `None`: unclean or outside the API, never predicted.
    pub path: Option<&'a str>,
    /// The path is not clean: a rule that denies cannot be held against it, so it is refused where one exists.
    pub unclean: bool,
    /// The canonical path when it is clean and does not begin with `/v1/`.
    pub outside_api: Option<&'a str>,
    pub query: Option<&'a str>,
    /// From the header, without slashes at its ends.
    pub namespace: &'a str,
    pub headers: &'a HeaderMap,
    /// No header that [`Shape`] reads is among them.
    pub plain: bool,
    /// From `X-Understudy-Consistency`, where allowed.
    pub consistency: Option<ConsistencyMode>,
}

/// Everything the verdict reads besides the request.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge<'a> {
    pub snapshot: &'a Snapshot,
    pub rules: &'a CompiledRules,
    pub mount_changes: &'a MountChanges,
    pub first_touch: &'a FirstTouch,
    pub now: Instant,
    /// Below this a learned read explores a standby again: a number drawn uniformly from 0.0..1.0.
    pub roll: f64,
}

/// Where the request may go and under which terms.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    pub destination: Destination,
    pub class: Class,
    pub source: Source,
    pub reason: &'static str,
    pub traits: Traits,
    pub mode: ConsistencyMode,
    /// Rule's timeout, else the configuration's; `None`: no limit (streams).
    pub timeout: Option<Duration>,
    /// Largest request body; `None`: the listener's own limit.
    pub max_body_bytes: Option<u64>,
    /// Learning wants to know how this one turns out.
    pub watch: bool,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    Servers(Wants),
    /// The proxy answers for the cluster.
    Cluster,
    Deny {
        status: u16,
    },
}

/// Decides.
#[must_use]
pub fn judge(question: &Question<'_>, known: &Knowledge<'_>) -> Verdict {
    let builtin = builtin(question, known);
    let rule = known.rules.first_match(&RuleInput {
        path: question.path,
        method: question.method,
        namespace: question.namespace,
        class: builtin.class,
        headers: question.headers,
    });
    let config = &known.snapshot.config;
    let mut verdict = Verdict {
        destination: destination(question, &builtin, known),
        class: builtin.class,
        source: builtin.source,
        reason: builtin.reason,
        traits: builtin.traits,
        mode: question.consistency.unwrap_or(config.consistency.mode),
        timeout: (!builtin.traits.streaming).then_some(config.timeouts.request),
        max_body_bytes: builtin.traits.streaming.then_some(0),
        watch: false,
    };
    if question.unclean && known.rules.any_denies() {
        verdict.destination = Destination::Deny { status: 400 };
        return verdict;
    }
    match rule {
        Some(rule) => apply_rule(&mut verdict, rule),
        None => apply_learning(&mut verdict, question, known),
    }
    verdict
}

fn builtin(question: &Question<'_>, known: &Knowledge<'_>) -> Classified {
    let Some(path) = question.path else {
        return match question.outside_api {
            Some(path) => classify::outside_api(question.operation, path),
            None => classify::unclean(),
        };
    };
    let mount = if known.snapshot.mounts.is_empty() {
        None
    } else {
        known.snapshot.mounts.lookup(question.namespace, path)
    };
    let none = HeaderMap::new();
    let headers = if question.plain { &none } else { question.headers };
    classify::classify(&Shape::of(question.operation, path, question.query, headers, mount))
}

fn destination(question: &Question<'_>, builtin: &Classified, known: &Knowledge<'_>) -> Destination {
    let path = question.path.unwrap_or_default();
    let wants = match builtin.needs {
        Needs::Cluster => return Destination::Cluster,
        Needs::AnyNode => Wants::Any,
        // Where a node is not named the active one stands for the cluster; the admin address can name another.
        Needs::Active | Needs::ThisNode | Needs::Standby
            if builtin.class == Class::Unknown && question.operation.is_read() && !question.unclean =>
        {
            unknown_wants(known.snapshot.config.routing.unknown)
        }
        Needs::Active | Needs::ThisNode => Wants::Active,
        Needs::Standby if changed(path, known) => Wants::Active,
        Needs::Standby
            if builtin.traits.first_touch && !known.first_touch.is_behind(question.namespace, path) =>
        {
            Wants::Active
        }
        Needs::Standby => Wants::Fresh,
    };
    Destination::Servers(wants)
}

/// The path's mount, auth method, policy or namespace changed a moment ago.
fn changed(path: &str, known: &Knowledge<'_>) -> bool {
    let standby = |server: &&ServerView| server.reads && Some(server.id) != known.snapshot.active;
    known.mount_changes.covers(path, known.now, |index| {
        known.snapshot.servers.iter().filter(standby).all(|server| server.live.applied_index() >= index)
    })
}

fn apply_rule(verdict: &mut Verdict, rule: &super::rules::CompiledRule) {
    verdict.destination = match rule.action {
        RuleAction::ToActive => Destination::Servers(Wants::Active),
        RuleAction::ToStandby => Destination::Servers(Wants::Fresh),
        RuleAction::ToAny => Destination::Servers(Wants::Any),
        RuleAction::Deny { status } => Destination::Deny { status },
        RuleAction::Continue => verdict.destination,
    };
    if rule.action != RuleAction::Continue {
        verdict.source = Source::Rule;
        verdict.reason = "an operator's rule says so";
    }
    verdict.mode = rule.consistency.unwrap_or(verdict.mode);
    verdict.timeout = rule.timeout.or(verdict.timeout);
    verdict.max_body_bytes = rule.max_body_bytes.or(verdict.max_body_bytes);
}

/// Learning only ever moves a guessed read to the active node, and explores a little so that it can unlearn.
fn apply_learning(verdict: &mut Verdict, question: &Question<'_>, known: &Knowledge<'_>) {
    let learned = &known.snapshot.learned;
    let settings = &known.snapshot.config.routing.learn;
    if !settings.enabled || verdict.destination != Destination::Servers(Wants::Fresh) {
        return;
    }
    let Some(path) = question.path else { return };
    if learned.is_empty() || !verdict.traits.learnable {
        return;
    }
    let Some(lesson) = learned.verdict(question.namespace, path, question.operation) else { return };
    verdict.watch = true;
    if lesson.to_active && known.roll >= settings.explore {
        verdict.destination = Destination::Servers(Wants::Active);
        verdict.source = Source::Learned;
        verdict.reason = "standbys kept forwarding this shape";
    }
}
