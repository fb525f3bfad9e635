//! Endpoints of keys themselves: made, shown, configured, rotated, trimmed, deleted.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::listing::Page;
use super::backend::Transit;
use super::encoding;
use super::kind::{Family, Kind};
use super::material;
use super::record::{KeyRecord, MAC_KEY_BYTES, Noted, Settings, Version};
use super::refusal::{Refusable, Refusal};
use super::{keystore, trim};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, LeaseCall, Response};

/// Shortest period of rotating by itself, in seconds.
const MIN_ROTATION_SECS: u64 = 3600;
/// Most keys rotated by one tick: RSA keys take their time, and a tick is one transaction.
const MAX_ROTATIONS: usize = 16;

// === impl Transit ===

impl Transit {
    pub(super) fn list(&self, call: &mut Call<'_>) -> Answer {
        let page = Page::of(&Fields::new(&call.request.data))?;
        Ok(Response::keys(keystore::names(&call.store, &page.after, page.limit)?))
    }

    /// An existing key is shown as it is.
    pub(super) fn write_key(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let (kind, settings) = wanted(&fields)?;
        let name = call.captures.get("name");
        if let Some(key) = self.keys.load(&mut call.store, name)? {
            return show(name, key.record(), &fields);
        }
        let record = create(call, kind, settings)?;
        show(name, &record, &fields)
    }

    pub(super) fn read_key(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("name");
        let Some(key) = self.keys.load(&mut call.store, name)? else { return Ok(Response::empty()) };
        show(name, key.record(), &Fields::new(&call.request.data))
    }

    pub(super) fn delete_key(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("name");
        let refused = |why: &str| Fault::invalid(format!("error deleting policy {name}: {why}"));
        let key = self.keys.load(&mut call.store, name)?;
        let key = key.ok_or_else(|| refused("could not delete key; not found"))?;
        if !key.record().settings.deletion_allowed {
            return Err(refused("deletion is not allowed for this key"));
        }
        keystore::remove(&mut call.store, name)?;
        Ok(Response::empty())
    }

    pub(super) fn configure(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let name = call.captures.get("name");
        let missing = || Fault::invalid(format!("no existing key named {name} could be found"));
        let key = self.keys.load(&mut call.store, name)?.ok_or_else(missing)?;
        let mut record = key.record().clone();
        apply(&mut record, &fields)?;
        keystore::store(&mut call.store, name, &record)?;
        show(name, &record, &fields)
    }

    pub(super) fn rotate(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("name");
        let key = self.keys.load(&mut call.store, name)?.ok_or_else(|| Fault::invalid("key not found"))?;
        // Every refusal of a rotation is a 500 of the server's.
        let rotated = key.check_usable().and_then(|()| rotated(name, key.record(), call.now));
        let record = rotated.map_err(|refusal| Fault::Internal(refusal.text().to_owned()))?;
        keystore::store(&mut call.store, name, &record)?;
        show(name, &record, &Fields::new(&call.request.data))
    }

    pub(super) fn trim(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let name = call.captures.get("name");
        let key = self.keys.load(&mut call.store, name)?.ok_or_else(|| Fault::invalid("invalid key name"))?;
        let mut record = key.record().clone();
        let asked = fields.int("min_available_version")?;
        trim::trim(&mut record, asked.ok_or_else(|| Fault::invalid("missing min_available_version"))?)?;
        keystore::store(&mut call.store, name, &record)?;
        show(name, &record, &fields)
    }

    pub(super) fn soft_delete(&self, call: &mut Call<'_>) -> Answer {
        self.set_soft_deleted(call, true, "key was already marked as soft deleted")
    }

    pub(super) fn restore_soft_deleted(&self, call: &mut Call<'_>) -> Answer {
        self.set_soft_deleted(call, false, "key was already restored")
    }

    fn set_soft_deleted(&self, call: &mut Call<'_>, deleted: bool, already: &str) -> Answer {
        let name = call.captures.get("name");
        let fields = Fields::new(&call.request.data);
        let Some(key) = self.keys.load(&mut call.store, name)? else { return Ok(Response::empty()) };
        if key.record().settings.soft_deleted == deleted {
            return Ok(show(name, key.record(), &fields)?.with_warning(already));
        }
        let mut record = key.record().clone();
        record.settings.soft_deleted = deleted;
        keystore::store(&mut call.store, name, &record)?;
        show(name, &record, &fields)
    }

