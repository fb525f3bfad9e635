//! Making tokens from requests: who may have what.

use serde_json::Value;

use super::{TokenBackend, caller, granted, whole};
use crate::core::token_store::role::Role;
use crate::core::token_store::ttl::{self, Asked, Bounds};
use crate::core::token_store::{Kind, TokenEntry, TokenSpec, parse_cidrs, sanitize_policies};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Caller, Fault, MountInfo};

/// Policies no request may give.
const NOT_ASSIGNABLE: &[&str] = &[crate::core::wrapping::POLICY];

/// What the request says, checked for form only.
struct Asks {
    id: Option<String>,
    policies: Vec<String>,
    no_default_policy: bool,
    no_parent: bool,
    renewable: bool,
    kind: Option<Kind>,
    num_uses: u64,
    ttl: u64,
    period: u64,
    explicit_max_ttl: u64,
    entity_alias: String,
    spec: TokenSpec,
}

/// Who asks, with what rights.
struct Parent {
    entry: TokenEntry,
    has_sudo: bool,
}

impl TokenBackend {
    pub(super) fn create(&self, call: &mut Call<'_>) -> Answer {
        self.make(call, false, None)
    }

    pub(super) fn create_orphan(&self, call: &mut Call<'_>) -> Answer {
        self.make(call, true, None)
    }

    pub(super) fn create_with_role(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("role_name");
        let role = self.role(call, name)?.ok_or_else(|| Fault::invalid(format!("unknown role {name}")))?;
        self.make(call, false, Some(&role))
    }

    fn make(&self, call: &mut Call<'_>, orphan: bool, role: Option<&Role>) -> Answer {
        let asks = Asks::read(call, role)?;
        let caller = caller(call)?;
        let parent = self.parent(call, &caller)?;
        let (mount, now) = (call.mount.clone(), call.now);
        let mut spec = decide(&asks, &parent, role, orphan)?;
        let mut warnings = set_life(&mut spec, &asks, &parent, role, &mount)?;
        let tx = whole(call)?;
        if !asks.entity_alias.is_empty() {
            spec.entity_id = self.authority.entity_of_alias(tx, &asks.entity_alias)?;
        }
        for policy in spec.policies.iter().filter(|policy| *policy != "root") {
            if !self.authority.policy_exists(tx, policy)? {
                warnings.push(format!("Policy {policy:?} does not exist"));
            }
        }
        let mut made = self.tokens.create(tx, spec, now)?;
        made.warnings = warnings;
        Ok(granted(made))
    }

    fn parent(&self, call: &mut Call<'_>, caller: &Caller) -> Result<Parent, Fault> {
        if caller.is_batch {
            return Err(Fault::invalid("batch tokens cannot create more tokens"));
        }
        let entry = self.own_entry(call, caller)?;
        if entry.num_uses != 0 {
            return Err(Fault::invalid("restricted use token cannot generate child tokens"));
        }
        let path = format!("{}{}", call.mount.path, call.request.path);
        let has_sudo = self.authority.has_sudo(whole(call)?, caller, &path)?;
        Ok(Parent { entry, has_sudo })
    }
}

impl Asks {
    fn read(call: &Call<'_>, role: Option<&Role>) -> Result<Self, Fault> {
        let fields = Fields::new(&call.request.data);
        let num_uses = fields.int("num_uses")?.unwrap_or(0);
        let num_uses =
            u64::try_from(num_uses).map_err(|_| Fault::invalid("number of uses cannot be negative"))?;
        let display_name = fields.text("display_name")?.unwrap_or_default();
        let kind = match fields.text("type")?.as_deref() {
            None | Some("") => None,
            Some("service") => Some(Kind::Service),
            Some("batch") => Some(Kind::Batch),
            Some(_) => return Err(Fault::invalid("invalid 'token_type' value")),
        };
        let ttl = length(&fields, "ttl")?;
        let suffix = role.map_or_else(String::new, |role| match role.path_suffix.as_str() {
            "" => format!("/{}", role.name),
            suffix => format!("/{}/{suffix}", role.name),
        });
        let path = if role.is_some() { "create" } else { call.request.path.as_str() };
        Ok(Self {
            id: fields.text("id")?.filter(|id| !id.is_empty()),
            policies: fields.strings("policies")?.unwrap_or_default(),
            no_default_policy: fields.flag("no_default_policy")?.unwrap_or(false),
            no_parent: fields.flag("no_parent")?.unwrap_or(false),
            renewable: fields.flag("renewable")?.unwrap_or(true),
            kind,
            num_uses,
            ttl: if ttl > 0 { ttl } else { length(&fields, "lease")? },
            period: length(&fields, "period")?,
            explicit_max_ttl: length(&fields, "explicit_max_ttl")?,
            entity_alias: fields.text("entity_alias")?.unwrap_or_default(),
            spec: TokenSpec {
                path: format!("{}{path}{suffix}", call.mount.path),
                display_name: shown_name(&display_name),
                metadata: fields.pairs("meta")?.or(fields.pairs("metadata")?).unwrap_or_default(),
                ..TokenSpec::default()
            },
        })
    }
}

