//! Roles: the record as a whole, and each parameter under its own path.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::storage::{
    AccessorRecord, Role, Salt, SecretId, accessor_key, load_role, need_role, parse_blocks, role_id_key,
    role_key, secrets_of, store_role,
};
use crate::auth::token_params::{TTL_OVER_MAX, clean_policies};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};

pub(super) fn list(call: &Call<'_>) -> Answer {
    let fields = Fields::new(&call.request.data);
    let after = fields.text("after")?.unwrap_or_default();
    let limit = fields.int("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    Ok(Response::keys(call.store.list("role/", &after, limit.unwrap_or(usize::MAX))?))
}

pub(super) fn exists(call: &mut Call<'_>) -> Result<bool, Fault> {
    Ok(load_role(&mut call.store, call.captures.get("role_name"))?.is_some())
}

pub(super) fn read(call: &mut Call<'_>) -> Answer {
    let role = load_role(&mut call.store, call.captures.get("role_name"))?;
    Ok(role.map_or_else(Response::empty, |role| Response::of(shown(&role))))
}

pub(super) fn write(call: &mut Call<'_>) -> Answer {
    let name = call.captures.get("role_name").to_lowercase();
    let known = load_role(&mut call.store, &name)?;
    let mut role = known.unwrap_or_else(|| Role { name, bind_secret_id: true, ..Role::default() });
    let data = call.request.data.clone();
    let fields = Fields::new(&data);
    update(&mut role, &fields)?;
    let wanted = fields.text("role_id")?;
    if wanted.as_ref().is_some_and(String::is_empty) {
        return Err(Fault::invalid("invalid role_id supplied, or failed to generate a role_id"));
    }
    if role.role_id.is_empty() || wanted.is_some() {
        set_id(call, &mut role, wanted.unwrap_or_else(|| Uuid::new_v4().to_string()))?;
    }
    store_role(&mut call.store, &role)?;
    Ok(Response::empty())
}

/// The role goes with its secret ids and their accessors.
pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let Some(role) = load_role(&mut call.store, call.captures.get("role_name"))? else {
        return Ok(Response::empty());
    };
    let salt = Salt::load(&mut call.store)?;
    for key in call.store.keys(&secrets_of(&role.name), usize::MAX)? {
        if let Some(secret) = call.store.get_record::<SecretId>(&key)? {
            call.store.delete(&accessor_key(&salt.hide(&secret.accessor)))?;
        }
        call.store.delete(&key)?;
    }
    call.store.delete(&role_id_key(&salt.hide(&role.role_id)))?;
    call.store.delete(&role_key(&role.name))?;
    Ok(Response::empty())
}

pub(super) fn read_id(call: &mut Call<'_>) -> Answer {
    let role = load_role(&mut call.store, call.captures.get("role_name"))?;
    Ok(role.map_or_else(Response::empty, |role| Response::json(json!({ "role_id": role.role_id }))))
}

pub(super) fn write_id(call: &mut Call<'_>) -> Answer {
    let mut role = need_role(&mut call.store, call.captures.get("role_name"), no_such_path)?;
    let id = Fields::new(&call.request.data).text("role_id")?.filter(|id| !id.is_empty());
    set_id(call, &mut role, id.ok_or_else(|| Fault::invalid("missing role_id"))?)?;
    store_role(&mut call.store, &role)?;
    Ok(Response::empty())
}

/// Below a role that is not there is nothing to write to.
fn no_such_path(_role: String) -> Fault {
    Fault::UnsupportedPath
}

/// Gives the role another id; two roles never share one.
fn set_id(call: &mut Call<'_>, role: &mut Role, id: String) -> Result<(), Fault> {
    let salt = Salt::load(&mut call.store)?;
    let key = role_id_key(&salt.hide(&id));
    let owner: Option<String> = call.store.get_record(&key)?;
    if owner.is_some_and(|owner| owner != role.name) {
        return Err(Fault::Internal("role_id already in use".to_owned()));
    }
    if !role.role_id.is_empty() {
        call.store.delete(&role_id_key(&salt.hide(&role.role_id)))?;
    }
    call.store.put_record(&key, &role.name)?;
    role.role_id = id;
    Ok(())
}

