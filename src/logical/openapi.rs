//! Endpoints as an OpenAPI 3 document: what a client can learn of a backend without asking it anything.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::request::Operation;
use super::route::{Access, Endpoint, Field, FieldKind};
use crate::telemetry::BUILD;

/// A mount's endpoints and how they are named in the document.
#[derive(Debug, Clone, Copy)]
pub struct Described<'e> {
    /// Before each path; empty or ending in `/`.
    pub prefix: &'e str,
    /// Before each operation's id: the mount's kind. Empty: nothing.
    pub kind: &'e str,
    /// `secrets`, `auth` or `system`.
    pub tag: &'e str,
    pub endpoints: &'e [Endpoint],
}

/// See the module.
#[derive(Debug, Default)]
pub struct Document {
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
    ids: BTreeSet<String>,
}

// === impl Document ===

impl Document {
    pub fn add(&mut self, described: Described<'_>) {
        described.endpoints.iter().for_each(|endpoint| self.add_endpoint(described, endpoint));
    }

    #[must_use]
    pub fn into_json(self) -> Value {
        json!({
            "openapi": "3.0.2",
            "info": {
                "title": "Understudy API",
                "description": "HTTP API that gives you full access to Understudy. All API routes are prefixed with `/v1/`.",
                "version": BUILD.version,
                "license": { "name": "Apache License 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
            },
            "paths": self.paths,
            "components": { "schemas": self.schemas },
        })
    }

    /// Of two endpoints with one template, the first describes it and the second adds operations.
    fn add_endpoint(&mut self, described: Described<'_>, endpoint: &Endpoint) {
        let template = template(endpoint.pattern.source());
        let path = format!("/{}{template}", described.prefix);
        let mut item = match self.paths.remove(&path) {
            Some(Value::Object(item)) => item,
            _ => item(&template, endpoint),
        };
        for (verb, operation) in self.operations(described, &template, endpoint) {
            item.entry(verb).or_insert(operation);
        }
        self.paths.insert(path, Value::Object(item));
    }

    fn operations(
        &mut self,
        described: Described<'_>,
        template: &str,
        endpoint: &Endpoint,
    ) -> Vec<(&'static str, Value)> {
        let has = |operation| endpoint.method(operation).is_some();
        let listed = has(Operation::List) || has(Operation::Scan);
        let mut operations = Vec::new();
        if has(Operation::Read) || listed {
            let verb = if has(Operation::Read) { "read" } else { "list" };
            let mut operation = self.operation(described, verb, template);
            if listed {
                operation.insert("parameters".to_owned(), list_parameters(endpoint));
            }
            operations.push(("get", Value::Object(operation)));
        }
        if has(Operation::Create) || has(Operation::Update) {
            operations.push(("post", self.with_body(described, "write", template, endpoint)));
        }
        if has(Operation::Patch) {
            operations.push(("patch", self.with_body(described, "patch", template, endpoint)));
        }
        if has(Operation::Delete) {
            let mut operation = self.operation(described, "delete", template);
            operation.insert("responses".to_owned(), json!({ "204": { "description": "empty body" } }));
            operations.push(("delete", Value::Object(operation)));
        }
        operations
    }

    fn operation(&mut self, described: Described<'_>, verb: &str, template: &str) -> Map<String, Value> {
        let id = self.id(described.kind, verb, template);
        object(json!({
            "operationId": id,
            "tags": [described.tag],
            "responses": { "200": { "description": "OK" } },
        }))
    }

    fn with_body(
        &mut self,
        described: Described<'_>,
        verb: &str,
        template: &str,
        endpoint: &Endpoint,
    ) -> Value {
        let mut operation = self.operation(described, verb, template);
        let properties: Map<String, Value> = endpoint
            .fields
            .iter()
            .filter(|field| !is_captured(template, field.name) && field.kind != FieldKind::Rest)
            .map(|field| (field.name.to_owned(), schema(field)))
            .collect();
        if !properties.is_empty() {
            let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
            let name = format!("{}Request", camel_case(id));
            let reference = format!("#/components/schemas/{name}");
            self.schemas.insert(name, json!({ "type": "object", "properties": properties }));
            operation.insert(
                "requestBody".to_owned(),
                json!({
                    "required": true,
                    "content": { "application/json": { "schema": { "$ref": reference } } },
                }),
            );
        }
        Value::Object(operation)
    }

    /// An id no other operation has.
    fn id(&mut self, kind: &str, verb: &str, template: &str) -> String {
        let words = template.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let words: Vec<&str> =
            [kind, verb].into_iter().filter(|word| !word.is_empty()).chain(words).collect();
        let plain = words.join("-");
        let numbered = (2..).map(|number: u32| format!("{plain}{number}"));
        let id = std::iter::once(plain.clone()).chain(numbered).find(|id| !self.ids.contains(id));
        let id = id.unwrap_or(plain);
        self.ids.insert(id.clone());
        id
    }
}

/// `keys/{name:rest}/?` as `keys/{name}`.
fn template(pattern: &str) -> String {
    let pattern = pattern.strip_suffix("/?").unwrap_or(pattern);
    let segment = |segment: &str| match segment.split_once(':') {
        Some((name, _)) => format!("{name}}}"),
        None => segment.to_owned(),
    };
    pattern.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn is_captured(template: &str, name: &str) -> bool {
    template.split('/').any(|segment| {
        segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).is_some_and(|inner| inner == name)
    })
}

fn captured(template: &str) -> impl Iterator<Item = &str> {
    template.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn item(template: &str, endpoint: &Endpoint) -> Map<String, Value> {
    let mut item = Map::new();
    item.insert("description".to_owned(), json!(endpoint.summary));
    let parameters: Vec<Value> =
        captured(template).map(|name| path_parameter(name, endpoint.fields)).collect();
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), Value::Array(parameters));
    }
    match endpoint.access {
        Access::Sudo => item.insert("x-vault-sudo".to_owned(), json!(true)),
        Access::Open => item.insert("x-vault-unauthenticated".to_owned(), json!(true)),
        Access::Token => None,
    };
    if endpoint.tells_existence {
        item.insert("x-vault-createSupported".to_owned(), json!(true));
    }
    item
}

