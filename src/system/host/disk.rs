//! The file systems of devices: `/proc/self/mounts` and what each says of itself.

use std::collections::BTreeSet;
use std::{fs, io};

use serde_json::{Value, json};

/// File systems told of at most.
const MAX: usize = 64;

/// A device mounted somewhere.
#[derive(Debug, PartialEq, Eq)]
struct Mount<'t> {
    path: &'t str,
    kind: &'t str,
}

pub(super) fn usage() -> io::Result<Value> {
    let text = fs::read_to_string("/proc/self/mounts")?;
    // One that cannot be asked (a mount of others') is left out.
    Ok(devices(&text).iter().filter_map(told).take(MAX).collect())
}

/// Every device once, where it was mounted first.
fn devices(text: &str) -> Vec<Mount<'_>> {
    let mut seen = BTreeSet::new();
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, Mount { path: words.next()?, kind: words.next()? }))
    });
    lines
        .filter(|(device, _)| device.starts_with("/dev/") && seen.insert(*device))
        .map(|(_, mount)| mount)
        .collect()
}

fn told(mount: &Mount<'_>) -> Option<Value> {
    let stat = rustix::fs::statvfs(mount.path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    let used = bytes(stat.f_blocks.saturating_sub(stat.f_bfree));
    let inodes_used = stat.f_files.saturating_sub(stat.f_ffree);
    Some(json!({
        "path": mount.path,
        "fstype": mount.kind,
        "total": bytes(stat.f_blocks),
        "free": bytes(stat.f_bavail),
        "used": used,
        "usedPercent": super::percent(used, used.saturating_add(bytes(stat.f_bavail))),
        "inodesTotal": stat.f_files,
        "inodesUsed": inodes_used,
        "inodesFree": stat.f_ffree,
        "inodesUsedPercent": super::percent(inodes_used, stat.f_files),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_told_of_once() {
        let text = "proc /proc proc rw 0 0\n/dev/vda / ext4 rw 0 0\n/dev/vda /etc/hosts ext4 rw 0 0\n/dev/vdb /data xfs rw 0 0\n";
        let expected = [Mount { path: "/", kind: "ext4" }, Mount { path: "/data", kind: "xfs" }];
        assert_eq!(devices(text), expected);
    }
}
