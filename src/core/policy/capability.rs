//! The capabilities of a path, as a set, and the operation each allows.

use crate::logical::Operation;

/// A set of capabilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities(u16);

/// Names in the order the API lists them.
const NAMES: [(&str, Capabilities); 9] = [
    ("create", Capabilities::CREATE),
    ("delete", Capabilities::DELETE),
    ("deny", Capabilities::DENY),
    ("list", Capabilities::LIST),
    ("patch", Capabilities::PATCH),
    ("read", Capabilities::READ),
    ("scan", Capabilities::SCAN),
    ("sudo", Capabilities::SUDO),
    ("update", Capabilities::UPDATE),
];

impl Capabilities {
    pub const NONE: Self = Self(0);
    pub const DENY: Self = Self(1);
    pub const CREATE: Self = Self(1 << 1);
    pub const READ: Self = Self(1 << 2);
    pub const UPDATE: Self = Self(1 << 3);
    pub const DELETE: Self = Self(1 << 4);
    pub const LIST: Self = Self(1 << 5);
    pub const SUDO: Self = Self(1 << 6);
    pub const PATCH: Self = Self(1 << 7);
    pub const SCAN: Self = Self(1 << 8);

    /// The capability of this name; case counts.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, one)| *one)
    }

    /// What the older `policy = "write"` stands for.
    #[must_use]
    pub fn of_old_policy(name: &str) -> Option<Self> {
        let read = Self::READ.with(Self::LIST);
        let write = read.with(Self::CREATE).with(Self::UPDATE).with(Self::DELETE);
        match name {
            "deny" => Some(Self::DENY),
            "read" => Some(read),
            "write" => Some(write),
            "sudo" => Some(write.with(Self::SUDO)),
            _ => None,
        }
    }

    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the operation is among what is allowed. Help always is.
    #[must_use]
    pub const fn allow(self, operation: Operation) -> bool {
        match operation {
            Operation::Create => self.has(Self::CREATE),
            Operation::Update => self.has(Self::UPDATE),
            Operation::Patch => self.has(Self::PATCH),
            Operation::Read => self.has(Self::READ),
            Operation::List => self.has(Self::LIST),
            Operation::Scan => self.has(Self::SCAN),
            Operation::Delete => self.has(Self::DELETE),
            Operation::Help => true,
        }
    }

    /// As `sys/capabilities` lists them: sorted; nothing, or a denial beside anything, is `deny` alone.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        if self == Self::NONE || self.has(Self::DENY) {
            return vec!["deny"];
        }
        NAMES.iter().filter(|(_, one)| self.has(*one)).map(|(name, _)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_denial_stands_alone() {
        for (set, names) in [
            (Capabilities::NONE, vec!["deny"]),
            (Capabilities::READ.with(Capabilities::CREATE), vec!["create", "read"]),
            (Capabilities::READ.with(Capabilities::DENY), vec!["deny"]),
            (
                Capabilities::of_old_policy("sudo").unwrap(),
                vec!["create", "delete", "list", "read", "sudo", "update"],
            ),
        ] {
            assert_eq!(set.names(), names);
        }
        for (name, one) in NAMES {
            assert_eq!(Capabilities::named(name), Some(one));
        }
        assert_eq!(Capabilities::named("Read"), None);
        assert_eq!(Capabilities::named("root"), None, "it is what root tokens are told, no capability");
    }
}