/// A length as this endpoint reads it: its error texts are Go's own.
fn length(fields: &Fields<'_>, name: &str) -> Result<u64, Fault> {
    let negative = |text: &str| text.trim_start().starts_with('-');
    match fields.raw(name) {
        Some(Value::String(text)) if negative(text) => {
            Err(Fault::invalid(format!("{name} must be positive")))
        }
        Some(Value::Number(number)) if negative(&number.to_string()) => {
            Err(Fault::invalid(format!("{name} must be positive")))
        }
        Some(Value::String(text)) if !text.is_empty() => crate::duration::parse(text)
            .map(|length| length.as_secs())
            .map_err(|_| Fault::invalid(format!("time: invalid duration {text:?}"))),
        _ => Ok(fields.seconds(name)?.unwrap_or(0)),
    }
}

/// `token`, or `token-` and the name with `-` for what is neither letter nor digit.
fn shown_name(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("token-{clean}").trim_end_matches('-').to_owned()
}

/// Everything but how long it lives.
fn decide(asks: &Asks, parent: &Parent, role: Option<&Role>, orphan: bool) -> Result<TokenSpec, Fault> {
    let kind = kind(asks, role);
    check_alias(asks, role)?;
    check_batch(kind, asks)?;
    check_sudo(asks, parent)?;
    let policies = policies(asks, parent, role)?;
    if kind == Kind::Batch && policies.iter().any(|policy| policy == "root") {
        return Err(Fault::invalid("batch tokens cannot be root tokens"));
    }
    let role_uses = role.map_or(0, |role| role.token_num_uses);
    let is_orphan = orphan || asks.no_parent || role.is_some_and(|role| role.orphan);
    Ok(TokenSpec {
        text: asks.id.clone().map(Into::into),
        kind,
        parent: (!is_orphan).then(|| parent.entry.key.clone()),
        policies,
        entity_id: if is_orphan { String::new() } else { parent.entry.entity_id.clone() },
        num_uses: [asks.num_uses, role_uses].into_iter().filter(|uses| *uses > 0).min().unwrap_or(0),
        bound_cidrs: bound_cidrs(role)?,
        role: role.map_or_else(String::new, |role| role.name.clone()),
        renewable: asks.renewable && role.is_none_or(|role| role.renewable),
        ..asks.spec.clone()
    })
}

fn kind(asks: &Asks, role: Option<&Role>) -> Kind {
    match (role.map(|role| role.token_type.as_str()), asks.kind) {
        (Some("batch"), _) | (Some("default-batch"), None) => Kind::Batch,
        (Some("service"), _) => Kind::Service,
        (_, asked) => asked.unwrap_or(Kind::Service),
    }
}

fn bound_cidrs(role: Option<&Role>) -> Result<Vec<ipnet::IpNet>, Fault> {
    let Some(role) = role else { return Ok(Vec::new()) };
    parse_cidrs(if role.token_bound_cidrs.is_empty() { &role.bound_cidrs } else { &role.token_bound_cidrs })
}

fn check_alias(asks: &Asks, role: Option<&Role>) -> Result<(), Fault> {
    match role {
        _ if asks.entity_alias.is_empty() => Ok(()),
        None => Err(Fault::invalid("'entity_alias' is only allowed in combination with token role")),
        Some(role) if !role.allows_alias(&asks.entity_alias) => {
            Err(Fault::invalid("invalid 'entity_alias' value"))
        }
        Some(_) => Ok(()),
    }
}

