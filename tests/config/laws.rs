//! What holds for any text: no panic, an answer, places inside the file, no secret told.

use std::path::Path;

use proptest::prelude::*;
use understudy::config::finding::{count, render};
use understudy::config::parse;

fn sample() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/full.yaml");
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn hold_laws(text: &str) -> Result<(), TestCaseError> {
    let loaded = parse(text, "any.yaml");
    let errors = count(&loaded.findings).errors;
    prop_assert_eq!(loaded.config.is_none(), errors > 0);
    for finding in &loaded.findings {
        // A file that ends too early is faulted one line past its end.
        prop_assert!(finding.line <= text.lines().count() + 1, "{}", finding);
    }
    prop_assert!(render("any.yaml", &loaded.findings).ends_with('\n'));
    Ok(())
}

/// A real file with one line damaged: cut, doubled, shifted, or with a piece of other text in it.
fn damaged() -> impl Strategy<Value = String> {
    let lines = sample();
    let count = lines.len();
    (0..count, 0..4_u8, "[ -~\n\t]{0,12}", 0..60_usize).prop_map(move |(at, how, text, column)| {
        let mut lines = lines.clone();
        let line = lines[at].clone();
        match how {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, line),
            2 => lines[at] = format!("  {line}"),
            _ => {
                lines[at] =
                    line.chars().take(column).chain(text.chars()).chain(line.chars().skip(column)).collect()
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        hold_laws(&text)?;
    }

    #[test]
    fn any_yaml_like_text_is_answered(text in "([a-z<&*!|>'\"#{}\\[\\],:?%@~ -]|version: 1|cluster|servers|bind|\n|\n  |\n- ){0,60}") {
        hold_laws(&text)?;
    }

    #[test]
    fn any_damaged_file_is_answered(text in damaged()) {
        hold_laws(&text)?;
    }

    #[test]
    fn a_secret_is_never_told(secret in "[A-Z]{8}[A-Z0-9]{0,40}", quote in "[\"']?", broken in "(|  |- |:|\\{|\\[|x: )") {
        let text = format!(
            "version: 1\nadmin:\n{broken}  tokens:\n  - name: ops\n    sha256: {quote}{secret}{quote}\n    level: {broken}x\n"
        );
        let loaded = parse(&text, "any.yaml");
        let said = render("any.yaml", &loaded.findings);
        prop_assert!(!said.contains(&secret), "{}", said);
    }
}
