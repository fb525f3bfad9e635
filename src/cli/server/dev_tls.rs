//! `-dev-tls`: a CA and a certificate of this machine, made for one run of the development mode. The names of the files
//! are Vault's.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::ServerError;

/// Whom the certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The directory of the three files; one that was made for them is removed when it is dropped.
#[derive(Debug)]
pub(super) struct DevTls {
    dir: PathBuf,
    is_temporary: bool,
}

// === impl DevTls ===

impl DevTls {
    /// Makes and writes everything, in `dir` or in a directory of its own; the certificate is for `names`, too.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(super) fn make(dir: Option<&Path>, names: &[String]) -> Result<Self, ServerError> {
        let made = dir.is_none();
        let dir = dir.map_or_else(temporary, |dir| Ok(dir.to_owned()))?;
        let files = Self { dir, is_temporary: made };
        files.write(names)?;
        Ok(files)
    }

    pub(super) fn authority(&self) -> PathBuf {
        self.dir.join("vault-ca.pem")
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.dir.join("vault-cert.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.dir.join("vault-key.pem")
    }

    fn write(&self, names: &[String]) -> Result<(), ServerError> {
        let [authority, certificate, key] =
            pems(names).map_err(|error| ServerError::Certificates(error.to_string()))?;
        for (path, text) in
            [(self.authority(), authority), (self.certificate(), certificate), (self.key(), key)]
        {
            private_file(&path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(|error| ServerError::Certificates(format!("{}: {error}", path.display())))?;
        }
        Ok(())
    }
}

impl Drop for DevTls {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = std::fs::remove_dir_all(&self.dir)
        {
            tracing::warn!(%error, dir = %self.dir.display(), "the certificates stay");
        }
    }
}

/// A new file for nobody else. What was there under its name, a link among it, is not written to.
fn private_file(path: &Path) -> std::io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => File::options().write(true).create_new(true).mode(0o600).open(path),
    }
}

fn temporary() -> Result<PathBuf, ServerError> {
    let dir = std::env::temp_dir().join(format!("understudy-tls-{:016x}", fastrand::u64(..)));
    std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
    Ok(dir)
}

/// The CA's certificate, the server's and its key. The CA's key is forgotten: it signs nothing else.
fn pems(names: &[String]) -> Result<[String; 3], rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Understudy development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = KeyPair::generate()?;
    let authority = params.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(params, ca_key);

    let names: Vec<String> = NAMES.map(str::to_owned).into_iter().chain(names.iter().cloned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok([authority, certificate, key.serialize_pem()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node::{Environment, load};

    #[test]
    fn a_key_is_for_nobody_else_whatever_was_there() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (open, elsewhere) = (dir.path().join("open"), dir.path().join("elsewhere"));
        std::fs::write(&open, "old").unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&elsewhere, "mine").unwrap();
        let link = dir.path().join("link");
        symlink(&elsewhere, &link).unwrap();
        for path in [open, link, dir.path().join("new")] {
            private_file(&path).unwrap().write_all(b"key").unwrap();
            assert_eq!(std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"mine");
    }

    #[test]
    fn what_is_made_fits_together_and_goes_away() {
        let made = DevTls::make(None, &["node-1".to_owned()]).unwrap();
        let dir = made.dir.clone();
        let text = super::super::dev::configuration(None, Some(&made));
        let loaded = load(&[], &[("dev", &text)], &Environment::default());
        assert!(
            loaded.config.is_some_and(|config| config.listeners[0].tls.is_some()),
            "{:?}",
            loaded.findings
        );
        drop(made);
        assert!(!dir.exists());
    }

    #[test]
    fn a_directory_that_was_named_stays() {
        let dir = tempfile::tempdir().unwrap();
        drop(DevTls::make(Some(dir.path()), &[]).unwrap());
        assert!(dir.path().join("vault-ca.pem").exists());
        assert!(DevTls::make(Some(&dir.path().join("none")), &[]).is_err());
    }
}
