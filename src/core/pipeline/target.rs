//! Where a request goes, found before anything of it runs, and how it gets there.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::api::operation::Operation as Asked;
use crate::barrier::{Mode, Transaction};
use crate::core::incoming::Incoming;
use crate::core::router::{Mounted, Router};
use crate::core::token_store::TokenEntry;
use crate::logical::{
    Access, Call, Caller, Captures, Cost, Effect, Endpoint, Fault, FieldKind, Operation, Request, Response,
    help,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) mounted: Arc<Mounted>,
    /// Relative to the mount.
    path: String,
    endpoint: Option<usize>,
    pub(super) access: Access,
    pub(super) effect: Effect,
    pub(super) cost: Cost,
}

// === impl Target ===

impl Target {
    /// `None`: no mount serves the path.
    pub(super) fn find(router: &Router, incoming: &Incoming) -> Option<Self> {
        let (mounted, path) = router.route(&incoming.path)?;
        let endpoint = mounted.backend.find(path).map(|(endpoint, _)| endpoint);
        let known = endpoint.and_then(|endpoint| mounted.backend.endpoints().get(endpoint));
        let method = known.and_then(|known| method(known, incoming.operation));
        let (effect, cost) = method.unwrap_or((Effect::Read, Cost::Light));
        // A folder may have a hundred thousand keys.
        let lists = matches!(incoming.operation, Asked::List | Asked::Scan);
        let cost = if lists { Cost::Heavy } else { cost };
        Some(Self {
            path: path.to_owned(),
            access: known.map_or(Access::Token, |known| known.access),
            mounted: Arc::clone(mounted),
            endpoint,
            effect,
            cost,
        })
    }

    /// Reads run read-only: they record nothing and conflict with nobody. `writes`: it came to a write before.
    pub(super) fn mode(&self, incoming: &Incoming, writes: bool) -> Mode {
        match self.effect {
            Effect::Read | Effect::Mixed | Effect::Local if incoming.wrap.is_none() && !writes => {
                Mode::ReadOnly
            }
            Effect::Read | Effect::Mixed | Effect::Local | Effect::Write => Mode::ReadWrite,
        }
    }

    pub(super) fn request(
        &self,
        incoming: &Incoming,
        operation: Operation,
        token: Option<&Arc<TokenEntry>>,
    ) -> Request {
        Request {
            id: Arc::clone(&incoming.id),
            operation,
            path: self.path.clone(),
            data: Arc::clone(&incoming.data),
            body: incoming.body.clone(),
            upload: incoming.upload.clone(),
            caller: token.map(|entry| self.caller(entry, incoming)),
            shows_token: incoming.token.is_some(),
            client: incoming.client.clone(),
            wrap_ttl: incoming.wrap.map(|wrap| wrap.ttl),
            headers: self.passed_headers(incoming),
        }
    }

    /// Only the token store's own endpoints see the token's text.
    fn caller(&self, entry: &TokenEntry, incoming: &Incoming) -> Arc<Caller> {
        let caller = entry.caller();
        if self.mounted.entry.kind != "token" {
            return caller;
        }
        let token_text = incoming.token.clone().map(Arc::new);
        Arc::new(Caller { token_text, ..Caller::clone(&caller) })
    }

    fn passed_headers(&self, incoming: &Incoming) -> Vec<(String, String)> {
        let wanted = &self.mounted.entry.config.passthrough_request_headers;
        let values = wanted
            .iter()
            .flat_map(|name| incoming.headers.get_all(name.as_str()).iter().map(move |v| (name, v)));
        values
            .filter_map(|(name, value)| Some((name.to_lowercase(), value.to_str().ok()?.to_owned())))
            .collect()
    }

