//! Settings of the mount: `cache-config` and `config/keys`.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::backend::Transit;
use crate::barrier::View;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};

const CACHE: &str = "config/cache";
const KEYS: &str = "config/keys";
/// A smaller cache is refused; 0 is this release's own bound.
const MIN_CACHE: i64 = 10;

/// How many keys are kept parsed.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Cache {
    size: usize,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Keys {
    disable_upsert: bool,
}

/// Keys to keep parsed; 0: as many as this release does by itself.
///
/// # Errors
/// The store cannot be read.
pub(super) fn cache_size(store: &mut View<'_>) -> Result<usize, Fault> {
    Ok(store.get_record::<Cache>(CACHE)?.unwrap_or_default().size)
}

/// Whether encrypting must not make keys.
///
/// # Errors
/// The store cannot be read.
pub(super) fn upsert_disabled(store: &mut View<'_>) -> Result<bool, Fault> {
    Ok(store.get_record::<Keys>(KEYS)?.unwrap_or_default().disable_upsert)
}

// === impl Transit ===

impl Transit {
    pub(super) fn read_cache(&self, call: &mut Call<'_>) -> Answer {
        Ok(Response::json(json!({ "size": cache_size(&mut call.store)? })))
    }

    pub(super) fn write_cache(&self, call: &mut Call<'_>) -> Answer {
        let asked = Fields::new(&call.request.data).int("size")?.unwrap_or(0);
        let size = usize::try_from(asked).ok().filter(|_| asked == 0 || asked >= MIN_CACHE);
        let size = size.ok_or_else(|| Fault::invalid("size must be 0 or a value greater or equal to 10"))?;
        call.store.put_record(CACHE, &Cache { size })?;
        Ok(Response::json(json!({ "size": size })))
    }

    pub(super) fn read_key_settings(&self, call: &mut Call<'_>) -> Answer {
        Ok(Response::json(json!({ "disable_upsert": upsert_disabled(&mut call.store)? })))
    }

    pub(super) fn write_key_settings(&self, call: &mut Call<'_>) -> Answer {
        let asked = Fields::new(&call.request.data).flag("disable_upsert")?;
        let disable_upsert = asked.unwrap_or(upsert_disabled(&mut call.store)?);
        call.store.put_record(KEYS, &Keys { disable_upsert })?;
        Ok(Response::json(json!({ "disable_upsert": disable_upsert })))
    }
}
