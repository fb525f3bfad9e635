//! The test language: a scripted backend, a real cluster, the proxy under test, a client, a reader of metrics.
//! Included by each test binary with `#[path]`; everything started here ends when its value is dropped.
#![expect(
    dead_code,
    unreachable_pub,
    reason = "each test binary includes the language and uses its own part of it"
)]

pub mod cluster;
