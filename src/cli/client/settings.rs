//! Where the server is and how to speak to it: flags first, then `BAO_` variables, then `VAULT_` ones, then defaults.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::super::line::{Given, seconds};
use crate::secret::SecretString;

/// As Vault's client.
const DEFAULT_ADDRESS: &str = "https://127.0.0.1:8200";
/// One request with its answer.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_RETRIES: u32 = 2;

/// Looks a variable up.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything a [`super::Client`] must know.
#[derive(Debug)]
pub struct Settings {
    pub address: Uri,
    pub token: Option<SecretString>,
    pub namespace: Option<String>,
    pub wrap_ttl: Option<String>,
    pub headers: Vec<(String, String)>,
    pub mfa: Vec<String>,
    pub policy_override: bool,
    pub redirects: bool,
    pub timeout: Duration,
    /// After the first attempt.
    pub retries: u32,
    pub tls: TlsSettings,
    pub dry: Dry,
}

/// Files and names of TLS.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    pub ca_file: Option<PathBuf>,
    pub ca_dir: Option<PathBuf>,
    pub client_cert: Option<(PathBuf, PathBuf)>,
    pub server_name: Option<String>,
    pub skip_verify: bool,
}

/// Print instead of send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dry {
    No,
    Curl,
    Policy,
}

/// `BAO_NAME`, else `VAULT_NAME`; an empty one counts as missing.
#[must_use]
pub fn variable(env: Env<'_>, name: &str) -> Option<String> {
    let of = |prefix: &str| env(&format!("{prefix}_{name}")).filter(|value| !value.is_empty());
    of("BAO").or_else(|| of("VAULT"))
}

/// The settings of one command line.
///
/// # Errors
/// What cannot be obeyed, naming the flag or the variable.
pub fn settings(given: &Given, env: Env<'_>, token: Option<SecretString>) -> Result<Settings, String> {
    let value = |flag: &str, name: &str| given.value(flag).map(str::to_owned).or_else(|| variable(env, name));
    let truth = |flag: &str, name: &str| {
        given.on(flag) || matches!(value(flag, name).as_deref(), Some("1" | "t" | "true" | "TRUE" | "True"))
    };
    let address = value("agent-address", "AGENT_ADDR")
        .or_else(|| value("address", "ADDR"))
        .unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    let mfa: Vec<String> = given.values("mfa").map(str::to_owned).collect();
    Ok(Settings {
        address: self::address(&address)?,
        token,
        namespace: value("namespace", "NAMESPACE").map(|name| format!("{}/", name.trim_matches('/'))),
        wrap_ttl: wrap_ttl(given, env)?,
        headers: headers(given)?,
        mfa: if mfa.is_empty() { variable(env, "MFA").into_iter().collect() } else { mfa },
        policy_override: given.on("policy-override"),
        redirects: !truth("disable-redirects", "DISABLE_REDIRECTS"),
        timeout: duration_variable(env, "CLIENT_TIMEOUT")?.unwrap_or(DEFAULT_TIMEOUT),
        retries: retries(env)?,
        tls: TlsSettings {
            ca_file: value("ca-cert", "CACERT").map(PathBuf::from),
            ca_dir: value("ca-path", "CAPATH").map(PathBuf::from),
            client_cert: client_cert(value("client-cert", "CLIENT_CERT"), value("client-key", "CLIENT_KEY"))?,
            server_name: value("tls-server-name", "TLS_SERVER_NAME"),
            skip_verify: truth("tls-skip-verify", "SKIP_VERIFY"),
        },
        dry: match (given.on("output-curl-string"), given.on("output-policy")) {
            (true, true) => {
                return Err("-output-curl-string and -output-policy exclude each other".to_owned());
            }
            (true, false) => Dry::Curl,
            (false, true) => Dry::Policy,
            (false, false) => Dry::No,
        },
    })
}

fn address(text: &str) -> Result<Uri, String> {
    let parsed = text.trim_end_matches('/').parse::<Uri>();
    let uri = parsed.map_err(|why| format!("the address \"{text}\" is no URL: {why}"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(format!("the address \"{text}\" needs http:// or https:// and a host")),
    }
}

fn wrap_ttl(given: &Given, env: Env<'_>) -> Result<Option<String>, String> {
    if let Some(seconds) = given.integer("wrap-ttl") {
        return Ok((seconds > 0).then(|| format!("{seconds}s")));
    }
    Ok(duration_variable(env, "WRAP_TTL")?.map(|ttl| format!("{}s", ttl.as_secs())))
}

fn duration_variable(env: Env<'_>, name: &str) -> Result<Option<Duration>, String> {
    let Some(text) = variable(env, name) else { return Ok(None) };
    let wrong = || format!("VAULT_{name} is no duration: {text}");
    seconds(&text).and_then(|n| u64::try_from(n).ok()).map(Duration::from_secs).map(Some).ok_or_else(wrong)
}

fn retries(env: Env<'_>) -> Result<u32, String> {
    let Some(text) = variable(env, "MAX_RETRIES") else { return Ok(DEFAULT_RETRIES) };
    text.parse().map_err(|_| format!("VAULT_MAX_RETRIES is no number: {text}"))
}

fn headers(given: &Given) -> Result<Vec<(String, String)>, String> {
    let pairs = given.values("header").filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| match name.to_lowercase().starts_with("x-vault-") {
            true => Err(format!("Setting header key {name} is not allowed (prefix X-Vault- is reserved)")),
            false => Ok((name.to_owned(), value.to_owned())),
        })
        .collect()
}

fn client_cert(cert: Option<String>, key: Option<String>) -> Result<Option<(PathBuf, PathBuf)>, String> {
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some((cert.into(), key.into()))),
        (None, None) => Ok(None),
        _ => Err("both client cert and client key must be provided".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bao_names_come_first_and_empty_ones_do_not_count() {
        let env = |name: &str| match name {
            "BAO_ADDR" => Some("http://bao:1/".to_owned()),
            "VAULT_ADDR" => Some("http://vault:2".to_owned()),
            "BAO_NAMESPACE" => Some(String::new()),
            "VAULT_NAMESPACE" => Some("/a/b".to_owned()),
            "VAULT_MAX_RETRIES" => Some("0".to_owned()),
            "VAULT_CLIENT_TIMEOUT" => Some("5s".to_owned()),
            _ => None,
        };
        let settings = settings(&Given::default(), &env, None).unwrap();
        assert_eq!(settings.address.host(), Some("bao"));
        assert_eq!(settings.namespace.as_deref(), Some("a/b/"));
        assert_eq!((settings.retries, settings.timeout), (0, Duration::from_secs(5)));
    }

    #[test]
    fn addresses() {
        for (text, good) in [
            ("http://a:1", true),
            ("https://[::1]:8200/", true),
            ("a:1", false),
            ("", false),
            ("ftp://a", false),
        ] {
            assert_eq!(address(text).is_ok(), good, "{text}");
        }
    }
}
