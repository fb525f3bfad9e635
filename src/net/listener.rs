//! Bind, accept, permits, drain.
