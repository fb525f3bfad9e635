//! The three minimums of a key's versions, and what they may be.
//!
//! `min_available <= min_decryption <= min_encryption (where set) <= latest`

use super::record::KeyRecord;
use crate::logical::Fault;

fn refused<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Invalid(why.into()))
}

/// A new minimum `what`: it must be a version that is, or 0.
///
/// # Errors
/// It is not.
pub(super) fn checked(asked: i64, what: &str, record: &KeyRecord) -> Result<u32, Fault> {
    let latest = record.latest;
    match u32::try_from(asked) {
        Ok(version) if version <= latest => Ok(version),
        Err(_) if asked < 0 => refused(format!("min {what} version cannot be negative")),
        _ => refused(format!("cannot set min {what} version of {asked}, latest key version is {latest}")),
    }
}

/// # Errors
/// The minimums contradict each other.
pub(super) fn check_minimums(record: &KeyRecord) -> Result<(), Fault> {
    let (encryption, decryption) = (record.min_encryption, record.min_decryption);
    if encryption > 0 && encryption < decryption {
        return refused(format!(
            "cannot set min encryption/decryption values; min encryption version of {encryption} must be greater than or \
             equal to min decryption version of {decryption}"
        ));
    }
    if decryption < record.min_available {
        return refused("min decryption version should not be less then min available version");
    }
    if encryption < record.min_available {
        return refused("min encryption version should not be less than min available version");
    }
    Ok(())
}

/// Removes versions for good.
///
/// # Errors
/// A version that may still be used would go.
pub(super) fn trim(record: &mut KeyRecord, asked: i64) -> Result<(), Fault> {
    let refusals = [
        (asked < i64::from(record.min_available), "minimum available version cannot be decremented"),
        (
            record.min_encryption == 0,
            "minimum available version cannot be set when minimum encryption version is not set",
        ),
        (
            record.min_decryption == 0,
            "minimum available version cannot be set when minimum decryption version is not set",
        ),
        (
            asked > i64::from(record.min_encryption),
            "minimum available version cannot be greater than minmum encryption version",
        ),
        (
            asked > i64::from(record.min_decryption),
            "minimum available version cannot be greater than minimum decryption version",
        ),
        (asked <= 0, "minimum available version should be positive"),
    ];
    if let Some((_, why)) = refusals.iter().find(|(wrong, _)| *wrong) {
        return refused(*why);
    }
    record.min_available = u32::try_from(asked).expect("it is below a version that is");
    record.versions.retain(|version, _| *version >= record.min_available);
    Ok(())
}
