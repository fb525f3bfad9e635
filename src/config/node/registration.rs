//! `service_registration`: where the node says what it is.

use std::time::Duration;

use super::environment::Environment;
use super::model::{Consul, Kubernetes, ServiceRegistration};
use super::section::Section;

/// Consul's agent on this machine.
const CONSUL: &str = "127.0.0.1:8500";
/// Name of the service, as Vault has it.
const SERVICE: &str = "vault";
/// Time after which a silent node is taken for dead, as Vault has it.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn read(root: &Section<'_>, environment: &Environment) -> Option<ServiceRegistration> {
    let section = root.block_once("service_registration", 1)?;
    let registration = match section.labels.first().map(String::as_str).unwrap_or_default() {
        "consul" => Some(ServiceRegistration::Consul(consul(&section))),
        "kubernetes" => kubernetes(&section, environment).map(ServiceRegistration::Kubernetes),
        other => {
            section.notes.unknown_word(&section.spot, other, &["consul", "kubernetes"]);
            return None;
        }
    };
    section.close();
    registration
}

fn consul(section: &Section<'_>) -> Consul {
    let text = |key, default: &str| section.text(key).map_or_else(|| default.to_owned(), |given| given.value);
    let (certificate, key) = (section.path("tls_cert_file"), section.path("tls_key_file"));
    if certificate.is_some() != key.is_some() {
        let message = "a client certificate is a pair";
        section.notes.error_help(&section.spot, "missing", message, "give tls_cert_file and tls_key_file");
    }
    for key in ["tls_min_version", "tls_skip_verify", "disable_local_check"] {
        section.unsupported(key, "TLS to Consul is 1.2 or newer and always verified; leave it out");
    }
    let scheme = text("scheme", "http");
    if !matches!(scheme.as_str(), "http" | "https") {
        section.notes.unknown_word(&section.spot, &scheme, &["http", "https"]);
    }
    Consul {
        address: text("address", CONSUL),
        tls: scheme == "https",
        token: section.secret("token").map(|given| given.value).unwrap_or_default(),
        service: text("service", SERVICE),
        service_tags: section.list("service_tags").map(|given| given.value).unwrap_or_default(),
        service_address: section.text("service_address").map(|given| given.value),
        check_timeout: section.time("check_timeout").map_or(CHECK_TIMEOUT, |given| given.value),
        register: !section.is_on("disable_registration", false),
        tls_ca_file: section.path("tls_ca_file").map(|given| given.value),
        tls_client: certificate.zip(key).map(|(certificate, key)| (certificate.value, key.value)),
    }
}

/// The pod's environment is asked first, as Vault does.
fn kubernetes(section: &Section<'_>, environment: &Environment) -> Option<Kubernetes> {
    let one = |key, variable: &str, from: &Option<String>| {
        let value = from.clone().or(section.text(key).map(|given| given.value));
        if value.is_none() {
            let help = format!("set it here or in the environment variable {variable}");
            section.notes.missing(&section.spot, key, &help);
        }
        value
    };
    let namespace = one("namespace", "VAULT_K8S_NAMESPACE", &environment.kubernetes_namespace);
    let pod_name = one("pod_name", "VAULT_K8S_POD_NAME", &environment.kubernetes_pod);
    Some(Kubernetes { namespace: namespace?, pod_name: pod_name? })
}
