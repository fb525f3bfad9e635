//! What may be known of a token.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::{TokenBackend, caller, whole};
use crate::core::token_store::{TokenEntry, wire_time};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};

/// Most accessors listed at once.
const MAX_LISTED: usize = 1_000_000;

impl TokenBackend {
    pub(super) fn lookup(&self, call: &mut Call<'_>) -> Answer {
        let Some(text) = Fields::new(&call.request.data).text("token")?.filter(|text| !text.is_empty())
        else {
            return self.lookup_self(call);
        };
        let now = call.now;
        let bad = || Fault::Status { status: 403, text: "bad token".to_owned() };
        let entry = self.tokens.lookup(whole(call)?, &text, now)?.ok_or_else(bad)?;
        self.show(call, &entry, &text)
    }

    pub(super) fn lookup_self(&self, call: &mut Call<'_>) -> Answer {
        let caller = caller(call)?;
        let text = caller.token_text.as_ref().map_or("", |text| text.as_str());
        let now = call.now;
        let entry = match caller.is_batch {
            true => self.tokens.lookup(whole(call)?, text, now)?.ok_or(Fault::Denied)?.as_ref().clone(),
            false => self.own_entry(call, &caller)?,
        };
        self.show(call, &entry, text)
    }

    pub(super) fn lookup_accessor(&self, call: &mut Call<'_>) -> Answer {
        let entry = self.accessor_entry(call)?;
        self.show(call, &entry, "")
    }

    fn show(&self, call: &mut Call<'_>, entry: &TokenEntry, text: &str) -> Answer {
        let identity = self.authority.identity_policies(whole(call)?, entry)?;
        let mut data = shown(entry, text, call.now);
        if !identity.is_empty() {
            data.insert("identity_policies".to_owned(), json!(identity));
            data.insert("external_namespace_policies".to_owned(), json!({}));
        }
        Ok(Response::of(data))
    }

    pub(super) fn list_accessors(&self, call: &mut Call<'_>) -> Answer {
        let now = call.now;
        Ok(Response::keys(self.tokens.accessors(whole(call)?, MAX_LISTED, now)?))
    }
}

/// The fields of a lookup; those that do not apply are left out, as the real server does.
fn shown(entry: &TokenEntry, text: &str, now: OffsetDateTime) -> Map<String, Value> {
    let meta = (!entry.metadata.is_empty()).then_some(&entry.metadata);
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| {
        data.insert(name.to_owned(), value);
    };
    put("id", json!(text));
    put("accessor", json!(entry.accessor));
    put("policies", json!(entry.policies));
    put("path", json!(entry.path));
    put("meta", json!(meta));
    put("display_name", json!(entry.display_name));
    put("num_uses", json!(entry.num_uses));
    put("orphan", json!(entry.orphan));
    put("creation_time", json!(entry.creation_time));
    put("creation_ttl", json!(entry.ttl_secs));
    put("expire_time", json!(entry.expires_at.map(wire_time)));
    if !entry.is_first_root() {
        put("issue_time", json!(wire_time(entry.issued_at)));
    }
    put("ttl", json!(entry.ttl_left(now)));
    put("explicit_max_ttl", json!(entry.explicit_max_ttl_secs));
    put("entity_id", json!(entry.entity_id));
    put("type", json!(entry.type_name()));
    if !entry.is_first_root() {
        put("renewable", json!(entry.renewable));
    }
    if !entry.role.is_empty() {
        put("role", json!(entry.role));
    }
    // The period of a role is the role's.
    if entry.period_secs > 0 && entry.role.is_empty() {
        put("period", json!(entry.period_secs));
    }
    if !entry.bound_cidrs.is_empty() {
        put("bound_cidrs", json!(entry.bound_cidrs.iter().map(cidr).collect::<Vec<_>>()));
    }
    if let Some(renewed) = entry.last_renewal {
        put("last_renewal", json!(wire_time(renewed)));
        put("last_renewal_time", json!(renewed / 1_000_000_000));
    }
    data
}

/// A single address is shown without its length.
fn cidr(net: &ipnet::IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}
