//! The client verbs by family. Each file has the table of its verbs and what they do.

pub mod audit;
pub mod basic;
pub mod generate_root;
pub mod kv;
pub mod kv_metadata;
pub mod login;
pub mod mounts;
pub mod operator;
pub mod policy;
pub mod raft;
pub mod status;
pub mod token;

use super::line::{Arity, Flag, Prints, Verb, flag};
use super::session::{Outcome, Session};

/// What runs a verb.
pub type Run = fn(&mut Session<'_>) -> Outcome;

/// Every client verb.
#[must_use]
pub fn all() -> &'static [Verb<Run>] {
    static ALL: std::sync::LazyLock<Vec<Verb<Run>>> = std::sync::LazyLock::new(|| {
        let families: [fn() -> Vec<Verb<Run>>; 12] = [
            audit::verbs,
            basic::verbs,
            generate_root::verbs,
            kv::verbs,
            kv_metadata::verbs,
            login::verbs,
            mounts::verbs,
            operator::verbs,
            policy::verbs,
            raft::verbs,
            status::verbs,
            token::verbs,
        ];
        families.iter().flat_map(|family| family()).collect()
    });
    &ALL
}

/// One row of a family's table.
const fn verb(
    path: &'static str,
    (usage, about): (&'static str, &'static str),
    prints: Prints,
    arity: Arity,
    flags: &'static [Flag],
    run: Run,
) -> Verb<Run> {
    Verb { path, usage, about, prints, arity, flags, run }
}
