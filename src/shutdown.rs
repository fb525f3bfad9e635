//! The drain signal and the count of what is still running.
