//! The language against the real server: each row was given to it, and its answer is beside it.

use super::capability::Capabilities;
use super::parse::{moment, policy};

/// A path block with this inside.
fn block(inside: &str) -> String {
    format!("path \"x\" {{ {inside} }}")
}

#[test]
fn these_are_policies() {
    for text in [
        "   ",
        "#c",
        "{}",
        "name=\"n\"\npath \"a\" { }",
        "name=1",
        "path { capabilities=[\"read\"] }",
        "path = { capabilities=[\"read\"] }",
        "path \"a\" \"b\" { capabilities=[\"read\"] }",
        "path x { capabilities=[\"read\"] }",
        "path \"x\"\n{ capabilities=[\"read\"] }",
        "path \"a\" {}  path \"b\" {}",
        "path \"a\" {} , path \"b\" {}",
        "path \"${x}\" { capabilities=[\"read\"] }",
        "path \"a/{{b}}\" { capabilities=[\"read\"] }",
        "path \"x\" { capabilities=[\"read\",] }",
        "path \"x\" { capabilities=[\"read\",, \"list\"] }",
        r#"{"path":{"a":{"capabilities":["read"]},"b":{"policy":"write"}}}"#,
        r#"{"path":[{"a":{"capabilities":["read"]}},{"b":{"capabilities":["list"]}}]}"#,
        r#"{"path":{"a":{"policy":null}}}"#,
        r#"{"path":{}}"#,
        r#"{"path":{"a":{}}}"#,
    ] {
        assert_eq!(policy(text).err(), None, "{text}");
    }
    for inside in [
        "",
        "capabilities=[]",
        "capabilities {}",
        "comment {}",
        "comment=[1]",
        "policy=\"deny\"\n capabilities=[\"patch\"]",
        "capabilities = [\"read\"], policy = \"write\"",
        "capabilities=[\"deny\",\"zzz\"]",
        "capabilities=[\"deny\"]\n max_wrapping_ttl=\"bad\"",
        "allowed_parameters={}",
        "allowed_parameters={a=[1,\"x\",true,1.5]}",
        "allowed_parameters={a=[[\"x\"]]}",
        "allowed_parameters={a={b=1}}",
        "allowed_parameters \"a\" {b=[\"x\"]}",
        "required_parameters=[\"a\",1]",
        "required_parameters={}",
        "mfa_methods=[\"a\"]",
        "pagination_limit=\"0x10\"",
        "max_wrapping_ttl=1.5",
        "max_wrapping_ttl=\"1d\"",
        "max_wrapping_ttl=-3",
        "max_wrapping_ttl=\"\"",
        "expiration=12345",
        "expiration=\"\"",
        "capabilities=[\"list\"]\n list_scan_response_keys_filter_path=\"{{ .path }}{{ .key }}\"",
    ] {
        assert_eq!(policy(&block(inside)).err(), None, "{inside}");
    }
}