fn update(role: &mut Role, fields: &Fields<'_>) -> Result<(), Fault> {
    if let Some(bind) = fields.flag("bind_secret_id")? {
        role.bind_secret_id = bind;
    }
    if let Some(local) = fields.flag("local_secret_ids")? {
        role.local_secret_ids = local;
    }
    if let Some(cidrs) = fields.list("secret_id_bound_cidrs")? {
        role.secret_id_bound_cidrs = parse_blocks(&cidrs).map_err(Fault::Internal)?;
    }
    if let Some(uses) = fields.int("secret_id_num_uses")? {
        let negative = |_| Fault::invalid("secret_id_num_uses cannot be negative");
        role.secret_id_num_uses = u64::try_from(uses).map_err(negative)?;
    }
    if let Some(ttl) = fields.seconds("secret_id_ttl")? {
        role.secret_id_ttl = ttl;
    }
    update_old_names(role, fields)?;
    role.token.update(fields)?;
    let bound =
        role.bind_secret_id || !role.secret_id_bound_cidrs.is_empty() || !role.token.bound_cidrs.is_empty();
    if bound {
        Ok(())
    } else {
        Err(Fault::Internal("at least one constraint should be enabled on the role".to_owned()))
    }
}

/// The newer names win.
fn update_old_names(role: &mut Role, fields: &Fields<'_>) -> Result<(), Fault> {
    if let Some(policies) = fields.list("policies")? {
        role.token.policies = clean_policies(policies);
        role.old_policies = true;
    }
    if let Some(period) = fields.seconds("period")? {
        role.token.period = period;
        role.old_period = true;
    }
    role.old_policies &= !fields.has("token_policies");
    role.old_period &= !fields.has("token_period");
    Ok(())
}

fn shown(role: &Role) -> Map<String, Value> {
    let mut data = Map::new();
    role.token.show(&mut data);
    for (name, value) in [
        ("bind_secret_id", json!(role.bind_secret_id)),
        ("local_secret_ids", json!(role.local_secret_ids)),
        ("secret_id_bound_cidrs", list_or_null(&role.secret_id_bound_cidrs)),
        ("secret_id_num_uses", json!(role.secret_id_num_uses)),
        ("secret_id_ttl", json!(role.secret_id_ttl)),
    ] {
        data.insert(name.to_owned(), value);
    }
    data.extend(old_names(role));
    data
}

fn old_names(role: &Role) -> impl Iterator<Item = (String, Value)> {
    [
        (role.old_policies, "policies", json!(role.token.policies)),
        (role.old_period, "period", json!(role.token.period)),
    ]
    .into_iter()
    .filter_map(|(shown, name, value)| shown.then(|| (name.to_owned(), value)))
}

/// Go's nil slice.
fn list_or_null(list: &[String]) -> Value {
    if list.is_empty() { Value::Null } else { json!(list) }
}

pub(super) fn read_parameter(call: &mut Call<'_>, name: &'static str) -> Answer {
    let Some(role) = load_role(&mut call.store, call.captures.get("role_name"))? else {
        return Ok(Response::empty());
    };
    let value = match name {
        "token_bound_cidrs" => list_or_null(&role.token.bound_cidrs),
        _ => shown(&role).remove(name).unwrap_or_default(),
    };
    let mut data = Map::from_iter([(name.to_owned(), value)]);
    data.extend(old_names(&role).filter(|(old, _)| old == old_name(name)));
    Ok(Response::of(data))
}

