//! Values written with a unit or a form of their own: durations, sizes, shares, addresses, networks, globs.
//!
//! Each is one newtype that parses itself and tells editors its form. None quotes the value it refuses when that
//! could hold a password.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};

use super::decode::HELP;
use super::proxy::{Bind, LogOutput, ServerAddress};

/// Longest duration accepted: anything above is a slip of the unit.
const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

macro_rules! text_values {
    ($($(#[$doc:meta])* $name:ident($inner:ty) = $parse:path, $schema:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name(pub(crate) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                $parse(&text).map(Self).map_err(|Wrong { message, help }| Error::custom(format!("{message}{HELP}{help}")))
            }
        }

        impl From<$name> for $inner {
            fn from(value: $name) -> $inner {
                value.0
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

text_values! {
    /// `250ms`, `10s`, `5m`, `1h`, `1d`; `0` needs no unit.
    Time(Duration) = duration, { "type": ["string", "integer"], "pattern": "^(0|[0-9]+(\\.[0-9]+)?(us|ms|s|m|h|d))$" };
    /// `32KiB`, `1MiB`, `64kB`; a bare number is bytes.
    Size(u64) = size, { "type": ["string", "integer"], "pattern": "^[0-9]+ ?(B|kB|KB|MB|GB|KiB|MiB|GiB)?$" };
    /// `10%` or `0.1`.
    Share(f64) = share, { "type": ["string", "number"], "pattern": "^[0-9.]+%$", "minimum": 0, "maximum": 1 };
    /// `20` or `20%`: a setting with "percent" in its name.
    Percent(f64) = percent, { "type": ["string", "number"], "pattern": "^[0-9.]+%?$", "minimum": 0, "maximum": 100 };
    /// `10.0.0.0/8`, `::1`.
    Network(IpNet) = network, { "type": "string" };
    /// `127.0.0.1:8200`, `[::]:8200`, `unix:/run/understudy/api.sock`.
    BindText(Bind) = bind, { "type": "string" };
    /// `https://10.0.1.11:8200`.
    Address(ServerAddress) = address, { "type": "string", "pattern": "^https?://[^/@]+:[0-9]+/?$" };
    /// `stdout`, `stderr` or a file.
    Output(LogOutput) = output, { "type": "string" };
    /// `auto` or a number of threads.
    Workers(Option<usize>) = workers, { "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1 }] };
    /// A glob over canonical paths, without `/v1/`.
    PathGlob(String) = path_glob, { "type": "string" };
    /// A file name.
    FileName(PathBuf) = file_name, { "type": "string", "minLength": 1 };
}

fn wrong<T>(message: String, help: &'static str) -> Result<T, Wrong> {
    Err(Wrong { message, help })
}

/// `number unit` split where the digits end.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

fn duration(text: &str) -> Result<Duration, Wrong> {
    const HELP_UNIT: &str = "write a number with a unit: 250ms, 10s, 5m, 1h, 1d";
    let (number, unit) = split(text.trim());
    let seconds = match unit {
        "us" => 0.000_001,
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "" if number == "0" => 1.0,
        "" if !number.is_empty() => return wrong(format!("`{text}` has no unit"), HELP_UNIT),
        _ => return wrong(format!("`{text}` is not a duration"), HELP_UNIT),
    };
    let number: f64 = number.parse().or_else(|_| wrong(format!("`{text}` is not a duration"), HELP_UNIT))?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        _ => {
            wrong(format!("`{text}` is longer than 30 days"), "0 switches a limit off where that is possible")
        }
    }
}

fn size(text: &str) -> Result<u64, Wrong> {
    const HELP_UNIT: &str = "write whole bytes or a unit: 512, 32KiB, 1MiB, 2GiB";
    let (number, unit) = split(text.trim());
    let factor: u64 = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return wrong(format!("`{text}` is not a size"), HELP_UNIT),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bytes.map_or_else(|| wrong(format!("`{text}` is not a size"), HELP_UNIT), Ok)
}

fn share(text: &str) -> Result<f64, Wrong> {
    let value = text.strip_suffix('%').map_or_else(|| text.parse().ok(), |n| hundredth(n.trim_end()));
    match value {
        Some(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => wrong(format!("`{text}` is not a share"), "write 0% to 100%, or 0.0 to 1.0"),
    }
}

fn percent(text: &str) -> Result<f64, Wrong> {
    match hundredth(text.strip_suffix('%').unwrap_or(text)) {
        Some(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => wrong(format!("`{text}` is not a percentage"), "write 0 to 100"),
    }
}

fn hundredth(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().map(|number| number / 100.0)
}

fn network(text: &str) -> Result<IpNet, Wrong> {
    let parsed = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    parsed.or_else(|_| {
        wrong(format!("`{text}` is not a network"), "write an address or address/bits: 10.0.0.0/8")
    })
}

fn bind(text: &str) -> Result<Bind, Wrong> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.starts_with('/') {
            Ok(Bind::Unix(path.into()))
        } else {
            wrong(format!("`{text}` needs an absolute path"), "write unix:/run/understudy/api.sock")
        };
    }
    if text.starts_with("fd:") {
        let message = "sockets passed by systemd (`fd:`) are not supported by this version".to_owned();
        return wrong(
            message,
            "bind the address here; AmbientCapabilities=CAP_NET_BIND_SERVICE opens low ports",
        );
    }
    match text.parse::<SocketAddr>() {
        Ok(address) => Ok(Bind::Tcp(address)),
        Err(_) if text.starts_with("*:") || text.starts_with(':') => wrong(
            format!("`{text}` does not say which address family"),
            "write 0.0.0.0:8200, [::]:8200, or both",
        ),
        Err(_) => wrong(
            format!("`{text}` is not an address to listen on"),
            "write ip:port ([ip]:port for IPv6) or unix:/path",
        ),
    }
}

/// `scheme://host:port`, nothing more. The text is not quoted: it may hold a password.
fn address(text: &str) -> Result<ServerAddress, Wrong> {
    const FORM: &str = "write https://host:8200 or http://host:8200";
    let Some((scheme, rest)) = text.split_once("://") else {
        return wrong("a server address starts with its scheme".to_owned(), FORM);
    };
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return wrong("a server is spoken to by http or https only".to_owned(), FORM),
    };
    if rest.contains('@') {
        return wrong("a server address takes no user or password".to_owned(), FORM);
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return wrong("a server address takes no path".to_owned(), FORM);
    }
    let Some((host, port)) = host_and_port(authority) else {
        return wrong("a server address needs a host and a port".to_owned(), FORM);
    };
    if !is_host(host) {
        return wrong(format!("`{host}` is not a host name or address"), FORM);
    }
    Ok(ServerAddress { tls, host: host.to_ascii_lowercase(), port })
}

fn host_and_port(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = authority.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().ok().map(|_| (inner, port)),
        None if host.contains([':', '[', ']']) => None,
        None => Some((host, port)),
    }
}

/// RFC 1123 letters, digits, hyphens and dots (`_` too: Docker service names have it), or an IP address.
pub(crate) fn is_host(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
        || (!host.is_empty()
            && host.len() <= 253
            && host.split('.').all(|label| (1..=63).contains(&label.len()) && !label.starts_with('-'))
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')))
}

fn output(text: &str) -> Result<LogOutput, Wrong> {
    match text {
        "stdout" => Ok(LogOutput::Stdout),
        "stderr" => Ok(LogOutput::Stderr),
        path if path.contains('/') => Ok(LogOutput::File(path.into())),
        _ => wrong(format!("`{text}` is not an output"), "write stdout, stderr or a path with a /"),
    }
}

fn workers(text: &str) -> Result<Option<usize>, Wrong> {
    match text.parse() {
        _ if text == "auto" => Ok(None),
        Ok(number @ 1..=1024) => Ok(Some(number)),
        Ok(_) | Err(_) => wrong(format!("`{text}` is not a number of workers"), "write auto, or 1 to 1024"),
    }
}

fn path_glob(text: &str) -> Result<String, Wrong> {
    let stripped = text.strip_prefix('/').unwrap_or(text);
    if text.is_empty() {
        return wrong("an empty path matches nothing".to_owned(), "leave `path` out to match every path");
    }
    if text.starts_with('/') || stripped.starts_with("v1/") {
        return wrong(
            format!("`{text}` can never match"),
            "paths are written without the leading /v1/: secret/data/*",
        );
    }
    if text.contains('%')
        || text.contains("//")
        || text.split('/').any(|segment| matches!(segment, "." | ".."))
    {
        let help = "paths are matched after decoding; write them decoded, without `//`, `.` and `..`";
        return wrong(format!("`{text}` can never match"), help);
    }
    Ok(text.to_owned())
}

fn file_name(text: &str) -> Result<PathBuf, Wrong> {
    if text.starts_with("file:") {
        return wrong(
            "`file:` is for secret settings; this is a file name already".to_owned(),
            "write the path alone",
        );
    }
    if text.is_empty() || text.contains('\0') {
        return wrong("this is not a file name".to_owned(), "write the path of a file");
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let good =
            [("250ms", 250_000), ("10s", 10_000_000), ("1.5s", 1_500_000), ("5m", 300_000_000), ("0", 0)];
        for (text, micros) in good {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("500us"), Ok(Duration::from_micros(500)));
        for text in
            ["10", "s", "", "1w", "-1s", "1.2.3s", "31d", "1e9s", "9999999999999999999d", "10 parsecs"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let good = [
            ("0", 0),
            ("512", 512),
            ("32KiB", 32_768),
            ("1MiB", 1_048_576),
            ("64kB", 64_000),
            ("2 GiB", 1 << 31),
        ];
        for (text, bytes) in good {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "1.5MiB", "1TB", "-1", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_and_percentages() {
        assert_eq!(share("10%"), Ok(0.1));
        assert_eq!(share("0.5"), Ok(0.5));
        assert_eq!(percent("20"), Ok(0.2));
        assert_eq!(percent("20%"), Ok(0.2));
        for text in ["10", "101%", "-1%", "NaN", "inf", "x"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_scheme_host_port() {
        let parsed = address("https://[2001:db8::1]:8200/").unwrap();
        assert_eq!(parsed, ServerAddress { tls: true, host: "2001:db8::1".into(), port: 8200 });
        assert_eq!(address("http://Vault-0.vault:8200").unwrap().host, "vault-0.vault");
        for text in
            ["10.0.0.1:8200", "https://h", "https://h:0", "https://h:1/v1", "ftp://h:1", "http://a b:1"]
        {
            assert!(address(text).is_err(), "{text}");
        }
        let refused = address("https://me:hunter2@h:1").unwrap_err();
        assert!(!format!("{refused:?}").contains("hunter2"));
    }

    #[test]
    fn binds_are_addresses_or_sockets() {
        assert_eq!(bind("[::]:8200"), Ok(Bind::Tcp("[::]:8200".parse().unwrap())));
        assert_eq!(bind("unix:/run/a.sock"), Ok(Bind::Unix("/run/a.sock".into())));
        for (text, word) in
            [("*:8200", "family"), ("fd:3", "systemd"), ("unix:a", "absolute"), ("x:1", "listen")]
        {
            assert!(bind(text).unwrap_err().message.contains(word), "{text}");
        }
    }

    #[test]
    fn globs_that_cannot_match_are_refused() {
        assert!(path_glob("secret/data/*").is_ok());
        for text in ["", "/secret/*", "v1/secret/*", "/v1/secret", "a%20b", "a//b", "a/../b"] {
            assert!(path_glob(text).is_err(), "{text}");
        }
    }
}
