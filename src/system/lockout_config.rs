//! `user_lockout_config` of auth mounts: read as the server reads it, shown as it shows it.

use serde_json::{Map, Value, json};

use crate::core::lockout::LockoutConfig;
use crate::logical::Fault;
use crate::logical::field::Fields;

/// Auth methods whose logins are counted.
const COUNTED: &[&str] = &["userpass", "approle", "ldap"];

/// What `given` makes of `config`; what it leaves out stays. Unknown names are passed over.
///
/// # Errors
/// The mount's kind counts no logins, or a value is none.
pub(super) fn tuned(
    config: Option<LockoutConfig>,
    kind: &str,
    given: &Map<String, Value>,
) -> Result<LockoutConfig, Fault> {
    if !COUNTED.contains(&kind) {
        return Err(Fault::invalid(format!(
            "tuning of user lockout configuration for auth type {kind:?} not allowed"
        )));
    }
    let mut config = config.unwrap_or_default();
    set(&mut config.threshold, threshold(given)?);
    set(&mut config.duration_secs, length(given, "lockout_duration")?);
    set(&mut config.counter_reset_secs, length(given, "lockout_counter_reset_duration")?);
    if let Some(disabled) = given.get("lockout_disable") {
        let unknown = || Fault::invalid("unable to convert given user lockout config information");
        config.disabled = disabled.as_bool().ok_or_else(unknown)?;
    }
    Ok(config)
}

fn set(target: &mut u64, given: Option<u64>) {
    *target = given.unwrap_or(*target);
}

fn threshold(given: &Map<String, Value>) -> Result<Option<u64>, Fault> {
    let Some(text) = Fields::new(given).text("lockout_threshold")?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        Fault::invalid(format!(
            "unable to parse user lockout threshold: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

fn length(given: &Map<String, Value>, name: &str) -> Result<Option<u64>, Fault> {
    let Some(text) = Fields::new(given).text(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let parsed =
        text.parse().ok().or_else(|| crate::duration::parse(&text).ok().map(|length| length.as_secs()));
    parsed.map(Some).ok_or_else(|| Fault::invalid(format!("time: invalid duration {text:?}")))
}

/// The four names under which the API shows it.
pub(super) fn shown(config: LockoutConfig) -> Map<String, Value> {
    let fields = [
        ("user_lockout_counter_reset_duration", json!(config.counter_reset_secs)),
        ("user_lockout_disable", json!(config.disabled)),
        ("user_lockout_duration", json!(config.duration_secs)),
        ("user_lockout_threshold", json!(config.threshold)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_server_reads_them() {
        let given = json!({"lockout_threshold": "3", "lockout_duration": "5m",
            "lockout_counter_reset_duration": 60, "lockout_disable": true, "nonsense": 1});
        let config = tuned(None, "userpass", given.as_object().unwrap()).unwrap();
        let wanted =
            LockoutConfig { threshold: 3, duration_secs: 300, counter_reset_secs: 60, disabled: true };
        assert_eq!(config, wanted);
        let kept = tuned(Some(config), "approle", &Map::new()).unwrap();
        assert_eq!(kept, wanted);
    }

    #[test]
    fn mistakes_are_named() {
        for (kind, given, text) in [
            ("token", json!({}), "tuning of user lockout configuration for auth type \"token\" not allowed"),
            (
                "userpass",
                json!({"lockout_threshold": "x"}),
                "unable to parse user lockout threshold: strconv.ParseUint: parsing \"x\": invalid syntax",
            ),
            ("userpass", json!({"lockout_duration": "x"}), "time: invalid duration \"x\""),
            (
                "userpass",
                json!({"lockout_disable": "x"}),
                "unable to convert given user lockout config information",
            ),
        ] {
            let fault = tuned(None, kind, given.as_object().unwrap()).unwrap_err();
            assert_eq!(fault.to_string(), text);
        }
    }
}
