//! `audit "file" "name" { options { ... } }`: devices that are there from the first request on.

use std::collections::BTreeMap;

use super::model::{Audit, AuditDevice};
use super::section::Section;
use super::value;

pub(super) fn read(root: &Section<'_>) -> Audit {
    let audit = Audit {
        devices: root.blocks("audit", 2).iter().map(device).collect(),
        allow_api_creation: root.is_on("unsafe_allow_api_audit_creation", false),
        allow_prefix: root.is_on("allow_audit_log_prefixing", false),
    };
    for (at, device) in audit.devices.iter().enumerate() {
        if audit.devices.iter().take(at).any(|before| before.path == device.path) {
            let message = format!("there are two audit devices at {}", device.path);
            root.notes.error_help(&root.spot, "repeated", message, "give each a name of its own");
        }
    }
    audit
}

fn device(section: &Section<'_>) -> AuditDevice {
    let mut labels = section.labels.iter();
    let (kind, name) = (labels.next().cloned(), labels.next().cloned());
    let text = |key| section.text(key).map(|given| given.value).unwrap_or_default();
    let device = AuditDevice {
        kind: kind.unwrap_or_default(),
        path: format!("{}/", name.unwrap_or_default().trim_end_matches('/')),
        description: text("description"),
        options: options(section),
        local: section.is_on("local", false),
    };
    section.close();
    device
}

fn options(section: &Section<'_>) -> BTreeMap<String, String> {
    let Some(options) = section.merged("options") else { return BTreeMap::new() };
    let mut read = BTreeMap::new();
    for (name, value, spot) in options.entries() {
        match value::text(value) {
            Ok(text) => drop(read.insert(name, text)),
            Err(wrong) => options.notes.error_help(
                &spot,
                "bad-value",
                format!("`{name}` is {}", wrong.message),
                wrong.help,
            ),
        }
    }
    read
}
