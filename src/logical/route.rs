//! A backend's own table: pattern → what it takes, what it does to the store, who may ask, which function answers.

use std::collections::HashMap;
use std::fmt;

use super::path::{Captures, Pattern};
use super::request::Operation;
use super::response::Fault;
use super::{Answer, Call};

/// What a handler does to the cluster's state. A test holds the proxy's table and these declarations together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Changes no storage and no state that security counts: a performance standby answers it.
    Read,
    /// Almost always a read. It is run as one first; when it comes to a write, which that refuses, the active node runs
    /// it again and lets it write (`transit/encrypt` makes the key the first time).
    Mixed,
    /// Only the active node runs it; it is forwarded before it is evaluated.
    Write,
    /// Concerns the node that is asked.
    Local,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A token with the capability.
    Token,
    /// And `sudo`.
    Sudo,
    /// Anybody: logins, wrapped tokens, health.
    Open,
}

/// Whether a handler may run on a thread that serves other requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    Light,
    /// More than about a millisecond: bcrypt, RSA key generation.
    Heavy,
}

/// How a field's JSON is read; see [`field`](super::field).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    String,
    LowerString,
    Name,
    Int,
    Bool,
    /// `30s`, `768h`, `3600`.
    DurationSecs,
    /// A list, or text with commas.
    CommaList,
    List,
    Map,
    /// A map of text, or a list of `k=v`.
    KvPairs,
    Time,
    Float,
    Any,
    /// Not one parameter but all of names that no other field has.
    Rest,
}

/// A parameter of a route, for unknown-parameter warnings, coercion, help and OpenAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub kind: FieldKind,
    pub description: &'static str,
}

impl Field {
    #[must_use]
    pub const fn new(name: &'static str, kind: FieldKind, description: &'static str) -> Self {
        Self { name, kind, description }
    }
}

/// What a PUT or POST is.
pub const WRITE: &[Operation] = &[Operation::Create, Operation::Update];

/// One operation of a route.
pub struct Method<B> {
    pub operations: &'static [Operation],
    pub effect: Effect,
    pub cost: Cost,
    pub run: fn(&B, &mut Call<'_>) -> Answer,
}

/// Asks whether what the path names exists.
pub type Exists<B> = fn(&B, &mut Call<'_>) -> Result<bool, Fault>;

/// A path of a backend.
pub struct Route<B: 'static> {
    pub pattern: &'static str,
    pub access: Access,
    pub methods: &'static [Method<B>],
    /// Decides between create and update; `None`: a write is an update.
    pub exists: Option<Exists<B>>,
    /// Others are warned of, unless one of these is a [`FieldKind::Rest`].
    pub fields: &'static [Field],
    /// One sentence, for help and OpenAPI.
    pub summary: &'static str,
}

/// What others may know of a route.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub pattern: Pattern,
    pub access: Access,
    pub methods: Vec<(Operation, Effect, Cost)>,
    pub fields: &'static [Field],
    pub summary: &'static str,
    /// Whether a write may be a create as well as an update.
    pub tells_existence: bool,
}

/// A table of routes with its index by first segment. Order within the table decides between two that match.
pub struct Routes<B: 'static> {
    routes: &'static [Route<B>],
    endpoints: Vec<Endpoint>,
    by_first: HashMap<&'static str, Vec<usize>>,
    /// Routes whose first segment is a capture.
    open_first: Vec<usize>,
}

// === impl Route ===

impl<B> Route<B> {
    /// A route of the common form: a write is an update, whether or not there was something.
    pub const fn new(
        pattern: &'static str,
        access: Access,
        methods: &'static [Method<B>],
        fields: &'static [Field],
        summary: &'static str,
    ) -> Self {
        Self { pattern, access, methods, exists: None, fields, summary }
    }
}

// === impl Method ===

