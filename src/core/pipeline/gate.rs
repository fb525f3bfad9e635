//! What stands before a request: rate limits before anything of it is read, and before a login is believed, whether its
//! name has guessed wrong too often.

use time::OffsetDateTime;

use super::target::Target;
use super::{Core, Turn, denied};
use crate::api::header;
use crate::api::operation::Operation as Asked;
use crate::barrier::{Mode, Transaction};
use crate::core::answer::Answered;
use crate::core::incoming::Incoming;
use crate::core::lockout::{LockoutConfig, Login};
use crate::core::mount::Table;
use crate::core::quota::{self, Standing, Verdict};
use crate::core::trail::Trail;
use crate::logical::{Access, Claim, Cost, Fault, Operation, Request, Response};

/// A login under way: whom to blame or forgive for it.
pub(super) struct Guess {
    login: Login,
    config: LockoutConfig,
}

impl Core {
    /// What the rate limits say of the request; it is counted.
    pub(super) fn limit(&self, incoming: &Incoming, now: OffsetDateTime) -> Verdict {
        if self.quotas.is_idle() {
            return Verdict::Free;
        }
        let router = self.mounts.router();
        let mount = router.route(&incoming.path).map(|(mounted, rest)| (mounted.info.path.as_str(), rest));
        let wants_role = mount.is_some_and(|(path, _)| self.quotas.wants_role(path));
        let role = if wants_role { self.claimed_role(incoming, now) } else { None };
        let client = incoming.client.address;
        self.quotas.check(quota::Asked { path: &incoming.path, mount, role: role.as_deref(), client }, now)
    }

    /// The role a login says it is for; nothing of it is believed.
    fn claimed_role(&self, incoming: &Incoming, now: OffsetDateTime) -> Option<String> {
        let target = Target::find(&self.mounts.router(), incoming)?;
        let mut tx = self.barrier.begin(Mode::ReadOnly).ok()?;
        let request = target.request(incoming, Operation::Update, None);
        claim(&mut tx, &target, &request, now).ok()??.role
    }

    /// The answer to who asks too often. Nobody's token was looked at.
    pub(super) async fn exceeded(
        &self,
        incoming: &Incoming,
        trail: &mut Trail,
        standing: Standing,
    ) -> Answered {
        let fault =
            Fault::TooMany(format!("request path {:?}: rate limit quota exceeded", shown_path(incoming)));
        if self.quotas.tells_audit() {
            let refusal = fault.clone();
            let noted = self.noted(trail, move |trail| trail.request(Some(&refusal))).await;
            if let Err(unwritten) = noted {
                return self.told(trail, Err(unwritten), Cost::Light).await;
            }
        }
        let answered = crate::core::answer::of(trail.operation, trail.request_id(), &Err(fault));
        Self::standing(answered, standing)
    }

    /// Tells the client how it stands, as far as it is told.
    pub(super) fn standing(mut answered: Answered, standing: Standing) -> Answered {
        let mut put = |name, value: u64| answered.headers.push((name, value.into()));
        if let Some((limit, remaining, reset)) = standing.window {
            put(header::X_RATELIMIT_LIMIT, limit);
            put(header::X_RATELIMIT_REMAINING, remaining);
            put(header::X_RATELIMIT_RESET, reset);
        }
        if let Some(secs) = standing.retry_after_secs {
            put(http::header::RETRY_AFTER, secs);
        }
        answered
    }

    /// Whether the login may be tried; `None` where it is none, or says no name.
    ///
    /// # Errors
    /// The name is locked out.
    pub(super) fn guess(
        &self,
        tx: &mut Transaction,
        turn: Turn<'_>,
        target: &Target,
        request: &Request,
    ) -> Result<Option<Guess>, Fault> {
        let Some(claim) = claim(tx, target, request, turn.now)? else { return Ok(None) };
        let entry = &target.mounted.entry;
        let login = Login { accessor: entry.accessor.clone(), alias: claim.alias };
        let config = entry.config.user_lockout.unwrap_or_default();
        if self.lockouts.is_locked(&login, config, turn.now) {
            return Err(denied());
        }
        Ok(Some(Guess { login, config }))
    }

    /// Counts the guess that was wrong, and forgets those before one that was right.
    pub(super) fn guessed(&self, guess: &Guess, outcome: &Result<Response, Fault>, now: OffsetDateTime) {
        match outcome {
            Err(Fault::WrongCredentials(_)) => self.lockouts.failed(&guess.login, guess.config, now),
            Ok(response) if response.auth.is_some() => self.lockouts.forgive(&guess.login),
            Ok(_) | Err(_) => {}
        }
    }
}

/// Who a login says it is; `None` for anything that is no login.
fn claim(
    tx: &mut Transaction,
    target: &Target,
    request: &Request,
    now: OffsetDateTime,
) -> Result<Option<Claim>, Fault> {
    let lists = matches!(request.operation, Operation::List | Operation::Scan | Operation::Help);
    if lists || target.access != Access::Open || target.mounted.table != Table::Auth {
        return Ok(None);
    }
    target.mounted.backend.claim(&mut target.call(tx, request, now))
}

/// Lists are of folders.
fn shown_path(incoming: &Incoming) -> String {
    let lists = matches!(incoming.operation, Asked::List | Asked::Scan) && !incoming.path.ends_with('/');
    format!("{}{}", incoming.path, if lists { "/" } else { "" })
}