    /// Rotates what is due, some of it in each tick. A key that cannot be rotated does not keep the others from it.
    pub(super) fn rotate_due(&self, call: &mut LeaseCall<'_>) -> Result<(), Fault> {
        let mut left = MAX_ROTATIONS;
        for name in keystore::rotating(&call.store, "", usize::MAX)? {
            let Some(key) = self.keys.load(&mut call.store, &name)? else { continue };
            let due = key.record().rotates_at().is_some_and(|at| at <= call.now);
            if !due || key.check_usable().is_err() || left == 0 {
                continue;
            }
            match rotated(&name, key.record(), call.now) {
                Ok(record) => keystore::store(&mut call.store, &name, &record)?,
                Err(refusal) => {
                    tracing::warn!(why = refusal.text(), "a transit key was not rotated when it was due")
                }
            }
            left -= 1;
        }
        Ok(())
    }
}

/// Makes and stores a key.
///
/// # Errors
/// The settings contradict each other.
pub(super) fn create(call: &mut Call<'_>, kind: Kind, settings: Settings) -> Result<KeyRecord, Fault> {
    check_derivation(kind, &settings)?;
    let version = material::generate(kind, &settings, call.now)?;
    let mut record = KeyRecord::empty(kind, settings);
    record.push(version);
    keystore::store(&mut call.store, call.captures.get("name"), &record)?;
    Ok(record)
}

/// # Errors
/// The type derives no keys.
pub(super) fn check_derivation(kind: Kind, settings: &Settings) -> Refusable<()> {
    let name = kind.name();
    if (settings.derived || settings.convergent) && !kind.derives() {
        return Err(Refusal::internal(format!(
            "key derivation and convergent encryption not supported for keys of type {name}"
        )));
    }
    if settings.convergent && kind.family() != Family::Aead {
        return Err(Refusal::internal(format!(
            "convergent encryption not supported for keys of type {name}"
        )));
    }
    Ok(())
}

/// What a request to make a key asks for.
fn wanted(fields: &Fields<'_>) -> Result<(Kind, Settings), Fault> {
    let flag = |name: &str| fields.flag(name).map(|flag| flag.unwrap_or(false));
    let settings = Settings {
        derived: flag("derived")?,
        convergent: flag("convergent_encryption")?,
        exportable: flag("exportable")?,
        plaintext_backup: flag("allow_plaintext_backup")?,
        auto_rotate_secs: fields.seconds("auto_rotate_period")?.unwrap_or(0),
        ..Settings::default()
    };
    check_period(settings.auto_rotate_secs)?;
    if settings.convergent && !settings.derived {
        return Err(Fault::invalid("convergent encryption requires derivation to be enabled"));
    }
    let name = fields.text("type")?.unwrap_or_else(|| Kind::Aes256.name().to_owned());
    let kind = Kind::parse(&name).ok_or_else(|| Fault::invalid(format!("unknown key type {name}")))?;
    if fields.has("external_key_ref") {
        return Err(Fault::invalid("must provide type=external-key to use external_key_ref"));
    }
    let key_size = key_size(kind, fields.int("key_size")?.unwrap_or(0))?;
    Ok((kind, Settings { key_size, ..settings }))
}

/// 0 passes here, and is refused when the key is made.
fn key_size(kind: Kind, asked: i64) -> Result<usize, Fault> {
    let invalid = || Fault::invalid(format!("invalid key_size {asked}"));
    let size = usize::try_from(asked).map_err(|_| invalid())?;
    let fits = if kind == Kind::Hmac { size == 0 || MAC_KEY_BYTES.contains(&size) } else { size == 0 };
    if fits { Ok(size) } else { Err(invalid()) }
}

/// # Errors
/// It is neither off nor at least an hour.
pub(super) fn check_period(secs: u64) -> Result<(), Fault> {
    if secs == 0 || secs >= MIN_ROTATION_SECS {
        return Ok(());
    }
    Err(Fault::invalid("auto rotate period must be 0 to disable or at least an hour"))
}

/// Changes what was given, in the server's order, so that the first thing wrong is the same.
fn apply(record: &mut KeyRecord, fields: &Fields<'_>) -> Result<(), Fault> {
    if let Some(asked) = fields.int("min_decryption_version")? {
        record.min_decryption = trim::checked(asked, "decryption", record)?.max(1);
    }
    if let Some(asked) = fields.int("min_encryption_version")? {
        record.min_encryption = trim::checked(asked, "encryption", record)?;
    }
    trim::check_minimums(record)?;
    if let Some(allowed) = fields.flag("deletion_allowed")? {
        record.settings.deletion_allowed = allowed;
    }
    record.settings.exportable |= fields.flag("exportable")?.unwrap_or(false);
    record.settings.plaintext_backup |= fields.flag("allow_plaintext_backup")?.unwrap_or(false);
    if let Some(secs) = fields.seconds("auto_rotate_period")? {
        check_period(secs)?;
        record.settings.auto_rotate_secs = secs;
    }
    Ok(())
}

