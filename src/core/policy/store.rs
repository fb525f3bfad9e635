//! The policies of the node: kept at `sys/policy/<name>`, read, changed and asked within the transaction of a request.
//!
//! Every request asks, so what was read and compiled is kept; as an observer of the storage it forgets what changed.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;

use super::acl::Asked;
use super::builtin::{self, IMMUTABLE, ROOT};
use super::cache::Cache;
use super::compile::{CompileError, Compiled, compile};
use super::holder::Holder;
use super::key_list::KeyFilter;
use super::parse;
use super::record::{Record, Stored, time_text};
use super::subject::{Subject, Subjects};
use crate::barrier::{StoreError, Transaction};
use crate::core::pipeline::{Authorizer, Question, Verdict};
use crate::core::token_store::TokenEntry;
use crate::core::trail::Grounds;
use crate::logical::{Fault, Operation};
use crate::storage::{CommitIndex, Observer};

const POLICIES: &str = "sys/policy/";

/// See the module.
pub struct PolicyStore {
    cache: Cache,
    subjects: Arc<dyn Subjects>,
}

/// A policy to be stored.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub text: String,
    /// The version this replaces; -1: there is none yet; `None`: whichever.
    pub cas: Option<i64>,
    pub cas_required: bool,
    pub expires_at: Option<OffsetDateTime>,
    pub allow_slashes_in_templates: bool,
    pub allow_wildcards_in_templates: bool,
}

/// Why a holder's rules are not there.
#[derive(Debug)]
pub enum AccessError {
    /// The entity is disabled or gone: its tokens open nothing.
    NoSubject,
    Compile(CompileError),
    Fault(Fault),
}

/// As policies are stored and asked for.
#[must_use]
pub fn canonical(name: &str) -> String {
    name.trim().to_lowercase()
}

// === impl PolicyStore ===

impl PolicyStore {
    #[must_use]
    pub fn new(subjects: Arc<dyn Subjects>) -> Self {
        Self { cache: Cache::new(), subjects }
    }

