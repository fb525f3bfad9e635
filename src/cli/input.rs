//! `key=value` arguments: `key=@file`, `@file` with a JSON object, `-` for one on standard input.

use std::io::Read;

use super::output::tree::Tree;

/// Largest file or standard input taken, as the server takes no larger request.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Reads the arguments in their order; a later one wins, except that `-` and `@file` add to what is there.
/// Keys given twice become a list.
///
/// # Errors
/// One sentence, as the official client puts it.
pub fn data(args: &[String], input: &mut dyn Read) -> Result<Tree, String> {
    let mut entries: Vec<(String, Tree)> = Vec::new();
    for arg in args {
        let wrong = |why: String| format!("invalid key/value pair \"{arg}\": {why}");
        if arg == "-" {
            let text = limited(input).map_err(|why| wrong(format!("reading stdin: {why}")))?;
            object(&text).map_err(wrong)?.into_iter().for_each(|pair| put(&mut entries, pair));
        } else if let Some(file) = arg.strip_prefix('@') {
            let text = read_file(file).map_err(wrong)?;
            object(&text).map_err(wrong)?.into_iter().for_each(|pair| put(&mut entries, pair));
        } else {
            let (name, value) =
                arg.split_once('=').ok_or_else(|| wrong("format must be key=value".to_owned()))?;
            put(&mut entries, (name.to_owned(), value_of(value, input).map_err(wrong)?.into()));
        }
    }
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(Tree::Map(entries))
}

fn put(entries: &mut Vec<(String, Tree)>, (name, value): (String, Tree)) {
    let Some((_, there)) = entries.iter_mut().find(|(known, _)| *known == name) else {
        entries.push((name, value));
        return;
    };
    *there = match std::mem::replace(there, Tree::Null) {
        Tree::List(mut items) => {
            items.push(value);
            Tree::List(items)
        }
        before @ (Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::Map(_)) => {
            Tree::List(vec![before, value])
        }
    };
}

fn value_of(value: &str, input: &mut dyn Read) -> Result<String, String> {
    if value == "-" {
        return limited(input).map_err(|why| format!("error reading from stdin: {why}"));
    }
    if let Some(file) = value.strip_prefix('@') {
        return read_file(file).map_err(|why| format!("error reading file: {why}"));
    }
    // `\@x` and `\-` are the texts themselves.
    Ok(value
        .strip_prefix('\\')
        .filter(|rest| rest.starts_with('@') || *rest == "-")
        .unwrap_or(value)
        .to_owned())
}

fn object(text: &str) -> Result<Vec<(String, Tree)>, String> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(Tree::from(value).entries().to_vec()),
        Ok(_) => Err("the JSON is no object".to_owned()),
        // The text may be a secret: only the place is told.
        Err(error) => Err(format!("invalid JSON at line {} column {}", error.line(), error.column())),
    }
}

/// A file's text, or why not in Go's words.
///
/// # Errors
/// `open FILE: no such file or directory` and the like.
pub fn read_file(file: &str) -> Result<String, String> {
    let mut opened = std::fs::File::open(file).map_err(|error| format!("open {file}: {}", reason(&error)))?;
    limited(&mut opened).map_err(|why| format!("read {file}: {why}"))
}

/// Everything `input` has, up to 32 MiB of UTF-8.
///
/// # Errors
/// Not readable, too long, no UTF-8.
pub fn limited(input: &mut dyn Read) -> Result<String, String> {
    let mut text = String::new();
    let read = input.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| reason(&error))?;
    if read as u64 > MAX_BYTES { Err("longer than 32 MiB".to_owned()) } else { Ok(text) }
}

/// An error of the operating system without its number.
#[must_use]
pub fn reason(error: &std::io::Error) -> String {
    let known = [
        (std::io::ErrorKind::NotFound, "no such file or directory"),
        (std::io::ErrorKind::PermissionDenied, "permission denied"),
        (std::io::ErrorKind::IsADirectory, "is a directory"),
    ];
    let found = known.iter().find(|(kind, _)| *kind == error.kind());
    found.map_or_else(|| error.to_string(), |(_, words)| (*words).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        let cases: [(&[&str], &str, &str); 7] = [
            (&["a=1", "b=x=y"], "", r#"{"a":"1","b":"x=y"}"#),
            (&["a=1", "a=2", "a=3"], "", r#"{"a":["1","2","3"]}"#),
            (&["-"], r#"{"n":1}"#, r#"{"n":1}"#),
            (&["a=-"], "in\n", r#"{"a":"in\n"}"#),
            (&[r"a=\@x", "b="], "", r#"{"a":"@x","b":""}"#),
            (&["x"], "", r#"invalid key/value pair "x": format must be key=value"#),
            (
                &["@no/file"],
                "",
                r#"invalid key/value pair "@no/file": open no/file: no such file or directory"#,
            ),
        ];
        for (args, stdin, expected) in cases {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            let got = data(&args, &mut stdin.as_bytes());
            let got = got.map_or_else(|why| why, |tree| tree.to_value().to_string());
            assert_eq!(got, expected, "{args:?}");
        }
    }
}
