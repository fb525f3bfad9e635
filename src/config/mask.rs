//! Overwrites what may be a secret in a line of a configuration file before anybody sees it.
//!
//! It works on the raw line, not on the parsed file: a file that is neither YAML nor HCL is quoted too. It hides too
//! much rather than too little.

/// Unbroken letters and digits of this length look like a token or a key and are masked wherever they stand.
const TOKEN_LIKE: usize = 32;
/// A setting with one of these in its name holds a secret, unless it names a file.
const SECRET_WORDS: [&str; 4] = ["sha256", "token", "secret", "password"];

/// `sha256`, `token` and their like; the name of a file that holds one is no secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let secret = SECRET_WORDS.iter().any(|word| lower.contains(word)) || lower.ends_with("_key");
    secret && !lower.contains("file") && lower != "tokens"
}

/// The line with everything that may be a secret overwritten by `*`, character for character so that carets stay
/// in place. Control characters become spaces for the same reason.
pub(crate) fn masked(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    let mut hidden = vec![false; chars.len()];
    hide_values(&chars, &mut hidden);
    hide_runs(&chars, &mut hidden);
    hide_user_info(&chars, &mut hidden);
    let shown = |(c, hidden): (&char, bool)| match c {
        _ if hidden => '*',
        c if c.is_control() => ' ',
        c => *c,
    };
    chars.iter().zip(hidden).map(shown).collect()
}

/// `sha256: abc, level: x` → `sha256: ***, level: x`, and HCL's `current_key = "abc"` likewise. What points to a secret
/// (`${NAME}`, `file:`, `env:`) stays readable.
fn hide_values(chars: &[char], hidden: &mut [bool]) {
    for colon in (0..chars.len()).filter(|at| matches!(chars.get(*at), Some(':' | '='))) {
        let key = chars.iter().take(colon).rev().skip_while(|c| c.is_whitespace());
        let before: Vec<char> = key.copied().take_while(is_key_char).collect();
        let name: String = before.into_iter().rev().filter(|c| !matches!(c, '"' | '\'')).collect();
        if is_secret_name(&name) {
            hide_value(chars, colon + 1, hidden);
        }
    }
}

fn is_key_char(c: &char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '"' | '\'')
}

fn hide_value(chars: &[char], from: usize, hidden: &mut [bool]) {
    let start = from + chars.iter().skip(from).take_while(|c| c.is_whitespace()).count();
    let quote = chars.get(start).copied().filter(|c| matches!(c, '"' | '\''));
    let text: String = chars.iter().skip(start + usize::from(quote.is_some())).collect();
    if ["${", "file:", "env:"].iter().any(|prefix| text.starts_with(prefix)) {
        return;
    }
    let length = match quote {
        Some(quote) => text.chars().take_while(|c| *c != quote).count() + 2,
        None => text.chars().take_while(|c| !matches!(c, ',' | '}' | ']')).count(),
    };
    hidden.iter_mut().skip(start).take(length).for_each(|flag| *flag = true);
}

fn hide_runs(chars: &[char], hidden: &mut [bool]) {
    let mut start = 0;
    for end in 0..=chars.len() {
        if chars.get(end).is_some_and(char::is_ascii_alphanumeric) {
            continue;
        }
        if end - start >= TOKEN_LIKE {
            hidden.iter_mut().take(end).skip(start).for_each(|flag| *flag = true);
        }
        start = end + 1;
    }
}

/// `https://user:password@host` → `https://*************@host`.
fn hide_user_info(chars: &[char], hidden: &mut [bool]) {
    let authorities =
        (3..=chars.len()).filter(|end| chars.iter().skip(end - 3).take(3).eq([':', '/', '/'].iter()));
    for start in authorities {
        let authority: Vec<_> =
            chars.iter().skip(start).take_while(|c| !matches!(c, '/' | ' ' | '"' | ',')).collect();
        let length = authority.iter().rposition(|c| **c == '@').unwrap_or(0);
        hidden.iter_mut().skip(start).take(length).for_each(|flag| *flag = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_reach_a_snippet() {
        let cases = [
            ("  sha256: abc, level: x", "  sha256: ***, level: x"),
            ("- {name: a, sha256: \"0123\"}", "- {name: a, sha256: ******}"),
            ("- {name: a, sha256: [abc]}", "- {name: a, sha256: ****]}"),
            ("  sha256: one two", "  sha256: *******"),
            ("  \"sha256\": 'a, b', x: 1", "  \"sha256\": ******, x: 1"),
            ("  sha256: ${ADMIN}", "  sha256: ${ADMIN}"),
            ("  sha256: \"file:/etc/a\"", "  sha256: \"file:/etc/a\""),
            ("  sha256_file: /etc/a", "  sha256_file: /etc/a"),
            ("  tokens: [{name: ops}]", "  tokens: [{name: ops}]"),
            (
                "servers: [\"http://a:1\", \"https://me:pw@h:1\"]",
                "servers: [\"http://a:1\", \"https://*****@h:1\"]",
            ),
            ("x: 0123456789abcdef0123456789abcdef", "x: ********************************"),
            ("{path: \"auth/token/*\", to: any}", "{path: \"auth/token/*\", to: any}"),
            ("connect_timeout:\t1s", "connect_timeout: 1s"),
            ("  current_key = \"abc\" disabled = true", "  current_key = ***** disabled = true"),
            ("  current_key = abc", "  current_key = ***"),
            ("  current_key = \"file:///etc/key\"", "  current_key = \"file:///etc/key\""),
            ("  current_key_id = \"one\"", "  current_key_id = \"one\""),
            ("  {\"token\" : \"abc\"}", "  {\"token\" : *****}"),
        ];
        for (line, expected) in cases {
            assert_eq!(masked(line), expected, "{line}");
        }
    }
}
