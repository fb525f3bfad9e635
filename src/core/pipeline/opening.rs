//! Requests about a wrapping token. The token is looked at before anything else of them: somebody who shows one that is
//! used or stolen learns so, whoever he is. Only then policies say whether the caller may open it.

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Core, Turn};
use crate::barrier::{Mode, Transaction};
use crate::core::incoming::Incoming;
use crate::core::wrapping::{self, jwt};
use crate::logical::{Fault, Operation, Response};

const PATHS: [&str; 3] = ["sys/wrapping/lookup", "sys/wrapping/unwrap", "sys/wrapping/rewrap"];

/// Where clients of old read the answer behind their token.
const OLD_PATH: &str = "cubbyhole/response";
const OLD_PATH_WARNING: &str = "Reading from 'cubbyhole/response' is deprecated. Please use sys/wrapping/unwrap to unwrap responses, as it provides additional security checks and other benefits.";

/// The wrapping token of a request, and whether it came beside a caller's own.
struct Shown {
    text: Zeroizing<String>,
    is_beside: bool,
}

impl Core {
    /// The request, with the plain token in place of its signed form; any other request as it is.
    ///
    /// # Errors
    /// It is about a wrapping token, and shows none that can be opened.
    pub(super) fn about_a_wrapping_token(
        &self,
        incoming: &Arc<Incoming>,
        now: OffsetDateTime,
    ) -> Result<Arc<Incoming>, Fault> {
        if !PATHS.contains(&incoming.path.as_str()) {
            return Ok(Arc::clone(incoming));
        }
        // A sealed node says so in its own words.
        let Ok(mut tx) = self.barrier.begin(Mode::ReadOnly) else { return Ok(Arc::clone(incoming)) };
        let mut shown = shown(incoming).map_err(invalid)?;
        let signed = jwt::is_one(&shown.text);
        if signed {
            shown.text = jwt::open(&mut tx, &shown.text)?.map_err(|why| invalid(&why.to_string()))?;
        }
        if shown.text.is_empty() {
            return Err(invalid("token is empty"));
        }
        let entry = self.tokens.lookup(&mut tx, &shown.text, now)?;
        wrapping::lookup(&mut tx, entry.as_deref())?;
        Ok(if signed { Arc::new(with_plain(incoming, shown)) } else { Arc::clone(incoming) })
    }
}

/// The token of the body, else the caller's.
fn shown(incoming: &Incoming) -> Result<Shown, &'static str> {
    let is_beside = true;
    match incoming.data.get("token") {
        None | Some(Value::Null) => {
            let text = incoming.token.clone().unwrap_or_default();
            Ok(Shown { text, is_beside: false })
        }
        Some(Value::String(text)) if text.is_empty() => Err("empty token in request body"),
        Some(Value::String(text)) => Ok(Shown { text: Zeroizing::new(text.clone()), is_beside }),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err("could not decode token in request body")
        }
    }
}

fn invalid(why: &str) -> Fault {
    Fault::Status { status: 403, text: format!("error validating wrapping token: {why}") }
}

fn with_plain(incoming: &Incoming, shown: Shown) -> Incoming {
    let mut plain = incoming.clone();
    if shown.is_beside {
        Arc::make_mut(&mut plain.data).insert("token".to_owned(), shown.text.as_str().into());
    } else {
        plain.token = Some(shown.text);
    }
    plain
}

/// What a wrapping token that is used at the old path gets: the whole answer as a text.
///
/// # Errors
/// There is none behind it.
pub(super) fn kept_answer(
    tx: &mut Transaction,
    turn: Turn<'_>,
    operation: Operation,
) -> Result<Option<Response>, Fault> {
    let entry = turn.token.filter(|entry| wrapping::is_wrapping(entry));
    let (Some(entry), Operation::Read, OLD_PATH) = (entry, operation, turn.incoming.path.as_str()) else {
        return Ok(None);
    };
    let envelope = wrapping::peek(tx, entry)?;
    Ok(Some(Response::json(json!({ "response": envelope.as_str() })).with_warning(OLD_PATH_WARNING)))
}

/// What is told beside a 404 is wrapped like any answer, when it is asked for.
pub(super) fn wrappable(outcome: Result<Response, Fault>, incoming: &Incoming) -> Result<Response, Fault> {
    match outcome {
        Err(Fault::NotFoundWith(response)) if incoming.wrap.is_some() => {
            Ok(Response { status: Some(404), ..*response })
        }
        other => other,
    }
}
