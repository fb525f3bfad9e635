//! YAML as Go's `yaml.Marshal` writes it: sorted keys, lists level with their key, quotes only where a YAML 1.1 reader
//! would otherwise see something else than a text, long texts folded after 80 columns.

use super::tree::Tree;

/// Texts are folded at the first blank after this column.
const FOLD: usize = 80;

/// The text, with its last line end.
#[must_use]
pub fn pretty(tree: &Tree) -> String {
    let mut out = String::new();
    match tree {
        Tree::Map(entries) if !entries.is_empty() => map(&mut out, entries, 0, false),
        Tree::List(items) if !items.is_empty() => list(&mut out, items, 0, false),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::List(_) | Tree::Map(_) => {
            scalar(&mut out, tree, 0);
        }
    }
    out
}

fn indent(out: &mut String, depth: usize, inline: bool) {
    if !inline {
        out.push_str(&" ".repeat(depth));
    }
}

/// `inline`: the first entry continues the line of a list item.
fn map(out: &mut String, entries: &[(String, Tree)], depth: usize, inline: bool) {
    let mut sorted: Vec<&(String, Tree)> = entries.iter().collect();
    sorted.sort_by(|left, right| left.0.cmp(&right.0));
    for (at, (name, value)) in sorted.into_iter().enumerate() {
        indent(out, depth, inline && at == 0);
        out.push_str(&one_line(name));
        out.push(':');
        match value {
            Tree::Map(inner) if !inner.is_empty() => {
                out.push('\n');
                map(out, inner, depth + 2, false);
            }
            Tree::List(items) if !items.is_empty() => {
                out.push('\n');
                list(out, items, depth, false);
            }
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::List(_) | Tree::Map(_) => {
                out.push(' ');
                scalar(out, value, depth + 2);
            }
        }
    }
}

fn list(out: &mut String, items: &[Tree], depth: usize, inline: bool) {
    for (at, item) in items.iter().enumerate() {
        indent(out, depth, inline && at == 0);
        out.push_str("- ");
        match item {
            Tree::Map(inner) if !inner.is_empty() => map(out, inner, depth + 2, true),
            Tree::List(inner) if !inner.is_empty() => list(out, inner, depth + 2, true),
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::List(_) | Tree::Map(_) => {
                scalar(out, item, depth + 2);
            }
        }
    }
}

fn scalar(out: &mut String, tree: &Tree, depth: usize) {
    let text = match tree {
        Tree::Null => "null".to_owned(),
        Tree::Bool(truth) => truth.to_string(),
        Tree::Number(number) => number.to_string(),
        Tree::List(_) => "[]".to_owned(),
        Tree::Map(_) => "{}".to_owned(),
        Tree::Text(text) if text.contains('\n') && printable(text) => return literal(out, text, depth),
        Tree::Text(text) => fold(out, &one_line(text), depth),
    };
    out.push_str(&text);
    out.push('\n');
}

fn printable(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control())
}

fn literal(out: &mut String, text: &str, depth: usize) {
    let depth = depth.max(2);
    let blank_first = text.starts_with([' ', '\n']);
    let chomp = match (text.ends_with('\n'), text.ends_with("\n\n")) {
        (false, _) => "-",
        (true, false) => "",
        (true, true) => "+",
    };
    out.push('|');
    out.push_str(if blank_first { "2" } else { "" });
    out.push_str(chomp);
    out.push('\n');
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            out.push_str(&" ".repeat(depth));
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// Breaks at single blanks once the line is too long.
fn fold(out: &str, text: &str, depth: usize) -> String {
    let started = out.rsplit('\n').next().map_or(0, |line| line.chars().count());
    let (mut folded, mut column, mut before) = (String::new(), started, ' ');
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == ' ' && column > FOLD && before != ' ' && rest.peek().is_some_and(|next| *next != ' ') {
            folded.push('\n');
            folded.push_str(&" ".repeat(depth));
            column = depth;
        } else {
            folded.push(c);
            column += 1;
        }
        before = c;
    }
    folded
}

