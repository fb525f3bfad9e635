//! What is accepted and what is refused, held against the server's answers; and print → parse gives back the tree.

use std::fmt::Write as _;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

/// A document in one line, without places: `path "a" { x = [1, "y"] }`.
fn printed(body: &Body) -> String {
    let mut text = String::new();
    for item in &body.items {
        write!(text, "{} ", quoted(&item.key().text)).unwrap();
        item.labels().iter().for_each(|label| write!(text, "{} ", quoted(&label.text)).unwrap());
        let assign = if item.assign.is_some() { "= " } else { "" };
        write!(text, "{assign}{} ", value(&item.value)).unwrap();
    }
    text.trim_end().to_owned()
}

fn value(value: &Value) -> String {
    match &value.kind {
        Kind::Null => "null".into(),
        Kind::Bool(truth) => truth.to_string(),
        Kind::Integer(number) => number.to_string(),
        Kind::Float(number) => format!("{number:?}"),
        Kind::Text(text) => quoted(text),
        Kind::List(values) => format!("[{}]", values.iter().map(self::value).collect::<Vec<_>>().join(", ")),
        Kind::Object(body) if body.items.is_empty() => "{}".into(),
        Kind::Object(body) => format!("{{ {} }}", printed(body)),
    }
}

fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() || c == '$' => format!("\\U{:08x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

fn read(text: &str) -> String {
    match parse(text) {
        Ok(body) => printed(&body),
        Err(error) => format!("! {error}"),
    }
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(read(text), *expected, "{text:?}");
    }
}

