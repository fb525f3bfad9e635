//! Learning from answers which shapes a standby forwards.
//!
//! A read sent to a standby comes back marked by the node that really answered. Evidence is counted per
//! (namespace, mount, path shape, operation), decays with a half-life, and is bounded: when a shape has too little of
//! it, its mount's is used. The owner grows the [`LearningTree`]; workers read an immutable [`Learned`].
//!
//! Being wrong is safe both ways: a standby forwards what it cannot do. So a shape sent to the active is still tried
//! on a standby now and then (`explore`), and those few answers weigh as much as the many that are not tried.
//! It does not know mount types or the built-in table: it is asked only where those guess.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use serde::Serialize;

use crate::api::operation::Operation;
use crate::api::template;
use crate::config::proxy::Learn;

/// Evidence of one shape is capped at this many times `min_samples`, so that the past cannot outweigh a change.
const CAP: f64 = 4.0;
/// An explored answer of a flipped shape weighs this part of `min_samples`: a few local answers unlearn it.
const EXPLORED_WEIGHT: f64 = 0.25;
/// A shape forwarded less often than this part of `flip_at` is known to be local and no longer watched.
const CLEARLY_LOCAL: f64 = 0.25;
/// Below this weight evidence is forgotten altogether.
const FORGOTTEN: f64 = 0.5;
/// When the tree is full, this part of it goes at once: the weakest.
const EVICTED_SHARE: usize = 8;

/// Random for each process: hashes of path segments that reach the admin page cannot be guessed backwards.
static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Shape of a request as learning sees it. Holds hashes and a template, never a secret segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShapeKey {
    leaf: u64,
    mount: u64,
    template: Box<str>,
    operation: Operation,
}

/// What workers ask. Empty until the first forwarded answer.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    /// By leaf or mount hash: what flipped, and what is in doubt, so that its local answers are reported as well
    /// (evidence of forwarded answers alone would flip every shape in the end). What is known to be local is not
    /// here: it costs nothing until it is forwarded again.
    verdicts: HashMap<u64, bool>,
    explore: f64,
}

/// The lesson for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnedVerdict {
    /// Standbys forward it: it goes to the active at once. False: it is being watched.
    pub to_active: bool,
}

/// What one answer did to the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lesson {
    /// More of the same.
    Nothing,
    /// A shape is watched from now on, or no longer: worth publishing soon.
    Watched,
    /// A verdict turned: worth publishing at once.
    Turned,
}

/// The owner's side: all evidence.
#[derive(Debug)]
pub struct LearningTree {
    settings: Learn,
    leaves: HashMap<u64, Leaf>,
    mounts: HashMap<u64, Evidence>,
}

#[derive(Debug)]
struct Leaf {
    mount: u64,
    template: Box<str>,
    operation: Operation,
    evidence: Evidence,
}

/// Weights that halve every `half_life`.
#[derive(Debug, Clone, Copy)]
struct Evidence {
    total: f64,
    forwarded: f64,
    /// Answers seen, not decayed: the flip must come after `min_samples` answers however slowly they come.
    samples: u32,
    at: Instant,
    flipped: bool,
    /// Neither flipped nor known to be local.
    in_doubt: bool,
}

/// One line of `/v1/learned`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearnedShape {
    /// Tells shapes of one template apart; means nothing outside this process.
    pub id: String,
    pub template: String,
    pub operation: &'static str,
    pub samples: u32,
    /// 0.0..=1.0 of the weighted answers.
    pub forwarded_share: f64,
    pub to_active: bool,
}

/// `/v1/learned`.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct LearnedReport {
    pub enabled: bool,
    pub shapes: usize,
    pub max_shapes: usize,
    pub flipped: Vec<LearnedShape>,
    /// The others, the best known first, at most [`LISTED`].
    pub watched: Vec<LearnedShape>,
}

/// Most unflipped shapes listed.
pub const LISTED: usize = 200;

// === impl ShapeKey ===

