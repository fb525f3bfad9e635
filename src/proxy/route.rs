//! Where a request goes: pure, from what it needs, how fresh its answer must be and the snapshot.
//!
//! A server is a *candidate* when it may serve reads and is known to be at or past the floor. With none, the
//! catch-up time the owner measured says whether waiting beats asking the active node.

use std::time::{Duration, Instant};

use crate::config::proxy::{ConsistencyMode, OnStale, UnknownTo};

use super::affinity::Floor;
use super::balance::{Candidate, Candidates, Load, Spread, choose};
use super::snapshot::{Dialect, Role, ServerId, ServerView, Snapshot};

/// What the request needs after rules, learning and headers had their word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Any usable node.
    Any,
    /// A read-serving standby at or past the floor.
    Fresh,
    Active,
    /// The state of the cluster: the active node, else whoever can be reached, sealed or not.
    Status,
}

/// One routing question.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    pub wants: Wants,
    pub mode: ConsistencyMode,
    pub floor: Floor,
    /// Servers already tried for this request, one bit per [`ServerId`].
    pub tried: u16,
    pub now: Instant,
    /// A turn counter, for round robin.
    pub turn: u64,
}

/// Why a standby or the active was chosen, as `consistency_total{outcome}` counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FloorOutcome {
    NoFloor,
    Satisfied,
    /// The least loaded standby was behind; another one was not.
    OtherStandby,
    /// A standby is asked to wait for the index.
    Waited,
    ToActive,
    Rejected,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    To {
        server: ServerId,
        floor: FloorOutcome,
        unneeded_active: bool,
    },
    /// A standby will be there within `for_at_most`; ask again then. For servers that cannot wait themselves.
    Wait {
        for_at_most: Duration,
    },
    /// Only the active can do this and nobody knows who it is.
    Hold,
    /// `on_stale: fail`.
    Stale,
    /// No server can answer this.
    Nobody,
}

/// Picks the server for one attempt.
pub fn route(
    snapshot: &Snapshot,
    ask: &Ask,
    load: impl Fn(ServerId) -> Load,
    rng: &mut fastrand::Rng,
) -> Route {
    match ask.wants {
        Wants::Active => to_active(snapshot, FloorOutcome::NoFloor, false),
        Wants::Any => any(snapshot, ask, load, rng),
        Wants::Status => status(snapshot, ask),
        Wants::Fresh if ask.mode == ConsistencyMode::Strong => {
            to_active(snapshot, FloorOutcome::ToActive, false)
        }
        Wants::Fresh => fresh(snapshot, ask, load, rng),
    }
}

/// Where an unclassified request goes by configuration.
#[must_use]
pub fn unknown_wants(to: UnknownTo) -> Wants {
    match to {
        UnknownTo::Active => Wants::Active,
        UnknownTo::Standby => Wants::Fresh,
    }
}

/// Is this server's storage at or past the floor, as far as anyone has seen?
#[must_use]
pub fn satisfies(server: &ServerView, floor: Floor) -> bool {
    if floor.is_none() {
        return true;
    }
    match server.dialect {
        Dialect::None => server.caught_up_to_ms >= floor.written_ms && applied(server) >= floor.index(),
        Dialect::OpenBao | Dialect::Vault => applied(server) >= floor.index(),
    }
}

fn applied(server: &ServerView) -> u64 {
    server.live.applied_index()
}

fn was_tried(ask: &Ask, id: ServerId) -> bool {
    ask.tried & (1 << (id.0 & 15)) != 0
}

fn spread<'a>(snapshot: &'a Snapshot, now: Instant) -> Spread<'a> {
    let routing = &snapshot.config.routing;
    let zone = snapshot.config.cluster.local_zone.as_deref().filter(|_| routing.prefer_local_zone);
    Spread { policy: routing.balance, slow_start: routing.slow_start, zone, now }
}

fn to_active(snapshot: &Snapshot, floor: FloorOutcome, unneeded_active: bool) -> Route {
    snapshot.active.map_or(Route::Hold, |server| Route::To { server, floor, unneeded_active })
}

fn any(snapshot: &Snapshot, ask: &Ask, load: impl Fn(ServerId) -> Load, rng: &mut fastrand::Rng) -> Route {
    let mut candidates = Candidates::new();
    for server in snapshot.servers.iter().filter(|server| server.usable && !was_tried(ask, server.id)) {
        candidates.push(Candidate { server, load: load(server.id) });
    }
    match choose(candidates, spread(snapshot, ask.now), ask.turn, rng) {
        Some(server) => Route::To { server, floor: FloorOutcome::NoFloor, unneeded_active: false },
        None => Route::Nobody,
    }
}

