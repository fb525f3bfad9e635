//! Endpoints that move whole keys in and out: `backup`, `restore`.

use serde_json::json;

use super::backend::Transit;
use super::record::Noted;
use super::{backup, keystore};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};

fn failed(text: impl Into<String>) -> Fault {
    Fault::Internal(text.into())
}

// === impl Transit ===

impl Transit {
    /// That it was taken is noted with the key, so this writes.
    pub(super) fn backup(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("name");
        let key = self.keys.load(&mut call.store, name)?;
        let key = key.ok_or_else(|| failed(format!("key {name:?} not found")))?;
        key.check_usable().map_err(|refusal| failed(refusal.text()))?;
        let mut record = key.record().clone();
        if !record.settings.exportable {
            return Err(failed("exporting is disallowed on the policy"));
        }
        if !record.settings.plaintext_backup {
            return Err(failed("plaintext backup is disallowed on the policy"));
        }
        record.backed_up = Some(Noted::of(&record, call.now));
        keystore::store(&mut call.store, name, &record)?;
        Ok(Response::json(json!({ "backup": backup::write(name, &record)?.as_str() })))
    }

    pub(super) fn restore(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let text = fields.text("backup")?.filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Fault::invalid("'backup' must be supplied"))?;
        let (backed_up, mut record) = backup::read(&text)?;
        let name = match call.captures.get("name") {
            "" => fields.text("name")?.filter(|name| !name.is_empty()).unwrap_or(backed_up),
            name => name.to_owned(),
        };
        if name.is_empty() || name.contains('/') {
            return Err(Fault::invalid("the backup's key has no usable name"));
        }
        let exists = self.keys.load(&mut call.store, &name)?.is_some();
        if exists && !fields.flag("force")?.unwrap_or(false) {
            return Err(failed(format!("key {name:?} already exists")));
        }
        record.restored = Some(Noted::of(&record, call.now));
        keystore::store(&mut call.store, &name, &record)?;
        Ok(Response::empty())
    }
}
