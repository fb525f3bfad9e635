//! `sys/policies/password/<name>`: rules for passwords, and passwords made by them. Kept at `sys/password_policy/<name>`.

use serde::{Deserialize, Serialize};
use serde_json::json;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::PolicyEndpoints;
use crate::core::policy::folders_last;
use crate::core::policy::password::PasswordPolicy;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};
use crate::system::whole;

const PASSWORD_POLICIES: &str = "sys/password_policy/";

/// Lengths the endpoint takes; other makers of passwords have their own.
const LENGTHS: std::ops::RangeInclusive<i64> = 4..=100;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    text: String,
}

// === impl PolicyEndpoints ===

impl PolicyEndpoints {
    pub(super) fn list_passwords(&self, call: &mut Call<'_>) -> Answer {
        Ok(Response::keys(folders_last(whole(call)?, PASSWORD_POLICIES, "")?))
    }

    /// The policy, or with `/generate` behind its name a password.
    pub(super) fn read_password(&self, call: &mut Call<'_>) -> Answer {
        let path = call.captures.get("name");
        let name = path.strip_suffix("/generate");
        let record: Option<Record> = whole(call)?.view(PASSWORD_POLICIES).get_record(name.unwrap_or(path))?;
        let record = record.ok_or_else(|| refused(404, "policy does not exist"))?;
        if name.is_none() {
            return Ok(Response::json(json!({ "policy": record.text })));
        }
        let policy = PasswordPolicy::parse(&record.text)
            .map_err(|_| refused(500, "stored password policy configuration failed to parse"))?;
        let password = policy
            .generate()
            .map_err(|error| refused(500, &format!("failed to generate password from policy: {error}")))?;
        Ok(Response::json(json!({ "password": password.as_str() })))
    }

    pub(super) fn write_password(&self, call: &mut Call<'_>) -> Answer {
        let name = name_of_policy(call)?;
        let text = Fields::new(&call.request.data).text("policy")?.unwrap_or_default();
        if text.is_empty() {
            return Err(refused(400, "missing policy"));
        }
        // It may come in base64, which no policy is by chance: it has a space or an equals sign within.
        let plain = STANDARD.decode(&text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = plain.unwrap_or(text);
        let policy = PasswordPolicy::parse(&text)
            .map_err(|error| refused(400, &format!("invalid password policy: {error}")))?;
        if !LENGTHS.contains(&policy.length()) {
            return Err(refused(400, "passwords must be between 4 and 100 characters"));
        }
        whole(call)?.view(PASSWORD_POLICIES).put_record(name, &Record { text })?;
        Ok(Response::empty())
    }

    pub(super) fn delete_password(&self, call: &mut Call<'_>) -> Answer {
        let name = name_of_policy(call)?;
        whole(call)?.view(PASSWORD_POLICIES).delete(name)?;
        Ok(Response::empty())
    }
}

/// `<name>/generate` is no policy's name.
fn name_of_policy<'c>(call: &Call<'c>) -> Result<&'c str, Fault> {
    let name = call.captures.get("name");
    if name.ends_with("/generate") { Err(Fault::UnsupportedOperation) } else { Ok(name) }
}

/// These errors come as lists of one.
fn refused(status: u16, text: &str) -> Fault {
    Fault::Status { status, text: format!("1 error occurred:\n\t* {text}\n\n") }
}
