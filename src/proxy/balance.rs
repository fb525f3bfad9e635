//! The choice among servers that may all answer: pure, given their loads and a random number source.
//! Who is eligible is decided before (`route`); this file only spreads.

use std::time::{Duration, Instant};

use crate::config::proxy::Balance;

use super::snapshot::{ServerId, ServerView};

/// What the choosing worker knows of a server's load.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// This worker's requests in flight there.
    pub in_flight: u32,
    /// Peak-EWMA of this worker's answer times, microseconds.
    pub ewma_us: u64,
}

/// A server that may be chosen.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub server: &'a ServerView,
    pub load: Load,
}

/// Most candidates looked at: a cluster has 3 to 15 nodes, and the list lives on the stack.
pub const MAX_CANDIDATES: usize = 16;

/// Eligible servers, bounded by [`MAX_CANDIDATES`].
#[derive(Debug)]
pub struct Candidates<'a> {
    list: [Option<Candidate<'a>>; MAX_CANDIDATES],
    len: usize,
}

impl<'a> Candidates<'a> {
    #[must_use]
    pub fn new() -> Self {
        Self { list: [None; MAX_CANDIDATES], len: 0 }
    }

    /// Adds one; beyond the bound it is left out (the rest still serve).
    pub fn push(&mut self, candidate: Candidate<'a>) {
        if let Some(slot) = self.list.get_mut(self.len) {
            *slot = Some(candidate);
            self.len += 1;
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn at(&self, index: usize) -> Candidate<'a> {
        self.list[index].expect("below len every slot is filled")
    }

    fn iter(&self) -> impl Iterator<Item = Candidate<'a>> + '_ {
        self.list.iter().flatten().copied()
    }

    /// Keeps only those that satisfy the predicate, unless none does.
    fn prefer(&mut self, wanted: impl Fn(&Candidate<'a>) -> bool) {
        if !self.iter().any(|candidate| wanted(&candidate)) {
            return;
        }
        let mut kept = Self::new();
        self.iter().filter(|candidate| wanted(candidate)).for_each(|candidate| kept.push(candidate));
        *self = kept;
    }
}

impl Default for Candidates<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// How to spread: the settings of `routing` this file needs.
#[derive(Debug, Clone, Copy)]
pub struct Spread<'a> {
    pub policy: Balance,
    pub slow_start: Duration,
    /// Set when servers of this zone are preferred.
    pub zone: Option<&'a str>,
    pub now: Instant,
}

/// Picks one of the candidates; `None` only when there is none.
pub fn choose(
    mut candidates: Candidates<'_>,
    spread: Spread<'_>,
    turn: u64,
    rng: &mut fastrand::Rng,
) -> Option<ServerId> {
    if let Some(zone) = spread.zone {
        candidates.prefer(|candidate| candidate.server.zone.as_deref() == Some(zone));
    }
    let chosen = match candidates.len() {
        0 => return None,
        1 => candidates.at(0),
        len => match spread.policy {
            Balance::RoundRobin => candidates.at((turn % len as u64) as usize),
            Balance::Random => candidates.at(rng.usize(..len)),
            Balance::LeastRequest => better_of_two(&candidates, rng, |c| least_request(c, spread)),
            Balance::PeakEwma => better_of_two(&candidates, rng, |c| peak_ewma(c, spread)),
        },
    };
    Some(chosen.server.id)
}

/// Power of two choices: two distinct random candidates, the cheaper wins; a tie goes to the first drawn,
/// which is itself random.
fn better_of_two<'a>(
    candidates: &Candidates<'a>,
    rng: &mut fastrand::Rng,
    cost: impl Fn(&Candidate<'a>) -> f64,
) -> Candidate<'a> {
    let first = rng.usize(..candidates.len());
    let step = 1 + rng.usize(..candidates.len() - 1);
    let (a, b) = (candidates.at(first), candidates.at((first + step) % candidates.len()));
    if cost(&b) < cost(&a) { b } else { a }
}

/// What `server_load` shows: the policy's cost without weight and slow start, in millionths (of one request in
/// flight, or of a second of expected waiting).
#[must_use]
pub fn score_millionths(policy: Balance, load: Load) -> u64 {
    match policy {
        Balance::PeakEwma => load.ewma_us.max(1).saturating_mul(u64::from(load.in_flight) + 1),
        Balance::RoundRobin | Balance::LeastRequest | Balance::Random => {
            (u64::from(load.in_flight) + 1) * 1_000_000
        }
    }
}