    /// Writes the policies every node begins with.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn install(&self, tx: &mut Transaction, now: OffsetDateTime) -> Result<(), Fault> {
        for (name, text) in [
            (builtin::DEFAULT, builtin::DEFAULT_TEXT),
            (builtin::RESPONSE_WRAPPING, builtin::RESPONSE_WRAPPING_TEXT),
        ] {
            let known = record(tx, name)?;
            let outdated =
                IMMUTABLE.contains(&name) && known.as_ref().is_some_and(|known| known.text != text);
            if known.is_none() || outdated {
                save(
                    tx,
                    name,
                    &known.unwrap_or_default(),
                    Draft { text: text.to_owned(), ..Draft::default() },
                    now,
                )?;
            }
        }
        Ok(())
    }

    /// The policy of this name, unless it has expired.
    ///
    /// # Errors
    /// The store cannot be read, or holds a text that is no policy.
    pub fn get(
        &self,
        tx: &mut Transaction,
        name: &str,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<Stored>>, Fault> {
        Ok(self.stored(tx, &canonical(name))?.filter(|policy| policy.is_live(now)))
    }

    /// # Errors
    /// As [`get`](Self::get).
    pub fn exists(&self, tx: &mut Transaction, name: &str, now: OffsetDateTime) -> Result<bool, Fault> {
        Ok(self.get(tx, name, now)?.is_some())
    }

    /// Creates or changes a policy.
    ///
    /// # Errors
    /// Not the policy language, not the version it was to replace, a policy that may not be changed; the store refuses.
    pub fn put(
        &self,
        tx: &mut Transaction,
        name: &str,
        draft: Draft,
        now: OffsetDateTime,
    ) -> Result<(), Fault> {
        let name = canonical(name);
        parse::policy(&draft.text).map_err(|error| Fault::invalid(error.to_string()))?;
        if draft.expires_at.is_some_and(|end| end <= now) {
            return Err(Fault::invalid("refusing to update policy as expiration time has already elapsed"));
        }
        if IMMUTABLE.contains(&name.as_str()) {
            return Err(Fault::invalid(format!("cannot update {name:?} policy")));
        }
        let known = record(tx, &name)?;
        check_version(known.as_ref(), &draft)?;
        Ok(save(tx, &name, &known.unwrap_or_default(), draft, now)?)
    }

    /// Removes a policy; one that is not there is no error.
    ///
    /// # Errors
    /// One that may not be removed; the store refuses.
    pub fn delete(&self, tx: &mut Transaction, name: &str) -> Result<(), Fault> {
        let name = canonical(name);
        if IMMUTABLE.contains(&name.as_str()) {
            return Err(Fault::invalid(format!("cannot delete {name:?} policy")));
        }
        if name == builtin::DEFAULT {
            return Err(Fault::invalid("cannot delete default policy"));
        }
        Ok(tx.view(POLICIES).delete(&name)?)
    }

    /// The names below `prefix` (empty or ending in `/`), folders after what is beside them; without what has expired and
    /// without `response-wrapping`, which no token can be given.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(
        &self,
        tx: &mut Transaction,
        prefix: &str,
        now: OffsetDateTime,
    ) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        for name in folders_last(tx, POLICIES, prefix)? {
            let end = record(tx, &name)?.and_then(|record| record.end());
            if name != builtin::RESPONSE_WRAPPING && end.is_none_or(|end| now < end) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Removes what has expired. Until then it is only as if it were not there.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn remove_expired(&self, tx: &mut Transaction, now: OffsetDateTime) -> Result<(), Fault> {
        // Records, not policies: all of them at once would drive out what is in use.
        for name in tx.view(POLICIES).keys("", usize::MAX)? {
            let end = record(tx, &name)?.and_then(|record| record.end());
            if end.is_some_and(|end| end <= now) {
                tx.view(POLICIES).delete(&name)?;
            }
        }
        Ok(())
    }

    /// The rules of a token.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn access(
        &self,
        tx: &mut Transaction,
        holder: &Holder<'_>,
        now: OffsetDateTime,
    ) -> Result<Arc<Compiled>, AccessError> {
        let subject = self.subject(tx, holder)?;
        let cacheable = !tx.has_writes();
        if cacheable
            && let Some(compiled) = self.cache.compiled(holder, subject.as_ref(), tx.index())
            && compiled.holds(now)
        {
            return Ok(compiled);
        }
        let compiled = Arc::new(self.compile(tx, holder, subject.as_deref(), now)?);
        if cacheable {
            self.cache.put_compiled(holder, subject, &compiled, tx.index());
        }
        Ok(compiled)
    }

    /// Whether the token has `sudo` (or is root) at `path`.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn has_sudo(
        &self,
        tx: &mut Transaction,
        holder: &Holder<'_>,
        path: &str,
        now: OffsetDateTime,
    ) -> Result<bool, AccessError> {
        Ok(self.access(tx, holder, now)?.acl.has_sudo(path))
    }

    /// What the token may do at `path`, as `sys/capabilities` lists it.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn capabilities(
        &self,
        tx: &mut Transaction,
        holder: &Holder<'_>,
        path: &str,
        now: OffsetDateTime,
    ) -> Result<Vec<&'static str>, AccessError> {
        Ok(self.access(tx, holder, now)?.acl.capabilities(path))
    }

    /// Forgets everything; what is read from now on is of `index` or later.
    pub fn forget(&self, index: CommitIndex) {
        self.cache.changed(index, None);
    }

    fn subject(
        &self,
        tx: &mut Transaction,
        holder: &Holder<'_>,
    ) -> Result<Option<Arc<Subject>>, AccessError> {
        if holder.entity_id.is_empty() {
            return Ok(None);
        }
        let subject = self.subjects.subject(tx, holder.entity_id)?.filter(|subject| !subject.disabled);
        subject.map(Some).ok_or(AccessError::NoSubject)
    }

    fn compile(
        &self,
        tx: &mut Transaction,
        holder: &Holder<'_>,
        subject: Option<&Subject>,
        now: OffsetDateTime,
    ) -> Result<Compiled, AccessError> {
        let of_identity = subject.filter(|_| holder.takes_identity_policies).map(|subject| &subject.policies);
        let mut names: Vec<String> = holder
            .policies
            .iter()
            .chain(of_identity.into_iter().flatten())
            .map(|name| canonical(name))
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut policies = Vec::with_capacity(names.len());
        for name in &names {
            policies.extend(self.stored(tx, name)?);
        }
        Ok(compile(&policies, subject, now)?)
    }

    /// The policy of this canonical name, expired or not.
    fn stored(&self, tx: &mut Transaction, name: &str) -> Result<Option<Arc<Stored>>, Fault> {
        if name == ROOT {
            return Ok(Some(Arc::new(Stored::root())));
        }
        let cacheable = !tx.has_writes();
        if cacheable && let Some(policy) = self.cache.policy(name, tx.index()) {
            return Ok(policy);
        }
        let policy = match record(tx, name)? {
            Some(record) => Some(Arc::new(Stored::read(name, record).map_err(|_| damaged(name))?)),
            None => None,
        };
        if cacheable {
            self.cache.put_policy(name, policy.as_ref(), tx.index());
        }
        Ok(policy)
    }
}

fn record(tx: &mut Transaction, name: &str) -> Result<Option<Record>, StoreError> {
    if name.is_empty() {
        return Ok(None);
    }
    tx.view(POLICIES).get_record(name)
}

fn damaged(name: &str) -> Fault {
    Fault::Internal(format!("the stored policy {name:?} is not in the policy language"))
}

