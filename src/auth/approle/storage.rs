//! Records of approle and where they are.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::auth::token_params::TokenParams;
use crate::barrier::View;
use crate::entropy;
use crate::logical::Fault;

const SALT: &str = "salt";

/// A role. Durations in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) role_id: String,
    pub(super) bind_secret_id: bool,
    pub(super) secret_id_bound_cidrs: Vec<String>,
    pub(super) secret_id_num_uses: u64,
    pub(super) secret_id_ttl: u64,
    pub(super) local_secret_ids: bool,
    /// Whether the older names (`policies`, `period`) were used: they are shown again.
    pub(super) old_policies: bool,
    pub(super) old_period: bool,
    pub(super) token: TokenParams,
}

/// A secret id without its text. Moments in nanoseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SecretId {
    pub(super) accessor: String,
    pub(super) created: i128,
    /// 0: never.
    pub(super) expires: i128,
    pub(super) updated: i128,
    pub(super) ttl: u64,
    /// Uses left; 0: unlimited.
    pub(super) num_uses: u64,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) cidr_list: Vec<String>,
    pub(super) token_bound_cidrs: Vec<String>,
}

/// What an accessor stands for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct AccessorRecord {
    pub(super) role: String,
    pub(super) secret: String,
}

/// Hides ids in keys.
pub(super) struct Salt(hmac::Key);

/// The salt of a new mount.
pub(super) fn initialize(store: &mut View<'_>) -> Result<(), Fault> {
    Ok(store.put(SALT, Zeroizing::new(entropy::bytes::<32>().to_vec()))?)
}

impl Salt {
    /// # Errors
    /// The mount was never initialised, or cannot be read.
    pub(super) fn load(store: &mut View<'_>) -> Result<Self, Fault> {
        let key = store.get(SALT)?.ok_or_else(|| Fault::Internal("the mount has no salt".to_owned()))?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The hidden form of an id.
    pub(super) fn hide(&self, id: &str) -> String {
        hex::encode(hmac::sign(&self.0, id.as_bytes()))
    }
}

pub(super) fn role_key(name: &str) -> String {
    format!("role/{name}")
}

pub(super) fn role_id_key(hidden: &str) -> String {
    format!("role_id/{hidden}")
}

/// Prefix of a role's secret ids.
pub(super) fn secrets_of(role: &str) -> String {
    format!("secret_id/{role}/")
}

pub(super) fn secret_key(role: &str, hidden: &str) -> String {
    format!("secret_id/{role}/{hidden}")
}

pub(super) fn accessor_key(hidden: &str) -> String {
    format!("accessor/{hidden}")
}

/// The role called `name`, in any case.
pub(super) fn load_role(store: &mut View<'_>, name: &str) -> Result<Option<Role>, Fault> {
    Ok(store.get_record(&role_key(&name.to_lowercase()))?)
}

/// The role, or the server's refusal, whose status differs from endpoint to endpoint.
pub(super) fn need_role(
    store: &mut View<'_>,
    name: &str,
    refuse: impl FnOnce(String) -> Fault,
) -> Result<Role, Fault> {
    load_role(store, name)?.ok_or_else(|| refuse(format!("role {name:?} does not exist")))
}

/// Networks of logins; a single address is none.
///
/// # Errors
/// What is wrong with the first that is none.
pub(super) fn parse_blocks(texts: &[String]) -> Result<Vec<String>, String> {
    let wrong = |text: &String| format!("failed to validate CIDR blocks: invalid CIDR address: {text}");
    let one =
        |text: &String| text.parse::<ipnet::IpNet>().map(|net| net.to_string()).map_err(|_| wrong(text));
    texts.iter().map(one).collect()
}

pub(super) fn store_role(store: &mut View<'_>, role: &Role) -> Result<(), Fault> {
    Ok(store.put_record(&role_key(&role.name), role)?)
}