fn least_request(candidate: &Candidate<'_>, spread: Spread<'_>) -> f64 {
    f64::from(candidate.load.in_flight + 1) / effective_weight(candidate.server, spread)
}

fn peak_ewma(candidate: &Candidate<'_>, spread: Spread<'_>) -> f64 {
    let time = candidate.load.ewma_us.max(1) as f64;
    time * least_request(candidate, spread)
}

/// A server that has just become ready gets a share that grows from a tenth to its full weight over `slow_start`.
fn effective_weight(server: &ServerView, spread: Spread<'_>) -> f64 {
    let weight = f64::from(server.weight.max(1));
    let Some(since) = server.ready_since else { return weight };
    let age = spread.now.saturating_duration_since(since);
    if age >= spread.slow_start {
        return weight;
    }
    weight * (age.as_secs_f64() / spread.slow_start.as_secs_f64()).max(0.1)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::proxy::ServerAddress;
    use crate::proxy::snapshot::{Dialect, Role, ServerLive};
    use std::sync::Arc;

    pub(crate) fn view(id: u16) -> ServerView {
        ServerView {
            id: ServerId(id),
            name: format!("n{id}").into(),
            address: Arc::new(ServerAddress { tls: false, host: "127.0.0.1".into(), port: 1 }),
            zone: None,
            weight: 1,
            role: Role::Standby,
            usable: true,
            reads: true,
            reads_reason: "ok",
            dialect: Dialect::OpenBao,
            node_id: None,
            hostname: None,
            ready_since: None,
            caught_up_to_ms: 0,
            catch_up_us: 0,
            live: Arc::new(ServerLive::default()),
        }
    }

    fn spread(policy: Balance) -> Spread<'static> {
        Spread { policy, slow_start: Duration::from_secs(10), zone: None, now: Instant::now() }
    }

    fn count(views: &[ServerView], loads: &[u32], spread: Spread<'_>) -> Vec<usize> {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut hits = vec![0; views.len()];
        for turn in 0..1000 {
            let mut candidates = Candidates::new();
            for (server, in_flight) in views.iter().zip(loads) {
                candidates.push(Candidate { server, load: Load { in_flight: *in_flight, ewma_us: 100 } });
            }
            hits[choose(candidates, spread, turn, &mut rng).unwrap().index()] += 1;
        }
        hits
    }

    #[test]
    fn the_score_is_the_policys_own_cost() {
        let load = Load { in_flight: 3, ewma_us: 200 };
        assert_eq!(score_millionths(Balance::LeastRequest, load), 4_000_000, "the next request counts too");
        assert_eq!(score_millionths(Balance::PeakEwma, load), 800);
    }

    #[test]
    fn nothing_to_choose_from() {
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(choose(Candidates::new(), spread(Balance::Random), 0, &mut rng), None);
    }

    #[test]
    fn the_busier_of_two_is_never_chosen() {
        let views = [view(0), view(1)];
        assert_eq!(count(&views, &[3, 1], spread(Balance::LeastRequest)), [0, 1000]);
        assert_eq!(count(&views, &[3, 1], spread(Balance::PeakEwma)), [0, 1000]);
    }

    #[test]
    fn equal_loads_are_spread() {
        let views = [view(0), view(1), view(2)];
        for policy in [Balance::LeastRequest, Balance::Random, Balance::RoundRobin, Balance::PeakEwma] {
            let hits = count(&views, &[1, 1, 1], spread(policy));
            assert!(hits.iter().all(|n| (250..=420).contains(n)), "{policy:?}: {hits:?}");
        }
    }

    #[test]
    fn a_server_in_slow_start_gets_less() {
        let now = Instant::now();
        let mut views = [view(0), view(1)];
        views[0].ready_since = Some(now);
        let hits = count(&views, &[0, 0], Spread { now, ..spread(Balance::LeastRequest) });
        assert_eq!(hits, [0, 1000]);
        let busy = count(&views, &[0, 20], Spread { now, ..spread(Balance::LeastRequest) });
        assert_eq!(busy, [1000, 0]);
    }

    #[test]
    fn the_local_zone_wins_while_it_has_anybody() {
        let mut views = [view(0), view(1)];
        views[1].zone = Some("a".into());
        let local = Spread { zone: Some("a"), ..spread(Balance::LeastRequest) };
        assert_eq!(count(&views, &[0, 9], local), [0, 1000]);
        let elsewhere = Spread { zone: Some("b"), ..spread(Balance::LeastRequest) };
        assert_eq!(count(&views, &[0, 9], elsewhere), [1000, 0]);
    }
}
