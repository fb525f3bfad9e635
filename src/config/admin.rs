//! `admin`: metrics, status and control, on a listener of their own.
//!
//! The section may be left out: the admin listener is on by default, on loopback only. `admin: {enabled: false}` is
//! the one way to have none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::field::Field;
use super::health;
use super::proxy::{Admin, AdminLevel, AdminToken, Bind};
use super::raw::{RawAdmin, RawAdminToken};
use super::report::Report;
use super::secret_text::read_secret_file;
use super::unit::FileName;

/// Address: reachable from this machine only, next to Vault's port range.
const BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8299);
/// Path: where Prometheus looks.
const METRICS_PATH: &str = "/metrics";
/// Level of a token that names none: the lesser.
const LEVEL: AdminLevel = AdminLevel::Viewer;

/// `None`: switched off.
pub(crate) fn convert(raw: RawAdmin, report: &Report) -> Option<Admin> {
    if !raw.enabled.or(true) {
        return None;
    }
    let metrics = raw.metrics.section();
    let tokens = raw.tokens.given().unwrap_or_default().into_iter().enumerate();
    let tokens = tokens.filter_map(|(number, raw)| token(raw.given()?, number, report));
    Some(Admin {
        tokens: tokens.collect(),
        bind: raw.bind.or(Bind::Tcp(BIND)),
        metrics_path: health::path(metrics.path, "admin.metrics.path", METRICS_PATH, report),
    })
}

fn token(raw: RawAdminToken, number: usize, report: &Report) -> Option<AdminToken> {
    let at = format!("admin.tokens[{number}]");
    let level = raw.level.or(LEVEL);
    let name = raw.name.clone().or(format!("token{}", number + 1));
    digest(raw, &at, report).map(|sha256| AdminToken { name, sha256, level })
}

fn digest(raw: RawAdminToken, at: &str, report: &Report) -> Option<[u8; 32]> {
    let (setting, text) = match (raw.sha256, raw.sha256_file) {
        (Field::Absent, Field::Absent) => {
            report.missing(&format!("{at}.sha256"), "make one with `printf %s TOKEN | sha256sum`");
            return None;
        }
        (Field::Given(_), Field::Given(_)) => {
            report.error(
                &format!("{at}.sha256"),
                "conflict",
                "`sha256` and `sha256_file` are both given; keep one",
            );
            return None;
        }
        (Field::Given(text), _) => ("sha256", text.resolve()),
        (_, Field::Given(FileName(path))) => ("sha256_file", read_secret_file(&path)),
        (Field::Bad | Field::Absent, Field::Bad | Field::Absent) => return None,
    };
    let path = format!("{at}.{setting}");
    let text = text.map_err(|why| report.error(&path, "secret", why)).ok()?;
    // sha256sum writes the digest, two spaces and a name.
    let word = text.split_whitespace().next().unwrap_or_default();
    let mut digest = [0; 32];
    if hex::decode_to_slice(word, &mut digest).is_err() {
        let help = "make one with `printf %s TOKEN | sha256sum`";
        report.error_help(&path, "bad-value", "this is not a SHA-256: 64 hexadecimal digits", help);
        return None;
    }
    Some(digest)
}
