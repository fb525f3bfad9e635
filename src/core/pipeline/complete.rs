//! What the answer of a backend still needs: the token of a login, the lease of a secret, its wrapping.

use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::target::Target;
use super::{Core, Turn};
use crate::barrier::Transaction;
use crate::core::answer;
use crate::core::identity::AliasMount;
use crate::core::incoming::Wrap;
use crate::core::policy::Subject;
use crate::core::router::Mounted;
use crate::core::token_store::TokenEntry;
use crate::core::{expiration, wrapping};
use crate::logical::{Auth, Body, Fault, Granted, LeaseRequest, Response, envelope};

impl Core {
    pub(super) fn complete(
        &self,
        tx: &mut Transaction,
        turn: Turn<'_>,
        target: &Target,
        mut response: Response,
    ) -> Result<Response, Fault> {
        if let Some(auth) = response.auth.take() {
            self.log_in(tx, turn, target, &auth, &mut response)?;
        }
        if let (Some(lease), Some(token)) = (response.lease.take(), turn.token) {
            register(tx, turn, target, &lease, token, &mut response)?;
        }
        let Some(wrap) = turn.incoming.wrap else { return Ok(response) };
        if let Some(answer) = to_wrap(turn, &response)? {
            let wrapped = wrapping::wrap(tx, &self.tokens, answer.beside(turn, wrap), turn.now)?;
            let (wrapped, wrapped_grant) = (Some(Box::new(wrapped)), response.granted.take());
            response = Response { wrapped, wrapped_grant, ..Response::empty() };
        }
        if let (true, Some(info)) = (wrap.jwt, &mut response.wrapped) {
            info.token = wrapping::jwt::sign(tx, info, &self.api_addr, turn.now.unix_timestamp())?;
        }
        Ok(response)
    }

    /// Who logs in, and whether for the first time; `None` where the method does not say.
    fn entity(
        &self,
        tx: &mut Transaction,
        mounted: &Mounted,
        auth: &Auth,
        now: OffsetDateTime,
    ) -> Result<(Option<Arc<Subject>>, bool), Fault> {
        let Some(alias) = &auth.alias else { return Ok((None, false)) };
        let mount = AliasMount { accessor: &mounted.entry.accessor, local: mounted.entry.local };
        let is_new = !self.identity.knows(tx, mount, alias)?;
        let subject = self.identity.log_in(tx, mount, alias, &auth.group_aliases, now)?;
        Ok((Some(subject), is_new))
    }

    fn log_in(
        &self,
        tx: &mut Transaction,
        turn: Turn<'_>,
        target: &Target,
        auth: &Auth,
        response: &mut Response,
    ) -> Result<(), Fault> {
        let mount = &target.mounted.info;
        let (subject, entity_created) = self.entity(tx, &target.mounted, auth, turn.now)?;
        let (entity_id, policies) =
            subject.as_deref().map_or(("", &[][..]), |subject| (&subject.entity_id, &subject.policies));
        let path = &turn.incoming.path;
        let made = self.tokens.finish_login(tx, auth, mount, entity_id, policies, path, turn.now)?;
        response.warnings.extend(made.warnings);
        response.granted = Some(Box::new(Granted { entity_created, ..made.granted }));
        Ok(())
    }
}

/// An answer as it is kept behind a wrapping token.
struct Kept {
    envelope: Zeroizing<Vec<u8>>,
    status: u16,
    accessor: String,
}

impl Kept {
    fn beside<'k>(&'k self, turn: Turn<'k>, wrap: Wrap) -> wrapping::ToWrap<'k> {
        wrapping::ToWrap {
            envelope: &self.envelope,
            status: self.status,
            ttl_secs: wrap.ttl.as_secs(),
            request_path: &turn.incoming.path,
            wrapped_accessor: &self.accessor,
        }
    }
}

/// What there is to wrap: an answer that says something, or one that was itself opened. Metrics and snapshots are not.
fn to_wrap(turn: Turn<'_>, response: &Response) -> Result<Option<Kept>, Fault> {
    if let Body::Raw(raw) = &response.body {
        let is_json = raw.content_type == answer::JSON && !raw.body.is_empty();
        let envelope = || Zeroizing::new(raw.body.to_vec());
        return Ok(is_json.then(|| Kept {
            envelope: envelope(),
            status: raw.status,
            accessor: String::new(),
        }));
    }
    if !response.has_content() {
        return Ok(None);
    }
    let envelope = envelope::write(&turn.incoming.id, response)
        .map_err(|_| Fault::Internal("the answer to wrap is not JSON".to_owned()))?;
    Ok(Some(Kept { envelope, status: response.status.unwrap_or(200), accessor: accessor_of(response) }))
}

/// What the wrapped answer can be undone by: the accessor of a token, or that of a secret id.
fn accessor_of(response: &Response) -> String {
    if let Some(granted) = &response.granted {
        return granted.accessor.clone();
    }
    match &response.body {
        Body::Map(data) => {
            data.get("secret_id_accessor").and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        Body::None | Body::Encoded(_) | Body::Raw(_) | Body::Stream(_) => String::new(),
    }
}

fn register(
    tx: &mut Transaction,
    turn: Turn<'_>,
    target: &Target,
    lease: &LeaseRequest,
    token: &Arc<TokenEntry>,
    response: &mut Response,
) -> Result<(), Fault> {
    let (path, mount) = (&turn.incoming.path, &target.mounted.info);
    let (id, ttl) = expiration::register(tx, path, mount, lease, token, turn.now)?;
    response.lease_id = id;
    response.lease_renewable = lease.renewable;
    response.lease_duration_secs = ttl;
    Ok(())
}