fn path_parameter(name: &str, fields: &[Field]) -> Value {
    let described = fields.iter().find(|field| field.name == name);
    json!({
        "name": name,
        "description": described.map_or("", |field| field.description),
        "in": "path",
        "schema": { "type": "string" },
        "required": true,
    })
}

fn list_parameters(endpoint: &Endpoint) -> Value {
    let has = |operation| endpoint.method(operation).is_some();
    let parameter = |name: &str, text: &str| {
        if has(Operation::Read) {
            let description = format!("Return a {text} if `true`");
            return json!({ "name": name, "description": description, "in": "query", "schema": { "type": "string" } });
        }
        json!({
            "name": name,
            "description": "Must be set to `true`",
            "in": "query",
            "schema": { "type": "string", "enum": ["true"] },
            "required": true,
        })
    };
    let list = has(Operation::List).then(|| parameter("list", "list"));
    let scan = has(Operation::Scan).then(|| parameter("scan", "recursive list"));
    list.into_iter().chain(scan).collect()
}

fn schema(field: &Field) -> Value {
    let (kind, format) = match field.kind {
        FieldKind::String | FieldKind::Name => ("string", ""),
        FieldKind::LowerString => ("string", "lowercase"),
        FieldKind::Int => ("integer", ""),
        FieldKind::DurationSecs => ("integer", "seconds"),
        FieldKind::Bool => ("boolean", ""),
        FieldKind::CommaList | FieldKind::List => ("array", ""),
        FieldKind::Map => ("object", "map"),
        FieldKind::KvPairs => ("object", "kvpairs"),
        FieldKind::Time => ("string", "date-time"),
        FieldKind::Float => ("number", "float"),
        FieldKind::Any | FieldKind::Rest => ("object", ""),
    };
    let mut schema = object(json!({ "type": kind, "description": field.description }));
    if !format.is_empty() {
        schema.insert("format".to_owned(), json!(format));
    }
    if kind == "array" {
        schema.insert("items".to_owned(), json!({ "type": "string" }));
    }
    Value::Object(schema)
}

/// `kv-write-data` as `KvWriteData`.
fn camel_case(id: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    id.split('-').map(capital).collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::{Cost, Effect, Pattern};

    fn endpoint(pattern: &'static str, operations: &[Operation]) -> Endpoint {
        const FIELDS: &[Field] = &[
            Field { name: "path", kind: FieldKind::String, description: "Where." },
            Field { name: "ttl", kind: FieldKind::DurationSecs, description: "How long." },
        ];
        Endpoint {
            pattern: Pattern::parse(pattern),
            access: Access::Sudo,
            methods: operations.iter().map(|one| (*one, Effect::Read, Cost::Light)).collect(),
            fields: FIELDS,
            summary: "What it is.",
            tells_existence: false,
        }
    }

    #[test]
    fn endpoints_become_paths_with_operations_and_schemas() {
        let endpoints = [
            endpoint("data/{path:rest}", &[Operation::Read, Operation::Update, Operation::Delete]),
            endpoint("data/?", &[Operation::List]),
        ];
        let mut document = Document::default();
        for prefix in ["one/", "two/"] {
            document.add(Described { prefix, kind: "kv", tag: "secrets", endpoints: &endpoints });
        }
        let json = document.into_json();
        for (pointer, shown) in [
            ("/paths/~1one~1data~1{path}/get/operationId", json!("kv-read-data-path")),
            ("/paths/~1two~1data~1{path}/get/operationId", json!("kv-read-data-path2")),
            ("/paths/~1one~1data~1{path}/parameters/0/description", json!("Where.")),
            ("/paths/~1one~1data~1{path}/x-vault-sudo", json!(true)),
            ("/paths/~1one~1data/get/parameters/0/required", json!(true)),
            (
                "/paths/~1one~1data~1{path}/post/requestBody/content/application~1json/schema/$ref",
                json!("#/components/schemas/KvWriteDataPathRequest"),
            ),
            ("/components/schemas/KvWriteDataPathRequest/properties/ttl/format", json!("seconds")),
        ] {
            assert_eq!(json.pointer(pointer), Some(&shown), "{pointer}");
        }
        assert_eq!(json.pointer("/components/schemas/KvWriteDataPathRequest/properties/path"), None);
    }
}
