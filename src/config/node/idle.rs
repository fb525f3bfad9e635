//! Settings that are read and checked, and that this version does nothing with: a node is alone yet. Each is warned of
//! where it stands; who gives one an effect takes it out of these lists.

use super::section::Section;

const ALONE: &str = "a node of this version is alone: it has no standbys and no peers";
const OWN_LOG: &str = "the log of a lone node is kept as it needs it";
const NOBODY_TOLD: &str = "a node of this version announces itself nowhere";

pub(super) fn in_file(root: &Section<'_>) {
    for key in ["disable_performance_standby", "disable_standby_reads"] {
        root.without_effect(key, ALONE);
    }
    root.without_effect("service_registration", NOBODY_TOLD);
}

pub(super) fn in_listener(listener: &Section<'_>) {
    for key in [
        "cluster_address",
        "consistency_max_index_wait",
        "consistency_fallback_behavior",
        "consistency_missing_header_forward",
    ] {
        listener.without_effect(key, ALONE);
    }
}

pub(super) fn in_raft(storage: &Section<'_>) {
    let why =
        "a node of this version does not ask others to take it in; without this it founds a group of its own";
    for key in ["retry_join", "retry_join_as_non_voter"] {
        storage.without_effect(key, why);
    }
    for key in ["performance_multiplier", "autopilot_reconcile_interval", "autopilot_update_interval"] {
        storage.without_effect(key, ALONE);
    }
    for key in ["trailing_logs", "snapshot_threshold"] {
        storage.without_effect(key, OWN_LOG);
    }
    storage.without_effect("max_entry_size", "the largest value is 1 MiB, as by default");
}