fn status(snapshot: &Snapshot, ask: &Ask) -> Route {
    let untried = |server: &&ServerView| !was_tried(ask, server.id);
    let active = snapshot.active_server().filter(untried);
    let usable = || snapshot.servers.iter().filter(untried).find(|server| server.usable);
    let reachable = || {
        snapshot
            .servers
            .iter()
            .filter(untried)
            .find(|server| !matches!(server.role, Role::Unreachable | Role::Foreign | Role::Unknown))
    };
    match active.or_else(usable).or_else(reachable) {
        Some(server) => Route::To { server: server.id, floor: FloorOutcome::NoFloor, unneeded_active: false },
        None => Route::Nobody,
    }
}

fn fresh(snapshot: &Snapshot, ask: &Ask, load: impl Fn(ServerId) -> Load, rng: &mut fastrand::Rng) -> Route {
    let mut candidates = Candidates::new();
    let mut behind: Option<&ServerView> = None;
    for server in snapshot.servers.iter().filter(|server| is_read_standby(snapshot, server)) {
        if was_tried(ask, server.id) {
            continue;
        }
        if satisfies(server, ask.floor) {
            candidates.push(Candidate { server, load: load(server.id) });
        } else if behind.is_none_or(|best| applied(server) > applied(best)) {
            behind = Some(server);
        }
    }
    let share = snapshot.config.routing.active_share;
    if share > 0.0 && snapshot.active.is_some() && rng.f64() < share {
        return to_active(snapshot, FloorOutcome::NoFloor, !candidates.is_empty());
    }
    let outcome = match (ask.floor.is_none(), behind) {
        (true, _) => FloorOutcome::NoFloor,
        (false, None) => FloorOutcome::Satisfied,
        (false, Some(_)) => FloorOutcome::OtherStandby,
    };
    match choose(candidates, spread(snapshot, ask.now), ask.turn, rng) {
        Some(server) => Route::To { server, floor: outcome, unneeded_active: false },
        None => behind_the_floor(snapshot, behind, ask.floor, rng),
    }
}

fn is_read_standby(snapshot: &Snapshot, server: &ServerView) -> bool {
    server.reads && server.usable && Some(server.id) != snapshot.active
}

/// A standby that shows an index this soon is worth waiting for: about what the way through the active costs.
const SOON: Duration = Duration::from_millis(5);
/// Share of the reads held back by what the session was *shown*, not by what it wrote, that wait for a standby.
/// A read answered by the active node raises the session's floor to other people's newest write, so a busy
/// session would stay on the active for good; one wait puts it back on a standby, where its floor is that
/// standby's own.
const RETURN_SHARE: f64 = 0.125;

/// No standby is known to be fresh enough.
fn behind_the_floor(
    snapshot: &Snapshot,
    nearest: Option<&ServerView>,
    floor: Floor,
    rng: &mut fastrand::Rng,
) -> Route {
    let consistency = &snapshot.config.consistency;
    let active = to_active(snapshot, FloorOutcome::ToActive, false);
    let Some(server) = nearest else { return active };
    match consistency.on_stale {
        OnStale::Fail => Route::Stale,
        OnStale::Active => active,
        OnStale::WaitThenActive => match usual_wait(server) {
            Some(wait) if wait > consistency.max_wait => active,
            // The server itself waits, and forwards when it waited in vain (vault-semantics §5.2).
            Some(wait) if wait <= SOON && server.dialect == Dialect::OpenBao => {
                Route::To { server: server.id, floor: FloorOutcome::Waited, unneeded_active: false }
            }
            Some(wait) if wait <= SOON => Route::Wait { for_at_most: consistency.max_wait },
            Some(_) if applied(server) >= floor.wrote && rng.f64() < RETURN_SHARE => {
                Route::Wait { for_at_most: consistency.max_wait }
            }
            Some(_) | None => active,
        },
    }
}

