//! Jittered exponential backoff.
