//! What a backend is: a secrets engine or an auth method, mounted at a path.
//!
//! ```text
//!   Call { request, store, now, mount } ──> Backend::handle ──> Ok(Response) | Err(Fault)
//! ```
//!
//! A backend is synchronous and pure but for its transaction: it never waits, never keeps what it read beyond the call
//! unless it declares the cache through [`Backend::changed`], and may be run again when its transaction lost a race. So
//! everything it changes goes through `call.store`, and every effect outside of it must be harmless twice.

pub mod envelope;
pub mod field;
pub mod help;
pub mod openapi;
mod path;
mod request;
mod response;
mod route;
mod stream;
#[cfg(test)]
pub(crate) mod testing;

use std::fmt;

pub use path::{Captures, Pattern};
pub use request::{Caller, Client, MountInfo, Operation, Request};
pub use response::{
    Alias, Auth, Body, Fault, Granted, LeaseRequest, Raw, Response, Streamed, TokenKind, WrapInfo,
    WrapRequest,
};
pub use route::{Access, Cost, Effect, Endpoint, Exists, Field, FieldKind, Method, Route, Routes, WRITE};
pub use stream::{Chunk, Stream};

use crate::barrier::View;
use time::OffsetDateTime;

/// The outcome of a handler.
pub type Answer = Result<Response, Fault>;

/// What a handler is given.
#[derive(Debug)]
pub struct Call<'c> {
    pub request: &'c Request,
    /// The mount's part of the store.
    pub store: View<'c>,
    /// The moment of the request: the same in every part of it.
    pub now: OffsetDateTime,
    pub mount: &'c MountInfo,
    /// What the path's pattern captured.
    pub captures: Captures<'c>,
}

/// A lease or a login coming back to the backend that made it.
#[derive(Debug)]
pub struct LeaseCall<'c> {
    pub store: View<'c>,
    pub now: OffsetDateTime,
    pub mount: &'c MountInfo,
    /// What the backend kept for itself when it made the lease ([`LeaseRequest::internal`], [`Auth::internal`]).
    pub internal: &'c serde_json::Map<String, serde_json::Value>,
}

/// What renewing gives: the lease's new bounds, in seconds; zero means "the mount's default".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Renewed {
    pub ttl_secs: u64,
    pub max_ttl_secs: u64,
    /// Of periodic logins.
    pub period_secs: u64,
}

/// Who a login says it is; nothing of it is proved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// The name of its alias.
    pub alias: String,
    /// The role it is for, where the method has roles.
    pub role: Option<String>,
}

/// A mounted backend. Object-safe; most are [`Routes`] over a table.
pub trait Backend: Send + Sync + fmt::Debug {
    /// The endpoints, for help, OpenAPI, access and the test that holds the proxy's table and this together.
    fn endpoints(&self) -> &[Endpoint];

    /// The endpoint that serves `path` (relative to the mount), with what its pattern captured.
    fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)>;

    /// Whether the thing at the path exists: decides between `create` and `update`. `None`: the endpoint does not care
    /// and a write is an `update`.
    ///
    /// # Errors
    /// Reading failed.
    fn exists(&self, endpoint: usize, call: &mut Call<'_>) -> Result<Option<bool>, Fault>;

    /// Runs the endpoint [`find`](Self::find) gave.
    ///
    /// # Errors
    /// See [`Fault`].
    fn handle(&self, endpoint: usize, call: &mut Call<'_>) -> Answer;

    /// Who the login is that `call` asks for; `None` for calls that are none, and for names nobody can have. Asked before
    /// anything is proved: wrong guesses are counted by it, and limits may be about roles.
    ///
    /// # Errors
    /// The parameters are not what they must be; the store cannot be read.
    fn claim(&self, _call: &mut Call<'_>) -> Result<Option<Claim>, Fault> {
        Ok(None)
    }

    /// Whether its claims name roles.
    fn has_login_roles(&self) -> bool {
        false
    }

    /// A key of this mount changed (or `None`: any may have). Forget what was cached of it. Called in commit order.
    fn changed(&self, key: Option<&str>);

    /// First words to the store after mounting, in the mount's own transaction.
    ///
    /// # Errors
    /// The mount fails.
    fn initialize(&self, call: &mut LeaseCall<'_>) -> Result<(), Fault> {
        // Most backends keep nothing until they are asked to.
        let _unused = call;
        Ok(())
    }

    /// A lease of this backend is renewed.
    ///
    /// # Errors
    /// It is not renewable.
    fn renew(&self, _call: &mut LeaseCall<'_>) -> Result<Renewed, Fault> {
        Ok(Renewed::default())
    }

    /// A lease of this backend ended: undo what it stands for.
    ///
    /// # Errors
    /// It stays, and is tried again.
    fn revoke(&self, _call: &mut LeaseCall<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// Periodic work on the active node (about once a minute), in a transaction of its own.
    ///
    /// # Errors
    /// Logged; tried again the next time.
    fn tick(&self, _call: &mut LeaseCall<'_>) -> Result<(), Fault> {
        Ok(())
    }
}
