//! `sys/remount`: moves of mounts, and what became of them.
//!
//! A move is one change of the mount table, so it is done, or refused, when it is answered. The question of how far it
//! is, which clients ask in a loop, always finds it done.

use serde_json::json;
use uuid::Uuid;

use super::{MountEndpoints, whole};
use crate::core::mount::{Table, clean_path};
use crate::core::moves::{self, Move};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response};

/// Where nothing is moved from or to.
const FIXED: &[&str] = &["audit/", "auth/", "sys/", "cubbyhole/", "identity/"];
const FIXED_AUTH: &str = "auth/token/";
const AUTH: &str = "auth/";

impl MountEndpoints {
    pub(super) fn remount(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let (from, to) = (fields.text("from")?.unwrap_or_default(), fields.text("to")?.unwrap_or_default());
        if from.is_empty() || to.is_empty() {
            return Err(Fault::invalid("both 'from' and 'to' path must be specified as a string"));
        }
        let (from, to) = (whole_path(&from), whole_path(&to));
        check_destination(&to)?;
        let (table, inner_from, inner_to) = between(&from, &to)?;
        let id = Uuid::new_v4().to_string();
        let tx = whole(call)?;
        self.mounts.remap(tx, table, inner_from, inner_to)?;
        moves::note(tx, Move { id: id.clone(), from, to })?;
        let response = Response::json(json!({ "migration_id": id })).with_warning(
            "Mount move has been queued. Progress will be reported in OpenBao's server log, tagged with the returned \
             migration_id",
        );
        Ok(Response { injected: true, ..response })
    }
}

/// What became of a move; one that is not remembered was none.
pub(super) fn status(call: &mut Call<'_>) -> Answer {
    let id = call.captures.get("migration_id");
    let Some(moved) = moves::find(whole(call)?, id)? else { return Err(Fault::missing()) };
    Ok(Response::json(json!({
        "migration_id": moved.id,
        "migration_info": { "source_mount": moved.from, "status": "success", "target_mount": moved.to },
    })))
}

/// With its slash at the end and none in front.
fn whole_path(path: &str) -> String {
    format!("{}/", path.trim_matches('/'))
}

fn check_destination(to: &str) -> Result<(), Fault> {
    clean_path(to).map(drop).map_err(|_| {
        let cleaned = cleaned(to);
        Fault::invalid(format!(
            "invalid destination mount: path '{to}' does not match cleaned path '{cleaned}'"
        ))
    })
}

/// `a/../x//y/` → `x/y/`
fn cleaned(path: &str) -> String {
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            named => kept.push(named),
        }
    }
    format!("{}/", kept.join("/"))
}

/// Which table a move concerns, and the two paths in it; a mount does not change sides.
fn between<'p>(from: &'p str, to: &'p str) -> Result<(Table, &'p str, &'p str), Fault> {
    let fixed = |path: &str| FIXED.iter().any(|taken| path.starts_with(taken));
    let refused = |text: String| Err(Fault::Invalid(text));
    match (from.strip_prefix(AUTH), to.strip_prefix(AUTH)) {
        (Some(_), None) => refused(format!("cannot remount auth mount to non-auth mount {to:?}")),
        (Some(_), Some(_)) if from.starts_with(FIXED_AUTH) => refused(format!("cannot remount {from:?}")),
        (Some(_), Some(_)) if to.starts_with(FIXED_AUTH) => {
            refused(format!("cannot remount to destination {to:?}"))
        }
        (Some(from), Some(to)) => Ok((Table::Auth, from, to)),
        (None, _) if fixed(from) => refused(format!("cannot remount {from:?}")),
        (None, _) if fixed(to) => refused(format!("cannot remount to destination {to}")),
        (None, _) => Ok((Table::Secret, from, to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_stays_on_its_side() {
        for (from, to, text) in [
            ("auth/up/", "up/", "cannot remount auth mount to non-auth mount \"up/\""),
            ("auth/token/", "auth/x/", "cannot remount \"auth/token/\""),
            ("auth/up/", "auth/token/", "cannot remount to destination \"auth/token/\""),
            ("sys/", "other/", "cannot remount \"sys/\""),
            ("kv/", "auth/x/", "cannot remount to destination auth/x/"),
            ("kv/", "sys/x/", "cannot remount to destination sys/x/"),
        ] {
            assert_eq!(between(from, to).unwrap_err().to_string(), text);
        }
        assert_eq!(between("auth/a/", "auth/b/").unwrap(), (Table::Auth, "a/", "b/"));
        assert_eq!(between("a/", "b/c/").unwrap(), (Table::Secret, "a/", "b/c/"));
    }

    #[test]
    fn a_destination_is_clean() {
        assert!(check_destination("a/b/").is_ok());
        let fault = check_destination("a/../x/").unwrap_err();
        let text = "invalid destination mount: path 'a/../x/' does not match cleaned path 'x/'";
        assert_eq!(fault.to_string(), text);
    }
}
