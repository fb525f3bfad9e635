//! The exposition text as a map, with sums over label subsets.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http::Method;
use understudy::cli::openbao::call::call;

/// Labels and value.
type Sample = (BTreeMap<String, String>, f64);

/// One scrape.
#[derive(Debug, Clone, Default)]
pub struct Samples(BTreeMap<String, Vec<Sample>>);

impl Samples {
    pub async fn scrape(admin: SocketAddr) -> Self {
        let answer = call(admin, Method::GET, "/metrics", None, None).await.unwrap();
        Self::parse(std::str::from_utf8(&answer.body).unwrap())
    }

    pub fn parse(text: &str) -> Self {
        let mut samples = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) =
                series.split_once('{').map_or((series, ""), |(n, l)| (n, l.trim_end_matches('}')));
            let sample = (parse_labels(labels), value.parse().unwrap());
            samples.0.entry(name.to_owned()).or_default().push(sample);
        }
        samples
    }

    /// The sum over every series of `name` (without our prefix) that has these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let series = self.0.get(&format!("understudy_proxy_{name}")).map_or(&[] as &[Sample], Vec::as_slice);
        let wanted =
            |has: &BTreeMap<String, String>| labels.iter().all(|(k, v)| has.get(*k).is_some_and(|x| x == v));
        // A sum of no floats is -0.
        series.iter().filter(|(has, _)| wanted(has)).map(|(_, value)| value).sum::<f64>() + 0.0
    }

    /// How much `sum` grew since an earlier scrape.
    pub fn since(&self, earlier: &Self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.sum(name, labels) - earlier.sum(name, labels)
    }

    /// Every series of one name, for messages.
    pub fn show(&self, name: &str) -> String {
        let series = self.0.get(&format!("understudy_proxy_{name}")).map_or(&[] as &[Sample], Vec::as_slice);
        let lines =
            series.iter().filter(|(_, value)| *value != 0.0).map(|(has, value)| format!("  {has:?} {value}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// `a="x",b="y"`; our label values hold neither commas nor quotes.
fn parse_labels(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}