fn check_version(known: Option<&Record>, draft: &Draft) -> Result<(), Fault> {
    let (version, required) = known
        .map_or((0, draft.cas_required), |known| (known.version, known.cas_required || draft.cas_required));
    match draft.cas {
        None if required => Err(Fault::invalid("check-and-set parameter required for this call")),
        None => Ok(()),
        Some(-1) if known.is_some() => {
            Err(Fault::invalid("check-and-set parameter set to -1 on existing entry"))
        }
        Some(cas) if cas != -1 && u64::try_from(cas) != Ok(version) => Err(Fault::invalid(format!(
            "check-and-set parameter {cas} did not match the current version {version}"
        ))),
        Some(_) => Ok(()),
    }
}

fn save(
    tx: &mut Transaction,
    name: &str,
    known: &Record,
    draft: Draft,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let record = Record {
        version: known.version + 1,
        cas_required: draft.cas_required,
        text: draft.text,
        modified: time_text(now),
        expires_at: draft.expires_at.map(time_text).unwrap_or_default(),
        allow_slashes_in_templates: draft.allow_slashes_in_templates,
        allow_wildcards_in_templates: draft.allow_wildcards_in_templates,
    };
    tx.view(POLICIES).put_record(name, &record)
}

/// All names below `folder` of a part of the store, in the order the server lists them: what is in a folder before its
/// folders, of those the last first.
///
/// # Errors
/// The store cannot be read.
pub fn folders_last(tx: &mut Transaction, part: &str, folder: &str) -> Result<Vec<String>, StoreError> {
    let view = tx.view(part);
    let (mut names, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for child in view.list(&folder, "", usize::MAX)? {
            let name = format!("{folder}{child}");
            if child.ends_with('/') { folders.push(name) } else { names.push(name) }
        }
    }
    Ok(names)
}

impl Authorizer for PolicyStore {
    fn decide(
        &self,
        tx: &mut Transaction,
        entry: &TokenEntry,
        question: Question<'_>,
    ) -> Result<Verdict, Fault> {
        let holder = Holder::from(entry);
        if holder.is_root() {
            return Ok(Verdict { allowed: true, sudo: true, ..Verdict::default() });
        }
        let compiled = self.access(tx, &holder, question.now)?;
        let decision = compiled.acl.decide(&Asked {
            operation: question.operation,
            path: &as_listed(question.operation, question.path),
            data: &question.request.data,
            wrap_ttl: question.request.wrap.map(|wrap| wrap.ttl),
        });
        let key_filter = decision
            .key_filter
            .map(|template| KeyFilter { compiled: Arc::clone(&compiled), template: Arc::clone(template) });
        Ok(Verdict { allowed: decision.allowed, sudo: decision.sudo, limit: decision.limit, key_filter })
    }

    fn grounds(
        &self,
        tx: &mut Transaction,
        entry: &TokenEntry,
        question: Question<'_>,
    ) -> Result<Grounds, Fault> {
        let holder = Holder::from(entry);
        if holder.is_root() {
            return Ok(Grounds { granting: vec![ROOT.to_owned()], ..Grounds::default() });
        }
        let subject = self.subject(tx, &holder)?.filter(|_| holder.takes_identity_policies);
        let compiled = self.access(tx, &holder, question.now)?;
        let path = as_listed(question.operation, question.path);
        let granting = compiled.acl.granting(question.operation, &path);
        Ok(Grounds {
            identity_policies: subject.map(|subject| subject.policies.clone()).unwrap_or_default(),
            granting: granting.iter().map(ToString::to_string).collect(),
        })
    }
}

/// A list is of a folder, however its path was written.
fn as_listed(operation: Operation, path: &str) -> Cow<'_, str> {
    let lists = matches!(operation, Operation::List | Operation::Scan);
    if lists && !path.ends_with('/') { Cow::Owned(format!("{path}/")) } else { Cow::Borrowed(path) }
}

impl Observer for PolicyStore {
    fn changed(&self, index: CommitIndex, keys: Option<&[String]>) {
        let Some(keys) = keys else { return self.cache.changed(index, None) };
        let names = keys.iter().filter_map(|key| key.strip_prefix(POLICIES));
        names.for_each(|name| self.cache.changed(index, Some(name)));
    }
}

impl fmt::Debug for PolicyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyStore({:?})", self.cache)
    }
}

// === impl AccessError ===

impl From<Fault> for AccessError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<CompileError> for AccessError {
    fn from(error: CompileError) -> Self {
        Self::Compile(error)
    }
}

/// What a request that runs into it is answered.
impl From<AccessError> for Fault {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NoSubject => Self::Status { status: 403, text: "permission denied".to_owned() },
            // The words of the server, which says no more to who only meant to use the token.
            AccessError::Compile(CompileError::Forbidden { .. }) => {
                Self::Status { status: 400, text: "Forbidden".to_owned() }
            }
            AccessError::Compile(CompileError::RootAmongOthers | CompileError::Scope { .. }) => {
                Self::Internal("internal error".to_owned())
            }
            AccessError::Fault(fault) => fault,
        }
    }
}
