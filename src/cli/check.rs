//! `understudy check`: every mistake of a configuration file, with its place, and an exit code for scripts.
//!
//! A proxy's file is YAML; a node's is HCL or JSON, and may be several files and directories. It leaves what is a
//! mistake to `config` and talking to the servers (`--probe`) to the function it is given.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use crate::config::finding::{self, Count, Finding};
use crate::config::proxy::ProxyConfig;
use crate::config::{self, Loaded, node};
use crate::hcl;

/// `understudy check -config FILE [--strict] [--format json] [--probe]`
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// The configuration file of a proxy; the files or directories of a node (may be given several times).
    #[arg(long, short, value_name = "FILE", required = true)]
    pub config: Vec<PathBuf>,
    /// Exit with 2 when there are warnings.
    #[arg(long)]
    pub strict: bool,
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Connect to each server as well: resolve, TLS, health, leader, capability.
    #[arg(long)]
    pub probe: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// As a compiler prints them, with a summary.
    Text,
    /// One JSON object a line: code, severity, file, line, column, path, message, help.
    Json,
}

/// Nothing wrong.
const OK: u8 = 0;
/// At least one error.
const ERRORS: u8 = 1;
/// Warnings, and `--strict` was given.
const WARNINGS: u8 = 2;
/// The command line cannot be obeyed (BSD's EX_USAGE).
const USAGE: u8 = 64;
/// The findings could not be written (BSD's EX_IOERR).
const OUTPUT: u8 = 74;

/// Checks the file and prints what was found to standard output.
///
/// `probe` asks the servers of a file without errors. Exit codes: 0 nothing wrong, 1 errors, 2 warnings with
/// `--strict`, 64 when `--probe` is given and there is no `probe`.
pub fn run(
    args: &CheckArgs,
    environment: &node::Environment,
    probe: Option<impl Fn(&ProxyConfig) -> Vec<Finding>>,
) -> ExitCode {
    let (name, findings) = match args.config.as_slice() {
        [file] if !is_a_nodes(file) => match of_proxy(args, file, probe) {
            Ok(findings) => (file.display().to_string(), findings),
            Err(why) => return usage(why),
        },
        _ if args.probe => {
            return usage("--probe asks the servers behind a proxy; this is a node's configuration");
        }
        files => {
            let loaded = node::load(files, &[], environment);
            (loaded.files.join(", "), loaded.findings)
        }
    };
    let text = match args.format {
        Format::Text => finding::render(&name, &findings),
        Format::Json => json_lines(&findings),
    };
    let printed = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(if printed.is_err() { OUTPUT } else { code(finding::count(&findings), args.strict) })
}

fn of_proxy(
    args: &CheckArgs,
    file: &Path,
    probe: Option<impl Fn(&ProxyConfig) -> Vec<Finding>>,
) -> Result<Vec<Finding>, &'static str> {
    let Loaded { config, mut findings } = config::load(file);
    match (args.probe, probe, config) {
        (true, None, _) => return Err("--probe is not available here"),
        (true, Some(probe), Some(config)) => {
            let file = file.display().to_string();
            findings.extend(probe(&config).into_iter().map(|found| Finding { file: file.clone(), ..found }));
        }
        (false, ..) | (true, Some(_), None) => {}
    }
    Ok(findings)
}

/// By its name; a file without a telling one by what it holds.
fn is_a_nodes(path: &Path) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("hcl" | "json") => true,
        Some("yaml" | "yml") => false,
        Some(_) | None => path.is_dir() || std::fs::read_to_string(path).is_ok_and(|text| is_hcl(&text)),
    }
}

/// YAML's `key: value` is no HCL; a text of comments alone is neither.
fn is_hcl(text: &str) -> bool {
    hcl::parse(text).is_ok_and(|body| !body.items.is_empty())
}

fn code(count: Count, strict: bool) -> u8 {
    match count {
        Count { errors: 1.., .. } => ERRORS,
        Count { warnings: 1.., .. } if strict => WARNINGS,
        Count { .. } => OK,
    }
}

fn json_lines(findings: &[impl Serialize]) -> String {
    findings
        .iter()
        .filter_map(|finding| serde_json::to_string(finding).ok())
        .map(|line| line + "\n")
        .collect()
}

fn usage(why: &str) -> ExitCode {
    let told = writeln!(std::io::stderr(), "understudy check: {why}");
    ExitCode::from(if told.is_err() { OUTPUT } else { USAGE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_file_is_known_by_name_or_content() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            is_a_nodes(&path)
        };
        assert!(file("a.hcl", "") && file("b.json", "version: 1"));
        assert!(!file("c.yaml", "a = 1") && !file("d.yml", "{}"));
        assert!(file("e.conf", "listener \"tcp\" {}") && file("f", "{\"a\": 1}"));
        assert!(!file("g", "version: 1\nlisteners: []") && !file("h", "# nothing"));
        assert!(is_a_nodes(dir.path()) && !is_a_nodes(&dir.path().join("none")));
    }

    #[test]
    fn exit_codes() {
        let cases = [
            (0, 0, false, OK),
            (0, 0, true, OK),
            (0, 3, false, OK),
            (0, 3, true, WARNINGS),
            (1, 3, true, ERRORS),
            (1, 0, false, ERRORS),
        ];
        for (errors, warnings, strict, expected) in cases {
            assert_eq!(code(Count { errors, warnings }, strict), expected);
        }
    }
}
