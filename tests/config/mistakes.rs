//! Files with mistakes → what is said about them. The files and the exact answers are in `bad/`.

use std::path::{Path, PathBuf};

use understudy::config::finding::{count, render};
use understudy::config::{Loaded, parse};

fn bad_files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad");
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

fn read(path: &Path) -> (String, Loaded) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let loaded = parse(&std::fs::read_to_string(path).unwrap(), name);
    (render(name, &loaded.findings), loaded)
}

#[test]
fn every_bad_file_is_answered_word_for_word() {
    let files = bad_files();
    assert!(files.len() >= 8);
    for path in files {
        let (said, loaded) = read(&path);
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(
            said,
            expected,
            "{}: `UPDATE_GOLDEN=1 cargo test --test config` rewrites it",
            golden.display()
        );
        assert_eq!(loaded.config.is_none(), count(&loaded.findings).errors > 0, "{}", path.display());
    }
}

#[test]
fn all_mistakes_of_a_file_are_found_at_once() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad");
    let (said, loaded) = read(&dir.join("everything.yaml"));
    assert!(count(&loaded.findings).errors >= 30, "{said}");
}

#[test]
fn no_secret_is_repeated() {
    for path in bad_files() {
        let (said, loaded) = read(&path);
        let json = serde_json::to_string(&loaded.findings).unwrap();
        assert!(!said.contains("hunter") && !json.contains("hunter"), "{said}");
    }
}
