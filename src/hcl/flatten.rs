//! Makes a JSON document look like HCL, as the server does: the keys of an object of objects become labels, so
//! `{"listener": {"tcp": {...}}}` is `listener "tcp" {...}`; a list of objects is one block each.

use super::error::Error;
use super::tree::{Body, Item, Kind, Value};

/// Most keys and labels in the result: nested objects multiply them.
const KEYS_MAX: usize = 65_536;

/// # Errors
/// The result would have more than [`KEYS_MAX`] keys and labels.
pub(super) fn flatten(body: Body) -> Result<Body, Error> {
    Flattened::default().body(body)
}

/// How many keys and labels there are so far.
#[derive(Default)]
struct Flattened {
    keys: usize,
}

// === impl Flattened ===

impl Flattened {
    fn body(&mut self, body: Body) -> Result<Body, Error> {
        let mut items = Vec::new();
        for item in body.items {
            self.item(item, &mut items)?;
        }
        for item in &mut items {
            self.inside(&mut item.value)?;
        }
        Ok(Body { items })
    }

    fn item(&mut self, mut item: Item, items: &mut Vec<Item>) -> Result<(), Error> {
        self.keys += item.keys().len();
        if self.keys > KEYS_MAX {
            let why = format!("more than {KEYS_MAX} keys and labels");
            return Err(Error::new(item.key().span, why));
        }
        let span = item.value.span;
        match std::mem::replace(&mut item.value.kind, Kind::Null) {
            Kind::Object(body) if is_of_objects(body.items.iter().map(|inside| &inside.value)) => {
                let mut inside = body.items.into_iter();
                inside.try_for_each(|inside| {
                    let (keys, value) = inside.into_parts();
                    self.item(item.with(&keys, value), items)
                })
            }
            Kind::List(values) if is_of_objects(values.iter()) => {
                values.into_iter().try_for_each(|value| self.item(item.with(&[], value), items))
            }
            kind @ (Kind::Null
            | Kind::Bool(_)
            | Kind::Integer(_)
            | Kind::Float(_)
            | Kind::Text(_)
            | Kind::List(_)
            | Kind::Object(_)) => {
                items.push(item.with(&[], Value { kind, span }));
                Ok(())
            }
        }
    }

    fn inside(&mut self, value: &mut Value) -> Result<(), Error> {
        match &mut value.kind {
            Kind::Object(body) => {
                *body = self.body(std::mem::take(body))?;
                Ok(())
            }
            Kind::List(values) => values.iter_mut().try_for_each(|value| self.inside(value)),
            Kind::Null | Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Text(_) => Ok(()),
        }
    }
}

/// At least one, and all of them objects.
fn is_of_objects<'v>(values: impl Iterator<Item = &'v Value>) -> bool {
    let mut values = values.peekable();
    values.peek().is_some() && values.all(|value| value.as_body().is_some())
}
