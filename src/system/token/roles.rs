//! `auth/token/roles/*`.

use serde_json::Value;

use super::{TokenBackend, whole};
use crate::core::token_store::parse_cidrs;
use crate::core::token_store::role::Role;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Field, FieldKind, Response};

const ROLES: &str = "sys/token/roles/";

pub(super) const FIELDS: &[Field] = &[
    Field::new("role_name", FieldKind::String, "Name of the role"),
    Field::new("allowed_policies", FieldKind::CommaList, "Policies tokens of this role may have"),
    Field::new(
        "allowed_policies_glob",
        FieldKind::CommaList,
        "Patterns of policies tokens of this role may have",
    ),
    Field::new("disallowed_policies", FieldKind::CommaList, "Policies tokens of this role may not have"),
    Field::new(
        "disallowed_policies_glob",
        FieldKind::CommaList,
        "Patterns of policies tokens of this role may not have",
    ),
    Field::new("allowed_entity_aliases", FieldKind::CommaList, "Aliases tokens of this role may be made for"),
    Field::new("orphan", FieldKind::Bool, "Whether tokens of this role have no parent"),
    Field::new("path_suffix", FieldKind::String, "Ending of the path of tokens of this role"),
    Field::new("renewable", FieldKind::Bool, "Whether tokens of this role can be renewed"),
    Field::new("period", FieldKind::DurationSecs, "Use 'token_period' instead"),
    Field::new("explicit_max_ttl", FieldKind::DurationSecs, "Use 'token_explicit_max_ttl' instead"),
    Field::new("bound_cidrs", FieldKind::CommaList, "Use 'token_bound_cidrs' instead"),
    Field::new("token_period", FieldKind::DurationSecs, "Renewals set the life of the token to this"),
    Field::new("token_explicit_max_ttl", FieldKind::DurationSecs, "No renewal takes the token past this"),
    Field::new("token_bound_cidrs", FieldKind::CommaList, "Networks the token may be used from"),
    Field::new("token_no_default_policy", FieldKind::Bool, "Whether the default policy is left out"),
    Field::new("token_num_uses", FieldKind::Int, "How often the token may be used"),
    Field::new(
        "token_type",
        FieldKind::String,
        "Kind of token: service, batch, default-service or default-batch",
    ),
];

impl TokenBackend {
    pub(super) fn role(&self, call: &mut Call<'_>, name: &str) -> Result<Option<Role>, Fault> {
        Ok(whole(call)?.view(ROLES).get_record(&name.to_lowercase())?)
    }

    pub(super) fn role_exists(&self, call: &mut Call<'_>) -> Result<bool, Fault> {
        let name = call.captures.get("role_name");
        Ok(self.role(call, name)?.is_some())
    }

    pub(super) fn list_roles(&self, call: &mut Call<'_>) -> Answer {
        Ok(Response::keys(whole(call)?.list(ROLES, "", usize::MAX)?))
    }

    pub(super) fn read_role(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("role_name");
        Ok(self.role(call, name)?.map_or_else(Response::empty, |role| Response::of(role.shown())))
    }

    pub(super) fn delete_role(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("role_name").to_lowercase();
        whole(call)?.delete(&format!("{ROLES}{name}"))?;
        Ok(Response::empty())
    }

    pub(super) fn write_role(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("role_name").to_lowercase();
        let mut role =
            self.role(call, &name)?.unwrap_or_else(|| Role { name: name.clone(), ..Role::default() });
        apply(&mut role, &Fields::new(&call.request.data))?;
        check(&role)?;
        let max = call.mount.max_ttl.as_secs();
        whole(call)?.view(ROLES).put_record(&name, &role)?;
        let explicit = role.token_explicit_max_ttl.max(role.explicit_max_ttl);
        if explicit <= max {
            return Ok(Response::empty());
        }
        Ok(Response::empty().with_warning(format!(
            "Given explicit max TTL of {explicit} is greater than system/mount allowed value of {max} seconds; until this \
             is fixed attempting to create tokens against this role will result in an error"
        )))
    }
}

fn apply(role: &mut Role, fields: &Fields<'_>) -> Result<(), Fault> {
    set(&mut role.allowed_policies, fields.list("allowed_policies")?);
    set(&mut role.allowed_policies_glob, fields.list("allowed_policies_glob")?);
    set(&mut role.disallowed_policies, fields.list("disallowed_policies")?);
    set(&mut role.disallowed_policies_glob, fields.list("disallowed_policies_glob")?);
    if let Some(aliases) = fields.list("allowed_entity_aliases")? {
        role.allowed_entity_aliases = Some(aliases);
    }
    set(&mut role.orphan, fields.flag("orphan")?);
    set(&mut role.path_suffix, fields.text("path_suffix")?);
    set(&mut role.renewable, fields.flag("renewable")?);
    set(&mut role.token_no_default_policy, fields.flag("token_no_default_policy")?);
    if let Some(uses) = fields.int("token_num_uses")? {
        role.token_num_uses =
            u64::try_from(uses).map_err(|_| Fault::invalid("'token_num_uses' cannot be negative"))?;
    }
    set(&mut role.token_type, fields.text("token_type")?.filter(|kind| !kind.is_empty()));
    apply_life(role, fields)?;
    apply_cidrs(role, fields)
}

/// The old names set both, so that both are shown; the new ones only their own.
fn apply_life(role: &mut Role, fields: &Fields<'_>) -> Result<(), Fault> {
    if let Some(period) = length(fields, "period")? {
        (role.period, role.token_period) = (period, period);
    }
    if let Some(max) = length(fields, "explicit_max_ttl")? {
        (role.explicit_max_ttl, role.token_explicit_max_ttl) = (max, max);
    }
    if let Some(period) = length(fields, "token_period")? {
        (role.period, role.token_period) = (0, period);
    }
    if let Some(max) = length(fields, "token_explicit_max_ttl")? {
        (role.explicit_max_ttl, role.token_explicit_max_ttl) = (0, max);
    }
    Ok(())
}

fn apply_cidrs(role: &mut Role, fields: &Fields<'_>) -> Result<(), Fault> {
    if let Some(cidrs) = fields.list("bound_cidrs")? {
        parse_cidrs(&cidrs)?;
        (role.bound_cidrs, role.token_bound_cidrs) = (cidrs.clone(), cidrs);
    }
    if let Some(cidrs) = fields.list("token_bound_cidrs")? {
        parse_cidrs(&cidrs)?;
        (role.bound_cidrs, role.token_bound_cidrs) = (Vec::new(), cidrs);
    }
    Ok(())
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn length(fields: &Fields<'_>, name: &str) -> Result<Option<u64>, Fault> {
    let given = fields.raw(name).and_then(|value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    match given {
        Some(text) if text.starts_with('-') => Err(Fault::invalid(format!(
            "error converting input for field \"{name}\": cannot provide negative value '{text}'"
        ))),
        _ => fields.seconds(name),
    }
}

fn check(role: &Role) -> Result<(), Fault> {
    if !matches!(role.token_type.as_str(), "service" | "batch" | "default-service" | "default-batch") {
        return Err(Fault::invalid(format!("invalid 'token_type' value {:?}", role.token_type)));
    }
    if role.token_type == "batch" && !role.orphan {
        return Err(Fault::invalid(
            "'token_type' cannot be 'batch' when role is set to generate non-orphan tokens",
        ));
    }
    if role.token_type == "batch" && role.renewable {
        return Err(Fault::invalid(
            "'token_type' cannot be 'batch' when role is set to generate renewable tokens",
        ));
    }
    Ok(())
}
