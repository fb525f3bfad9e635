//! `sys/audit` and `sys/audit-hash`: which devices there are, and the hash a value has in one's lines.
//!
//! Devices follow the stored table on every node; here only the table changes. A new device is opened and written to
//! before its row is.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::whole;
use crate::core::audit::{Broker, DeviceConfig, DeviceTable, Entry, Salt};
use crate::logical::Access::{Sudo, Token};
use crate::logical::field::Fields;
use crate::logical::{
    Answer, Call, Effect, Fault, Field, FieldKind, Method, Operation, Response, Route, Routes,
};

/// What the API may do to devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditRules {
    /// `unsafe_allow_api_audit_creation`: whoever may write `sys/audit` names files of the machine.
    pub allow_creation: bool,
    /// `allow_audit_log_prefixing`
    pub allow_prefix: bool,
}

/// See the module.
#[derive(Debug)]
pub struct AuditEndpoints {
    broker: Arc<Broker>,
    rules: AuditRules,
    routes: Routes<Self>,
}

const DEVICE_FIELDS: &[Field] = &[
    Field { name: "path", kind: FieldKind::String, description: "The name of the device; it ends its path." },
    Field { name: "type", kind: FieldKind::String, description: "The type of the device: file or socket." },
    Field { name: "description", kind: FieldKind::String, description: "What the device is for." },
    Field { name: "options", kind: FieldKind::KvPairs, description: "Options of the device's type." },
    Field {
        name: "local",
        kind: FieldKind::Bool,
        description: "Mark the device as local; it is not replicated.",
    },
];

const HASH_FIELDS: &[Field] = &[
    Field { name: "path", kind: FieldKind::String, description: "The name of the device." },
    Field { name: "input", kind: FieldKind::String, description: "The value to hash." },
];

/// It waits for a peer, perhaps.
const ENABLE: Method<AuditEndpoints> =
    Method::heavy(&[Operation::Create, Operation::Update], Effect::Write, AuditEndpoints::enable);

const ROUTES: &[Route<AuditEndpoints>] = &[
    Route::new("audit", Sudo, &[Method::read(AuditEndpoints::list)], &[], "List the enabled audit devices."),
    Route::new(
        "audit/{path:rest}",
        Sudo,
        &[ENABLE, Method::delete(AuditEndpoints::disable)],
        DEVICE_FIELDS,
        "Enable or disable an audit device.",
    ),
    Route::new(
        "audit-hash/{path:rest}",
        Token,
        &[Method::asks(AuditEndpoints::hash)],
        HASH_FIELDS,
        "The hash of a value as an audit device writes it.",
    ),
];

// === impl AuditEndpoints ===

impl AuditEndpoints {
    #[must_use]
    pub fn new(broker: Arc<Broker>, rules: AuditRules) -> Self {
        Self { broker, rules, routes: Routes::new(ROUTES) }
    }

    fn list(&self, call: &mut Call<'_>) -> Answer {
        let table = DeviceTable::load(whole(call)?)?;
        let rows: Map<String, Value> =
            table.devices().map(|(device, _)| (device.path.clone(), shown(device))).collect();
        Ok(Response { injected: true, ..Response::of(rows) })
    }

    fn enable(&self, call: &mut Call<'_>) -> Answer {
        if !self.rules.allow_creation {
            return Err(Fault::invalid(
                "cannot enable audit device via API; use declarative, config-based audit device management instead",
            ));
        }
        let device = device(call)?;
        if !self.rules.allow_prefix && device.options.contains_key("prefix") {
            return Err(Fault::invalid("audit log prefixing is not allowed"));
        }
        let test = Entry::test(Uuid::new_v4().to_string(), moment(call.now));
        let tx = whole(call)?;
        let mut table = DeviceTable::load(tx)?;
        table.check_path(&device.path).map_err(refused)?;
        Broker::try_out(&device, Salt::new(&Salt::generate()), &test).map_err(refused)?;
        table.add(device).map_err(refused)?;
        table.store(tx)?;
        Ok(Response::empty())
    }

    fn disable(&self, call: &mut Call<'_>) -> Answer {
        let path = device_path(call);
        let tx = whole(call)?;
        let mut table = DeviceTable::load(tx)?;
        if table.remove(&path).map_err(refused)? {
            table.store(tx)?;
        }
        Ok(Response::empty())
    }

    fn hash(&self, call: &mut Call<'_>) -> Answer {
        let input = Fields::new(&call.request.data).text("input")?.unwrap_or_default();
        if input.is_empty() {
            return Err(Fault::invalid("the \"input\" parameter is empty"));
        }
        let path = device_path(call);
        let unknown = || Fault::invalid(format!("unknown audit backend {path:?}"));
        let hash = self.broker.hash(&path, &input).ok_or_else(unknown)?;
        Ok(Response { injected: true, ..Response::json(json!({ "hash": hash })) })
    }
}

fn device(call: &Call<'_>) -> Result<DeviceConfig, Fault> {
    let fields = Fields::new(&call.request.data);
    Ok(DeviceConfig {
        path: device_path(call),
        kind: fields.text("type")?.unwrap_or_default(),
        description: fields.text("description")?.unwrap_or_default(),
        options: fields.pairs("options")?.unwrap_or_default(),
        local: fields.flag("local")?.unwrap_or_default(),
    })
}

fn device_path(call: &Call<'_>) -> String {
    format!("{}/", call.captures.get("path").trim_matches('/'))
}

fn refused(error: impl std::fmt::Display) -> Fault {
    Fault::Invalid(error.to_string())
}

fn moment(now: OffsetDateTime) -> String {
    now.format(&Rfc3339).unwrap_or_default()
}

fn shown(device: &DeviceConfig) -> Value {
    json!({
        "description": device.description,
        "local": device.local,
        "options": device.options,
        "path": device.path,
        "type": device.kind,
    })
}

impl super::Tabled for AuditEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
