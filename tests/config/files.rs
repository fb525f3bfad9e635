//! `load` opens what a file names: certificates and keys that are missing, broken or do not belong together.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};
use understudy::config::{Loaded, Severity, load};

struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A self-signed pair, as `NAME.crt` and `NAME.key`.
    fn pair(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        self.write(&format!("{name}.crt"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn load(&self, cert: &str, key: &str, ca: &str) -> Loaded {
        let dir = self.dir.path().display();
        let text = format!(
            "version: 1\nlisteners:\n  - bind: \"127.0.0.1:8200\"\n    tls:\n      certificates:\n        - cert_file: {dir}/{cert}\n          key_file: {dir}/{key}\ncluster:\n  servers: [\"https://127.0.0.1:8210\"]\n  tls:\n    ca_file: {dir}/{ca}\n"
        );
        load(&self.write("proxy.yaml", &text))
    }
}

fn said(loaded: &Loaded) -> Vec<(usize, String)> {
    let errors = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| (finding.line, finding.message.clone())).collect()
}

#[test]
fn files_that_belong_together_are_accepted() {
    let scratch = Scratch::new();
    scratch.pair("a");
    let loaded = scratch.load("a.crt", "a.key", "a.crt");
    assert_eq!(said(&loaded), []);
    assert!(loaded.config.is_some());
}

#[test]
fn every_broken_file_is_named_with_its_line() {
    let scratch = Scratch::new();
    scratch.pair("a");
    scratch.pair("b");
    scratch.write("empty", "");
    scratch.write("broken.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let cases = [
        ("a.crt", "b.key", "a.crt", vec![(7, "does not fit the certificate")]),
        ("none", "a.key", "a.crt", vec![(6, "cannot read certificates")]),
        ("a.crt", "none", "a.crt", vec![(7, "no private key")]),
        (
            "empty",
            "empty",
            "empty",
            vec![(6, "no certificate in PEM"), (7, "no private key"), (11, "no certificate")],
        ),
        ("a.crt", "a.key", "broken.crt", vec![(11, "cannot be a CA")]),
        ("a.key", "a.key", "a.crt", vec![(6, "no certificate in PEM")]),
    ];
    for (cert, key, ca, expected) in cases {
        let loaded = scratch.load(cert, key, ca);
        let said = said(&loaded);
        assert_eq!(said.len(), expected.len(), "{cert} {key} {ca}: {said:?}");
        for ((line, message), (expected_line, part)) in said.iter().zip(expected) {
            assert!(*line == expected_line && message.contains(part), "{cert} {key} {ca}: {said:?}");
        }
        assert!(loaded.config.is_none());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_finding() {
    let loaded = load(Path::new("/nonexistent/proxy.yaml"));
    assert!(loaded.config.is_none());
    assert_eq!(loaded.findings[0].code, "unreadable");
    assert_eq!(loaded.findings[0].file, "/nonexistent/proxy.yaml");
}

#[test]
fn a_file_of_nothing_but_mistakes_is_answered_soon_and_briefly() {
    let scratch = Scratch::new();
    let keys: String = (0..60_000).map(|number| format!("k{number}: 1\n")).collect();
    let loaded = load(&scratch.write("proxy.yaml", &keys));
    assert!(loaded.config.is_none());
    assert!((1..=1000).contains(&loaded.findings.len()));
}
