//! Logging in: role id, then secret id, then where from. A use-limited secret id loses a use in the same transaction
//! that makes the token.

use serde_json::{Map, Value, json};

use super::role::remove_secret;
use super::storage::{Role, Salt, SecretId, load_role, role_id_key, secret_key};
use crate::auth::token_params::admits;
use crate::logical::field::Fields;
use crate::logical::{Alias, Answer, Auth, Call, Claim, Fault, LeaseCall, Renewed, Response};

pub(super) fn login(call: &mut Call<'_>) -> Answer {
    let fields = Fields::new(&call.request.data);
    let given = |name: &str| fields.text(name).map(|text| text.filter(|text| !text.is_empty()));
    let (role_id, secret_id) = (given("role_id")?.ok_or_else(missing_role_id)?, given("secret_id")?);
    let salt = Salt::load(&mut call.store)?;
    let role = role_of(call, &salt, &role_id)?;
    let mut metadata = [("role_name".to_owned(), role.name.clone())].into();
    let mut token_cidrs = role.token.bound_cidrs.clone();
    if role.bind_secret_id {
        let secret = spend(call, &salt, &role, secret_id)?;
        if !secret.token_bound_cidrs.is_empty() {
            token_cidrs = secret.token_bound_cidrs;
        }
        let own: std::collections::BTreeMap<String, String> = secret.metadata;
        for (name, value) in own {
            std::collections::BTreeMap::entry(&mut metadata, name).or_insert(value);
        }
    }
    if !admits(&role.secret_id_bound_cidrs, call.request.client.address) {
        return Err(Fault::invalid("source address unauthorized by CIDR restrictions on the role"));
    }
    Ok(logged_in(&role, metadata, token_cidrs, call))
}

fn missing_role_id() -> Fault {
    Fault::Status { status: 500, text: "missing role_id".to_owned() }
}

/// The role of the role id; one that is nobody's names none.
pub(super) fn claim(call: &mut Call<'_>) -> Result<Option<Claim>, Fault> {
    let role_id = Fields::new(&call.request.data).text("role_id")?.filter(|id| !id.is_empty());
    let role_id = role_id.ok_or_else(missing_role_id)?;
    let salt = Salt::load(&mut call.store)?;
    match role_of(call, &salt, &role_id) {
        Ok(role) => Ok(Some(Claim { alias: role.role_id, role: Some(role.name) })),
        Err(Fault::WrongCredentials(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

fn wrong() -> Fault {
    Fault::WrongCredentials("invalid role or secret ID".to_owned())
}

fn role_of(call: &mut Call<'_>, salt: &Salt, role_id: &str) -> Result<Role, Fault> {
    let name: Option<String> = call.store.get_record(&role_id_key(&salt.hide(role_id)))?;
    let role = load_role(&mut call.store, &name.ok_or_else(wrong)?)?;
    role.ok_or_else(wrong)
}

/// Checks the secret id and takes one of its uses.
fn spend(call: &mut Call<'_>, salt: &Salt, role: &Role, text: Option<String>) -> Result<SecretId, Fault> {
    let text = text.ok_or_else(|| Fault::invalid("missing secret_id"))?;
    let key = secret_key(&role.name, &salt.hide(&text));
    let secret: Option<SecretId> = call.store.get_record(&key)?;
    let secret = secret.filter(|secret| secret.is_live(call.now)).ok_or_else(wrong)?;
    if !admits(&secret.cidr_list, call.request.client.address) {
        return Err(Fault::invalid("source address unauthorized through CIDR restrictions on the secret ID"));
    }
    match secret.num_uses {
        0 => {}
        1 => remove_secret(call, salt, &key, &secret)?,
        uses => {
            let left =
                SecretId { num_uses: uses - 1, updated: call.now.unix_timestamp_nanos(), ..secret.clone() };
            call.store.put_record(&key, &left)?;
        }
    }
    Ok(secret)
}

fn logged_in(
    role: &Role,
    metadata: std::collections::BTreeMap<String, String>,
    token_cidrs: Vec<String>,
    call: &Call<'_>,
) -> Response {
    let mut auth = Auth {
        display_name: String::new(),
        alias: Some(Alias {
            name: role.role_id.clone(),
            metadata: [("role_name".to_owned(), role.name.clone())].into(),
        }),
        internal: Map::from_iter([("role_name".to_owned(), json!(role.name))]),
        metadata,
        ..Auth::default()
    };
    role.token.fill(&mut auth, &call.request.client);
    if !role.token.strictly_bind_ip {
        auth.bound_cidrs = token_cidrs;
    }
    Response { auth: Some(Box::new(auth)), ..Response::empty() }
}

/// Renewed while the role exists, by the role's present bounds.
pub(super) fn renew(call: &mut LeaseCall<'_>) -> Result<Renewed, Fault> {
    let name = call.internal.get("role_name").and_then(Value::as_str).unwrap_or_default();
    let role = load_role(&mut call.store, name)?;
    let role = role.ok_or_else(|| Fault::invalid(format!("role {name:?} does not exist during renewal")))?;
    Ok(Renewed { ttl_secs: role.token.ttl, max_ttl_secs: role.token.max_ttl, period_secs: role.token.period })
}
