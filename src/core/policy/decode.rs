//! Values of the document as the fields of a policy want them: a text, a list of texts, a number, a map of lists. What is
//! taken for what, and the words where it is not, are the server's; repeated fields add up or the last one counts, as there.

use serde_json::Value as Json;

use super::go;
use super::parameter::ParameterValue;
use super::rule::Parameters;
use crate::hcl::{Body, Item, Kind, Span, Value};

/// Reads the fields of one body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'b> {
    body: &'b Body,
    /// JSON documents have no places in these messages.
    is_json: bool,
}

/// One occurrence of a field.
#[derive(Clone, Copy)]
enum Node<'b> {
    /// `field "label" { ... }`
    Labelled(&'b Item),
    Plain(&'b Value),
}

impl<'b> Fields<'b> {
    pub(super) fn new(body: &'b Body, is_json: bool) -> Self {
        Self { body, is_json }
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.body.items.iter().any(|item| &*item.key().text == field)
    }

    /// The text of `field`, called `name` in messages; the last one counts.
    pub(super) fn text(&self, field: &str, name: &str) -> Result<Option<String>, String> {
        let mut last = None;
        for node in self.nodes(field) {
            last = Some(match node {
                Node::Labelled(_) => {
                    Err(self.mistake(node, &format!("root.{name}: unknown type for string")))
                }
                Node::Plain(value) => literal(value)
                    .ok_or_else(|| self.mistake(node, &format!("root.{name}: unknown type for string"))),
            }?);
        }
        Ok(last)
    }

    /// The texts of all lists called `field`.
    pub(super) fn texts(&self, field: &str, name: &str) -> Result<Vec<String>, String> {
        let mut texts = Vec::new();
        for node in self.nodes(field) {
            let of_items = |span| {
                format!("{}root.{name}[0]: unknown type for string *ast.ObjectItem", self.at(Some(span)))
            };
            match node {
                Node::Labelled(item) => return Err(of_items(label(item).span)),
                Node::Plain(value) => match &value.kind {
                    Kind::List(values) => {
                        for (at, value) in values.iter().enumerate() {
                            texts.push(literal(value).ok_or_else(|| {
                                let what = ast(value);
                                let place = self.at(Some(value.span));
                                format!("{place}root.{name}[{at}]: unknown type for string {what}")
                            })?);
                        }
                    }
                    Kind::Object(body) => {
                        if let Some(first) = body.items.first() {
                            return Err(of_items(first.key().span));
                        }
                    }
                    Kind::Null | Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Text(_) => {
                        return Err(self.no_list(value));
                    }
                },
            }
        }
        Ok(texts)
    }

    /// The whole number `field`; the last one counts.
    pub(super) fn integer(&self, field: &str) -> Result<Option<i64>, String> {
        let mut last = None;
        for node in self.nodes(field) {
            let unknown = || self.mistake(node, &format!("root.{field}: unknown type"));
            let Node::Plain(value) = node else { return Err(unknown()) };
            last = Some(match &value.kind {
                Kind::Integer(number) => *number,
                Kind::Text(text) => go::integer(text)?,
                Kind::Null => 0,
                Kind::Bool(_) | Kind::Float(_) | Kind::List(_) | Kind::Object(_) => return Err(unknown()),
            });
        }
        Ok(last)
    }

    /// The duration `field` in nanoseconds; the last one counts.
    pub(super) fn duration(&self, field: &str) -> Result<Option<i64>, String> {
        let Some(node) = self.nodes(field).last() else { return Ok(None) };
        let none = "could not parse duration from input";
        let Node::Plain(value) = node else { return Err(none.to_owned()) };
        match &value.kind {
            Kind::Text(text) => go::duration(text).map(Some),
            Kind::Integer(seconds) => Ok(Some(seconds.saturating_mul(1_000_000_000))),
            Kind::Float(number) => Ok(Some(go::seconds(*number))),
            Kind::Null => Ok(None),
            Kind::Bool(_) | Kind::List(_) | Kind::Object(_) => Err(none.to_owned()),
        }
    }

    /// All maps called `field`, as one; lists of one name are one list.
    pub(super) fn parameters(&self, field: &str) -> Result<Parameters, String> {
        let mut parameters = Parameters::new();
        for node in self.nodes(field) {
            match node {
                Node::Labelled(item) => {
                    let [name] = item.labels() else {
                        return Err(nested(field, item.labels()[0].text.as_ref()));
                    };
                    self.parameter(&name.text, &item.value, &mut parameters)?;
                }
                Node::Plain(value) => {
                    let Some(body) = value.as_body() else {
                        let (place, what) = (self.at(Some(value.span)), ast(value));
                        return Err(format!("{place}root.{field}: not an object type for map ({what})"));
                    };
                    for item in &body.items {
                        if !item.labels().is_empty() {
                            return Err(nested(field, &item.key().text));
                        }
                        self.parameter(&item.key().text, &item.value, &mut parameters)?;
                    }
                }
            }
        }
        Ok(parameters)
    }

    fn parameter(&self, name: &str, value: &Value, parameters: &mut Parameters) -> Result<(), String> {
        let values = parameters.entry(name.to_lowercase()).or_default();
        match &value.kind {
            Kind::List(members) => values.extend(members.iter().map(parameter_value)),
            Kind::Object(_) => values.push(parameter_value(value)),
            Kind::Null | Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Text(_) => {
                return Err(self.no_list(value));
            }
        }
        Ok(())
    }

    /// Those with labels come first, as the server decodes them.
    fn nodes(&self, field: &str) -> impl Iterator<Item = Node<'b>> {
        let body = self.body;
        let of = move |field: &str, labelled: bool| {
            let wanted = |item: &&'b Item| &*item.key().text == field && item.labels().is_empty() != labelled;
            body.items.iter().filter(wanted).collect::<Vec<_>>()
        };
        let labelled = of(field, true).into_iter().map(Node::Labelled);
        labelled.chain(of(field, false).into_iter().map(|item| Node::Plain(&item.value)))
    }

    fn no_list(&self, value: &Value) -> String {
        format!("{}unknown slice type: *ast.LiteralType", self.at(Some(value.span)))
    }

    /// `what` and the kind of node, with the place of it.
    fn mistake(&self, node: Node<'_>, what: &str) -> String {
        let (span, kind) = match node {
            Node::Labelled(item) => (Some(label(item).span), "*ast.ObjectList"),
            Node::Plain(value) => match value.as_body() {
                Some(body) => (body.items.first().map(|item| item.key().span), "*ast.ObjectList"),
                None => (Some(value.span), ast(value)),
            },
        };
        format!("{}{what} {kind}", self.at(span))
    }

    fn at(&self, span: Option<Span>) -> String {
        match span {
            Some(span) if !self.is_json => format!("At {span}: "),
            Some(_) | None => "At -: ".to_owned(),
        }
    }
}

