//! Secret ids: made, chosen, looked up, destroyed, tidied. Their text is shown once and never stored.

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::metadata;
use super::role::{index_accessor, remove_secret};
use super::storage::{
    AccessorRecord, Role, Salt, SecretId, accessor_key, need_role, parse_blocks, secret_key, secrets_of,
};
use crate::auth::token_params::parse_cidrs;
use crate::barrier::View;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};

/// Secret ids looked at by one sweep.
const SWEEP: usize = 10_000;

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let role = need_role(&mut call.store, call.captures.get("role_name"), Fault::Invalid)?;
    let mut accessors = Vec::new();
    for key in call.store.keys(&secrets_of(&role.name), usize::MAX)? {
        accessors.extend(call.store.get_record::<SecretId>(&key)?.map(|secret| secret.accessor));
    }
    accessors.sort_unstable();
    Ok(Response::keys(accessors))
}

pub(super) fn generate(call: &mut Call<'_>) -> Answer {
    make(call, Uuid::new_v4().to_string())
}

pub(super) fn assign(call: &mut Call<'_>) -> Answer {
    let text = Fields::new(&call.request.data).text("secret_id")?.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Fault::invalid("missing secret_id"))?;
    make(call, text)
}

fn make(call: &mut Call<'_>, text: String) -> Answer {
    let role = need_role(&mut call.store, call.captures.get("role_name"), Fault::NotFound)?;
    if !role.bind_secret_id {
        return Err(Fault::invalid("bind_secret_id is not set on the role"));
    }
    let secret = new_secret(&role, &Fields::new(&call.request.data), call.now)?;
    let salt = Salt::load(&mut call.store)?;
    let hidden = salt.hide(&text);
    let key = secret_key(&role.name, &hidden);
    if call.store.get(&key)?.is_some() {
        let text = "failed to store secret_id: SecretID is already registered";
        return Err(Fault::Internal(text.to_owned()));
    }
    call.store.put_record(&key, &secret)?;
    index_accessor(call, &salt, &secret.accessor, &AccessorRecord { role: role.name, secret: hidden })?;
    Ok(Response::json(json!({
        "secret_id": text,
        "secret_id_accessor": secret.accessor,
        "secret_id_num_uses": secret.num_uses,
        "secret_id_ttl": secret.ttl,
    })))
}

fn new_secret(role: &Role, fields: &Fields<'_>, now: OffsetDateTime) -> Result<SecretId, Fault> {
    let ttl = fields.seconds("ttl")?.unwrap_or(role.secret_id_ttl);
    let num_uses = match fields.int("num_uses")? {
        Some(uses) => u64::try_from(uses).map_err(|_| Fault::invalid("num_uses cannot be negative"))?,
        None => role.secret_id_num_uses,
    };
    check_bounds(role, ttl, num_uses)?;
    let moment = now.unix_timestamp_nanos();
    Ok(SecretId {
        accessor: Uuid::new_v4().to_string(),
        created: moment,
        updated: moment,
        expires: if ttl == 0 { 0 } else { moment + i128::from(ttl) * 1_000_000_000 },
        ttl,
        num_uses,
        metadata: metadata::parse(&fields.text("metadata")?.unwrap_or_default()).map_err(|why| {
            Fault::invalid(format!("failed to parse metadata: failed to parse the input: {why}"))
        })?,
        cidr_list: within(blocks(fields, "cidr_list")?, &role.secret_id_bound_cidrs)?,
        token_bound_cidrs: within(
            parse_cidrs(&fields.list("token_bound_cidrs")?.unwrap_or_default())?,
            &role.token.bound_cidrs,
        )?,
    })
}

/// A secret id is never looser than its role.
fn check_bounds(role: &Role, ttl: u64, num_uses: u64) -> Result<(), Fault> {
    if role.secret_id_ttl > 0 && (ttl == 0 || ttl > role.secret_id_ttl) {
        return Err(Fault::invalid("ttl cannot be longer than the role's secret_id_ttl"));
    }
    if role.secret_id_num_uses > 0 && (num_uses == 0 || num_uses > role.secret_id_num_uses) {
        return Err(Fault::invalid("num_uses cannot be higher than the role's secret_id_num_uses"));
    }
    Ok(())
}

fn blocks(fields: &Fields<'_>, name: &str) -> Result<Vec<String>, Fault> {
    parse_blocks(&fields.list(name)?.unwrap_or_default()).map_err(Fault::Internal)
}

/// `given` must lie within the role's networks.
fn within(given: Vec<String>, role: &[String]) -> Result<Vec<String>, Fault> {
    let parse = |text: &String| text.parse::<ipnet::IpNet>().ok();
    let outer: Vec<ipnet::IpNet> = role.iter().filter_map(parse).collect();
    let covered = |net: ipnet::IpNet| outer.iter().any(|outer| outer.contains(&net));
    match outer.is_empty() || given.iter().filter_map(parse).all(covered) {
        true => Ok(given),
        false => Err(Fault::Internal(format!(
            "failed to verify subset relationship between CIDR blocks on the role {role:?} and CIDR blocks on the \
             secret ID {given:?}"
        ))),
    }
}

pub(super) fn lookup(call: &mut Call<'_>) -> Answer {
    let found = by_text(call)?;
    Ok(found
        .filter(|(_, secret)| secret.is_live(call.now))
        .map_or_else(Response::empty, |(_, secret)| shown(&secret)))
}

