//! This process as Linux sees it: `/proc/self` (proc(5)).

use std::fs;
use std::time::Duration;

/// The numbers behind `process_*`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) virtual_bytes: u64,
    pub(super) resident_bytes: u64,
    pub(super) threads: u64,
    pub(super) start_unix_s: f64,
    pub(super) open_fds: u64,
    /// `None`: unlimited.
    pub(super) max_fds: Option<u64>,
}

impl Process {
    /// `None` where `/proc` is not mounted or not Linux's.
    pub(super) fn read() -> Option<Self> {
        let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: stat.cpu_ticks as f64 / ticks,
            virtual_bytes: stat.virtual_bytes,
            resident_bytes: stat.resident_pages * rustix::param::page_size() as u64,
            threads: stat.threads,
            start_unix_s: boot_time(&fs::read_to_string("/proc/stat").ok()?)?
                + stat.start_ticks as f64 / ticks,
            open_fds: fs::read_dir("/proc/self/fd").ok()?.count() as u64,
            max_fds: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        })
    }
}

/// CPU time of a thread of this process; zero for one that has not started or has ended.
pub(super) fn thread_cpu(thread: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

#[derive(Debug, PartialEq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// The command in parentheses may hold anything, so fields are counted from the last `)`; the first after it is
    /// field 3 of proc(5).
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_spaces_and_parentheses_shifts_nothing() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 5 0 900 8192 2 1 0";
        let expected =
            Stat { cpu_ticks: 42, threads: 5, start_ticks: 900, virtual_bytes: 8192, resident_pages: 2 };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("garbage"), None);
    }

    #[test]
    fn this_process_has_numbers() {
        let process = Process::read().unwrap();
        assert!(process.resident_bytes > 0 && process.open_fds > 0 && process.threads > 0, "{process:?}");
    }
}
