//! `sys/key-status` and `sys/rotate`: the data key, its replacement, and when it is due.

use std::time::Duration;

use serde_json::{Value, json};

use super::whole;
use crate::barrier::{self, RotateError, Rotation};
use crate::core::token_store::{nanos, wire_time};
use crate::duration;
use crate::logical::Access::{Sudo, Token};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Method, Response, Route, Routes};

/// See the module.
#[derive(Debug)]
pub struct KeyEndpoints {
    routes: Routes<Self>,
}

const CONFIG_FIELDS: &[Field] = &[
    Field { name: "enabled", kind: FieldKind::Bool, description: "Whether keys are replaced by themselves." },
    Field {
        name: "max_operations",
        kind: FieldKind::Int,
        description: "How many values one key seals at most.",
    },
    Field { name: "interval", kind: FieldKind::DurationSecs, description: "How old a key may become." },
];

const ROUTES: &[Route<KeyEndpoints>] = &[
    Route::new("key-status", Token, &[Method::read(KeyEndpoints::status)], &[], "The data key in use."),
    Route::new(
        "rotate",
        Sudo,
        &[Method::write(KeyEndpoints::rotate)],
        &[],
        "Replace the data key; older ones still open what they sealed.",
    ),
    Route::new(
        "rotate/keyring",
        Sudo,
        &[Method::write(KeyEndpoints::rotate)],
        &[],
        "Replace the data key; older ones still open what they sealed.",
    ),
    Route::new(
        "rotate/config",
        Token,
        &[Method::read(KeyEndpoints::config), Method::write(KeyEndpoints::configure)],
        CONFIG_FIELDS,
        "When the data key is replaced by itself.",
    ),
    Route::new(
        "rotate/keyring/config",
        Token,
        &[Method::read(KeyEndpoints::config), Method::write(KeyEndpoints::configure)],
        CONFIG_FIELDS,
        "When the data key is replaced by itself.",
    ),
];

// === impl KeyEndpoints ===

impl Default for KeyEndpoints {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyEndpoints {
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Routes::new(ROUTES) }
    }

    fn status(&self, call: &mut Call<'_>) -> Answer {
        let status = whole(call)?.keyring().status();
        let data = json!({
            "term": status.term,
            "install_time": wire_time(nanos(status.installed)),
            "encryptions": status.encryptions,
        });
        Ok(Response { injected: true, ..Response::json(data) })
    }

    fn rotate(&self, call: &mut Call<'_>) -> Answer {
        let now = call.now;
        barrier::rotate(whole(call)?, now).map_err(fault)?;
        Ok(Response::empty())
    }

    fn config(&self, call: &mut Call<'_>) -> Answer {
        let rotation = whole(call)?.keyring().rotation();
        let interval = match rotation.interval_secs {
            0 => json!(0),
            secs => Value::String(duration::go_string(Duration::from_secs(secs))),
        };
        Ok(Response::json(json!({
            "enabled": rotation.enabled,
            "max_operations": rotation.max_operations,
            "interval": interval,
        })))
    }

    fn configure(&self, call: &mut Call<'_>) -> Answer {
        let before = whole(call)?.keyring().rotation();
        let rotation = merged(before, Fields::new(&call.request.data))?;
        rotation.check().map_err(|error| Fault::invalid(error.to_string()))?;
        barrier::set_rotation(whole(call)?, rotation).map_err(fault)?;
        Ok(Response::empty())
    }
}

/// What is not given stays.
fn merged(before: Rotation, fields: Fields<'_>) -> Result<Rotation, Fault> {
    let operations = fields.int("max_operations")?.map(|number| u64::try_from(number).unwrap_or(0));
    Ok(Rotation {
        enabled: fields.flag("enabled")?.unwrap_or(before.enabled),
        max_operations: operations.unwrap_or(before.max_operations),
        interval_secs: fields.seconds("interval")?.unwrap_or(before.interval_secs),
    })
}

fn fault(error: RotateError) -> Fault {
    match error {
        RotateError::Store(error) => error.into(),
        RotateError::Full | RotateError::Keys(_) => Fault::Internal(error.to_string()),
    }
}

impl super::Tabled for KeyEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barrier::MAX_OPERATIONS;

    #[test]
    fn settings_that_are_not_given_stay() {
        let before = Rotation { enabled: false, max_operations: 2_000_000, interval_secs: 90_000 };
        let read = |data: Value| merged(before, Fields::new(data.as_object().unwrap())).unwrap();
        assert_eq!(read(json!({})), before);
        assert_eq!(read(json!({"enabled": true})), Rotation { enabled: true, ..before });
        assert_eq!(read(json!({"interval": "48h"})).interval_secs, 172_800);
        let all = json!({"max_operations": MAX_OPERATIONS, "interval": 0, "enabled": "true"});
        assert_eq!(read(all), Rotation { interval_secs: 0, ..Rotation::default() });
        assert!(read(json!({"max_operations": -1})).check().is_err());
    }
}
