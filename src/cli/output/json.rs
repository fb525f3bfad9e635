//! JSON as Go's `json.MarshalIndent` writes it: two spaces, `<`, `>` and `&` escaped, maps in the tree's order.

use super::tree::Tree;

/// The text, without a last line end.
#[must_use]
pub fn pretty(tree: &Tree) -> String {
    let mut out = String::new();
    value(&mut out, tree, 0);
    out
}

fn value(out: &mut String, tree: &Tree, depth: usize) {
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Tree::Number(number) => out.push_str(&number.to_string()),
        Tree::Text(content) => text(out, content),
        Tree::List(items) => block(out, depth, ('[', ']'), items, value),
        Tree::Map(entries) => block(out, depth, ('{', '}'), entries, |out, (name, inner), depth| {
            text(out, name);
            out.push_str(": ");
            value(out, inner, depth);
        }),
    }
}

fn block<T>(
    out: &mut String,
    depth: usize,
    (open, close): (char, char),
    items: &[T],
    each: impl Fn(&mut String, &T, usize),
) {
    out.push(open);
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        each(out, item, depth + 1);
    }
    if !items.is_empty() {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
    out.push(close);
}

fn text(out: &mut String, content: &str) {
    out.push('"');
    content.chars().for_each(|c| character(out, c));
    out.push('"');
}

fn character(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_writes_it() {
        let cases = [
            ("{}", "{}"),
            ("[]", "[]"),
            ("null", "null"),
            (r#"{"b":[1,"x"],"a":{}}"#, "{\n  \"a\": {},\n  \"b\": [\n    1,\n    \"x\"\n  ]\n}"),
            (r#""<a&b>\u0001\n""#, r#""\u003ca\u0026b\u003e\u0001\n""#),
        ];
        for (given, expected) in cases {
            let tree = Tree::from(serde_json::from_str::<serde_json::Value>(given).unwrap());
            assert_eq!(pretty(&tree), expected, "{given}");
        }
    }
}