/// How a handler is given to a table.
type Run<B> = fn(&B, &mut Call<'_>) -> Answer;

impl<B> Method<B> {
    /// A read of the cluster's state.
    pub const fn read(run: Run<B>) -> Self {
        Self::new(&[Operation::Read], Effect::Read, run)
    }

    /// A list of it.
    pub const fn list(run: Run<B>) -> Self {
        Self::new(&[Operation::List], Effect::Read, run)
    }

    /// A change, be it the first or not.
    pub const fn write(run: Run<B>) -> Self {
        Self::new(WRITE, Effect::Write, run)
    }

    pub const fn delete(run: Run<B>) -> Self {
        Self::new(&[Operation::Delete], Effect::Write, run)
    }

    /// A verb of a write that only computes or looks up.
    pub const fn asks(run: Run<B>) -> Self {
        Self::new(WRITE, Effect::Read, run)
    }

    /// A light handler.
    pub const fn new(
        operations: &'static [Operation],
        effect: Effect,
        run: fn(&B, &mut Call<'_>) -> Answer,
    ) -> Self {
        Self { operations, effect, cost: Cost::Light, run }
    }

    pub const fn heavy(
        operations: &'static [Operation],
        effect: Effect,
        run: fn(&B, &mut Call<'_>) -> Answer,
    ) -> Self {
        Self { operations, effect, cost: Cost::Heavy, run }
    }
}

// === impl Routes ===

impl<B> Routes<B> {
    #[must_use]
    pub fn new(routes: &'static [Route<B>]) -> Self {
        let endpoints: Vec<Endpoint> = routes.iter().map(Endpoint::of).collect();
        let (mut by_first, mut open_first) = (HashMap::<_, Vec<usize>>::new(), Vec::new());
        for (at, route) in routes.iter().enumerate() {
            match first_segment(route.pattern) {
                first if first.starts_with('{') => open_first.push(at),
                first => by_first.entry(first).or_default().push(at),
            }
        }
        Self { routes, endpoints, by_first, open_first }
    }

    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The first route of the table that matches.
    #[must_use]
    pub fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)> {
        let named = self.by_first.get(first_segment(path)).map_or(&[][..], Vec::as_slice);
        named
            .iter()
            .chain(&self.open_first)
            .filter_map(|at| Some((*at, self.endpoints.get(*at)?.pattern.matches(path)?)))
            .min_by_key(|(at, _)| *at)
    }

    /// # Errors
    /// Reading failed.
    pub fn exists(&self, endpoint: usize, backend: &B, call: &mut Call<'_>) -> Result<Option<bool>, Fault> {
        match self.routes.get(endpoint).and_then(|route| route.exists) {
            Some(exists) => exists(backend, call).map(Some),
            None => Ok(None),
        }
    }

    /// # Errors
    /// [`Fault::UnsupportedOperation`] when the route has no such operation, else what the handler says.
    pub fn handle(&self, endpoint: usize, backend: &B, call: &mut Call<'_>) -> Answer {
        let route = self.routes.get(endpoint).ok_or(Fault::UnsupportedPath)?;
        let wanted = call.request.operation;
        let method = route.methods.iter().find(|method| method.operations.contains(&wanted));
        (method.ok_or(Fault::UnsupportedOperation)?.run)(backend, call)
    }
}

fn first_segment(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

impl Endpoint {
    fn of<B>(route: &Route<B>) -> Self {
        let methods = route.methods.iter().flat_map(|method| {
            method.operations.iter().map(|operation| (*operation, method.effect, method.cost))
        });
        Self {
            pattern: Pattern::parse(route.pattern),
            access: route.access,
            methods: methods.collect(),
            fields: route.fields,
            summary: route.summary,
            tells_existence: route.exists.is_some(),
        }
    }

    /// What `operation` does here, when the endpoint has it.
    #[must_use]
    pub fn method(&self, operation: Operation) -> Option<(Effect, Cost)> {
        self.methods.iter().find(|(known, ..)| *known == operation).map(|(_, effect, cost)| (*effect, *cost))
    }
}

impl<B> fmt::Debug for Routes<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Routes({})", self.routes.len())
    }
}

impl<B> fmt::Debug for Route<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pattern)
    }
}

impl<B> fmt::Debug for Method<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.operations)
    }
}
