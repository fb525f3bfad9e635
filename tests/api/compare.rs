//! Field-by-field comparison of two masked answers.

use serde_json::Value;

use crate::answer::Answer;

/// Seconds that may pass between a grant and its look-up, and between two runs.
const SECONDS: f64 = 5.0;
/// Fields that count seconds down.
const COUNTING: &[&str] = &["ttl", "lease_duration", "duration_millis", "secret_id_ttl", "period_remaining"];

/// One field that is not alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) step: String,
    pub(crate) number: usize,
    /// `status`, `header/<name>` or `body/<pointer>`.
    pub(crate) field: String,
    pub(crate) theirs: String,
    pub(crate) ours: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { step, number, field, theirs, ours } = self;
        write!(f, "{number}. {step} | {field} | theirs: {theirs} | ours: {ours}")
    }
}

/// Everything in which `ours` is not as `theirs`.
pub(crate) fn answers(number: usize, theirs: &Answer, ours: &Answer) -> Vec<Difference> {
    let mut found = Found { step: &theirs.step, number, list: Vec::new() };
    if theirs.status != ours.status {
        found.add("status", &theirs.status.to_string(), &ours.status.to_string());
    }
    let mut names: Vec<&String> = theirs.headers.keys().chain(ours.headers.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let text = |answer: &Answer| answer.headers.get(name).map_or("(none)", String::as_str).to_owned();
        if text(theirs) != text(ours) {
            found.add(&format!("header/{name}"), &text(theirs), &text(ours));
        }
    }
    found.values("body", &theirs.body, &ours.body);
    found.list
}

struct Found<'a> {
    step: &'a str,
    number: usize,
    list: Vec<Difference>,
}

impl Found<'_> {
    fn add(&mut self, field: &str, theirs: &str, ours: &str) {
        let (step, number) = (self.step.to_owned(), self.number);
        let field = field.to_owned();
        self.list.push(Difference { step, number, field, theirs: theirs.to_owned(), ours: ours.to_owned() });
    }

    fn values(&mut self, at: &str, theirs: &Value, ours: &Value) {
        match (theirs, ours) {
            (Value::Object(a), Value::Object(b)) => {
                let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
                names.sort();
                names.dedup();
                for name in names {
                    self.field(&format!("{at}/{name}"), a.get(name), b.get(name));
                }
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                for (n, (one, other)) in a.iter().zip(b).enumerate() {
                    self.values(&format!("{at}/{n}"), one, other);
                }
            }
            _ if alike(at, theirs, ours) => {}
            _ => self.add(at, &theirs.to_string(), &ours.to_string()),
        }
    }

    fn field(&mut self, at: &str, theirs: Option<&Value>, ours: Option<&Value>) {
        match (theirs, ours) {
            (Some(a), Some(b)) => self.values(at, a, b),
            (Some(a), None) => self.add(at, &a.to_string(), "(none)"),
            (None, Some(b)) => self.add(at, "(none)", &b.to_string()),
            (None, None) => {}
        }
    }
}

fn alike(at: &str, theirs: &Value, ours: &Value) -> bool {
    let counting = COUNTING.contains(&at.rsplit('/').next().unwrap_or_default());
    match (theirs.as_f64(), ours.as_f64()) {
        (Some(a), Some(b)) if counting => (a - b).abs() <= SECONDS && (a == 0.0) == (b == 0.0),
        _ => theirs == ours,
    }
}

#[test]
fn missing_extra_and_changed_fields_are_found() {
    let answer = |body| Answer { step: "GET x".into(), status: 200, headers: Default::default(), body };
    let theirs = answer(serde_json::json!({"a": 1, "ttl": 60, "gone": true, "list": [1, 2]}));
    let ours = answer(serde_json::json!({"a": "1", "ttl": 59, "more": null, "list": [1]}));
    let fields: Vec<String> = answers(1, &theirs, &ours).into_iter().map(|d| d.field).collect();
    assert_eq!(fields, ["body/a", "body/gone", "body/list", "body/more"]);
    assert_eq!(answers(1, &theirs, &theirs), []);
}
