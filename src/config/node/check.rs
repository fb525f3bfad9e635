//! What the whole says that no part could: listeners in each other's way, secrets in the clear, files that are missing.

use super::model::{Bind, NodeConfig, Storage};
use super::notes::{Notes, Spot};
use super::section::Section;
use crate::config::files::{authorities_flaw, pair_flaws};

/// Parts that contradict each other or are probably not meant. `sections` are those of the listeners.
pub(super) fn check(config: &NodeConfig, sections: &[Section<'_>], notes: &Notes) {
    for (at, (listener, Section { spot, .. })) in config.listeners.iter().zip(sections).enumerate() {
        let mut before = config.listeners.iter().take(at);
        if before.any(|other| other.bind == listener.bind) {
            let message = "another listener has this address already";
            notes.error_help(spot, "repeated", message, "give each an address of its own");
        }
        if listener.tls.is_none() && !is_local(&listener.bind) {
            let message = "tokens and secrets cross the network in the clear here";
            notes.warning(spot, "risky", message, "name tls_cert_file and tls_key_file");
        }
    }
    if config.storage == Storage::Inmem {
        let message = "storage \"inmem\" forgets everything when the node ends";
        notes.warning(&Spot::file(0), "risky", message, "use storage \"raft\" or \"file\"");
    }
}

/// The certificate files, opened.
pub(super) fn check_files(config: &NodeConfig, sections: &[Section<'_>]) {
    for (listener, section) in config.listeners.iter().zip(sections) {
        let Some(tls) = &listener.tls else { continue };
        for flaw in tls.certificates.iter().flat_map(pair_flaws) {
            let key = if flaw.setting == "key_file" { "tls_key_file" } else { "tls_cert_file" };
            let spot = spot_of(section, key);
            match flaw.help {
                Some(help) => section.notes.error_help(&spot, "file", flaw.message, help),
                None => section.notes.error(&spot, "file", flaw.message),
            }
        }
        if let Some(why) = tls.client_certs.ca_file.as_deref().and_then(authorities_flaw) {
            section.notes.error(&spot_of(section, "tls_client_ca_file"), "file", why);
        }
    }
}

fn spot_of(section: &Section<'_>, key: &'static str) -> Spot {
    section.text(key).map_or_else(|| section.spot.clone(), |given| given.spot)
}

/// Only this machine reaches it.
fn is_local(bind: &Bind) -> bool {
    match bind {
        Bind::Tcp(address) => address.ip().is_loopback(),
        Bind::Name(name, _) => name == "localhost",
        Bind::Everywhere(_) => false,
        Bind::Unix(_) => true,
    }
}
