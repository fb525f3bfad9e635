//! The machine as a whole: its name, its system, how long it runs.

use std::{fs, io};

use serde_json::{Value, json};

pub(super) fn about() -> io::Result<Value> {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = rustix::system::uname();
    let version = read("/etc/debian_version").ok();
    Ok(json!({
        "hostname": read("/proc/sys/kernel/hostname")?,
        "uptime": seconds(&read("/proc/uptime")?),
        "bootTime": boot_time(&read("/proc/stat")?),
        "procs": processes()?,
        "os": "linux",
        "platform": setting(&release, "ID"),
        "platformFamily": family(&release),
        "platformVersion": version.unwrap_or_else(|| setting(&release, "VERSION_ID").to_owned()),
        "kernelVersion": system.release().to_string_lossy(),
        "kernelArch": system.machine().to_string_lossy(),
        // Not looked into.
        "virtualizationSystem": "",
        "virtualizationRole": "",
        "hostid": read("/sys/class/dmi/id/product_uuid").or_else(|_| read("/etc/machine-id")).unwrap_or_default(),
    }))
}

/// `ID_LIKE` names the family; who has none is its own.
fn family(release: &str) -> &str {
    let like = setting(release, "ID_LIKE").split(' ').next().unwrap_or_default();
    if like.is_empty() { setting(release, "ID") } else { like }
}

/// `NAME="value"` of os-release.
fn setting<'t>(text: &'t str, name: &str) -> &'t str {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default().trim_matches('"')
}

/// `19032.71 36000.00` → 19032
fn seconds(uptime: &str) -> u64 {
    uptime.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(0)
}

fn boot_time(stat: &str) -> u64 {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0)
}

fn processes() -> io::Result<usize> {
    let is_process = |entry: &fs::DirEntry| {
        entry.file_name().to_string_lossy().chars().all(|character| character.is_ascii_digit())
    };
    Ok(fs::read_dir("/proc")?.filter_map(Result::ok).filter(is_process).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_they_are_written() {
        let release = "PRETTY_NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\n";
        assert_eq!((setting(release, "ID"), family(release)), ("ubuntu", "debian"));
        assert_eq!((setting(release, "VERSION_ID"), family("ID=debian\n")), ("24.04", "debian"));
        assert_eq!(seconds("19032.71 36000.00"), 19_032);
        assert_eq!(boot_time("cpu 1\nbtime 1795499177\nprocesses 3"), 1_795_499_177);
    }
}
