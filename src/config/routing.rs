//! `routing`: which node answers which request. The rules are in `rule`.

use std::time::Duration;

use super::proxy::{Balance, Learn, MaxLag, MountDiscovery, Routing, StandbyReads, UnknownTo};
use super::raw::{RawLearn, RawMaxLag, RawMountDiscovery, RawRouting};
use super::report::Report;
use super::rule;
use super::unit::FileName;

/// Choice. The less loaded of two random standbys: near the best, and no herd.
const BALANCE: Balance = Balance::LeastRequest;
/// Time to the full share: a standby that comes back fills its caches first.
const SLOW_START: Duration = Duration::from_secs(10);
/// What plain standbys serve: the capability probe knows.
const STANDBY_READS: StandbyReads = StandbyReads::Auto;
/// Part of the reads for the active; 0, as writes are its work.
const ACTIVE_SHARE: f64 = 0.0;
/// Where unknown requests go: the active can do everything.
const UNKNOWN: UnknownTo = UnknownTo::Active;
/// Answers before a verdict: enough to tell a habit from a coincidence.
const MIN_SAMPLES: u32 = 20;
/// Part forwarded above which going to the active at once is cheaper on average.
const FLIP_AT: f64 = 0.5;
/// Part of flipped reads still tried on a standby: unlearning costs one request in fifty a hop.
const EXPLORE: f64 = 0.02;
/// Shapes: about 2 MB at most.
const MAX_SHAPES: usize = 10_000;
/// Time in which evidence halves: an upgrade is unlearned within the hour.
const HALF_LIFE: Duration = Duration::from_secs(600);
/// Log entries a standby may be behind: a second or so of a busy cluster.
const MAX_LAG_ENTRIES: u64 = 1_000;
/// Time a standby may be behind.
const MAX_LAG_TIME: Duration = Duration::from_secs(5);
/// Time between two looks at the mount table; mounts change rarely and our own writes to it are seen.
const MOUNT_INTERVAL: Duration = Duration::from_secs(30);

pub(crate) fn convert(raw: RawRouting, report: &Report) -> Routing {
    Routing {
        balance: raw.balance.or(BALANCE),
        slow_start: raw.slow_start.or(SLOW_START),
        prefer_local_zone: raw.prefer_local_zone.or(true),
        standby_reads: raw.standby_reads.or(STANDBY_READS),
        active_share: raw.active_share.or(ACTIVE_SHARE),
        unknown: raw.unknown.or(UNKNOWN),
        learn: learn(raw.learn.section(), report),
        max_lag: max_lag(raw.max_lag.section()),
        mount_discovery: mount_discovery(raw.mount_discovery.section(), report),
        rules: rule::convert(raw.rules.given().unwrap_or_default(), report),
    }
}

fn learn(raw: RawLearn, report: &Report) -> Learn {
    let half_life = raw.half_life.or(HALF_LIFE);
    Learn {
        enabled: raw.enabled.or(true),
        min_samples: report.within("routing.learn.min_samples", raw.min_samples.or(MIN_SAMPLES), 1..=10_000),
        flip_at: raw.flip_at.or(FLIP_AT),
        explore: raw.explore.or(EXPLORE),
        max_shapes: report.within("routing.learn.max_shapes", raw.max_shapes.or(MAX_SHAPES), 100..=1_000_000),
        half_life: report.no_shorter("routing.learn.half_life", half_life, Duration::from_secs(1)),
    }
}

fn max_lag(raw: RawMaxLag) -> MaxLag {
    MaxLag { entries: raw.entries.or(MAX_LAG_ENTRIES), time: raw.time.or(MAX_LAG_TIME) }
}

fn mount_discovery(raw: RawMountDiscovery, report: &Report) -> MountDiscovery {
    let interval = raw.interval.or(MOUNT_INTERVAL);
    let at = "routing.mount_discovery.interval";
    let types = raw.types.given().unwrap_or_default();
    let types = types.into_iter().filter_map(|(mount, kind)| Some((slashed(&mount), kind.given()?)));
    MountDiscovery {
        token_file: raw.token_file.given().map(|FileName(path)| path),
        interval: report.no_shorter(at, interval, Duration::from_secs(1)),
        types: types.collect(),
    }
}

/// Mount paths end in one slash, as Vault lists them, however they are written.
fn slashed(mount: &str) -> String {
    format!("{}/", mount.trim_matches('/'))
}
