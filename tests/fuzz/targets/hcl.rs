//! Any text as HCL or JSON: read or refused, never a panic, never an endless loop; a refusal points into the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use understudy::hcl;

fuzz_target!(|text: &str| {
    if let Err(error) = hcl::parse(text) {
        assert!(error.span.line <= text.split('\n').count() + 1, "{error}");
        assert!(!error.to_string().is_empty());
    }
});
