//! `seal`: what protects the root key.

use super::model::{Seal, SealKey, StaticSeal};
use super::section::Section;

/// Kinds of Vault's that are not here.
const OTHERS: [&str; 9] =
    ["alicloudkms", "awskms", "azurekeyvault", "gcpckms", "kmip", "ocikms", "pkcs11", "transit", "hsm"];

/// Reads the seal; the one of shares when there is none. A seal that is reported is read as that, too.
pub(super) fn read(root: &Section<'_>) -> Seal {
    let mut seal = Seal::Shamir;
    let mut first: Option<usize> = None;
    for section in root.blocks("seal", 1) {
        let read = of_kind(&section);
        if read == Seal::Shamir {
            continue;
        }
        if let Some(line) = first.replace(section.spot.span.line) {
            let message = format!("there is a seal at line {line} already");
            root.notes.error_help(
                &section.spot,
                "repeated",
                message,
                "a node has one seal: keep one of them",
            );
        }
        seal = read;
    }
    root.without_effect("enable_multiseal", "a node has one seal");
    seal
}

fn of_kind(section: &Section<'_>) -> Seal {
    match section.labels.first().map(String::as_str).unwrap_or_default() {
        "shamir" => {
            section.without_effect("disabled", "shares need nothing to be switched off");
            section.close();
            Seal::Shamir
        }
        "static" => static_seal(section).map_or(Seal::Shamir, Seal::Static),
        other if OTHERS.contains(&other) => {
            let message = format!("seal `{other}` is not supported by this version");
            let help = "seals here: shamir, static";
            section.notes.error_help(&section.spot, "unsupported", message, help);
            Seal::Shamir
        }
        other => {
            section.notes.unknown_word(&section.spot, other, &["shamir", "static"]);
            Seal::Shamir
        }
    }
}

fn static_seal(section: &Section<'_>) -> Option<StaticSeal> {
    let current = key(section, "current_key_id", "current_key");
    let previous = key(section, "previous_key_id", "previous_key");
    if let Some(given) = section.flag("disabled").filter(|given| given.value) {
        let message = "leaving a seal is not supported by this version";
        let help = "keep the seal, or move the data by a snapshot";
        section.notes.error_help(&given.spot, "unsupported", message, help);
    }
    section.close();
    if let (Some(current), Some(previous)) = (&current, &previous)
        && current.id == previous.id
    {
        let message = "the current and the previous key have the same name";
        section.notes.error_help(&section.spot, "conflict", message, "every key has an id of its own");
    }
    if current.is_none() {
        let help = "write current_key_id = \"2026-1\" and current_key = \"file:///etc/understudy/seal.key\"";
        section.notes.missing(&section.spot, "current_key", help);
    }
    Some(StaticSeal { current: current?, previous })
}

/// Both settings of a key; half of them is reported.
fn key(section: &Section<'_>, id: &'static str, text: &'static str) -> Option<SealKey> {
    let (name, key) = (section.text(id), section.secret(text));
    if name.is_some() != key.is_some() {
        let message = format!("{id} and {text} go together");
        section.notes.error_help(&section.spot, "missing", message, "give both");
    }
    Some(SealKey { id: name?.value, text: key?.value })
}
