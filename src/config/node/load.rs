//! Files and directories → one configuration, or every mistake in them.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::model::NodeConfig;
use super::notes::{Notes, Spot};
use super::section::{Part, Section};
use super::{check, root};
use crate::config::finding::Finding;
use crate::hcl::{self, Body, Span};

/// Most files of one configuration.
const FILES_MAX: usize = 100;

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// There when no finding is an error.
    pub config: Option<NodeConfig>,
    /// File by file, in the order they were read, and in the order of their lines.
    pub findings: Vec<Finding>,
    /// The files that were read.
    pub files: Vec<String>,
}

/// A file that was read, or why it was not.
struct Source {
    name: String,
    text: Result<String, String>,
}

/// Reads and checks the files; of a directory, those that end in `.hcl` or `.json`, in the order of their names.
/// The certificates they name are opened, too. `before` are texts that come first: name and content. Never fails as
/// such: what cannot be read is a finding.
#[must_use]
pub fn load(paths: &[PathBuf], before: &[(&str, &str)], environment: &Environment) -> Loaded {
    let files = paths.iter().flat_map(|path| sources(path));
    let sources = before.iter().map(text_source).chain(files).take(FILES_MAX + 1).collect();
    run(sources, environment, check::check_files)
}

/// Checks configuration texts: name and content. The files they name are not opened.
#[must_use]
pub fn parse(texts: &[(&str, &str)], environment: &Environment) -> Loaded {
    run(texts.iter().map(text_source).collect(), environment, |_, _| ())
}

fn text_source((name, text): &(&str, &str)) -> Source {
    Source { name: (*name).to_owned(), text: Ok((*text).to_owned()) }
}

fn sources(path: &Path) -> Vec<Source> {
    let of = |path: &Path| Source { name: path.display().to_string(), text: read(path) };
    if !path.is_dir() {
        return vec![of(path)];
    }
    match inside(path) {
        Ok(files) if !files.is_empty() => files.iter().map(|file| of(file)).collect(),
        Ok(_) => refused(path, "no file in this directory ends in .hcl or .json".to_owned()),
        Err(error) => refused(path, format!("cannot read this directory: {error}")),
    }
}

fn refused(path: &Path, why: String) -> Vec<Source> {
    vec![Source { name: path.display().to_string(), text: Err(why) }]
}

/// The configuration files of a directory; what editors leave behind is passed over, as Vault does.
fn inside(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let left_behind = name.starts_with('.') || name.starts_with('#') || name.ends_with('~');
        let known = path.extension().is_some_and(|extension| extension == "hcl" || extension == "json");
        if known && !left_behind && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error| format!("cannot read this file: {error}");
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(hcl::TEXT_MAX as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn run(
    sources: Vec<Source>,
    environment: &Environment,
    check_files: impl FnOnce(&NodeConfig, &[Section<'_>]),
) -> Loaded {
    let mut notes = Notes::default();
    let mut bodies = Vec::new();
    for source in &sources {
        let file = notes.file(&source.name, source.text.as_deref().unwrap_or_default());
        bodies.extend(body(source, file, &notes).map(|body| (file, body)));
    }
    if sources.len() > FILES_MAX {
        notes.error(&Spot::file(0), "range", format!("more than {FILES_MAX} files"));
    }
    // With a file missing from the whole, what the rest lacks may well be in it.
    let config = if notes.has_errors() && bodies.len() < sources.len() {
        None
    } else {
        whole(&bodies, environment, &notes, check_files)
    };
    let config = config.filter(|_| !notes.has_errors());
    let files = sources.into_iter().map(|source| source.name).collect();
    Loaded { config, findings: notes.finish(), files }
}

fn body(source: &Source, file: usize, notes: &Notes) -> Option<Body> {
    match source.text.as_deref().map(hcl::parse) {
        Ok(Ok(body)) => Some(body),
        Ok(Err(error)) => {
            let spot = Spot { span: error.span, ..Spot::file(file) };
            notes.error(&spot, "not-hcl", error.wordless());
            None
        }
        Err(why) => {
            notes.error(&Spot::file(file), "unreadable", why.clone());
            None
        }
    }
}

fn whole(
    bodies: &[(usize, Body)],
    environment: &Environment,
    notes: &Notes,
    check_files: impl FnOnce(&NodeConfig, &[Section<'_>]),
) -> Option<NodeConfig> {
    if bodies.iter().all(|(_, body)| body.items.is_empty()) {
        let spot = Spot { span: Span::default(), ..Spot::file(0) };
        notes.error_help(&spot, "missing", "nothing is configured", "start from config/node.hcl");
        return None;
    }
    let parts = bodies.iter().map(|(file, body)| Part { body: Cow::Borrowed(body), file: *file });
    let section = Section::root(parts.collect(), notes);
    let config = root::read(&section, environment)?;
    let listeners = section.blocks("listener", 1);
    if listeners.len() == config.listeners.len() {
        check::check(&config, &listeners, notes);
        check_files(&config, &listeners);
    }
    Some(config)
}
