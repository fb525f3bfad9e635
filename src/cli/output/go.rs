//! Values as Go's `%v` prints them, and durations as Vault shows them: what table cells and raw fields contain.

use super::tree::Tree;

/// `map[a:1 b:[x y]]`, `<nil>`, `true`, the text itself.
#[must_use]
pub fn show(tree: &Tree) -> String {
    match tree {
        Tree::Null => "<nil>".to_owned(),
        Tree::Bool(truth) => truth.to_string(),
        Tree::Number(number) => number.to_string(),
        Tree::Text(text) => text.clone(),
        Tree::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
        Tree::Map(entries) => {
            let pairs: Vec<_> =
                entries.iter().map(|(name, value)| format!("{name}:{}", show(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// `%q` of a list of strings: `["a" "b"]`.
#[must_use]
pub fn show_quoted(list: Option<&Tree>) -> String {
    let items = list.map(Tree::items).unwrap_or_default();
    let quoted: Vec<_> = items.iter().map(|item| format!("{:?}", item.text().unwrap_or_default())).collect();
    format!("[{}]", quoted.join(" "))
}

/// Seconds as Vault shows them: `768h`, `1h30m`, `59m59s`, `0s`.
#[must_use]
pub fn duration(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let total = seconds.unsigned_abs();
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60);
    let parts = [(hours, 'h'), (minutes, 'm'), (rest, 's')];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    // Go keeps inner zeros: 1h0m5s.
    match (hours, minutes, rest) {
        (0, 0, 0) => "0s".to_owned(),
        (1.., 0, 1..) => format!("{sign}{hours}h0m{rest}s"),
        _ => format!("{sign}{text}"),
    }
}

/// Whether a field of this name holds seconds, by Vault's rule.
#[must_use]
pub fn looks_like_duration(name: &str) -> bool {
    let ends = |word: &str| name == word || name.strip_suffix(word).is_some_and(|rest| rest.ends_with('_'));
    ["period", "ttl", "duration"].into_iter().any(ends) || matches!(name, "lease_max" | "ttl_max")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_their_names() {
        let cases = [
            (0, "0s"),
            (60, "1m"),
            (3600, "1h"),
            (5400, "1h30m"),
            (3605, "1h0m5s"),
            (3599, "59m59s"),
            (2_764_800, "768h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
        for (name, is) in
            [("ttl", true), ("max_ttl", true), ("creation_ttl", true), ("battle", false), ("xttl", false)]
        {
            assert_eq!(looks_like_duration(name), is, "{name}");
        }
    }

    #[test]
    fn values() {
        let tree = Tree::from(serde_json::json!({"b": null, "a": [1, true, "x y"], "c": {}}));
        assert_eq!(show(&tree), "map[a:[1 true x y] b:<nil> c:map[]]");
        assert_eq!(show_quoted(tree.get("a")), r#"["" "" "x y"]"#);
    }
}
