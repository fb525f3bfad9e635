//! Which certificate a client gets: by the name it asks for, then by what it can verify, else the first one.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

/// DNS names (lower case, `*.` for one label) to the certificates that carry them, in configured order.
#[derive(Debug)]
pub(super) struct SniResolver {
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// Invariant: not empty.
    all: Vec<Arc<CertifiedKey>>,
}

impl SniResolver {
    /// `None` without a certificate.
    pub(super) fn new(certificates: Vec<CertifiedKey>) -> Option<Self> {
        let all: Vec<_> = certificates.into_iter().map(Arc::new).collect();
        let mut by_name: HashMap<String, Vec<Arc<CertifiedKey>>> = HashMap::new();
        for certified in &all {
            for name in dns_names(certified) {
                by_name.entry(name).or_default().push(Arc::clone(certified));
            }
        }
        (!all.is_empty()).then_some(Self { by_name, all })
    }

    /// An exact name wins over a wildcard; an unknown name or none gets any of them.
    fn candidates(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let Some(name) = name.map(str::to_ascii_lowercase) else { return &self.all };
        let wildcard = || name.split_once('.').and_then(|(_, rest)| self.by_name.get(&format!("*.{rest}")));
        self.by_name.get(&name).or_else(wildcard).map_or(&self.all, Vec::as_slice)
    }
}

impl ResolvesServerCert for SniResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates = self.candidates(hello.server_name());
        let usable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        candidates.iter().find(usable).or_else(|| candidates.first()).cloned()
    }
}

/// From the subject alternative names alone, as every verifier does today.
fn dns_names(certified: &CertifiedKey) -> Vec<String> {
    let Some((_, parsed)) =
        certified.cert.first().and_then(|der| x509_parser::parse_x509_certificate(der).ok())
    else {
        return Vec::new();
    };
    let names = parsed.subject_alternative_name().ok().flatten();
    names.map_or_else(Vec::new, |names| names.value.general_names.iter().filter_map(dns_name).collect())
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name { Some(name.to_ascii_lowercase()) } else { None }
}