#[test]
fn these_are_none_and_the_reason_is_said() {
    for (text, error) in [
        ("path \"a\" = { capabilities=[\"read\"] }", "At 1:10: nested object expected: LBRACE got: ASSIGN"),
        ("path \"x\" {", "At 1:12: object expected closing RBRACE got: EOF"),
        ("PATH \"x\" {}", "1 error occurred:\n\t* invalid key \"PATH\" on line 0\n\n"),
        (
            "paht \"x\" {}\nfoo=\"b\"",
            "2 errors occurred:\n\t* invalid key \"paht\" on line 0\n\t* invalid key \"foo\" on line 2\n\n",
        ),
        ("path=\"x\"", "path \"path\": cannot check HCL keys of type *ast.LiteralType"),
        ("path=[\"x\"]", "path \"path\": cannot check HCL keys of type *ast.ListType"),
        ("name=[\"x\"]\n", "At 1:6: root.name: unknown type for string *ast.ListType"),
        ("name={}\n", "At -: root.name: unknown type for string *ast.ObjectList"),
        ("name{a=1}\n", "At 1:6: root.name: unknown type for string *ast.ObjectList"),
        ("name \"x\" {}", "At 1:6: root.name: unknown type for string *ast.ObjectList"),
        (
            "path \"a/{{b\" {}",
            "path \"a/{{b\": failed to validate policy templating: unbalanced templating characters",
        ),
        ("path \"/+*\" {}", "path \"/+*\": path \"+*\": invalid use of wildcards ('+*' is forbidden)"),
        ("path \"\\u0007\" {x=1}", "path \"\\a\": 1 error occurred:\n\t* invalid key \"x\" on line 1\n\n"),
        (r#"{"foo":{"a":1}}"#, "1 error occurred:\n\t* invalid key \"foo\" on line 1\n\n"),
        (r#"{"name":["x"]}"#, "At -: root.name: unknown type for string *ast.ListType"),
        (r#"{"path":"a"}"#, "path \"path\": cannot check HCL keys of type *ast.LiteralType"),
        (
            r#"{"path":{"a":{"capabilities":"read"}}}"#,
            "path \"a\": path \"a\": At -: unknown slice type: *ast.LiteralType",
        ),
        (
            r#"{"path":{"a":{"capabilities":["read"]},"b":1}}"#,
            "path \"path\": 2 errors occurred:\n\t* invalid key \"a\" on line 1\n\t* invalid key \"b\" on line 1\n\n",
        ),
    ] {
        let got = policy(text).err().map(|error| error.to_string());
        assert_eq!(got, Some(format!("failed to parse policy: {error}")), "{text}");
    }
}

#[test]
fn fields_of_another_kind_are_told_by_their_place() {
    for (inside, error) in [
        ("capabilitiess=[\"read\"]", "1 error occurred:\n\t* invalid key \"capabilitiess\" on line 1\n\n"),
        ("capabilities=\"read\"", "path \"x\": At 1:25: unknown slice type: *ast.LiteralType"),
        ("capabilities=[1]", "path \"x\": invalid capability \"1\""),
        (
            "capabilities=[true]",
            "path \"x\": At 1:26: root.Capabilities[0]: unknown type for string *ast.LiteralType",
        ),
        (
            "capabilities=[[\"read\"]]",
            "path \"x\": At 1:26: root.Capabilities[0]: unknown type for string *ast.ListType",
        ),
        (
            "capabilities={a=\"b\"}",
            "path \"x\": At 1:26: root.Capabilities[0]: unknown type for string *ast.ObjectItem",
        ),
        (
            "capabilities \"a\" {}",
            "path \"x\": At 1:25: root.Capabilities[0]: unknown type for string *ast.ObjectItem",
        ),
        ("capabilities=[\"zzz\",\"deny\"]", "path \"x\": invalid capability \"zzz\""),
        ("capabilities=[\"root\"]", "path \"x\": invalid capability \"root\""),
        ("policy=\"bad\"", "path \"x\": invalid policy \"bad\""),
        ("policy=[\"x\"]", "path \"x\": At 1:19: root.Policy: unknown type for string *ast.ListType"),
        ("policy \"a\" {}", "path \"x\": At 1:19: root.Policy: unknown type for string *ast.ObjectList"),
        ("policy={}", "path \"x\": At -: root.Policy: unknown type for string *ast.ObjectList"),
        ("allowed_parameters={a=1}", "path \"x\": At 1:34: unknown slice type: *ast.LiteralType"),
        (
            "allowed_parameters=[\"x\"]",
            "path \"x\": At 1:31: root.allowed_parameters: not an object type for map (*ast.ListType)",
        ),
        (
            "allowed_parameters {a \"b\" {c=1}}",
            "path \"x\": root.allowed_parameters.a[0]: cannot decode into interface: *ast.ObjectItem",
        ),
        ("required_parameters=\"a\"", "path \"x\": At 1:32: unknown slice type: *ast.LiteralType"),
        (
            "mfa_methods=[true]",
            "path \"x\": At 1:25: root.mfa_methods[0]: unknown type for string *ast.LiteralType",
        ),
        ("pagination_limit=\"ten\"", "path \"x\": strconv.ParseInt: parsing \"ten\": invalid syntax"),
        ("pagination_limit=1.5", "path \"x\": At 1:29: root.pagination_limit: unknown type *ast.LiteralType"),
        ("pagination_limit={}", "path \"x\": At -: root.pagination_limit: unknown type *ast.ObjectList"),
        (
            "min_wrapping_ttl=\"10s\"\n max_wrapping_ttl=\"5s\"",
            "max_wrapping_ttl cannot be less than min_wrapping_ttl",
        ),
        (
            "min_wrapping_ttl=\"bad\"",
            "error parsing min_wrapping_ttl: strconv.ParseInt: parsing \"ba\": invalid syntax",
        ),
        ("max_wrapping_ttl=true", "error parsing max_wrapping_ttl: could not parse duration from input"),
        (
            "expiration=\"nope\"",
            "path \"x\": invalid expiration time: could not parse string as date and time",
        ),
        (
            "capabilities=[\"read\"]\n list_scan_response_keys_filter_path=\"{{ .path }}{{ .key }}\"",
            "list_scan_response_keys_filter_path needs to be used on a path with the list capability",
        ),
        (
            "capabilities=[\"list\"]\n list_scan_response_keys_filter_path=\"abc\"",
            "list_scan_response_keys_filter_path resulted in same path for two different keys",
        ),
        (
            "capabilities=[\"list\"]\n list_scan_response_keys_filter_path=\"{{ .key\"",
            "unable to compile template for list_scan_response_keys_filter_path: unable to parse template: \
             template: template:1: unclosed action",
        ),
        ("control_group {}", "control groups are not supported"),
    ] {
        let got = policy(&block(inside)).err().map(|error| error.to_string());
        assert_eq!(got, Some(format!("failed to parse policy: path \"x\": {error}")), "{inside}");
    }
}

#[test]
fn repeated_fields_add_up_or_the_last_counts() {
    let set = |names: &str| {
        names.split(' ').filter_map(Capabilities::named).fold(Capabilities::NONE, Capabilities::with)
    };
    for (inside, capabilities) in [
        ("capabilities=[\"read\"]\n capabilities=[\"list\"]", set("read list")),
        ("policy=\"read\"\n policy=\"write\"", set("create read update delete list")),
        ("policy=\"write\"\n policy=\"read\"", set("read list")),
        ("policy=\"sudo\"\n capabilities=[\"patch\"]", set("create read update delete list sudo patch")),
        ("capabilities=[\"read\",\"deny\"]", Capabilities::DENY),
    ] {
        let parsed = policy(&block(inside)).unwrap();
        assert_eq!(parsed.paths[0].permissions.capabilities, capabilities, "{inside}");
    }
    let twice = "allowed_parameters={a=[\"x\"]}\n allowed_parameters={A=[\"y\"]\n b=[]}";
    let parsed = policy(&block(twice)).unwrap();
    let allowed = &parsed.paths[0].permissions.allowed;
    assert_eq!(
        allowed.iter().map(|(name, list)| (name.as_str(), list.len())).collect::<Vec<_>>(),
        [("a", 2), ("b", 0)]
    );
}

#[test]
fn times_are_whole_or_seconds() {
    for (text, seconds) in [
        ("2030-01-01T00:00:00Z", Some(1_893_456_000)),
        ("2030-01-01T00:00:00+02:00", Some(1_893_448_800)),
        ("1893456000", Some(1_893_456_000)),
        ("-1", Some(-1)),
        ("2030-01-01", None),
        ("2030-01-01T00:00:00", None),
        ("2030-01-01t00:00:00z", None),
        ("1893456000.5", None),
    ] {
        assert_eq!(moment(text).map(time::OffsetDateTime::unix_timestamp), seconds, "{text}");
    }
}
