//! `sys/mounts`, `sys/auth`, `sys/remount`, `sys/internal/ui/mounts`: what is mounted where.
//!
//! Here are the table and the way in; what a new row is made of, what tuning changes, how rows are shown, moves and what
//! a caller may see are files of their own.

mod entry;
mod remount;
mod routes;
mod shown;
mod tune;
mod visible;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::whole;
use crate::core::mount::{Table, clean_path};
use crate::core::mounts::{self, Mounts};
use crate::core::policy::PolicyStore;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Fault, Response, Routes};

/// The endpoints over the mounts.
#[derive(Debug)]
pub struct MountEndpoints {
    mounts: Arc<Mounts>,
    policies: Arc<PolicyStore>,
    routes: Routes<Self>,
}

// === impl MountEndpoints ===

impl MountEndpoints {
    #[must_use]
    pub fn new(mounts: Arc<Mounts>, policies: Arc<PolicyStore>) -> Self {
        Self { mounts, policies, routes: Routes::new(routes::ROUTES) }
    }

    fn list(&self, call: &mut Call<'_>, table: Table) -> Answer {
        let rows = mounts::load(whole(call)?, table)?;
        let data = rows.entries.iter().map(|entry| (entry.path.clone(), shown::row(entry))).collect();
        Ok(injected(data))
    }

    /// `mounts/<path>` and `mounts/<path>/tune` share a pattern: a mount's path has any number of segments.
    fn read(&self, call: &mut Call<'_>, table: Table) -> Answer {
        match split_tune(call.captures.get("path")) {
            (path, Suffix::Tune) => self.read_tune(call, table, path),
            (path, Suffix::None) => {
                let path = clean_path(path)?;
                let rows = mounts::load(whole(call)?, table)?;
                let what = if table == Table::Auth { "auth engine" } else { "secret engine mount" };
                let entry = rows.at(&path).ok_or_else(|| Fault::invalid(format!("No {what} at {path}")))?;
                Ok(injected(object(shown::row(entry))))
            }
        }
    }

    fn read_tune(&self, call: &mut Call<'_>, table: Table, path: &str) -> Answer {
        let (table, path) = home(table, path);
        let path = clean_path(path)?;
        let rows = mounts::load(whole(call)?, table)?;
        let missing =
            || Fault::invalid(format!("cannot fetch sysview for path \"{}{path}\"", table.prefix()));
        let entry = rows.at(&path).ok_or_else(missing)?;
        Ok(injected(shown::tuned(entry, self.mounts.bounds())))
    }

    fn write(&self, call: &mut Call<'_>, table: Table) -> Answer {
        match split_tune(call.captures.get("path")) {
            (path, Suffix::Tune) => self.tune(call, table, path),
            (path, Suffix::None) => self.enable(call, table, path),
        }
    }

    fn enable(&self, call: &mut Call<'_>, table: Table, path: &str) -> Answer {
        let path = clean_path(path)?;
        let data = Arc::clone(&call.request.data);
        let entry = entry::new_entry(table, &path, &data, self.mounts.bounds())?;
        let now = call.now;
        self.mounts.enable(whole(call)?, table, entry, now)?;
        Ok(Response::empty())
    }

    fn delete(&self, call: &mut Call<'_>, table: Table) -> Answer {
        let (path, Suffix::None) = split_tune(call.captures.get("path")) else {
            return Err(Fault::UnsupportedOperation);
        };
        let path = clean_path(path)?;
        self.mounts.disable(whole(call)?, table, &path)?;
        Ok(Response::empty())
    }

    fn tune(&self, call: &mut Call<'_>, table: Table, path: &str) -> Answer {
        let (table, path) = home(table, path);
        let path = clean_path(path)?;
        let data = Arc::clone(&call.request.data);
        let mut upgraded = false;
        self.mounts.tune(whole(call)?, table, &path, |entry| {
            let before = entry.options.get("version").cloned();
            tune::apply(table, entry, &Fields::new(&data))?;
            upgraded = entry.kind == "kv" && before != entry.options.get("version").cloned();
            Ok(())
        })?;
        Ok(match upgraded {
            true => Response::empty().with_warning(
                "Upgrading mount from version 1 to version 2. This mount will be unavailable for a brief period and will \
                 resume service shortly.",
            ),
            false => Response::empty(),
        })
    }
}

enum Suffix {
    None,
    Tune,
}

/// Auth methods may be tuned as `sys/mounts/auth/<path>/tune` too: that is how the command line does it.
fn home(table: Table, path: &str) -> (Table, &str) {
    match path.strip_prefix(Table::Auth.prefix()) {
        Some(path) if table == Table::Secret => (Table::Auth, path),
        Some(_) | None => (table, path),
    }
}

fn split_tune(path: &str) -> (&str, Suffix) {
    match path.trim_end_matches('/').strip_suffix("/tune") {
        Some(path) => (path, Suffix::Tune),
        None => (path, Suffix::None),
    }
}

fn injected(data: Map<String, Value>) -> Response {
    Response { injected: true, ..Response::of(data) }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

impl super::Tabled for MountEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auth_method_is_tuned_by_either_path() {
        for (table, path, expected) in [
            (Table::Secret, "auth/userpass", (Table::Auth, "userpass")),
            (Table::Auth, "userpass", (Table::Auth, "userpass")),
            (Table::Auth, "auth/x", (Table::Auth, "auth/x")),
            (Table::Secret, "kv", (Table::Secret, "kv")),
            (Table::Secret, "authority", (Table::Secret, "authority")),
        ] {
            assert_eq!(home(table, path), expected, "{table:?} {path}");
        }
    }
}
