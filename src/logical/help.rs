//! `?help=1`: what an endpoint or a whole backend is for, out of its declaration.

use std::fmt::Write;

use serde_json::{Value, json};

use super::openapi::{Described, Document};
use super::route::{Endpoint, FieldKind};

const PATHS: &str = "The following paths are supported by this backend. To view help for\n\
                     any of the paths below, use the help command with any route matching\n\
                     the path pattern. Note that depending on the policy of your auth token,\n\
                     you may or may not be able to access certain paths.\n\n";

/// The answer for one endpoint, asked for by `path`.
#[must_use]
pub fn of_endpoint(path: &str, endpoint: &Endpoint) -> Value {
    answer(&endpoint_text(path, endpoint), std::slice::from_ref(endpoint))
}

/// The answer for a whole backend.
#[must_use]
pub fn of_backend(kind: &str, endpoints: &[Endpoint]) -> Value {
    answer(&backend_text(kind, endpoints), endpoints)
}

fn answer(help: &str, endpoints: &[Endpoint]) -> Value {
    let mut document = Document::default();
    document.add(Described { prefix: "", kind: "", tag: "secrets", endpoints });
    json!({ "help": help, "openapi": document.into_json(), "see_also": null })
}

fn endpoint_text(path: &str, endpoint: &Endpoint) -> String {
    let mut text = format!(
        "Request:        {path}\nMatching Route: {}\n\n{}\n\n",
        endpoint.pattern.expression(),
        endpoint.summary
    );
    let fields = || endpoint.fields.iter().filter(|field| field.kind != FieldKind::Rest);
    if fields().next().is_some() {
        text.push_str("## PARAMETERS\n\n");
    }
    for field in fields() {
        let kind = kind_name(field.kind);
        let (name, description) = (field.name, field.description);
        write!(text, "    {name} ({kind})\n\n        {description}\n\n")
            .expect("writing to a string cannot fail");
    }
    text.push_str("## DESCRIPTION\n\n");
    text.push_str(endpoint.summary);
    text
}

fn backend_text(kind: &str, endpoints: &[Endpoint]) -> String {
    let mut text = format!("## DESCRIPTION\n\nThe {kind} backend.\n\n## PATHS\n\n{PATHS}");
    let mut paths: Vec<(String, &str)> =
        endpoints.iter().map(|endpoint| (endpoint.pattern.expression(), endpoint.summary)).collect();
    paths.sort();
    let lines: Vec<String> =
        paths.iter().map(|(expression, summary)| format!("    {expression}\n        {summary}")).collect();
    text.push_str(&lines.join("\n\n"));
    text
}

/// As the server's help spells the kinds.
fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::String => "string",
        FieldKind::LowerString => "lowercase string",
        FieldKind::Name => "name",
        FieldKind::Int => "int",
        FieldKind::Bool => "bool",
        FieldKind::DurationSecs => "duration (sec)",
        FieldKind::CommaList | FieldKind::List => "slice",
        FieldKind::Map => "map",
        FieldKind::KvPairs => "keypair",
        FieldKind::Time => "time",
        FieldKind::Float => "float",
        FieldKind::Any | FieldKind::Rest => "any",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::{Access, Cost, Effect, Field, Operation, Pattern};

    #[test]
    fn help_names_route_parameters_and_purpose() {
        const FIELDS: &[Field] = &[Field { name: "name", kind: FieldKind::Name, description: "Which." }];
        let endpoint = Endpoint {
            pattern: Pattern::parse("keys/{name}/?"),
            access: Access::Token,
            methods: vec![(Operation::Read, Effect::Read, Cost::Light)],
            fields: FIELDS,
            summary: "A key.",
            tells_existence: false,
        };
        let help = of_endpoint("keys/a", &endpoint);
        assert_eq!(
            help["help"],
            "Request:        keys/a\nMatching Route: ^keys/(?P<name>\\w(([\\w-.]+)?\\w)?)/?$\n\nA key.\n\n## PARAMETERS\n\n    \
             name (name)\n\n        Which.\n\n## DESCRIPTION\n\nA key."
        );
        assert_eq!(help["openapi"]["paths"]["/keys/{name}"]["description"], "A key.");
        assert!(of_backend("kv", &[endpoint])["help"].as_str().unwrap().ends_with("?$\n        A key."));
    }
}
