//! One JSON line a request, written off the hot path.
//!
//! ```text
//! worker ── AccessLog::write ─▶ its buffer (64 KiB) ─┐
//! worker ── AccessLog::write ─▶ its buffer (64 KiB) ─┴─▶ writer thread ─▶ file | stdout | stderr
//! ```
//!
//! A worker formats into its own buffer; the writer thread takes the full buffers every 100 ms, or sooner when one
//! is half full. A line that finds no room is dropped and counted: logging never delays a request.
//! It leaves the making of path templates to `api::template`.
mod line;
mod record;
mod writer;

pub use record::{AccessRecord, LoggedPath};
pub use writer::{AccessLog, AccessLogWriter, Wrote};

#[cfg(test)]
pub(in crate::proxy) use line::tests::record as tests_record;