    /// A write of what does not exist is a create, where the endpoint tells.
    pub(super) fn create_or_update(
        &self,
        tx: &mut Transaction,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<Operation, Fault> {
        let (Operation::Update, Some(endpoint)) = (request.operation, self.endpoint) else {
            return Ok(request.operation);
        };
        match self.mounted.backend.exists(endpoint, &mut self.call(tx, request, now))? {
            Some(false) => Ok(Operation::Create),
            Some(true) | None => Ok(Operation::Update),
        }
    }

    /// What the backend says.
    pub(super) fn answer(
        &self,
        tx: &mut Transaction,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<Response, Fault> {
        if request.operation == Operation::Help {
            return self.help();
        }
        let endpoint = self.endpoint.ok_or(Fault::UnsupportedPath)?;
        let timer = self.mounted.meters.of(request.operation);
        let mut call = self.call(tx, request, now);
        let captures = call.captures;
        let mut response = timer.time(|| self.mounted.backend.handle(endpoint, &mut call))?;
        if let (Some(known), false) =
            (self.mounted.backend.endpoints().get(endpoint), request.data.is_empty())
        {
            let warnings = [unrecognized(known, request), replaced(&captures, request)];
            warn_beside_data(&mut response, warnings.into_iter().flatten());
        }
        Ok(response)
    }

    /// What the endpoint is for; of the mount's own path, what the whole backend is.
    fn help(&self) -> Result<Response, Fault> {
        let endpoints = self.mounted.backend.endpoints();
        let help = match self.endpoint.and_then(|endpoint| endpoints.get(endpoint)) {
            Some(endpoint) => help::of_endpoint(&self.path, endpoint),
            None if self.path.is_empty() => help::of_backend(&self.mounted.info.kind, endpoints),
            None => return Err(Fault::UnsupportedPath),
        };
        Ok(Response::raw_json(&help))
    }

    pub(super) fn call<'c>(
        &'c self,
        tx: &'c mut Transaction,
        request: &'c Request,
        now: OffsetDateTime,
    ) -> Call<'c> {
        let captures =
            self.mounted.backend.find(&self.path).map_or_else(Captures::default, |(_, found)| found);
        Call { request, store: tx.view(&self.mounted.storage), now, mount: &self.mounted.info, captures }
    }
}

/// What the endpoint does for the wire's operation; a write is whichever of create and update it has.
fn method(endpoint: &Endpoint, asked: Asked) -> Option<(Effect, Cost)> {
    let operation = plain(asked);
    endpoint.method(operation).or_else(|| {
        let creates = operation == Operation::Update;
        creates.then(|| endpoint.method(Operation::Create)).flatten()
    })
}

/// The wire's verb as an operation; whether a write creates is found out later.
pub(super) fn plain(asked: Asked) -> Operation {
    match asked {
        Asked::Write => Operation::Update,
        Asked::Patch => Operation::Patch,
        Asked::List => Operation::List,
        Asked::Scan => Operation::Scan,
        Asked::Delete => Operation::Delete,
        Asked::Help => Operation::Help,
        Asked::Read | Asked::Head | Asked::Options | Asked::Other => Operation::Read,
    }
}

/// A key must not be mistaken for a folder: no backend has one whose name ends in a slash.
pub(super) fn writes_a_folder(incoming: &Incoming) -> bool {
    matches!(incoming.operation, Asked::Write | Asked::Patch) && incoming.path.ends_with('/')
}

/// Parameters nobody reads, in the server's words.
fn unrecognized(endpoint: &Endpoint, request: &Request) -> Option<String> {
    let known =
        |name: &str| endpoint.fields.iter().any(|field| field.name == name || field.kind == FieldKind::Rest);
    let ignored: Vec<&str> = request.data.keys().map(String::as_str).filter(|name| !known(name)).collect();
    (!ignored.is_empty())
        .then(|| format!("Endpoint ignored these unrecognized parameters: [{}]", ignored.join(" ")))
}

/// Parameters that the path gives already.
fn replaced(captures: &Captures<'_>, request: &Request) -> Option<String> {
    let given = captures.iter().map(|(name, _)| name).filter(|name| request.data.contains_key(*name));
    let names: Vec<&str> = given.collect();
    (!names.is_empty()).then(|| {
        format!(
            "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]",
            names.join(" ")
        )
    })
}

/// An answer that says nothing stays a 204: the server warns only beside something.
fn warn_beside_data(response: &mut Response, warnings: impl Iterator<Item = String>) {
    if response.has_content() || response.auth.is_some() || !response.warnings.is_empty() {
        response.warnings.extend(warnings);
    }
}
