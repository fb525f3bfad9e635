//! Bounded request and answer bodies.
