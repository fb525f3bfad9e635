//! `/proc/cpuinfo` and `/proc/stat`.

use std::collections::HashMap;
use std::{fs, io};

use serde_json::{Value, json};

/// Parts of a second that the kernel counts in; Linux has had the same for every program since it was 2.6.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn models() -> io::Result<Value> {
    Ok(models_of(&fs::read_to_string("/proc/cpuinfo")?))
}

pub(super) fn times() -> io::Result<Value> {
    Ok(times_of(&fs::read_to_string("/proc/stat")?))
}

/// One entry a processor.
fn models_of(text: &str) -> Value {
    let processors = text.split("\n\n").filter(|block| block.contains("processor"));
    processors.map(|block| model(&pairs(block))).collect()
}

fn pairs(block: &str) -> HashMap<&str, &str> {
    let halves = block.lines().filter_map(|line| line.split_once(':'));
    halves.map(|(name, value)| (name.trim(), value.trim())).collect()
}

fn model(known: &HashMap<&str, &str>) -> Value {
    let text = |name: &str| known.get(name).copied().unwrap_or_default();
    let whole =
        |name: &str| text(name).split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    json!({
        "cpu": whole("processor"),
        "vendorId": text("vendor_id"),
        "family": text("cpu family"),
        "model": text("model"),
        "stepping": whole("stepping"),
        "physicalId": text("physical id"),
        "coreId": text("core id"),
        "cores": 1,
        "modelName": text("model name"),
        "mhz": text("cpu MHz").parse::<f64>().unwrap_or(0.0),
        "cacheSize": whole("cache size"),
        "flags": text("flags").split_whitespace().collect::<Vec<_>>(),
        "microcode": text("microcode"),
    })
}

/// Seconds of each processor since the machine began.
fn times_of(text: &str) -> Value {
    let each = |line: &str| line.starts_with("cpu") && !line.starts_with("cpu ");
    text.lines().filter(|line| each(line)).map(time_of).collect()
}

fn time_of(line: &str) -> Value {
    const NAMES: [&str; 10] =
        ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guestNice"];
    let mut words = line.split_whitespace();
    let mut shown = json!({ "cpu": words.next().unwrap_or_default() });
    let seconds = words.map(|ticks| ticks.parse::<f64>().unwrap_or(0.0) / TICKS_PER_SECOND);
    for (name, seconds) in NAMES.iter().zip(seconds.chain(std::iter::repeat(0.0))) {
        if let Some(map) = shown.as_object_mut() {
            map.insert((*name).to_owned(), json!(seconds));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_told_apart() {
        let text = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n\
                    stepping\t: 1\nmicrocode\t: 0x1000065\ncpu MHz\t\t: 2596.130\ncache size\t: 1024 KB\n\
                    physical id\t: 0\ncore id\t\t: 0\nflags\t\t: fpu vme\n\nprocessor\t: 1\n\n";
        let models = models_of(text);
        assert_eq!(models.as_array().map(Vec::len), Some(2));
        let expected = json!({
            "cpu": 0, "vendorId": "AuthenticAMD", "family": "25", "model": "17", "stepping": 1, "physicalId": "0",
            "coreId": "0", "cores": 1, "modelName": "AMD EPYC", "mhz": 2596.13, "cacheSize": 1024,
            "flags": ["fpu", "vme"], "microcode": "0x1000065",
        });
        assert_eq!(models[0], expected);
    }

    #[test]
    fn times_are_seconds() {
        let times =
            times_of("cpu  9 9 9 9\ncpu0 944300 191025 138778 610357 2111 0 11088 1248 0 0\nintr 1\n");
        assert_eq!(times.as_array().map(Vec::len), Some(1));
        assert_eq!(
            (&times[0]["cpu"], &times[0]["user"], &times[0]["steal"]),
            (&json!("cpu0"), &json!(9443.0), &json!(12.48))
        );
    }
}