/// The name a parameter had before.
fn old_name(name: &'static str) -> &'static str {
    match name {
        "token_policies" => "policies",
        "token_period" => "period",
        _ => name,
    }
}

pub(super) fn write_parameter(call: &mut Call<'_>, name: &'static str) -> Answer {
    let mut role = need_role(&mut call.store, call.captures.get("role_name"), no_such_path)?;
    let data = &call.request.data;
    let given = data.get_key_value(name).or_else(|| data.get_key_value(old_name(name)));
    let (given_name, value) = given.ok_or_else(|| Fault::invalid(format!("missing {name}")))?;
    let only = Map::from_iter([(given_name.clone(), value.clone())]);
    update(&mut role, &Fields::new(&only)).map_err(|fault| of_parameter(name, fault))?;
    store_role(&mut call.store, &role)?;
    Ok(Response::empty())
}

/// Under its own path a parameter's mistake has words of its own.
fn of_parameter(name: &'static str, fault: Fault) -> Fault {
    match (name, fault) {
        ("secret_id_bound_cidrs", Fault::Internal(text)) => Fault::Invalid(text),
        ("token_ttl", Fault::Invalid(text)) if text == TTL_OVER_MAX => {
            Fault::invalid("token_ttl should not be greater than token_max_ttl")
        }
        ("token_max_ttl", Fault::Invalid(text)) if text == TTL_OVER_MAX => {
            Fault::invalid("token_max_ttl should be greater than or equal to token_ttl")
        }
        (_, fault) => fault,
    }
}

const OLD_CIDRS_WARNING: &str = "The \"bound_cidr_list\" field is deprecated and will be removed. Please use \
                                 \"secret_id_bound_cidrs\" instead.";

/// Under the older name the networks are never shown.
pub(super) fn read_old_cidrs(call: &mut Call<'_>) -> Answer {
    let role = load_role(&mut call.store, call.captures.get("role_name"))?;
    Ok(role.map_or_else(Response::empty, |_| {
        Response::json(json!({ "bound_cidr_list": null })).with_warning(OLD_CIDRS_WARNING)
    }))
}

pub(super) fn write_old_cidrs(call: &mut Call<'_>) -> Answer {
    let mut role = need_role(&mut call.store, call.captures.get("role_name"), no_such_path)?;
    let cidrs = Fields::new(&call.request.data).list("bound_cidr_list")?.unwrap_or_default();
    role.secret_id_bound_cidrs = parse_blocks(&cidrs).map_err(Fault::Invalid)?;
    store_role(&mut call.store, &role)?;
    Ok(Response::empty())
}

/// Back to what a new role has.
pub(super) fn delete_parameter(call: &mut Call<'_>, name: &'static str) -> Answer {
    let Some(mut role) = load_role(&mut call.store, call.captures.get("role_name"))? else {
        return Ok(Response::empty());
    };
    match name {
        "secret_id_bound_cidrs" => role.secret_id_bound_cidrs.clear(),
        "secret_id_num_uses" => role.secret_id_num_uses = 0,
        "secret_id_ttl" => role.secret_id_ttl = 0,
        "token_policies" => {
            role.token.policies.clear();
            role.old_policies = false;
        }
        "token_ttl" => role.token.ttl = 0,
        "token_max_ttl" => role.token.max_ttl = 0,
        "token_num_uses" => role.token.num_uses = 0,
        "token_bound_cidrs" => role.token.bound_cidrs.clear(),
        "token_period" => {
            role.token.period = 0;
            role.old_period = false;
        }
        _ => return Err(Fault::UnsupportedOperation),
    }
    store_role(&mut call.store, &role)?;
    Ok(Response::empty())
}

/// Removes one secret id and its accessor.
pub(super) fn remove_secret(
    call: &mut Call<'_>,
    salt: &Salt,
    key: &str,
    secret: &SecretId,
) -> Result<(), Fault> {
    call.store.delete(&accessor_key(&salt.hide(&secret.accessor)))?;
    Ok(call.store.delete(key)?)
}

/// Notes which secret id an accessor stands for.
pub(super) fn index_accessor(
    call: &mut Call<'_>,
    salt: &Salt,
    accessor: &str,
    record: &AccessorRecord,
) -> Result<(), Fault> {
    Ok(call.store.put_record(&accessor_key(&salt.hide(accessor)), record)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updated(data: Value) -> Result<Role, Fault> {
        let mut role = Role { bind_secret_id: true, ..Role::default() };
        update(&mut role, &Fields::new(data.as_object().unwrap()))?;
        Ok(role)
    }

    #[test]
    fn a_role_keeps_one_constraint() {
        assert!(updated(json!({"bind_secret_id": false})).is_err());
        assert!(updated(json!({"bind_secret_id": false, "token_bound_cidrs": "127.0.0.1/32"})).is_ok());
        assert!(updated(json!({"bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.1/32"})).is_ok());
        assert!(updated(json!({"secret_id_num_uses": -1})).is_err());
    }

    #[test]
    fn the_shape_is_the_servers() {
        let role = updated(json!({"token_policies": "p", "secret_id_ttl": "10m", "secret_id_num_uses": 40}))
            .unwrap();
        assert_eq!(
            Value::Object(shown(&role)),
            json!({"bind_secret_id": true, "local_secret_ids": false, "secret_id_bound_cidrs": null,
                "secret_id_num_uses": 40, "secret_id_ttl": 600, "token_bound_cidrs": [], "token_explicit_max_ttl": 0,
                "token_max_ttl": 0, "token_no_default_policy": false, "token_num_uses": 0, "token_period": 0,
                "token_policies": ["p"], "token_strictly_bind_ip": false, "token_ttl": 0, "token_type": "default"})
        );
    }
}
