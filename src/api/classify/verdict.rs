//! How the table's rows are written down: a verdict is one of a few kinds, then refined.

use super::super::operation::Operation;
use super::{Class, Classified, Needs, Source, Traits};

const NO_TRAITS: Traits = Traits {
    streaming: false,
    idempotent: false,
    changes_mounts: false,
    mints_token: false,
    first_touch: false,
    learnable: false,
};

/// A read any fresh standby answers, and which may be asked again.
pub(super) const fn read(reason: &'static str) -> Classified {
    let traits = Traits { idempotent: true, ..NO_TRAITS };
    Classified { needs: Needs::Standby, class: Class::Read, source: Source::Builtin, reason, traits }
}

/// A computation sent as POST: a standby answers it, but it is not asked twice.
pub(super) const fn pure(reason: &'static str) -> Classified {
    Classified {
        needs: Needs::Standby,
        class: Class::Read,
        source: Source::Builtin,
        reason,
        traits: NO_TRAITS,
    }
}

/// A write, whatever its verb.
pub(super) const fn write(reason: &'static str) -> Classified {
    Classified {
        needs: Needs::Active,
        class: Class::Write,
        source: Source::Builtin,
        reason,
        traits: NO_TRAITS,
    }
}

/// A read that only the active node can answer rightly.
pub(super) const fn active_read(reason: &'static str) -> Classified {
    let traits = Traits { idempotent: true, ..NO_TRAITS };
    Classified { needs: Needs::Active, class: Class::Read, source: Source::Builtin, reason, traits }
}

/// The same at every node that is up.
pub(super) const fn any_node(reason: &'static str) -> Classified {
    let traits = Traits { idempotent: true, ..NO_TRAITS };
    Classified { needs: Needs::AnyNode, class: Class::Read, source: Source::Builtin, reason, traits }
}

/// Answer or effect belongs to one node.
pub(super) const fn this_node(reason: &'static str) -> Classified {
    Classified {
        needs: Needs::ThisNode,
        class: Class::Local,
        source: Source::Builtin,
        reason,
        traits: NO_TRAITS,
    }
}

/// The proxy answers for the cluster.
pub(super) const fn cluster(reason: &'static str) -> Classified {
    let traits = Traits { idempotent: true, ..NO_TRAITS };
    Classified { needs: Needs::Cluster, class: Class::Local, source: Source::Builtin, reason, traits }
}

/// Nothing is known: where it goes is the operator's `routing.unknown`, the active node by default.
pub(super) const fn unknown(reason: &'static str) -> Classified {
    Classified {
        needs: Needs::Active,
        class: Class::Unknown,
        source: Source::Fallback,
        reason,
        traits: NO_TRAITS,
    }
}

/// GET, HEAD, LIST and SCAN read; everything else writes.
pub(super) const fn by_verb(
    operation: Operation,
    when_read: &'static str,
    when_written: &'static str,
) -> Classified {
    match operation {
        Operation::Read | Operation::List | Operation::Scan | Operation::Head => read(when_read),
        Operation::Write | Operation::Patch | Operation::Delete => write(when_written),
        Operation::Help | Operation::Options | Operation::Other => unknown("a verb this table does not have"),
    }
}

// === impl Classified ===

impl Classified {
    pub(super) const fn streaming(mut self) -> Self {
        self.traits.streaming = true;
        self
    }

    pub(super) const fn changes_mounts(mut self) -> Self {
        self.traits.changes_mounts = true;
        self
    }

    pub(super) const fn mints_token(mut self) -> Self {
        self.traits.mints_token = true;
        self
    }

    pub(super) const fn first_touch(mut self) -> Self {
        self.traits.first_touch = true;
        self
    }

    /// Marks the verdict as a guess that answers may overrule.
    pub(super) const fn learnable(mut self) -> Self {
        self.traits.learnable = true;
        self
    }

    pub(super) const fn once_only(mut self) -> Self {
        self.traits.idempotent = false;
        self
    }

    /// A guess from the verb alone. A read may be overruled by what answers teach; a write is not tried on a standby
    /// to see what happens.
    pub(super) fn as_fallback(mut self) -> Self {
        self.source = Source::Fallback;
        self.traits.learnable = self.needs == Needs::Standby;
        self
    }
}