/// The key with a new version.
fn rotated(name: &str, record: &KeyRecord, now: OffsetDateTime) -> Refusable<KeyRecord> {
    let settings = &record.settings;
    if settings.imported && !settings.rotates_imported {
        return Err(Refusal::internal(format!("imported key {name} does not allow rotation within OpenBao")));
    }
    let version = material::generate(record.kind, settings, now)?;
    let mut record = record.clone();
    record.settings.imported = false;
    record.push(version);
    Ok(record)
}

/// A key as it is shown.
fn show(name: &str, record: &KeyRecord, fields: &Fields<'_>) -> Answer {
    let settings = &record.settings;
    let (kind, family) = (record.kind, record.kind.family());
    let mut data = json!({
        "name": name,
        "type": kind.name(),
        "derived": settings.derived,
        "deletion_allowed": settings.deletion_allowed,
        "min_available_version": record.min_available,
        "min_decryption_version": record.min_decryption,
        "min_encryption_version": record.min_encryption,
        "latest_version": record.latest,
        "exportable": settings.exportable,
        "allow_plaintext_backup": settings.plaintext_backup,
        "supports_encryption": kind.encrypts(),
        "supports_decryption": kind.encrypts(),
        "supports_signing": kind.signs(),
        "supports_derivation": kind.derives(),
        "auto_rotate_period": settings.auto_rotate_secs,
        "imported_key": settings.imported,
        "soft_deleted": settings.soft_deleted,
    });
    if family == Family::Hmac {
        data["key_size"] = settings.key_size.into();
    } else {
        data["keys"] = Value::Object(versions(record, &context_of(fields)?)?);
    }
    if settings.imported {
        data["imported_key_allow_rotation"] = settings.rotates_imported.into();
    }
    for (field, noted) in [("backup_info", record.backed_up), ("restore_info", record.restored)] {
        if let Some(noted) = noted {
            data[field] = json!({ "time": rfc3339(noted.time), "version": noted.version });
        }
    }
    if settings.derived {
        data["kdf"] = settings.kdf.name().into();
        data["convergent_encryption"] = settings.convergent.into();
    }
    if settings.convergent {
        data["convergent_encryption_version"] = (-1).into();
    }
    Ok(Response::json(data))
}

fn context_of(fields: &Fields<'_>) -> Result<Vec<u8>, Fault> {
    let context = fields.text("context")?.unwrap_or_default();
    let decoded =
        encoding::decode(&context).map_err(|_| Fault::invalid("failed to base64-decode context"))?;
    Ok(decoded.to_vec())
}

/// Symmetric versions show when they were made, in seconds since 1970; others their public key too.
fn versions(record: &KeyRecord, context: &[u8]) -> Result<Map<String, Value>, Fault> {
    let show = |(number, version): (u32, &Version)| {
        let shown = match record.kind.family() {
            Family::Aead | Family::Hmac => version.created.unix_timestamp().into(),
            Family::Ed25519 | Family::Ecdsa | Family::Rsa => json!({
                "name": record.kind.version_name(),
                "creation_time": rfc3339(version.created),
                "public_key": public_key(record, version, context)?,
                "certificate_chain": super::certificates::chain_pem(version),
            }),
        };
        Ok((number.to_string(), shown))
    };
    record.shown().map(show).collect()
}

/// Of a derived key, the one of the context, if there is one.
fn public_key(record: &KeyRecord, version: &Version, context: &[u8]) -> Refusable<String> {
    if record.kind.family() != Family::Ed25519 {
        return Ok(encoding::pem("PUBLIC KEY", &version.public).to_string());
    }
    if !record.settings.derived {
        return Ok(encoding::encode(&version.public));
    }
    let Some(root) = version.private.as_ref().filter(|_| !context.is_empty()) else {
        return Ok(String::new());
    };
    let seed = record.settings.kdf.derive(root.expose(), context, 32);
    Ok(encoding::encode(&material::ed25519_of_seed(&seed)?.1))
}

/// As Go writes it.
pub(super) fn rfc3339(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).expect("years of keys have four digits")
}

// === impl Noted ===

impl Noted {
    pub(super) fn of(record: &KeyRecord, time: OffsetDateTime) -> Self {
        Self { time, version: record.latest }
    }
}