/// Plain, in single quotes or in double quotes.
fn one_line(text: &str) -> String {
    if text.chars().any(char::is_control) || reads_as_something_else(text) {
        double_quoted(text)
    } else if cannot_be_plain(text) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        text.to_owned()
    }
}

fn double_quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c if c.is_control() => format!("\\x{:02X}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// YAML 1.1: booleans, nulls, numbers, times; each in the spellings a Go reader knows.
fn reads_as_something_else(text: &str) -> bool {
    const WORDS: &[&str] = &["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "", "<<"];
    const SPECIAL: &[&str] = &[".inf", "-.inf", "+.inf", ".nan"];
    let lower = text.to_lowercase();
    WORDS.contains(&lower.as_str()) || SPECIAL.contains(&lower.as_str()) || number(&lower) || time(text)
}

fn number(text: &str) -> bool {
    let bare = text.trim_start_matches(['-', '+']).replace('_', "");
    let prefixed = |prefix, radix| {
        bare.strip_prefix(prefix).is_some_and(|digits| u64::from_str_radix(digits, radix).is_ok())
    };
    if !bare.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let base60 = bare.contains(':')
        && bare
            .split(':')
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit() || c == '.'));
    prefixed("0x", 16) || prefixed("0b", 2) || prefixed("0o", 8) || bare.parse::<f64>().is_ok() || base60
}

/// 2026-01-01, alone or with a time after it.
fn time(text: &str) -> bool {
    let shape: String = text.chars().take(10).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let rest = text.get(10..).unwrap_or_default();
    shape == "0000-00-00" && (rest.is_empty() || rest.starts_with(['T', 't', ' ']) && rest.contains(':'))
}

fn cannot_be_plain(text: &str) -> bool {
    let starts = text
        .starts_with(['[', ']', '{', '}', ',', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', ' ']);
    let marker = text.starts_with(['-', '?', ':']) && matches!(text.chars().nth(1), None | Some(' '));
    let document = text.starts_with("---") || text.starts_with("...");
    starts || marker || document || text.ends_with([' ', ':']) || text.contains(": ") || text.contains(" #")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_as_a_real_client_quotes_them() {
        let cases = [
            ("@x", "'@x'"),
            ("[a", "'[a'"),
            ("a: b", "'a: b'"),
            ("a:", "'a:'"),
            ("1:30", "\"1:30\""),
            ("a, b", "a, b"),
            ("-", "'-'"),
            ("2026-01-01", "\"2026-01-01\""),
            ("- a", "'- a'"),
            (".5", "\".5\""),
            ("", "\"\""),
            ("1_000", "\"1_000\""),
            ("1e3", "\"1e3\""),
            ("a #b", "'a #b'"),
            ("0x1f", "\"0x1f\""),
            (".inf", "\".inf\""),
            ("null", "\"null\""),
            ("017", "\"017\""),
            ("it's", "it's"),
            ("a\tb", "\"a\\tb\""),
            ("~", "\"~\""),
            ("1.2.3", "1.2.3"),
            ("yes", "\"yes\""),
            (" a", "' a'"),
        ];
        for (given, expected) in cases {
            assert_eq!(one_line(given), expected, "{given}");
        }
    }

    #[test]
    fn nesting_and_literals() {
        let tree = Tree::from(serde_json::json!({
            "l": [1, "a", {"k": []}], "n": 1, "m": {}, "ml": "a\nb\n", "nonl": "a\nb", "z": {"lead": "\n a"}
        }));
        let expected = "l:\n- 1\n- a\n- k: []\nm: {}\nml: |\n  a\n  b\n\"n\": 1\nnonl: |-\n  a\n  b\nz:\n  \
                        lead: |2-\n\n     a\n";
        assert_eq!(pretty(&tree), expected);
    }
}
