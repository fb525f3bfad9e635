//! `?help=1`: what a backend's table says of a path, as text and as OpenAPI.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::logical::{Body, Endpoint, FieldKind, Operation, Pattern, Raw, Response};

/// Help on one path: what the endpoint takes.
pub(super) fn of_path(path: &str, endpoint: &Endpoint) -> Response {
    let mut text =
        format!("Request:        {path}\nMatching Route: {}\n\n{}\n", source(endpoint), endpoint.summary);
    if !endpoint.fields.is_empty() {
        text.push_str("\n## PARAMETERS\n");
    }
    for field in endpoint.fields {
        let kind = json_type(field.kind);
        write!(text, "\n    {} ({kind})\n\n        {}\n", field.name, field.description)
            .expect("a String takes text");
    }
    answer(&text, std::slice::from_ref(endpoint))
}

/// Help on a mount: its paths.
pub(super) fn of_mount(endpoints: &[Endpoint]) -> Response {
    let mut text = "## PATHS\n".to_owned();
    for endpoint in endpoints.iter().filter(|endpoint| !source(endpoint).is_empty()) {
        write!(text, "\n    {}\n        {}\n", source(endpoint), endpoint.summary)
            .expect("a String takes text");
    }
    answer(&text, endpoints)
}

fn source(endpoint: &Endpoint) -> &'static str {
    endpoint.pattern.source()
}

/// Not the envelope: three keys and nothing else.
fn answer(text: &str, endpoints: &[Endpoint]) -> Response {
    let body = json!({ "help": text.trim_end(), "openapi": document(endpoints), "see_also": null });
    let raw = Raw { status: 200, content_type: crate::core::answer::JSON, body: format!("{body}\n").into() };
    Response { body: Body::Raw(raw), ..Response::empty() }
}

fn document(endpoints: &[Endpoint]) -> Value {
    let paths: Map<String, Value> =
        endpoints.iter().map(|endpoint| (openapi_path(&endpoint.pattern), operations(endpoint))).collect();
    json!({
        "components": { "schemas": {} },
        "info": {
            "title": "Understudy API",
            "description": "The HTTP API. All routes are prefixed with `/v1/`.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "openapi": "3.0.2",
        "paths": paths,
    })
}

/// `keys/{name}/config`: without the kinds of what is captured.
fn openapi_path(pattern: &Pattern) -> String {
    let source = pattern.source().trim_end_matches("/?");
    let segments = source.split('/').map(|segment| match segment.split_once(':') {
        Some((name, _)) => format!("{name}}}"),
        None => segment.to_owned(),
    });
    format!("/{}", segments.collect::<Vec<_>>().join("/"))
}

fn operations(endpoint: &Endpoint) -> Value {
    let mut item = Map::from_iter([("description".to_owned(), endpoint.summary.into())]);
    for (operation, ..) in &endpoint.methods {
        let verb = match operation {
            Operation::Create | Operation::Update => "post",
            Operation::Patch => "patch",
            Operation::Delete => "delete",
            Operation::Read | Operation::List | Operation::Scan | Operation::Help => "get",
        };
        let status = if *operation == Operation::Delete { "204" } else { "200" };
        item.entry(verb).or_insert_with(|| json!({ "responses": { status: { "description": "OK" } } }));
    }
    let parameter = |field: &crate::logical::Field| {
        let captured = source(endpoint).contains(&format!("{{{}", field.name));
        json!({
            "name": field.name,
            "description": field.description,
            "in": if captured { "path" } else { "query" },
            "required": captured,
            "schema": { "type": json_type(field.kind) },
        })
    };
    item.insert("parameters".to_owned(), endpoint.fields.iter().map(parameter).collect());
    Value::Object(item)
}

fn json_type(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::String
        | FieldKind::LowerString
        | FieldKind::Name
        | FieldKind::DurationSecs
        | FieldKind::Time => "string",
        FieldKind::Int => "integer",
        FieldKind::Bool => "boolean",
        FieldKind::CommaList | FieldKind::List => "array",
        FieldKind::Map | FieldKind::KvPairs => "object",
        FieldKind::Float => "number",
        FieldKind::Any => "any",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::{Access, Cost, Effect, Field};

    fn endpoint(pattern: &'static str) -> Endpoint {
        const FIELDS: &[Field] = &[
            Field { name: "name", kind: FieldKind::String, description: "Whose." },
            Field { name: "limit", kind: FieldKind::Int, description: "How many." },
        ];
        Endpoint {
            pattern: Pattern::parse(pattern),
            access: Access::Token,
            methods: vec![
                (Operation::List, Effect::Read, Cost::Light),
                (Operation::Read, Effect::Read, Cost::Light),
            ],
            fields: FIELDS,
            summary: "Names.",
        }
    }

    fn body(response: &Response) -> Value {
        match &response.body {
            Body::Raw(raw) => serde_json::from_slice(&raw.body).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_path_is_explained_in_text_and_openapi() {
        let help = body(&of_path("users/bob", &endpoint("users/{name:segment}/?")));
        assert_eq!(
            help["help"],
            "Request:        users/bob\nMatching Route: users/{name:segment}/?\n\nNames.\n\n## PARAMETERS\n\n    name \
             (string)\n\n        Whose.\n\n    limit (integer)\n\n        How many."
        );
        let item = &help["openapi"]["paths"]["/users/{name}"];
        assert_eq!(
            (&item["parameters"][0]["in"], &item["parameters"][1]["in"]),
            (&json!("path"), &json!("query"))
        );
        assert!(item["get"].is_object() && help["see_also"].is_null());
    }

    #[test]
    fn a_mount_lists_its_paths() {
        let help = body(&of_mount(&[endpoint("config"), endpoint("")]));
        assert_eq!(help["help"], "## PATHS\n\n    config\n        Names.");
    }
}
