//! The text format: timers as summaries in milliseconds.

use std::fmt::Write;

use super::family::{Family, Value};
use crate::meter::Reading;

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const QUANTILES: [(&str, f64); 3] = [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)];

/// `families` are sorted by name: a name's rows stand together.
pub(super) fn write(prefix: &str, families: &[Family], recent: impl Fn(&Family) -> Reading) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for family in families {
        let name = family.prometheus_name(prefix);
        if name != last {
            say(&mut text, format_args!("# HELP {name} {name}\n# TYPE {name} {}\n", kind(&family.value)));
            last.clone_from(&name);
        }
        rows(&mut text, &name, family, &recent);
    }
    text
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Gauge(_) => "gauge",
        Value::Counter(_) => "counter",
        Value::Timer(_) => "summary",
    }
}

fn rows(text: &mut String, name: &str, family: &Family, recent: &impl Fn(&Family) -> Reading) {
    let labels = labels(family, None);
    match &family.value {
        Value::Gauge(value) => say(text, format_args!("{name}{labels} {value}\n")),
        Value::Counter(value) => say(text, format_args!("{name}{labels} {value}\n")),
        Value::Timer(reading) => {
            let recent = recent(family);
            for (word, quantile) in QUANTILES {
                let labels = self::labels(family, Some(word));
                let value = recent.quantile_ms(quantile).map_or("NaN".to_owned(), |ms| ms.to_string());
                say(text, format_args!("{name}{labels} {value}\n"));
            }
            say(text, format_args!("{name}_sum{labels} {}\n", reading.sum_ms()));
            say(text, format_args!("{name}_count{labels} {}\n", reading.count));
        }
    }
}

fn labels(family: &Family, quantile: Option<&str>) -> String {
    let own = family.labels.iter().map(|(name, value)| (*name, value.as_str()));
    let all: Vec<String> = own
        .chain(quantile.map(|quantile| ("quantile", quantile)))
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn say(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Timer;
    use std::time::Duration;

    #[test]
    fn timers_are_summaries_in_milliseconds() {
        let timer = Timer::default();
        timer.add(Duration::from_millis(2));
        let families = [
            Family::gauge("core.unsealed", 1.0).with("cluster", "a\"b"),
            Family::timer("route.read.kv-", &timer),
            Family::timer("token.lookup", &Timer::default()),
        ];
        let recent = |family: &Family| match &family.value {
            Value::Timer(reading) => reading.clone(),
            Value::Gauge(_) | Value::Counter(_) => Reading::default(),
        };
        let text = write("vault", &families, recent);
        for line in [
            "# TYPE vault_core_unsealed gauge",
            "vault_core_unsealed{cluster=\"a\\\"b\"} 1",
            "# TYPE vault_route_read_kv_ summary",
            "vault_route_read_kv__sum 2",
            "vault_route_read_kv__count 1",
            "vault_token_lookup{quantile=\"0.99\"} NaN",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
