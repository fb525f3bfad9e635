//! `/proc/meminfo`.

use std::collections::HashMap;
use std::{fs, io};

use serde_json::{Map, Value, json};

/// Name in the answer, name in the file. What the file has in kilobytes is told in bytes.
const NAMES: &[(&str, &str)] = &[
    ("total", "MemTotal"),
    ("available", "MemAvailable"),
    ("free", "MemFree"),
    ("active", "Active"),
    ("inactive", "Inactive"),
    ("buffers", "Buffers"),
    ("writeback", "Writeback"),
    ("dirty", "Dirty"),
    ("writebacktmp", "WritebackTmp"),
    ("shared", "Shmem"),
    ("slab", "Slab"),
    ("sreclaimable", "SReclaimable"),
    ("sunreclaim", "SUnreclaim"),
    ("pagetables", "PageTables"),
    ("swapcached", "SwapCached"),
    ("commitlimit", "CommitLimit"),
    ("committedas", "Committed_AS"),
    ("hightotal", "HighTotal"),
    ("highfree", "HighFree"),
    ("lowtotal", "LowTotal"),
    ("lowfree", "LowFree"),
    ("swaptotal", "SwapTotal"),
    ("swapfree", "SwapFree"),
    ("mapped", "Mapped"),
    ("vmalloctotal", "VmallocTotal"),
    ("vmallocused", "VmallocUsed"),
    ("vmallocchunk", "VmallocChunk"),
    ("hugepagestotal", "HugePages_Total"),
    ("hugepagesfree", "HugePages_Free"),
    ("hugepagesize", "Hugepagesize"),
    // Of other systems.
    ("wired", ""),
    ("laundry", ""),
];

pub(super) fn usage() -> io::Result<Value> {
    Ok(usage_of(&fs::read_to_string("/proc/meminfo")?))
}

fn usage_of(text: &str) -> Value {
    let known: HashMap<&str, u64> = text.lines().filter_map(line).collect();
    let get = |name: &str| known.get(name).copied().unwrap_or(0);
    let mut shown: Map<String, Value> =
        NAMES.iter().map(|(name, source)| ((*name).to_owned(), json!(get(source)))).collect();
    let total = get("MemTotal");
    let used = total.saturating_sub(get("MemAvailable"));
    shown.insert("cached".to_owned(), json!(get("Cached") + get("SReclaimable")));
    shown.insert("used".to_owned(), json!(used));
    shown.insert("usedPercent".to_owned(), json!(super::percent(used, total)));
    Value::Object(shown)
}

/// `MemTotal:  24684084 kB`, or a plain number.
fn line(line: &str) -> Option<(&str, u64)> {
    let (name, value) = line.split_once(':')?;
    let mut words = value.split_whitespace();
    let amount: u64 = words.next()?.parse().ok()?;
    Some((name, if words.next() == Some("kB") { amount.saturating_mul(1024) } else { amount }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_become_bytes() {
        let text = "MemTotal:  1000 kB\nMemFree: 100 kB\nMemAvailable: 750 kB\nCached: 10 kB\nSReclaimable: 5 kB\n\
                    HugePages_Total:    3\nHugepagesize:    2048 kB\n";
        let shown = usage_of(text);
        for (name, value) in [
            ("total", json!(1_024_000)),
            ("used", json!(256_000)),
            ("usedPercent", json!(25.0)),
            ("cached", json!(15_360)),
            ("hugepagestotal", json!(3)),
            ("hugepagesize", json!(2_097_152)),
            ("wired", json!(0)),
        ] {
            assert_eq!(shown[name], value, "{name}");
        }
    }
}