fn check_batch(kind: Kind, asks: &Asks) -> Result<(), Fault> {
    let set =
        [("explicit_max_ttl", asks.explicit_max_ttl), ("num_uses", asks.num_uses), ("period", asks.period)];
    match set.into_iter().find(|(_, value)| kind == Kind::Batch && *value > 0) {
        Some((name, _)) => Err(Fault::invalid(format!("batch tokens cannot have \"{name}\" set"))),
        None => Ok(()),
    }
}

fn check_sudo(asks: &Asks, parent: &Parent) -> Result<(), Fault> {
    let needs = match () {
        () if parent.has_sudo => return check_id(asks),
        () if asks.id.is_some() => "specify token id",
        () if asks.no_parent => "create orphan token",
        () if asks.period > 0 => "create periodic token",
        () => return Ok(()),
    };
    // Policies are looked at before the parent, and their complaint is the one heard.
    policies(asks, parent, None)?;
    Err(Fault::invalid(format!("root or sudo privileges required to {needs}")))
}

fn check_id(asks: &Asks) -> Result<(), Fault> {
    let Some(id) = &asks.id else { return Ok(()) };
    for prefix in ["hvs.", "s."] {
        if id.starts_with(prefix) {
            return Err(Fault::invalid(format!("custom token ID cannot have the '{prefix}' prefix")));
        }
    }
    if id.contains('.') {
        return Err(Fault::invalid("custom token ID cannot have a '.' in the value"));
    }
    Ok(())
}

fn policies(asks: &Asks, parent: &Parent, role: Option<&Role>) -> Result<Vec<String>, Fault> {
    let theirs = &parent.entry.policies;
    let policies = match role {
        Some(role) if role.rules_policies() => {
            role.policies(&asks.policies, theirs, !asks.no_default_policy)?
        }
        _ if asks.policies.is_empty() => inherited(theirs, asks.no_default_policy),
        _ => {
            let plain = sanitize_policies(&asks.policies, false);
            if !parent.has_sudo && !plain.iter().all(|policy| theirs.contains(policy)) {
                return Err(Fault::invalid("child policies must be subset of parent"));
            }
            let add_default =
                !asks.no_default_policy && !role.is_some_and(|role| role.token_no_default_policy);
            sanitize_policies(&plain, add_default)
        }
    };
    if let Some(policy) = policies.iter().find(|policy| NOT_ASSIGNABLE.contains(&policy.as_str())) {
        return Err(Fault::invalid(format!("cannot assign policy {policy:?}")));
    }
    if policies.iter().any(|policy| policy == "root") && !parent.entry.is_root() {
        return Err(Fault::invalid("root tokens may not be created without parent token being root"));
    }
    Ok(policies)
}

/// The parent's, with `default` only if it has it and it is wanted.
fn inherited(theirs: &[String], no_default: bool) -> Vec<String> {
    theirs.iter().filter(|policy| !(no_default && *policy == "default")).cloned().collect()
}

/// How long it lives. Root tokens live for ever unless they are told otherwise.
fn set_life(
    spec: &mut TokenSpec,
    asks: &Asks,
    parent: &Parent,
    role: Option<&Role>,
    mount: &MountInfo,
) -> Result<Vec<String>, Fault> {
    let (mut warnings, is_root) = (Vec::new(), spec.policies.iter().any(|policy| policy == "root"));
    let of_role = |new: fn(&Role) -> u64, old: fn(&Role) -> u64| {
        role.map_or(0, |role| if new(role) > 0 { new(role) } else { old(role) })
    };
    let role_period = of_role(|role| role.token_period, |role| role.period);
    let role_max = of_role(|role| role.token_explicit_max_ttl, |role| role.explicit_max_ttl);
    spec.period_secs = lesser("Period", asks.period, role_period, &mut warnings);
    spec.explicit_max_ttl_secs = lesser("Explicit max TTL", asks.explicit_max_ttl, role_max, &mut warnings);
    spec.ttl_secs = asks.ttl;
    if spec.period_secs > 0 || spec.ttl_secs > 0 || !is_root {
        let life = Asked {
            ttl: asks.ttl,
            period: spec.period_secs,
            explicit_max_ttl: spec.explicit_max_ttl_secs,
            ..Asked::default()
        };
        let life = ttl::calculate(life, Bounds::of(mount))
            .map_err(|_| Fault::invalid("max TTL must be greater than zero"))?;
        spec.ttl_secs = life.ttl;
        warnings.extend(life.warnings);
    }
    if spec.ttl_secs == 0 {
        spec.ttl_secs = spec.explicit_max_ttl_secs;
    }
    if spec.ttl_secs == 0 && parent.entry.expires_at.is_some() {
        return Err(Fault::invalid("expiring root tokens cannot create non-expiring root tokens"));
    }
    Ok(warnings)
}

