//! What `understudy server` prints on standard output: how it is configured, and, in the development mode alone, the
//! keys it made.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::node::NodeConfig;
use crate::config::node::model::{Bind, Listener, Seal, ServiceRegistration, Storage};
use crate::config::proxy::{LogFormat, LogLevel};
use crate::duration::go_string;
use crate::telemetry::BUILD;

/// The width of the names, as a Vault server aligns them.
const NAME_WIDTH: usize = 24;

/// The configuration, one setting a line, no secret in it.
#[must_use]
pub(super) fn configuration(config: &NodeConfig) -> String {
    let mut text = "==> Understudy server configuration:\n\n".to_owned();
    for (name, value) in settings(config) {
        line(&mut text, &name, &value);
    }
    text.push_str("\n==> Understudy server started! Log data will stream in below:\n\n");
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    writeln!(text, "{name:>NAME_WIDTH$}: {value}").expect("a String takes text");
}

/// In the order of their names.
fn settings(config: &NodeConfig) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = vec![
        ("Api Address".into(), config.cluster.api_addr.clone()),
        ("Cluster Address".into(), config.cluster.cluster_addr.clone()),
        ("Log Format".into(), log_format(config.log.format).into()),
        ("Log Level".into(), log_level(config.log.level).into()),
        ("Storage".into(), storage(&config.storage)),
        ("Version".into(), format!("Understudy v{}", BUILD.version)),
        ("Version Sha".into(), BUILD.commit.into()),
    ];
    for (number, one) in config.listeners.iter().enumerate() {
        settings.push((format!("Listener {}", number + 1), listener(one)));
    }
    if let Seal::Static(seal) = &config.seal {
        settings.push(("Auto Seal".into(), format!("static (current_key_id: \"{}\")", seal.current.id)));
    }
    if let Some(registration) = &config.service_registration {
        let name = match registration {
            ServiceRegistration::Consul(_) => "consul",
            ServiceRegistration::Kubernetes(_) => "kubernetes",
        };
        settings.push(("Service Registration".into(), name.into()));
    }
    settings.sort();
    settings
}

fn storage(storage: &Storage) -> String {
    match storage {
        Storage::Inmem => "inmem".to_owned(),
        Storage::File { path } => format!("file (path: \"{}\")", path.display()),
        Storage::Raft(raft) => format!("raft (HA available, path: \"{}\")", raft.path.display()),
    }
}

fn listener(listener: &Listener) -> String {
    let kind = if matches!(listener.bind, Bind::Unix(_)) { "unix" } else { "tcp" };
    let mut parts = vec![format!("addr: \"{}\"", address(&listener.bind))];
    parts
        .extend(listener.cluster_bind.as_ref().map(|bind| format!("cluster address: \"{}\"", address(bind))));
    parts.extend(
        listener.limits.duration.map(|time| format!("max_request_duration: \"{}\"", go_string(time))),
    );
    parts.extend(listener.limits.size.map(|size| format!("max_request_size: \"{size}\"")));
    parts.push(format!("tls: \"{}\"", if listener.tls.is_some() { "enabled" } else { "disabled" }));
    format!("{kind} ({})", parts.join(", "))
}

/// As the configuration has it.
pub(super) fn address(bind: &Bind) -> String {
    match bind {
        Bind::Tcp(address) => address.to_string(),
        Bind::Everywhere(port) => format!(":{port}"),
        Bind::Name(name, port) => format!("{name}:{port}"),
        Bind::Unix(socket) => socket.path.display().to_string(),
    }
}

fn log_level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Json => "json",
        LogFormat::Text => "standard",
    }
}

/// The development mode's farewell to secrecy. Programs look for the lines `Unseal Key:` and `Root Token:`.
#[must_use]
pub(super) fn development(
    api_addr: &str,
    ca_file: Option<&Path>,
    unseal_key: &str,
    root_token: &str,
) -> String {
    let ca = ca_file.map(|file| format!("    $ export VAULT_CACERT='{}'\n", file.display()));
    let ca = ca.unwrap_or_default();
    format!(
        "WARNING! This is the development mode: everything is kept in memory and gone when the server ends, and the \
         server\nis unsealed with the one key below. The command line is logged in with the root token already.\n\n\
         For a client in another shell:\n\n    $ export VAULT_ADDR='{api_addr}'\n{ca}\n\
         Unseal Key: {unseal_key}\nRoot Token: {root_token}\n\n\
         Do not use this mode in production.\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node::{Environment, parse};

    #[test]
    fn the_configuration_is_told_without_secrets() {
        let text = "storage \"raft\" { path = \"/data\" }\nlistener \"tcp\" { address = \":8200\" tls_disable = true }\n\
                    listener \"unix\" { address = \"/s\" }\napi_addr = \"https://a:8200\"\n\
                    seal \"static\" { current_key_id = \"k\" current_key = \"hunter2\" }\n\
                    service_registration \"consul\" { token = \"hunter2\" }";
        let config = parse(&[("a", text)], &Environment::default()).config.unwrap();
        let said = configuration(&config);
        let expected = "\
==> Understudy server configuration:

             Api Address: https://a:8200
               Auto Seal: static (current_key_id: \"k\")
         Cluster Address: https://a:8201
              Listener 1: tcp (addr: \":8200\", cluster address: \":8201\", max_request_duration: \"1m30s\", max_request_size: \"33554432\", tls: \"disabled\")
              Listener 2: unix (addr: \"/s\", max_request_duration: \"1m30s\", max_request_size: \"33554432\", tls: \"disabled\")
              Log Format: standard
               Log Level: info
    Service Registration: consul
                 Storage: raft (HA available, path: \"/data\")
";
        assert!(said.starts_with(expected), "{said}");
        assert!(!said.contains("hunter2"));
    }

    #[test]
    fn programs_find_key_and_token() {
        let said = development("http://127.0.0.1:8200", Some(Path::new("/ca")), "KEY=", "root");
        assert!(said.lines().any(|line| line == "Unseal Key: KEY="));
        assert!(said.lines().any(|line| line == "Root Token: root"));
        assert!(said.contains("export VAULT_CACERT='/ca'"));
    }
}