impl ShapeKey {
    /// The shape of a canonical path (without `/v1/`). Leaf: the first two segments and the number of all;
    /// parent: the first segment (two under `auth/`).
    #[must_use]
    pub fn of(namespace: &str, path: &str, operation: Operation) -> Self {
        let (leaf, mount) = hashes(namespace, path, operation);
        let mut rendered = String::new();
        template::render(path, operation, &mut rendered);
        Self { leaf, mount, template: rendered.into(), operation }
    }
}

fn hashes(namespace: &str, path: &str, operation: Operation) -> (u64, u64) {
    let path = path.trim_matches('/');
    let mut segments = path.split('/');
    let first = segments.next().unwrap_or("");
    let under_auth = if first == "auth" { segments.next() } else { None };
    let mount = (namespace.trim_matches('/'), first, under_auth, operation);
    let verb = segments.next();
    let leaf = (mount, verb, segments.count());
    (KEYS.hash_one(("leaf", leaf)), KEYS.hash_one(("mount", mount)))
}

// === impl Learned ===

impl Learned {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// 0.0..=1.0 of the requests with a `to_active` verdict that should still be tried on a standby.
    #[must_use]
    pub fn explore(&self) -> f64 {
        self.explore
    }

    /// What was learned about this request, if anything.
    #[must_use]
    pub fn verdict(&self, namespace: &str, path: &str, operation: Operation) -> Option<LearnedVerdict> {
        if self.is_empty() {
            return None;
        }
        let (leaf, mount) = hashes(namespace, path, operation);
        let found = self.verdicts.get(&leaf).or_else(|| self.verdicts.get(&mount))?;
        Some(LearnedVerdict { to_active: *found })
    }
}

// === impl LearningTree ===

impl LearningTree {
    #[must_use]
    pub fn new(settings: &Learn) -> Self {
        Self { settings: settings.clone(), leaves: HashMap::new(), mounts: HashMap::new() }
    }

    /// One answered read of a standby.
    pub fn observe(&mut self, shape: &ShapeKey, forwarded: bool, now: Instant) -> Lesson {
        if !self.settings.enabled || self.settings.max_shapes == 0 {
            return Lesson::Nothing;
        }
        if self.leaves.len() >= self.settings.max_shapes && !self.leaves.contains_key(&shape.leaf) {
            self.evict(now);
        }
        let settings = &self.settings;
        let leaf = self.leaves.entry(shape.leaf).or_insert_with(|| Leaf::new(shape, now));
        let mount = self.mounts.entry(shape.mount).or_insert_with(|| Evidence::new(now));
        // A leaf that its mount's verdict speaks for is explored as rarely as one that flipped itself.
        let spoken_for = mount.flipped && leaf.evidence.samples < settings.min_samples;
        let by_leaf = leaf.evidence.add(forwarded, spoken_for, settings, now);
        let by_mount = mount.add(forwarded, false, settings, now);
        let speaks_itself = mount.flipped && leaf.evidence.samples == settings.min_samples;
        let own_voice = if speaks_itself { Lesson::Turned } else { Lesson::Nothing };
        by_leaf.max(by_mount).max(own_voice)
    }