/// The smaller of two lengths that are set, with a word when both are.
fn lesser(what: &str, asked: u64, role: u64, warnings: &mut Vec<String>) -> u64 {
    match (asked, role) {
        (0, one) | (one, 0) => one,
        (asked, role) => {
            let least = asked.min(role);
            warnings.push(format!(
                "{what} specified both during creation call and in role; using the lesser value of {least} seconds"
            ));
            least
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe() {
        for (name, shown) in [("", "token"), ("My Disp!", "token-My-Disp"), ("a b", "token-a-b")] {
            assert_eq!(shown_name(name), shown);
        }
    }

    fn asks(policies: &[&str]) -> Asks {
        Asks {
            id: None,
            policies: policies.iter().map(|policy| (*policy).to_owned()).collect(),
            no_default_policy: false,
            no_parent: false,
            renewable: true,
            kind: None,
            num_uses: 0,
            ttl: 0,
            period: 0,
            explicit_max_ttl: 0,
            entity_alias: String::new(),
            spec: TokenSpec::default(),
        }
    }

    fn parent(policies: &[&str], has_sudo: bool) -> Parent {
        let policies = policies.iter().map(|policy| (*policy).to_owned()).collect();
        Parent { entry: TokenEntry { policies, ..TokenEntry::default() }, has_sudo }
    }

    fn text(outcome: Result<TokenSpec, Fault>) -> String {
        match outcome {
            Err(Fault::Invalid(text)) => text,
            Ok(spec) => format!("{:?}", spec.policies),
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn children_get_what_their_parents_may_give() {
        let (root, plain) = (parent(&["root"], true), parent(&["default", "tok"], false));
        for (asks, parent, outcome) in [
            (asks(&["foo"]), &plain, "child policies must be subset of parent"),
            (asks(&["tok"]), &plain, "[\"default\", \"tok\"]"),
            (asks(&[]), &plain, "[\"default\", \"tok\"]"),
            (Asks { no_default_policy: true, ..asks(&[]) }, &plain, "[\"tok\"]"),
            (
                Asks { no_parent: true, ..asks(&[]) },
                &plain,
                "root or sudo privileges required to create orphan token",
            ),
            (Asks { no_parent: true, ..asks(&["foo"]) }, &plain, "child policies must be subset of parent"),
            (
                Asks { id: Some("x1".into()), ..asks(&[]) },
                &plain,
                "root or sudo privileges required to specify token id",
            ),
            (
                Asks { period: 60, ..asks(&[]) },
                &plain,
                "root or sudo privileges required to create periodic token",
            ),
            (
                Asks { id: Some("s.abc".into()), ..asks(&[]) },
                &root,
                "custom token ID cannot have the 's.' prefix",
            ),
            (Asks { kind: Some(Kind::Batch), ..asks(&[]) }, &root, "batch tokens cannot be root tokens"),
            (
                Asks { kind: Some(Kind::Batch), num_uses: 3, ..asks(&["a"]) },
                &root,
                "batch tokens cannot have \"num_uses\" set",
            ),
            (asks(&["response-wrapping"]), &root, "cannot assign policy \"response-wrapping\""),
            (asks(&["root", "default"]), &root, "[\"root\"]"),
            (
                Asks { entity_alias: "e".into(), ..asks(&[]) },
                &root,
                "'entity_alias' is only allowed in combination with token role",
            ),
        ] {
            assert_eq!(text(decide(&asks, parent, None, false)), outcome);
        }
    }
}
