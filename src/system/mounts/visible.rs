//! `sys/internal/ui/mounts`: the mounts a caller may know of.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{MountEndpoints, object, shown, whole};
use crate::core::mount::Table;
use crate::core::policy::{Compiled, Holder};
use crate::core::router::Mounted;
use crate::logical::{Answer, Call, Fault, Response};

impl MountEndpoints {
    /// A caller sees the mounts its policies reach, and like anybody those listed for everybody.
    pub(super) fn visible(&self, call: &mut Call<'_>) -> Answer {
        if call.request.shows_token && call.request.caller.is_none() {
            return Err(no_token());
        }
        let access = self.access(call)?;
        let router = self.mounts.router();
        let reaches =
            |mounted: &Mounted| access.as_ref().is_some_and(|access| access.acl.reaches(&mounted.info.path));
        let listed = |table: Table| -> Map<String, Value> {
            router
                .mounts()
                .filter(|mounted| mounted.table == table && (reaches(mounted) || is_listed(mounted)))
                .map(|mounted| {
                    let known = access.is_some();
                    let seen =
                        if known { shown::row(&mounted.entry) } else { shown::glimpse(&mounted.entry) };
                    (mounted.entry.path.clone(), seen)
                })
                .collect()
        };
        Ok(Response::json(json!({ "secret": listed(Table::Secret), "auth": listed(Table::Auth) })))
    }

    /// The rules of the caller; `None`: there is none.
    fn access(&self, call: &mut Call<'_>) -> Result<Option<Arc<Compiled>>, Fault> {
        let (caller, now) = (call.request.caller.clone(), call.now);
        let Some(caller) = caller else { return Ok(None) };
        Ok(Some(self.policies.access(whole(call)?, &Holder::from(&*caller), now)?))
    }

    /// Anybody may ask; who reaches nothing of the mount is told no more than of one that is not there.
    pub(super) fn visible_one(&self, call: &mut Call<'_>) -> Answer {
        let path = call.captures.get("path");
        let router = self.mounts.router();
        let denied = || {
            let text = format!(
                "preflight capability check returned 403, please ensure client's policies grant access to path {:?}",
                format!("{}/", path.trim_end_matches('/'))
            );
            Fault::Status { status: 403, text }
        };
        let access = self.access(call)?.ok_or_else(no_token)?;
        let (mounted, _) = router.route(path).ok_or_else(denied)?;
        if !access.acl.reaches(&mounted.info.path) {
            return Err(denied());
        }
        let mut data = object(shown::row(&mounted.entry));
        data.insert("path".to_owned(), json!(mounted.info.path));
        Ok(Response::of(data))
    }
}

/// None was shown, or none that is one.
fn no_token() -> Fault {
    Fault::Status { status: 403, text: "permission denied".to_owned() }
}

fn is_listed(mounted: &Mounted) -> bool {
    mounted.entry.config.listing_visibility == "unauth"
}
