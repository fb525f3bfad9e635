//! `export`: keys handed out, where their settings allow it.

use serde_json::{Map, json};
use zeroize::Zeroizing;

use super::backend::Transit;
use super::certificates;
use super::der;
use super::encoding;
use super::key::Key;
use super::kind::Family;
use super::material::Material;
use super::record::{Secret, Version};
use super::refusal::{Refusable, Refusal};
use crate::logical::{Answer, Call, Fault, Response};

/// What is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Encryption,
    Signing,
    Hmac,
    Public,
    Certificates,
}

// === impl Part ===

impl Part {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "encryption-key" => Self::Encryption,
            "signing-key" => Self::Signing,
            "hmac-key" => Self::Hmac,
            "public-key" => Self::Public,
            "certificate-chain" => Self::Certificates,
            _ => return None,
        })
    }

    fn is_private(self) -> bool {
        matches!(self, Self::Encryption | Self::Signing | Self::Hmac)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Encryption => "encryption-key",
            Self::Signing => "signing-key",
            Self::Hmac => "hmac-key",
            Self::Public => "public-key",
            Self::Certificates => "certificate-chain",
        }
    }
}

// === impl Transit ===

impl Transit {
    pub(super) fn export(&self, call: &mut Call<'_>) -> Answer {
        let (kind, name) = (call.captures.get("type"), call.captures.get("name"));
        let part = Part::parse(kind).ok_or_else(|| Fault::invalid(format!("invalid export type: {kind}")))?;
        let Some(key) = self.keys.load(&mut call.store, name)? else { return Ok(Response::empty()) };
        check(&key, part)?;
        let mut keys = Map::new();
        for (number, version) in chosen(&key, call.captures.get("version"))? {
            let exported = export(&key, number, version, part);
            let exported = exported.map_err(|refusal| Fault::Internal(refusal.text().to_owned()))?;
            keys.insert(number.to_string(), exported.as_str().into());
        }
        Ok(Response::json(json!({ "name": name, "type": key.kind().name(), "keys": keys })))
    }
}

fn check(key: &Key, part: Part) -> Result<(), Fault> {
    if part.is_private() && !key.record().settings.exportable {
        return Err(Fault::invalid("private key material is not exportable"));
    }
    match part {
        Part::Encryption if !key.kind().encrypts() => {
            Err(Fault::invalid("encryption not supported for the key"))
        }
        Part::Signing if !key.kind().signs() => Err(Fault::invalid("signing not supported for the key")),
        Part::Encryption | Part::Signing | Part::Hmac | Part::Public | Part::Certificates => Ok(()),
    }
}

/// The versions asked for: all, the newest, or one.
fn chosen<'k>(key: &'k Key, asked: &str) -> Result<Vec<(u32, &'k Version)>, Fault> {
    let record = key.record();
    let number = match asked {
        "" => return Ok(record.shown().collect()),
        "latest" => record.latest,
        text => match text.parse::<i64>() {
            Err(_) => return Err(Fault::invalid("invalid key version")),
            Ok(number) if number < i64::from(record.min_decryption) => {
                return Err(Fault::invalid("version for export is below minimum decryption version"));
            }
            Ok(number) => u32::try_from(number).unwrap_or(u32::MAX),
        },
    };
    let version = record.version(number);
    let missing = || Fault::invalid("version does not exist or cannot be found");
    Ok(vec![(number, version.ok_or_else(missing)?)])
}

fn export(key: &Key, number: u32, version: &Version, part: Part) -> Refusable<Zeroizing<String>> {
    key.check_usable()?;
    let unknown = || {
        let (kind, part) = (key.kind().name(), part.name());
        Refusal::internal(format!("unknown key type {kind} for export type {part}"))
    };
    match part {
        Part::Hmac => Ok(base64(&version.mac)),
        Part::Encryption | Part::Signing => private(key, number, version)?.ok_or_else(unknown),
        Part::Public => public(key, version).ok_or_else(unknown),
        Part::Certificates if version.certificates.is_empty() => {
            Err(Refusal::internal("selected key version does not have a certificate chain imported"))
        }
        Part::Certificates => Ok(Zeroizing::new(certificates::chain_pem(version))),
    }
}

fn private(key: &Key, number: u32, version: &Version) -> Refusable<Option<Zeroizing<String>>> {
    let Some(secret) = &version.private else {
        return Err(Refusal::internal("the key version has no private part"));
    };
    Ok(match key.kind().family() {
        Family::Aead | Family::Hmac | Family::Ed25519 => Some(base64(secret)),
        Family::Ecdsa => {
            let Material::Ecdsa(pair) = key.material(number)? else { return Ok(None) };
            pair.sec1().map(|document| trimmed(encoding::pem("EC PRIVATE KEY", &document)))
        }
        Family::Rsa => {
            der::inside_pkcs8(secret.expose()).map(|inner| encoding::pem("RSA PRIVATE KEY", inner))
        }
    })
}

fn public(key: &Key, version: &Version) -> Option<Zeroizing<String>> {
    match key.kind().family() {
        Family::Aead | Family::Hmac => None,
        Family::Ed25519 => Some(Zeroizing::new(encoding::encode(&version.public))),
        Family::Ecdsa => Some(trimmed(encoding::pem("PUBLIC KEY", &version.public))),
        Family::Rsa => Some(encoding::pem("PUBLIC KEY", &version.public)),
    }
}

fn base64(secret: &Secret) -> Zeroizing<String> {
    Zeroizing::new(encoding::encode(secret.expose()))
}

/// The server leaves out the last line break of keys of curves, and of these only.
fn trimmed(mut pem: Zeroizing<String>) -> Zeroizing<String> {
    pem.pop();
    pem
}