    /// New settings; what is known stays, as far as it fits.
    pub fn configure(&mut self, settings: &Learn, now: Instant) {
        self.settings = settings.clone();
        if !settings.enabled {
            self.reset();
        }
        while self.leaves.len() > settings.max_shapes {
            self.evict(now);
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.leaves.clear();
        self.mounts.clear();
    }

    /// Lets time pass: evidence that has decayed to nothing goes. True when some did.
    pub fn decay(&mut self, now: Instant) -> bool {
        let half_life = self.settings.half_life.as_secs_f64();
        let before = self.leaves.len() + self.mounts.len();
        self.leaves.retain(|_, leaf| leaf.evidence.weight(now, half_life) >= FORGOTTEN);
        self.mounts.retain(|_, evidence| evidence.weight(now, half_life) >= FORGOTTEN);
        self.leaves.len() + self.mounts.len() != before
    }

    /// The workers' copy.
    #[must_use]
    pub fn publish(&self) -> Arc<Learned> {
        let shown = |evidence: &Evidence| evidence.flipped || evidence.in_doubt;
        let mounts = self.mounts.iter().filter(|(_, mount)| shown(mount));
        let mut verdicts: HashMap<u64, bool> = mounts.map(|(hash, mount)| (*hash, mount.flipped)).collect();
        for (hash, leaf) in &self.leaves {
            let by_mount = self.mounts.get(&leaf.mount).is_some_and(|mount| mount.flipped);
            let thin = leaf.evidence.samples < self.settings.min_samples;
            if by_mount || shown(&leaf.evidence) {
                verdicts.insert(*hash, leaf.evidence.flipped || (by_mount && thin));
            }
        }
        Arc::new(Learned { verdicts, explore: self.settings.explore })
    }

    /// What the operator may see.
    #[must_use]
    pub fn report(&self) -> LearnedReport {
        let (flipped, mut watched): (Vec<_>, Vec<_>) =
            self.leaves.iter().map(|(hash, leaf)| leaf.shown(*hash)).partition(|shape| shape.to_active);
        watched.sort_by(|a, b| b.samples.cmp(&a.samples).then_with(|| a.id.cmp(&b.id)));
        watched.truncate(LISTED);
        LearnedReport {
            enabled: self.settings.enabled,
            shapes: self.leaves.len(),
            max_shapes: self.settings.max_shapes,
            flipped,
            watched,
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Drops the weakest eighth, and mounts that no leaf needs any more: their number stays below the leaves'.
    fn evict(&mut self, now: Instant) {
        let half_life = self.settings.half_life.as_secs_f64();
        let mut weights: Vec<(u64, f64)> =
            self.leaves.iter().map(|(hash, leaf)| (*hash, leaf.evidence.weight(now, half_life))).collect();
        weights.sort_by(|a, b| a.1.total_cmp(&b.1));
        for (hash, _) in weights.iter().take((weights.len() / EVICTED_SHARE).max(1)) {
            self.leaves.remove(hash);
        }
        let needed: std::collections::HashSet<u64> = self.leaves.values().map(|leaf| leaf.mount).collect();
        self.mounts.retain(|hash, _| needed.contains(hash));
    }
}

impl Leaf {
    fn new(shape: &ShapeKey, now: Instant) -> Self {
        Self {
            mount: shape.mount,
            template: shape.template.clone(),
            operation: shape.operation,
            evidence: Evidence::new(now),
        }
    }

    fn shown(&self, hash: u64) -> LearnedShape {
        LearnedShape {
            id: format!("{hash:016x}"),
            template: self.template.to_string(),
            operation: operation_word(self.operation),
            samples: self.evidence.samples,
            forwarded_share: self.evidence.share(),
            to_active: self.evidence.flipped,
        }
    }
}

impl Evidence {
    fn new(now: Instant) -> Self {
        Self { total: 0.0, forwarded: 0.0, samples: 0, at: now, flipped: false, in_doubt: false }
    }

    /// Weight left at `now`.
    fn weight(&self, now: Instant, half_life: f64) -> f64 {
        self.total * factor(now.saturating_duration_since(self.at).as_secs_f64(), half_life)
    }

    fn share(&self) -> f64 {
        if self.total > 0.0 { self.forwarded / self.total } else { 0.0 }
    }

    /// Adds one answer.
    fn add(&mut self, forwarded: bool, rare: bool, settings: &Learn, now: Instant) -> Lesson {
        self.age(now, settings.half_life.as_secs_f64());
        let min = f64::from(settings.min_samples.max(1));
        let weight = if self.flipped || rare { (min * EXPLORED_WEIGHT).max(1.0) } else { 1.0 };
        self.total += weight;
        self.forwarded += if forwarded { weight } else { 0.0 };
        self.samples = self.samples.saturating_add(1);
        self.shrink_to(min * CAP);
        let flipped = self.samples >= settings.min_samples && self.share() > settings.flip_at;
        let few = self.samples < settings.min_samples.saturating_mul(2);
        let in_doubt = !flipped && (few || self.share() > settings.flip_at * CLEARLY_LOCAL);
        let lesson = match (flipped != self.flipped, in_doubt != self.in_doubt) {
            (true, _) => Lesson::Turned,
            (false, true) => Lesson::Watched,
            (false, false) => Lesson::Nothing,
        };
        (self.flipped, self.in_doubt) = (flipped, in_doubt);
        lesson
    }

    fn age(&mut self, now: Instant, half_life: f64) {
        let factor = factor(now.saturating_duration_since(self.at).as_secs_f64(), half_life);
        self.total *= factor;
        self.forwarded *= factor;
        self.at = self.at.max(now);
        if self.total < FORGOTTEN {
            self.samples = 0;
        }
    }

    fn shrink_to(&mut self, cap: f64) {
        if self.total > cap {
            self.forwarded *= cap / self.total;
            self.total = cap;
        }
    }
}

fn factor(elapsed: f64, half_life: f64) -> f64 {
    if half_life > 0.0 { 0.5_f64.powf(elapsed / half_life) } else { 0.0 }
}

fn operation_word(operation: Operation) -> &'static str {
    match operation {
        Operation::Read => "read",
        Operation::List => "list",
        Operation::Scan => "scan",
        Operation::Write => "write",
        Operation::Patch => "patch",
        Operation::Delete => "delete",
        Operation::Head => "head",
        Operation::Help => "help",
        Operation::Options => "options",
        Operation::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn settings() -> Learn {
        Learn {
            enabled: true,
            min_samples: 20,
            flip_at: 0.5,
            explore: 0.02,
            max_shapes: 64,
            half_life: Duration::from_secs(600),
        }
    }

    fn key(path: &str) -> ShapeKey {
        ShapeKey::of("", path, Operation::Read)
    }

    fn feed(tree: &mut LearningTree, path: &str, forwarded: bool, times: u32, now: Instant) {
        for _ in 0..times {
            tree.observe(&key(path), forwarded, now);
        }
    }

    fn verdict(tree: &LearningTree, path: &str) -> Option<bool> {
        tree.publish().verdict("", path, Operation::Read).map(|verdict| verdict.to_active)
    }

    #[test]
    fn flips_after_min_samples_and_not_before() {
        let mut tree = LearningTree::new(&settings());
        let now = Instant::now();
        assert!(tree.publish().is_empty());
        feed(&mut tree, "plug/creds/a", true, 19, now);
        assert_eq!(verdict(&tree, "plug/creds/a"), Some(false), "watched");
        feed(&mut tree, "plug/creds/a", true, 1, now);
        assert_eq!(verdict(&tree, "plug/creds/b"), Some(true), "same shape, other name");
        assert_eq!(tree.publish().verdict("ns", "plug/creds/a", Operation::Read), None, "other namespace");
        assert_eq!(tree.publish().verdict("", "plug/creds/a", Operation::List), None, "other operation");
    }

    #[test]
    fn slow_evidence_flips_as_well() {
        let mut tree = LearningTree::new(&settings());
        let start = Instant::now();
        for minute in 0..20 {
            feed(&mut tree, "plug/creds/a", true, 1, start + Duration::from_secs(60 * minute));
        }
        assert_eq!(verdict(&tree, "plug/creds/a"), Some(true));
    }

    #[test]
    fn a_thin_leaf_uses_its_mount_and_a_known_leaf_its_own() {
        let mut tree = LearningTree::new(&settings());
        let now = Instant::now();
        feed(&mut tree, "plug/config", false, 30, now);
        for at in 0..70 {
            feed(&mut tree, &format!("plug/r{}/x", at % 10), true, 1, now);
        }
        assert_eq!(verdict(&tree, "plug/r99/x"), Some(true), "never seen: the mount decides");
        assert_eq!(verdict(&tree, "plug/config"), Some(false), "local by its own evidence");
        assert_eq!(verdict(&tree, "other/r1/x"), None);
    }

    #[test]
    fn a_few_explored_local_answers_unlearn() {
        let mut tree = LearningTree::new(&settings());
        let now = Instant::now();
        feed(&mut tree, "plug/creds/a", true, 500, now);
        assert_eq!(verdict(&tree, "plug/creds/a"), Some(true));
        feed(&mut tree, "plug/creds/a", false, 20, now);
        assert_eq!(verdict(&tree, "plug/creds/a"), Some(false));
    }

    #[test]
    fn a_shape_forwarded_now_and_then_never_flips() {
        // Every fresh token's first use is forwarded: one in ten here, and the shape is a pure read.
        let mut tree = LearningTree::new(&settings());
        let now = Instant::now();
        for round in 0..500 {
            let path = format!("plug/data/{round}");
            feed(&mut tree, &path, true, 1, now);
            // A worker reports local answers only of what is watched.
            for _ in 0..9 {
                if verdict(&tree, &path).is_some() {
                    feed(&mut tree, &path, false, 1, now);
                }
            }
            assert_ne!(verdict(&tree, &path), Some(true), "round {round}");
        }
    }

    #[test]
    fn what_is_clearly_local_is_watched_no_more() {
        let mut tree = LearningTree::new(&settings());
        let now = Instant::now();
        feed(&mut tree, "plug/data/a", true, 1, now);
        assert_eq!(verdict(&tree, "plug/data/a"), Some(false));
        feed(&mut tree, "plug/data/a", false, 40, now);
        assert!(tree.publish().is_empty());
        feed(&mut tree, "plug/data/a", true, 8, now);
        assert_eq!(verdict(&tree, "plug/data/a"), Some(false), "in doubt again");
    }

    #[test]
    fn lessons() {
        let mut tree = LearningTree::new(&Learn { min_samples: 2, ..settings() });
        let lessons = [true, true, true].map(|f| tree.observe(&key("plug/creds/a"), f, Instant::now()));
        assert_eq!(lessons, [Lesson::Watched, Lesson::Turned, Lesson::Nothing]);
    }

    #[test]
    fn time_forgets() {
        let mut tree = LearningTree::new(&settings());
        let start = Instant::now();
        feed(&mut tree, "plug/creds/a", true, 20, start);
        assert!(!tree.decay(start + Duration::from_secs(600)));
        assert!(tree.decay(start + Duration::from_secs(600 * 8)));
        assert!(tree.publish().is_empty());
        assert!(tree.is_empty());
    }

    #[test]
    fn switched_off_learns_nothing() {
        let mut tree = LearningTree::new(&Learn { enabled: false, ..settings() });
        feed(&mut tree, "plug/creds/a", true, 100, Instant::now());
        assert!(tree.is_empty());
    }

    #[test]
    fn the_report_holds_no_segment_in_clear() {
        let mut tree = LearningTree::new(&settings());
        feed(&mut tree, "plug/creds/hunter2", true, 20, Instant::now());
        let report = serde_json::to_string(&tree.report()).unwrap();
        assert!(!report.contains("hunter2"), "{report}");
        assert_eq!(tree.report().flipped.len(), 1);
        assert!(!format!("{:?}", key("plug/creds/hunter2")).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn bounded_decaying_and_unlearnable(
            steps in prop::collection::vec((0_u8..200, any::<bool>(), 0_u64..120), 1..400),
        ) {
            let mut tree = LearningTree::new(&settings());
            let mut now = Instant::now();
            for (path, forwarded, pause) in steps {
                now += Duration::from_secs(pause);
                feed(&mut tree, &format!("m{}/v{path}/x", path % 7), forwarded, 1, now);
                prop_assert!(tree.leaves.len() <= settings().max_shapes);
                prop_assert!(tree.mounts.len() <= tree.leaves.len());
                for evidence in tree.leaves.values().map(|leaf| &leaf.evidence).chain(tree.mounts.values()) {
                    prop_assert!(evidence.forwarded <= evidence.total + 1e-9);
                    prop_assert!(evidence.total <= 20.0 * CAP + 1e-9);
                }
            }
            feed(&mut tree, "m0/v0/x", false, 100, now);
            prop_assert_ne!(verdict(&tree, "m0/v0/x"), Some(true));
            tree.decay(now + Duration::from_secs(600 * 12));
            prop_assert!(tree.is_empty());
        }
    }
}
