//! The review a machine can do: layer order, module docs, no unfinished code, reasons beside dependencies,
//! samples that still parse. It reads the source as text and leaves the meaning to the compiler and to clippy.

#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lowest layer first: a module imports from layers before its own, never from its own layer or a later one.
const LAYERS: &[&[&str]] = &[
    &[
        "backoff",
        "clock",
        "duration",
        "entropy",
        "index",
        "meter",
        "json_text",
        "path",
        "secret",
        "shutdown",
        "telemetry",
    ],
    &["hcl"],
    &["api", "config"],
    &["net"],
    &["proxy"],
    &["raft"],
    &["storage"],
    &["barrier"],
    &["seal"],
    &["logical"],
    &["engine", "auth"],
    &["core"],
    &["ha"],
    &["system"],
    &["node"],
    &["cli"],
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(dir) else { return found };
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn rust_files() -> Vec<PathBuf> {
    ["src", "tests", "benches"].iter().flat_map(|dir| files_below(&root().join(dir), "rs")).collect()
}

fn report(findings: &[String]) {
    assert!(findings.is_empty(), "{} finding(s):\n{}", findings.len(), findings.join("\n"));
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The line without its comment: enough for Rust code that names modules.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// The top-level modules one file names through `crate::`, groups included.
fn crate_imports(source: &str) -> BTreeSet<String> {
    let text: String = source.lines().map(code).collect::<Vec<_>>().join(" ");
    let mut found = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        match rest.trim_start().strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(identifier(rest)),
        }
    }
    found
}

/// `a::b, c::{d, e}}` → a, c: the first identifier after the brace and after each comma at depth 0.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut heads) = (0_usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.extend(group.get(start..at).and_then(identifier));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.extend(group.get(start..at).and_then(identifier));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// `src/proxy/cluster.rs` → `proxy`; `src/path.rs` → `path`; `lib.rs` and `main.rs` wire everything: none.
fn own_module(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib" && name != "main").then(|| name.to_owned())
}

#[test]
fn imports_point_down_the_layers() {
    let mut findings = Vec::new();
    for path in files_below(&root().join("src"), "rs") {
        let Some(own) = own_module(&path) else { continue };
        let Some(layer) = layer_of(&own) else {
            findings.push(format!("{}: module `{own}` has no layer in tests/tidy.rs", relative(&path)));
            continue;
        };
        for import in crate_imports(&fs::read_to_string(&path).unwrap()) {
            if import == "proxy" && !["proxy", "cli"].contains(&own.as_str()) {
                findings.push(format!("{}: a node does not know the proxy", relative(&path)));
            }
            match layer_of(&import) {
                Some(below) if import == own || below < layer => {}
                Some(_) => findings.push(format!(
                    "{}: `{own}` (layer {layer}) imports `{import}`, which is not below it",
                    relative(&path)
                )),
                None => {} // a macro or an item at the crate root
            }
        }
    }
    report(&findings);
}

#[test]
fn the_import_scan_sees_groups_and_paths() {
    let cases: &[(&str, &[&str])] = &[
        ("use crate::net::pool;", &["net"]),
        ("use crate::{api::health, config::{proxy, raw}, path};", &["api", "config", "path"]),
        ("use crate::{\n    api::health,\n    index::Index, // crate::cli\n};", &["api", "index"]),
        ("fn f() { crate::clock::now() } // see crate::cli", &["clock"]),
    ];
    for (source, expected) in cases {
        let found = crate_imports(source);
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), *expected, "{source}");
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = rust_files()
        .iter()
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!"))
        .map(|path| format!("{}: does not open with `//!`", relative(path)))
        .collect();
    report(&silent);
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    // Built from pieces so that this file does not find itself.
    let banned = [
        (["todo", "!("].concat(), "finish it or leave it out"),
        (["unimple", "mented!("].concat(), "finish it or leave it out"),
        (["#[ig", "nore"].concat(), "a test that never runs proves nothing"),
        (["#[al", "low("].concat(), "use #[expect(.., reason = \"..\")]"),
        (["#![al", "low("].concat(), "use #[expect(.., reason = \"..\")]"),
    ];
    let mut findings = Vec::new();
    for path in rust_files() {
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let hits = banned.iter().filter(|(word, _)| code(line).contains(word.as_str()));
            findings.extend(
                hits.map(|(word, fix)| format!("{}:{}: `{word}`: {fix}", relative(&path), number + 1)),
            );
        }
    }
    report(&findings);
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut in_dependencies = false;
    let mut findings = Vec::new();
    for (number, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        } else if in_dependencies && line.contains('=') && !line.starts_with('#') {
            let reason = line.split_once(" # ").map_or("", |(_, reason)| reason);
            if reason.trim().len() < 3 {
                findings.push(format!("Cargo.toml:{}: no reason beside `{line}`", number + 1));
            }
        }
    }
    report(&findings);
}

#[test]
fn decisions_are_numbered_without_gaps() {
    let mut names: Vec<String> = files_below(&root().join("docs/decisions"), "md")
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for (index, name) in names.iter().enumerate() {
        let expected = format!("{:03}-", index + 1);
        assert!(name.starts_with(&expected), "docs/decisions/{name}: the next number is {expected}");
    }
}
