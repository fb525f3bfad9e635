//! `custom_response_headers`: headers an operator adds to answers, by status.

use http::{HeaderName, HeaderValue};

use super::model::{CustomHeaders, StatusClass};
use super::notes::Spot;
use super::section::Section;
use super::value;
use crate::hcl::Value;

/// Names that are the API's own.
const RESERVED: &str = "x-vault-";
/// Headers that frame an answer: another value would break it.
const FRAMING: [&str; 5] = ["connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"];

pub(super) fn read(listener: &Section<'_>) -> CustomHeaders {
    let mut headers = CustomHeaders::default();
    let Some(section) = listener.merged("custom_response_headers") else { return headers };
    for (word, value, spot) in section.entries() {
        let Some(class) = class(&word) else {
            let message = format!("`{word}` is no status");
            section.notes.error_help(&spot, "bad-value", message, "write \"default\", \"4xx\" or \"404\"");
            continue;
        };
        let Some(body) = value.as_body() else {
            let message = format!("`{word}` is {}, not a block of headers", value.is_a());
            section.notes.error_help(&spot, "bad-value", message, "write \"X-Name\" = [\"value\"] in it");
            continue;
        };
        let of_class = headers.0.entry(class).or_default();
        for item in &body.items {
            let spot = Spot { span: item.key().span, ..spot.clone() };
            of_class.extend(header(&section, &item.key().text, &item.value, &spot));
        }
    }
    headers
}

fn class(word: &str) -> Option<StatusClass> {
    if word == "default" {
        return Some(StatusClass::Every);
    }
    if let Some(hundred) = word.strip_suffix("xx") {
        return hundred.parse().ok().filter(|hundred| (1..=5).contains(hundred)).map(StatusClass::Hundred);
    }
    word.parse().ok().filter(|status| (100..600).contains(status)).map(StatusClass::Exactly)
}

fn header(section: &Section<'_>, name: &str, value: &Value, spot: &Spot) -> Option<(String, Vec<String>)> {
    let refuse = |message: String| section.notes.error(spot, "bad-value", message);
    let lower = name.to_ascii_lowercase();
    if lower.starts_with(RESERVED) {
        refuse(format!("`{name}`: headers that begin with X-Vault- are the API's own"));
        return None;
    }
    if FRAMING.contains(&lower.as_str()) {
        refuse(format!("`{name}` is written by the server: it says where an answer ends"));
        return None;
    }
    if HeaderName::try_from(name).is_err() {
        refuse(format!("`{name}` is no name of a header"));
        return None;
    }
    let values = match value::list(value) {
        // A text is one value: commas belong to it.
        Ok(_) if value.as_str().is_some() => value.as_str().map(str::to_owned).into_iter().collect(),
        Ok(values) => values,
        Err(wrong) => {
            refuse(format!("`{name}` is {}", wrong.message));
            return None;
        }
    };
    if values.iter().any(|value| HeaderValue::try_from(value.as_str()).is_err()) {
        refuse(format!("a value of `{name}` cannot stand in a header"));
        return None;
    }
    Some((name.to_owned(), values))
}