#[test]
fn what_the_server_accepts() {
    check(&[
        ("", ""),
        (" \n# nothing", ""),
        ("path \"a\" { c = [\"read\"] }", r#""path" "a" { "c" = ["read"] }"#),
        ("\"path\" a {\"c\" = [\"read\",]}", r#""path" "a" { "c" = ["read"] }"#),
        ("path \"a\"\n{ x = 1 y = 2 }", r#""path" "a" { "x" = 1 "y" = 2 }"#),
        ("a = 1, b = 2,", r#""a" = 1 "b" = 2"#),
        ("a { x = 1 } a { x = 2, }", r#""a" { "x" = 1 } "a" { "x" = 2 }"#),
        ("a = {b = 1 c = 2}", r#""a" = { "b" = 1 "c" = 2 }"#),
        ("a { b { c {} } }", r#""a" { "b" { "c" {} } }"#),
        ("a \"b\" c { }", r#""a" "b" "c" {}"#),
        ("a = [,\"x\",,\"y\",]", r#""a" = ["x", "y"]"#),
        ("a = [1,\n2,\n]\n", r#""a" = [1, 2]"#),
        ("a = [{b=1}, {c=2}]", r#""a" = [{ "b" = 1 }, { "c" = 2 }]"#),
        ("# c\n// d\n/* e\n f */ a = 1 # g", r#""a" = 1"#),
        ("/* * / **/ a = 1 /**/", r#""a" = 1"#),
        ("a.b-c = true _d = false é = 1", r#""a.b-c" = true "_d" = false "é" = 1"#),
        ("\r\na = 1\r\n", r#""a" = 1"#),
        ("a = 0x1F b = 017 c = -5 d = 0", r#""a" = 31 "b" = 15 "c" = -5 "d" = 0"#),
        (
            "a = 1e2 b = 1.5e3 c = 1. d = .5 e = -0.25",
            r#""a" = 100.0 "b" = 1500.0 "c" = 1.0 "d" = 0.5 "e" = -0.25"#,
        ),
        (r#"a = "\u00e9 \101 \xc3\xa9 \" \\ \U0001F600""#, r#""a" = "é A é \" \\ 😀""#),
        (r#"a = "${foo("bar")} x""#, r#""a" = "\U00000024{foo(\"bar\")} x""#),
        (r#"a = "${x{"}"}} \t""#, r#""a" = "\U00000024{x{\"}\"}} \U00000009""#),
        ("a = \"${a\nb}\"", r#""a" = "\U00000024{a\U0000000ab}""#),
        ("a = \"$x $\"", r#""a" = "\U00000024x \U00000024""#),
        ("a = <<EOF\nhi\n  you\nEOF\n", r#""a" = "hi\U0000000a  you\U0000000a""#),
        ("a = <<-EOF\n  hi\n    you\n  EOF\n", r#""a" = "hi\U0000000a  you\U0000000a""#),
        ("a = <<-EOF\n  hi\n you\n  EOF\n", r#""a" = "  hi\U0000000a you\U0000000a""#),
        ("a = [<<EOF\nx\nEOF\n, \"b\"]", r#""a" = ["x\U0000000a", "b"]"#),
        ("a = <<EOF\nEOF\nb = 1", r#""a" = "" "b" = 1"#),
    ]);
}

#[test]
fn what_the_server_refuses_in_its_words() {
    check(&[
        (
            "path \"a\" { capabilities = [\"read\" \"list\"] }",
            "! At 1:35: error parsing list, expected comma or list end, got: STRING",
        ),
        ("path \"a\" { capabilities = } }", "! At 1:27: Unknown token: 1:27 RBRACE }"),
        (
            "path \"a\" { capabilities }",
            "! At 1:25: key 'capabilities' expected start of object ('{') or assignment ('=')",
        ),
        (
            "path \"a\" { capabilities",
            "! At 1:25: key 'capabilities' expected start of object ('{') or assignment ('=')",
        ),
        ("path \"x\" {", "! At 1:12: object expected closing RBRACE got: EOF"),
        ("path \"a\"", "! At 1:9: key 'path \"a\"' expected start of object ('{') or assignment ('=')"),
        ("path \"a\" = { }", "! At 1:10: nested object expected: LBRACE got: ASSIGN"),
        ("= 3", "! At 1:1: no object keys found!"),
        ("}", "! At 1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE"),
        ("[", "! At 1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: LBRACK"),
        ("a", "! At 1:3: key 'a' expected start of object ('{') or assignment ('=')"),
        ("a = b", "! At 1:5: Unknown token: 1:5 IDENT b"),
        ("a = [b]", "! At 1:6: unexpected token while parsing list: IDENT"),
        ("a = [1 2]", "! At 1:8: error parsing list, expected comma or list end, got: NUMBER"),
        ("a = [\n1\n2]", "! At 3:1: error parsing list, expected comma or list end, got: NUMBER"),
        ("a = [true false]", "! At 1:11: error parsing list, expected comma or list end, got: BOOL"),
        ("a = [{b=1}{c=2}]", "! At 1:11: error parsing list, expected comma or list end, got: LBRACE"),
        (
            "a = [{b 1}]",
            "! At 1:6: error while trying to parse object within list: At 1:9: expected: IDENT | STRING | ASSIGN | LBRACE got: NUMBER",
        ),
        (
            "a = [[1,[2 3]]]",
            "! At 1:6: error while trying to parse list within list: At 1:9: error while trying to parse list within list: At 1:12: error parsing list, expected comma or list end, got: NUMBER",
        ),
        ("a = \"unterminated", "! At 1:18: literal not terminated"),
        ("a = \"${foo\"", "! At 1:12: literal not terminated"),
        (r#"a = "\q""#, "! At 1:7: illegal char escape"),
        (r#"a = "\x4""#, "! At 1:9: illegal char escape"),
        ("a = 0x", "! At 1:7: illegal hexadecimal number"),
        ("a = -", "! At 1:5: Unknown token: 1:5 SUB -"),
        ("a = +5", "! At 1:5: Unknown token: 1:5 ADD +"),
        ("a = 1_000", "! At 1:11: key '_000' expected start of object ('{') or assignment ('=')"),
        ("a = 1.2.3", "! At 1:8: expected: IDENT | STRING | ASSIGN | LBRACE got: FLOAT"),
        ("a = <<EOF\nhi\nEOF", "! At 3:4: heredoc not terminated"),
        ("a = <EOF\n", "! At 1:6: heredoc expected second '<', didn't see it"),
        ("a = <<\nx\n\n", "! At 1:7: zero-length heredoc anchor"),
        ("a = <<EOF x\nEOF\n", "! At 1:10: invalid characters in heredoc anchor"),
        ("a = <<EOF", "! At 1:10: heredoc not terminated"),
        ("/ a", "! At 1:1: expected '/' for comment"),
        ("a = 1 /* x", "! At 1:11: comment not terminated"),
        ("a = 1,, b = 2", "! At 1:7: expected: IDENT | STRING | ASSIGN | LBRACE got: COMMA"),
        ("a: 1", "! At 1:2: illegal char"),
        ("a = null", "! At 1:5: Unknown token: 1:5 IDENT null"),
        ("true = 1", "! At 1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: BOOL"),
        ("a\0b", "! At 1:2: unexpected null character (0x00)"),
        ("\u{feff}a = 1", "! At 1:1: illegal char"),
        ("a = \"é\" b = @", "! At 1:13: illegal char"),
        ("a = \"x\" \"y\"", "! At 1:12: key '\"y\"' expected start of object ('{') or assignment ('=')"),
        ("a = { b = 1", "! At 1:15: object expected closing RBRACE got: EOF"),
        ("a = { b = 1 c", "! At 1:15: key 'c' expected start of object ('{') or assignment ('=')"),
        ("a = { b c }", "! At 1:11: key 'b c' expected start of object ('{') or assignment ('=')"),
        ("a { = 1 }", "! At 1:5: no object keys found!"),
        ("a { [ }", "! At 1:5: expected: IDENT | STRING | ASSIGN | LBRACE got: LBRACK"),
        ("a = [", "! At 1:6: unexpected token while parsing list: EOF"),
        ("a = [1", "! At 1:9: error parsing list, expected comma or list end, got: EOF"),
        ("a = [1}", "! At 1:7: error parsing list, expected comma or list end, got: RBRACE"),
        ("\r\na = 1\r\nb\r\n", "! At 4:1: key 'b' expected start of object ('{') or assignment ('=')"),
    ]);
}

/// The server drops the setting, reports a later place, or fails only when the number is used.
#[test]
fn what_only_this_refuses() {
    check(&[
        ("a = ", "! At 1:5: Unknown token: 1:5 EOF"),
        ("a = \"x\ny\"", "! At 1:7: literal not terminated"),
        ("a = \"\0\"", "! At 1:6: unexpected null character (0x00)"),
        ("a = 08", "! At 1:8: illegal octal number"),
        ("a = 99999999999999999999", "! At 1:26: the number does not fit into 64 bits"),
        ("a = 1e", "! At 1:7: illegal number"),
        (r#"a = "\xff""#, "! At 1:10: illegal char escape"),
        (r#"a = "\ud800""#, "! At 1:11: illegal char escape"),
    ]);
}

#[test]
fn json_is_accepted() {
    check(&[
        ("{}", ""),
        (" \n{ }", ""),
        (r#"{"path":{"a":{"c":["read",],},"b":{}}}"#, r#""path" "a" = { "c" = ["read"] } "path" "b" = {}"#),
        (r#"{"path":[{"a":{"x":1}},{"b":{"x":2}}]}"#, r#""path" "a" = { "x" = 1 } "path" "b" = { "x" = 2 }"#),
        (r#"{"a":{"b":[{"c":1}, {"d":2}]}}"#, r#""a" = { "b" = { "c" = 1 } "b" = { "d" = 2 } }"#),
        (r#"{"a":[{"b":1}, 2], "c":[], "d":{}}"#, r#""a" = [{ "b" = 1 }, 2] "c" = [] "d" = {}"#),
        (
            r#"{"a":1.5,"b":-2,"c":true,"d":false,"e":null}"#,
            r#""a" = 1.5 "b" = -2 "c" = true "d" = false "e" = null"#,
        ),
        (r#"{"a":"\u00e9 \" ${x"}"#, r#""a" = "é \" \U00000024{x""#),
    ]);
}

/// The server takes many of these for something else: it stops at the end of the text without a word.
#[test]
fn json_is_refused() {
    check(&[
        ("{{}}", "! At 1:2: expected: STRING got: LBRACE"),
        ("{", "! At 1:2: object expected closing RBRACE got: EOF"),
        (r#"{"a""#, "! At 1:5: expected: COLON got: EOF"),
        (r#"{"a":"#, "! At 1:6: Unknown token: 1:6 EOF"),
        (r#"{"a":1"#, "! At 1:7: expected: COMMA | RBRACE got: EOF"),
        (r#"{"a":1 "b":2}"#, "! At 1:8: expected: COMMA | RBRACE got: STRING"),
        (r#"{"a":1,,"b":2}"#, "! At 1:8: expected: STRING got: COMMA"),
        (r#"{"a":1}}"#, "! At 1:8: the document has ended before this"),
        (r#"{"a" {"b":1}}"#, "! At 1:6: expected: COLON got: LBRACE"),
        (r#"{"a":}"#, "! At 1:6: Unknown token: 1:6 RBRACE"),
        (r#"{"a":tru}"#, "! At 1:6: illegal char"),
        (r#"{"a":01}"#, "! At 1:7: numbers cannot start with 0"),
        (r#"{"a":[1,2"#, "! At 1:10: error parsing list, expected comma or list end, got: EOF"),
        (r#"{"a":["x" "y"]}"#, "! At 1:11: error parsing list, expected comma or list end, got: STRING"),
        (r#"{"a":[,]}"#, "! At 1:7: Unknown token: 1:7 COMMA"),
        (r#"{"a":"\q"}"#, "! At 1:9: illegal char escape"),
        ("{\"a\":\"x\ny\"}", "! At 1:8: illegal char"),
        (r#"{"a":"x"#, "! At 1:8: literal not terminated"),
        ("{a:1}", "! At 1:2: expected: STRING got: ILLEGAL"),
        (r#"{"a":.5}"#, "! At 1:6: Unknown token: 1:6 PERIOD"),
        (r#"{"a":5.}"#, "! At 1:6: illegal number"),
    ]);
}

#[test]
fn depth_size_and_labels_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "a {".repeat(depth), "}".repeat(depth));
    assert!(parse(&nested(DEPTH_MAX)).is_ok());
    let error = parse(&nested(DEPTH_MAX + 1)).unwrap_err();
    assert_eq!(error.to_string(), "At 1:195: nested deeper than 64 levels");
    let lists = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&lists(DEPTH_MAX - 1)).is_ok());
    assert!(parse(&lists(DEPTH_MAX)).unwrap_err().message.contains("nested deeper"));
    let large = "#".repeat(TEXT_MAX + 1);
    assert_eq!(read(&large), format!("! the text is larger than {TEXT_MAX} bytes"));
    let member = r#""":{},"#.repeat(2_000);
    let wide = format!("{}{member}{}", r#"{"a":"#.repeat(60), "}".repeat(60)).replace(":\"", ":{\"");
    let wide = format!("{wide}{}", "}".repeat(wide.matches('{').count() - wide.matches('}').count()));
    assert!(parse(&wide).unwrap_err().message.contains("keys and labels"));
}

#[test]
fn places_point_at_the_tokens() {
    let body = parse("a = 1\nlistener \"tcp\" {\n  address = \"é:1\" ok = <<E\nx\nE\n}").unwrap();
    let listener = body.named("listener").next().unwrap();
    let inside = listener.value.as_body().unwrap();
    let address = inside.attribute("address").unwrap();
    assert_eq!(address.span, Span { line: 3, column: 13, width: 5 });
    assert_eq!(listener.labels()[0].span, Span { line: 2, column: 10, width: 5 });
    assert_eq!(inside.attribute("ok").unwrap().span, Span { line: 3, column: 24, width: 3 });
    assert_eq!(listener.assign, None);
    let json = parse("{\"a\":\n {\"b\": \"xy\"}}").unwrap();
    let b = json.items[0].value.as_body().unwrap().items[0].clone();
    assert_eq!(
        (b.key().span, b.value.span),
        (Span { line: 2, column: 3, width: 3 }, Span { line: 2, column: 8, width: 4 })
    );
}

#[test]
fn of_repeated_attributes_the_last_counts_and_all_are_there() {
    let body = parse("a = 1 a = 2 a \"b\" {}").unwrap();
    assert_eq!(body.attribute("a").and_then(Value::as_integer), Some(2));
    assert_eq!(body.named("a").count(), 3);
}

#[test]
fn debug_shows_no_text() {
    let shown = format!("{:?}", parse("key = \"hunter2\"").unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Kind::Bool),
        any::<i64>().prop_map(Kind::Integer),
        (-1e9..1e9_f64).prop_map(Kind::Float),
        any::<String>().prop_map(|text| Kind::Text(Zeroizing::new(text.replace('\0', "")))),
    ];
    let kind = leaf.prop_recursive(4, 24, 4, |inner| {
        let values = prop::collection::vec(inner.prop_map(placed), 0..4);
        let body = prop::collection::vec((any_key(), values.clone()), 0..4).prop_map(|items| {
            let list = |values| placed(Kind::List(values));
            Body { items: items.into_iter().map(|(key, values)| assigned(key, list(values))).collect() }
        });
        prop_oneof![values.prop_map(Kind::List), body.prop_map(Kind::Object)]
    });
    kind.prop_map(placed)
}

fn placed(kind: Kind) -> Value {
    Value { kind, span: Span::default() }
}

fn any_key() -> impl Strategy<Value = Key> {
    any::<String>().prop_map(|text| Key { text: text.replace('\0', "").into(), span: Span::default() })
}

fn assigned(key: Key, value: Value) -> Item {
    Item::new(key, [], Some(Span::default()), value)
}

proptest! {
    #[test]
    fn what_is_printed_reads_the_same(items in prop::collection::vec((any_key(), any_value()), 0..5)) {
        let body = Body { items: items.into_iter().map(|(key, value)| assigned(key, value)).collect() };
        let text = printed(&body);
        prop_assert_eq!(read(&text), text);
    }

    #[test]
    fn any_text_is_read_or_refused_in_the_text(text in "[\\[\\]{}=,\"a1. \n<E$\\\\/*#-]{0,40}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.span.line <= text.lines().count() + 1);
        }
    }
}