/// How long the standby usually needs; `None`: not measured yet.
fn usual_wait(server: &ServerView) -> Option<Duration> {
    (server.catch_up_us > 0).then(|| Duration::from_micros(server.catch_up_us))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::snapshot::Role;
    use crate::proxy::testing;
    use std::sync::Arc;

    /// n0 leads at index 10; n1 has applied 9, n2 has applied 7.
    fn cluster(change: impl FnOnce(&mut Snapshot)) -> Snapshot {
        let mut snapshot = testing::snapshot(&["n0", "n1", "n2"]);
        for (server, index) in snapshot.servers.iter_mut().zip([10, 9, 7]) {
            server.role = Role::Standby;
            server.usable = true;
            server.reads = true;
            server.dialect = Dialect::OpenBao;
            server.catch_up_us = 0;
            server.live.reset_applied_index(index);
        }
        snapshot.active = Some(ServerId(0));
        change(&mut snapshot);
        snapshot
    }

    fn ask(wants: Wants, seen: u64) -> Ask {
        Ask {
            wants,
            mode: ConsistencyMode::Session,
            floor: Floor { seen, ..Floor::default() },
            tried: 0,
            now: Instant::now(),
            turn: 0,
        }
    }

    fn to(snapshot: &Snapshot, ask: &Ask) -> Vec<Route> {
        let mut rng = fastrand::Rng::with_seed(3);
        (0..200).map(|_| route(snapshot, ask, |_| Load::default(), &mut rng)).collect()
    }

    /// Who gets it over many draws, and how the floor was met.
    fn servers(routes: &[Route]) -> Vec<(u16, FloorOutcome)> {
        let mut found: Vec<_> = routes
            .iter()
            .map(|route| {
                let Route::To { server, floor, .. } = route else { panic!("{route:?}") };
                (server.0, *floor)
            })
            .collect();
        found.sort_by_key(|(server, _)| *server);
        found.dedup();
        found
    }

    #[test]
    fn a_read_goes_only_where_the_floor_is_reached() {
        use FloorOutcome::{NoFloor, OtherStandby, Satisfied, ToActive};
        let table = [
            (0, vec![(1, NoFloor), (2, NoFloor)]),
            (7, vec![(1, Satisfied), (2, Satisfied)]),
            (8, vec![(1, OtherStandby)]),
            (9, vec![(1, OtherStandby)]),
            (10, vec![(0, ToActive)]),
        ];
        let snapshot = cluster(|_| {});
        for (floor, expected) in table {
            assert_eq!(servers(&to(&snapshot, &ask(Wants::Fresh, floor))), expected, "floor {floor}");
        }
    }

    #[test]
    fn writes_and_strong_reads_go_to_the_active_or_wait_for_one() {
        let strong = Ask { mode: ConsistencyMode::Strong, ..ask(Wants::Fresh, 0) };
        for asked in [ask(Wants::Active, 0), strong] {
            let led = to(&cluster(|_| {}), &asked);
            assert!(led.iter().all(|route| matches!(route, Route::To { server: ServerId(0), .. })));
            let leaderless = to(&cluster(|snapshot| snapshot.active = None), &asked);
            assert!(leaderless.iter().all(|route| *route == Route::Hold));
        }
    }

    #[test]
    fn a_standby_that_may_not_read_or_was_tried_is_not_asked() {
        let ejected = cluster(|snapshot| snapshot.servers[1].reads = false);
        assert_eq!(servers(&to(&ejected, &ask(Wants::Fresh, 0))), [(2, FloorOutcome::NoFloor)]);
        let tried = Ask { tried: 0b110, ..ask(Wants::Fresh, 0) };
        assert_eq!(servers(&to(&cluster(|_| {}), &tried)), [(0, FloorOutcome::ToActive)]);
    }

    #[test]
    fn who_waits_for_a_standby() {
        let slow = cluster(|snapshot| snapshot.servers[1].catch_up_us = 40_000);
        let own_write = Ask { floor: Floor { wrote: 10, ..Floor::default() }, ..ask(Wants::Fresh, 0) };
        assert_eq!(servers(&to(&slow, &own_write)), [(0, FloorOutcome::ToActive)], "its own write: at once");
        let waits =
            to(&slow, &ask(Wants::Fresh, 10)).iter().filter(|r| matches!(r, Route::Wait { .. })).count();
        assert!((10..50).contains(&waits), "one in eight of 200: {waits}");
        let soon = cluster(|snapshot| snapshot.servers[1].catch_up_us = 2_000);
        assert_eq!(servers(&to(&soon, &ask(Wants::Fresh, 10))), [(1, FloorOutcome::Waited)]);
        let fail = cluster(|snapshot| {
            let mut config = (*snapshot.config).clone();
            config.consistency.on_stale = OnStale::Fail;
            snapshot.config = Arc::new(config);
        });
        assert!(to(&fail, &ask(Wants::Fresh, 10)).iter().all(|route| *route == Route::Stale));
    }

    #[test]
    fn without_an_index_only_the_clock_tells() {
        let old = cluster(|snapshot| {
            for server in &mut snapshot.servers {
                server.dialect = Dialect::None;
                server.caught_up_to_ms = 500;
            }
        });
        let written =
            |at| Ask { floor: Floor { written_ms: at, ..Floor::default() }, ..ask(Wants::Fresh, 0) };
        assert_eq!(servers(&to(&old, &written(500))).len(), 2);
        assert_eq!(servers(&to(&old, &written(501))), [(0, FloorOutcome::ToActive)]);
    }
}
