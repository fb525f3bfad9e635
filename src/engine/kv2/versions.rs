//! `delete/`, `undelete/` and `destroy/`: several versions of a key at once.

use super::config::Config;
use super::key::Key;
use super::{Kv2, PATH};
use crate::engine::record::nanos;
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Effect, Fault, Field, FieldKind, Method, Response};

pub(super) const FIELDS: &[Field] =
    &[PATH, Field::new("versions", FieldKind::CommaList, "The numbers of the versions.")];

pub(super) const DELETE: &[Method<Kv2>] = &[Method::new(super::WRITE, Effect::Write, delete)];
pub(super) const UNDELETE: &[Method<Kv2>] = &[Method::new(super::WRITE, Effect::Write, undelete)];
pub(super) const DESTROY: &[Method<Kv2>] = &[Method::new(super::WRITE, Effect::Write, destroy)];

fn delete(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let numbers = numbers(call, "No version number provided")?;
    let now = nanos(call.now);
    change(call, |key| numbers.iter().for_each(|number| key.meta.delete(*number, now)))
}

fn undelete(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let numbers = numbers(call, "No version number provided")?;
    let (config, now) = (Config::load(&mut call.store)?, nanos(call.now));
    change(call, |key| numbers.iter().for_each(|number| key.meta.undelete(*number, &config, now)))
}

fn destroy(_: &Kv2, call: &mut Call<'_>) -> Answer {
    let numbers = numbers(call, "no version number provided")?;
    let Some(mut key) = Key::load(&mut call.store, call.captures.get("path"))? else {
        return Ok(Response::empty());
    };
    numbers.iter().try_for_each(|number| key.destroy(&mut call.store, *number))?;
    key.save(&mut call.store)?;
    Ok(Response::empty())
}

/// What is not there stays so: no error.
fn change(call: &mut Call<'_>, change: impl FnOnce(&mut Key)) -> Answer {
    let Some(mut key) = Key::load(&mut call.store, call.captures.get("path"))? else {
        return Ok(Response::empty());
    };
    change(&mut key);
    key.save(&mut call.store)?;
    Ok(Response::empty())
}

fn numbers(call: &Call<'_>, none: &str) -> Result<Vec<u64>, Fault> {
    let given = Fields::new(&call.request.data).ints("versions")?.unwrap_or_default();
    if given.is_empty() {
        return Err(Fault::invalid(none));
    }
    Ok(given.into_iter().filter_map(|number| u64::try_from(number).ok()).collect())
}
