//! The JSON format: the aggregates of go-metrics.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::family::{Family, Value};
use crate::meter::Reading;

/// Over which `Rate` is told, in seconds.
const SPAN: Duration = Duration::from_mins(1);

pub(super) fn write(
    prefix: &str,
    families: &[Family],
    recent: impl Fn(&Family) -> Reading,
    now: OffsetDateTime,
) -> String {
    let (mut gauges, mut counters, mut samples) = (Vec::new(), Vec::new(), Vec::new());
    for family in families {
        match &family.value {
            Value::Gauge(value) => gauges.push(row(prefix, family, &json!({ "Value": value }))),
            Value::Counter(value) => {
                counters.push(row(prefix, family, &json!({ "Count": value, "Sum": value })));
            }
            Value::Timer(_) => samples.push(row(prefix, family, &sample(&recent(family)))),
        }
    }
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] +0000 UTC");
    let body = json!({
        "Timestamp": now.format(&format).unwrap_or_default(),
        "Gauges": gauges,
        "Points": [],
        "Counters": counters,
        "Samples": samples,
    });
    body.to_string()
}

fn row(prefix: &str, family: &Family, values: &Json) -> Json {
    let labels: Map<String, Json> =
        family.labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let mut row = Map::from_iter([
        ("Name".to_owned(), json!(format!("{prefix}.{}", family.name))),
        ("Labels".to_owned(), Json::Object(labels)),
    ]);
    row.extend(values.as_object().cloned().unwrap_or_default());
    Json::Object(row)
}

/// What came lately, in milliseconds.
fn sample(recent: &Reading) -> Json {
    let at = |quantile| recent.quantile_ms(quantile).unwrap_or_default();
    let sum = recent.sum_ms();
    json!({
        "Count": recent.count,
        "Rate": sum / SPAN.as_secs_f64(),
        "Sum": sum,
        "Min": at(0.0),
        "Max": at(1.0),
        "Mean": recent.mean_ms(),
        "Stddev": recent.deviation_ms(),
    })
}
