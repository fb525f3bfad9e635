//! Any text as a configuration: reported or accepted, never a panic, never an endless loop.
#![no_main]

use libfuzzer_sys::fuzz_target;
use understudy::config;

fuzz_target!(|text: &str| {
    // Secrets may point to files and variables; the fuzzer has no business there.
    if text.contains("file:") || text.contains("${") {
        return;
    }
    let loaded = config::parse(text, "fuzz.yaml");
    let errors = loaded.findings.iter().any(|finding| finding.severity == config::Severity::Error);
    assert_eq!(loaded.config.is_none(), errors);
});