fn label(item: &Item) -> &crate::hcl::Key {
    item.labels().first().unwrap_or_else(|| item.key())
}

fn nested(field: &str, name: &str) -> String {
    format!("root.{field}.{name}[0]: cannot decode into interface: *ast.ObjectItem")
}

/// Numbers are their text; nothing is the empty one.
fn literal(value: &Value) -> Option<String> {
    match &value.kind {
        Kind::Text(text) => Some(text.to_string()),
        Kind::Integer(number) => Some(number.to_string()),
        Kind::Float(number) => Some(number.to_string()),
        Kind::Null => Some(String::new()),
        Kind::Bool(_) | Kind::List(_) | Kind::Object(_) => None,
    }
}

fn parameter_value(value: &Value) -> ParameterValue {
    match &value.kind {
        Kind::Text(text) => ParameterValue::Text(text.to_string()),
        Kind::Bool(flag) => ParameterValue::Flag(*flag),
        Kind::List(members) => ParameterValue::List(members.iter().map(parameter_value).collect()),
        Kind::Null => ParameterValue::Unmatched(Json::Null),
        Kind::Integer(number) => ParameterValue::Unmatched(Json::from(*number)),
        Kind::Float(number) => ParameterValue::Unmatched(Json::from(*number)),
        Kind::Object(body) => ParameterValue::Unmatched(Json::from_iter([object(body)])),
    }
}

/// An object is shown as a list of one, as the server reads it.
fn object(body: &Body) -> Json {
    let member = |item: &Item| (item.key().text.to_string(), parameter_value(&item.value).to_json());
    Json::Object(body.items.iter().map(member).collect())
}

/// What the server calls a node of its tree.
pub(super) fn ast(value: &Value) -> &'static str {
    match value.kind {
        Kind::Null | Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Text(_) => "*ast.LiteralType",
        Kind::List(_) => "*ast.ListType",
        Kind::Object(_) => "*ast.ObjectType",
    }
}