pub(super) fn destroy(call: &mut Call<'_>) -> Answer {
    if let Some((key, secret)) = by_text(call)? {
        let salt = Salt::load(&mut call.store)?;
        remove_secret(call, &salt, &key, &secret)?;
    }
    Ok(Response::empty())
}

pub(super) fn lookup_accessor(call: &mut Call<'_>) -> Answer {
    let missing = |text| Fault::NotFoundWith(Box::new(Response::json(json!({ "error": text }))));
    let (_, secret) = by_accessor(call, missing)?;
    Ok(shown(&secret))
}

pub(super) fn destroy_accessor(call: &mut Call<'_>) -> Answer {
    let (key, secret) = by_accessor(call, Fault::Internal)?;
    let salt = Salt::load(&mut call.store)?;
    remove_secret(call, &salt, &key, &secret)?;
    Ok(Response::empty())
}

fn by_text(call: &mut Call<'_>) -> Result<Option<(String, SecretId)>, Fault> {
    let text = Fields::new(&call.request.data).text("secret_id")?.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Fault::invalid("missing secret_id"))?;
    let role = need_role(&mut call.store, call.captures.get("role_name"), Fault::Internal)?;
    let salt = Salt::load(&mut call.store)?;
    let key = secret_key(&role.name, &salt.hide(&text));
    let secret: Option<SecretId> = call.store.get_record(&key)?;
    Ok(secret.map(|secret| (key, secret)))
}

fn by_accessor(call: &mut Call<'_>, missing: impl Fn(String) -> Fault) -> Result<(String, SecretId), Fault> {
    let accessor =
        Fields::new(&call.request.data).text("secret_id_accessor")?.filter(|text| !text.is_empty());
    let accessor = accessor.ok_or_else(|| Fault::invalid("missing secret_id_accessor"))?;
    let role = need_role(&mut call.store, call.captures.get("role_name"), Fault::Internal)?;
    let salt = Salt::load(&mut call.store)?;
    let missing = || missing(format!("failed to find accessor entry for secret_id_accessor: {accessor:?}"));
    let record: Option<AccessorRecord> = call.store.get_record(&accessor_key(&salt.hide(&accessor)))?;
    let record = record.filter(|record| record.role == role.name).ok_or_else(missing)?;
    let key = secret_key(&role.name, &record.secret);
    let secret: SecretId = call.store.get_record(&key)?.ok_or_else(missing)?;
    Ok((key, secret))
}

pub(super) fn tidy(call: &mut Call<'_>) -> Answer {
    remove_expired(&mut call.store, call.now)?;
    let response = Response::empty().with_warning(
        "Tidy operation successfully started. Any information from the operation will be printed to OpenBao's server logs.",
    );
    Ok(Response { status: Some(202), ..response })
}

/// Removes secret ids past their time, and the accessors of those that are gone.
pub(super) fn remove_expired(store: &mut View<'_>, now: OffsetDateTime) -> Result<(), Fault> {
    let keys = store.keys("secret_id/", SWEEP)?;
    if keys.is_empty() {
        return Ok(());
    }
    let salt = Salt::load(store)?;
    for key in keys {
        let Some(secret) = store.get_record::<SecretId>(&key)? else { continue };
        if !secret.is_live(now) {
            store.delete(&accessor_key(&salt.hide(&secret.accessor)))?;
            store.delete(&key)?;
        }
    }
    Ok(())
}

fn shown(secret: &SecretId) -> Response {
    Response::json(json!({
        "cidr_list": secret.cidr_list,
        "creation_time": moment(secret.created),
        "expiration_time": moment(secret.expires),
        "last_updated_time": moment(secret.updated),
        "metadata": secret.metadata,
        "secret_id_accessor": secret.accessor,
        "secret_id_num_uses": secret.num_uses,
        "secret_id_ttl": secret.ttl,
        "token_bound_cidrs": secret.token_bound_cidrs,
    }))
}

/// RFC 3339; Go's zero time for "never".
fn moment(nanos: i128) -> String {
    if nanos == 0 {
        return "0001-01-01T00:00:00Z".to_owned();
    }
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(&Rfc3339).unwrap_or_default()
}

impl SecretId {
    pub(super) fn is_live(&self, now: OffsetDateTime) -> bool {
        self.expires == 0 || now.unix_timestamp_nanos() < self.expires
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn made(role: &Role, data: Value) -> Result<SecretId, Fault> {
        new_secret(role, &Fields::new(data.as_object().unwrap()), OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_secret_id_is_never_looser_than_its_role() {
        let role = Role {
            secret_id_ttl: 600,
            secret_id_num_uses: 5,
            secret_id_bound_cidrs: vec!["10.0.0.0/8".to_owned()],
            ..Role::default()
        };
        let made_plain = made(&role, json!({})).unwrap();
        assert_eq!((made_plain.ttl, made_plain.num_uses), (600, 5));
        for loose in [
            json!({"ttl": 601}),
            json!({"ttl": 0}),
            json!({"num_uses": 6}),
            json!({"cidr_list": "11.0.0.0/8"}),
        ] {
            assert!(made(&role, loose.clone()).is_err(), "{loose}");
        }
        assert!(made(&role, json!({"ttl": 60, "num_uses": 1, "cidr_list": "10.1.0.0/16"})).is_ok());
    }

    #[test]
    fn it_ends_when_it_says() {
        let secret = made(&Role::default(), json!({"ttl": 10})).unwrap();
        let at = |secs| OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(secs);
        assert!(secret.is_live(at(9)) && !secret.is_live(at(10)));
    }
}
