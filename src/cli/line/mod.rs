//! The command line of the client verbs, as Vault reads it: flags before arguments, one dash or two, `-x=y` or `-x y`.
//!
//! Pure: words in, what to do out. What the verbs do is `verbs`, which of them there are `verbs::ALL`.

pub mod help;

use super::suggest;

/// What kind of value a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `-force`, `-force=false`
    Switch,
    Text,
    Integer,
    /// `90`, `90s`, `1h30m`, `1d`; kept as seconds.
    Duration,
    /// Repeatable; each may hold several, with commas.
    List,
    /// Repeatable `name=value`.
    Pairs,
}

/// One flag of a verb.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

/// Shorthand for the tables of flags.
#[must_use]
pub const fn flag(name: &'static str, kind: Kind, help: &'static str) -> Flag {
    Flag { name, kind, help }
}

/// How many arguments a verb takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// Exactly so many.
    Exact(usize),
    /// From, to, and how the message names it.
    Between(usize, usize, &'static str),
    /// The verb looks itself.
    Any,
}

/// Which results a verb prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prints {
    /// A sentence.
    Text,
    /// `-format`
    Format,
    /// `-format` and `-field`
    Field,
}

/// One verb of the command line; `R` is what runs it.
#[derive(Debug)]
pub struct Verb<R: 'static> {
    /// `kv metadata get`
    pub path: &'static str,
    /// What stands behind the verb in its usage.
    pub usage: &'static str,
    pub about: &'static str,
    pub prints: Prints,
    pub arity: Arity,
    pub flags: &'static [Flag],
    pub run: R,
}

/// Flags of every verb that talks to a server.
pub const HTTP: &[Flag] = &[
    flag("address", Kind::Text, "Address of the server (VAULT_ADDR); default https://127.0.0.1:8200."),
    flag("agent-address", Kind::Text, "Address of an agent, used instead of -address (VAULT_AGENT_ADDR)."),
    flag("ca-cert", Kind::Text, "PEM file with the CA to trust (VAULT_CACERT)."),
    flag("ca-path", Kind::Text, "Directory of PEM files with CAs to trust (VAULT_CAPATH)."),
    flag("client-cert", Kind::Text, "PEM file with the client certificate (VAULT_CLIENT_CERT)."),
    flag("client-key", Kind::Text, "PEM file with its key (VAULT_CLIENT_KEY)."),
    flag("tls-server-name", Kind::Text, "Name to ask for and verify (VAULT_TLS_SERVER_NAME)."),
    flag("tls-skip-verify", Kind::Switch, "Do not verify the server's certificate (VAULT_SKIP_VERIFY)."),
    flag("disable-redirects", Kind::Switch, "Do not follow a redirect."),
    flag("namespace", Kind::Text, "Namespace of the request (VAULT_NAMESPACE); -ns for short."),
    flag("wrap-ttl", Kind::Duration, "Wrap the answer in a token that lives so long (VAULT_WRAP_TTL)."),
    flag("header", Kind::Pairs, "Header of every request, as name=value; repeatable."),
    flag("mfa", Kind::List, "MFA credentials for the X-Vault-MFA header (VAULT_MFA)."),
    flag("policy-override", Kind::Switch, "Override a soft-mandatory policy."),
    flag("output-curl-string", Kind::Switch, "Print the curl command of the request instead of sending it."),
    flag("output-policy", Kind::Switch, "Print the policy that the request needs instead of sending it."),
    flag("non-interactive", Kind::Switch, "Never ask on the terminal."),
    flag("unlock-key", Kind::Text, "Accepted for compatibility."),
];
/// Of verbs with results.
pub const FORMAT: &[Flag] =
    &[flag("format", Kind::Text, "table, json or yaml (VAULT_FORMAT); default table.")];
/// Of verbs whose results have fields.
pub const FIELD: &[Flag] = &[flag("field", Kind::Text, "Print this field only, without a line end.")];

/// A verb with its flags and arguments.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Given {
    flags: Vec<(&'static str, String)>,
    pub args: Vec<String>,
}

/// What a list of words asks for.
#[derive(Debug)]
pub enum Parsed<R: 'static> {
    Run(&'static Verb<R>, Given, Option<String>),
    /// Help for a verb.
    Help(&'static Verb<R>),
    /// Help for a group; `Some`: what was wrong with the words.
    Group(String, Option<String>),
    /// What is wrong: exit 1.
    Wrong(String),
}

// === impl Given ===

impl std::fmt::Debug for Given {
    /// Arguments may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} flags, {} arguments", self.flags.len(), self.args.len())
    }
}

impl Given {
    /// The last value of a flag.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().rev().find_map(|(flag, value)| (*flag == name).then_some(value.as_str()))
    }

    /// Every value of a repeatable flag.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.flags.iter().filter(move |(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }

    /// Every item of a repeatable flag with commas.
    pub fn items(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).flat_map(|value| value.split(',')).filter(|item| !item.is_empty())
    }

    /// A switch that is on.
    #[must_use]
    pub fn on(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    /// An integer or a number of seconds; checked when it was parsed.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.value(name).and_then(|value| value.parse().ok())
    }

    /// The argument at `at`, empty when there is none.
    #[must_use]
    pub fn arg(&self, at: usize) -> &str {
        self.args.get(at).map(String::as_str).unwrap_or_default()
    }
}

/// `operator raft snapshot save`
const MOST_WORDS: usize = 4;

/// Finds the verb and reads its flags.
#[must_use]
pub fn parse<R>(verbs: &'static [Verb<R>], words: &[String]) -> Parsed<R> {
    let leading = words.iter().take_while(|word| !word.starts_with('-')).count();
    let found = (1..=leading.min(MOST_WORDS)).rev().find_map(|count| {
        let path = words.get(..count)?.join(" ");
        verbs.iter().find(|verb| verb.path == path).map(|verb| (verb, count))
    });
    match found {
        Some((verb, count)) => of_verb(verb, words.get(count..).unwrap_or_default()),
        None => group(verbs, words, leading),
    }
}

fn group<R>(verbs: &'static [Verb<R>], words: &[String], leading: usize) -> Parsed<R> {
    let is_group = |path: &str| verbs.iter().any(|verb| verb.path.starts_with(&format!("{path} ")));
    let path = (0..=leading.min(MOST_WORDS))
        .rev()
        .filter_map(|count| words.get(..count).map(|words| words.join(" ")))
        .find(|path| path.is_empty() || is_group(path))
        .unwrap_or_default();
    let depth = path.split_whitespace().count();
    let wrong = match words.get(depth).map(String::as_str) {
        Some("-h" | "-help" | "--help") => None,
        Some(word) if word.starts_with('-') => Some(format!("flag provided but not defined: {word}")),
        Some(word) => Some(unknown_verb(verbs, &path, word)),
        None => Some(String::new()),
    };
    Parsed::Group(path, wrong)
}

fn unknown_verb<R>(verbs: &[Verb<R>], group: &str, word: &str) -> String {
    let near = suggest(word, help::members(verbs, group).into_iter().map(|(name, _)| name));
    let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
    format!("Unknown command \"{word}\"{near}")
}

fn of_verb<R>(verb: &'static Verb<R>, words: &[String]) -> Parsed<R> {
    let mut given = Given::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) else {
            given.args.push(word.clone());
            break;
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        if name.is_empty() {
            break;
        }
        let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
        if matches!(name, "h" | "help") {
            return Parsed::Help(verb);
        }
        match one_flag(verb, name, value, &mut rest) {
            Ok(pair) => given.flags.push(pair),
            Err(wrong) => return Parsed::Wrong(wrong),
        }
    }
    given.args.extend(rest.cloned());
    match arity(verb.arity, given.args.len()) {
        Some(wrong) => Parsed::Wrong(wrong),
        None => {
            let late = late_flags(&given.args);
            Parsed::Run(verb, given, late)
        }
    }
}

fn one_flag<'a, R>(
    verb: &Verb<R>,
    name: &str,
    value: Option<&str>,
    rest: &mut impl Iterator<Item = &'a String>,
) -> Result<(&'static str, String), String> {
    let long = match name {
        "ns" => "namespace",
        "f" => "force",
        other => other,
    };
    let sets = flags(verb);
    let flags = || sets.iter().flat_map(|set| set.iter());
    let Some(flag) = flags().find(|flag| flag.name == long) else {
        let near = suggest(name, flags().map(|flag| flag.name.to_owned()));
        let near = near.map(|near| format!("; did you mean -{near}?")).unwrap_or_default();
        return Err(format!("flag provided but not defined: -{name}{near}"));
    };
    let value = match (value, flag.kind) {
        (Some(value), _) => value.to_owned(),
        (None, Kind::Switch) => "true".to_owned(),
        (None, _) => rest.next().ok_or_else(|| format!("flag needs an argument: -{name}"))?.clone(),
    };
    let wrong = |why: &str| format!("invalid value \"{value}\" for flag -{name}: {why}");
    Ok((flag.name, checked(flag.kind, &value).map_err(|why| wrong(&why))?))
}

/// The sets of flags a verb knows.
#[must_use]
pub fn flags<R>(verb: &Verb<R>) -> [&'static [Flag]; 4] {
    let (format, field): (&[Flag], &[Flag]) = match verb.prints {
        Prints::Text => (&[], &[]),
        Prints::Format => (FORMAT, &[]),
        Prints::Field => (FORMAT, FIELD),
    };
    [verb.flags, format, field, HTTP]
}

fn checked(kind: Kind, value: &str) -> Result<String, String> {
    match kind {
        Kind::Text | Kind::List => Ok(value.to_owned()),
        Kind::Switch => match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok("true".to_owned()),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok("false".to_owned()),
            _ => Err(format!("strconv.ParseBool: parsing \"{value}\": invalid syntax")),
        },
        Kind::Integer => match value.parse::<i64>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(format!("strconv.ParseInt: parsing \"{value}\": invalid syntax")),
        },
        Kind::Duration => seconds(value)
            .map(|seconds| seconds.to_string())
            .ok_or_else(|| format!("time: invalid duration \"{value}\"")),
        Kind::Pairs if value.contains('=') => Ok(value.to_owned()),
        Kind::Pairs => Err(format!("missing = in KV pair: {value}")),
    }
}

/// `90`, `90s`, `1h30m`, `1.5h`, `2d` in seconds, fractions cut.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    if let Ok(plain) = text.parse::<i64>() {
        return Some(plain);
    }
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        total += number.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = tail;
    }
    // Beyond what any server accepts.
    let bounded = (!text.is_empty() && total <= 9e9).then_some(total)?;
    #[expect(clippy::cast_possible_truncation, reason = "bounded above, fractions are cut on purpose")]
    let whole = bounded as i64;
    Some(if negative { -whole } else { whole })
}

fn unit_seconds(unit: &str) -> Option<f64> {
    match unit {
        "ns" => Some(1e-9),
        "us" | "µs" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        "d" => Some(86_400.0),
        _ => None,
    }
}

fn arity(arity: Arity, got: usize) -> Option<String> {
    let (min, max, expected) = match arity {
        Arity::Exact(count) => (count, count, count.to_string()),
        Arity::Between(min, max, words) => (min, max, words.to_owned()),
        Arity::Any => return None,
    };
    if got < min {
        Some(format!("Not enough arguments (expected {expected}, got {got})"))
    } else if got > max {
        Some(format!("Too many arguments (expected {expected}, got {got})"))
    } else {
        None
    }
}

/// Flags behind an argument are arguments; that is worth a word.
fn late_flags(args: &[String]) -> Option<String> {
    let late: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .filter(|arg| arg.starts_with('-') && arg.len() > 1 && arg.parse::<f64>().is_err())
        .collect();
    let text = "Command flags must be provided before positional arguments. The following arguments will not be \
                parsed as flags:";
    (!late.is_empty()).then(|| format!("{text} [{}]", late.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    static VERBS: &[Verb<()>] = &[
        Verb {
            path: "read",
            usage: "[options] PATH",
            about: "",
            prints: Prints::Field,
            arity: Arity::Exact(1),
            flags: &[],
            run: (),
        },
        Verb {
            path: "kv get",
            usage: "[options] KEY",
            about: "",
            prints: Prints::Format,
            arity: Arity::Between(1, 2, "1-2"),
            flags: &[flag("version", Kind::Integer, ""), flag("ttl", Kind::Duration, "")],
            run: (),
        },
    ];

    fn told(line: &str) -> String {
        let words: Vec<String> = line.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
        match parse(VERBS, &words) {
            Parsed::Run(verb, given, late) => {
                let late = late.map(|_| " late").unwrap_or_default();
                format!("{} {:?} {:?}{late}", verb.path, given.flags, given.args)
            }
            Parsed::Help(verb) => format!("help {}", verb.path),
            Parsed::Group(path, wrong) => format!("group '{path}' {wrong:?}"),
            Parsed::Wrong(why) => why,
        }
    }

    #[test]
    fn lines() {
        let cases = [
            ("read a", r#"read [] ["a"]"#),
            ("read -field=x --format json a", r#"read [("field", "x"), ("format", "json")] ["a"]"#),
            ("read -ns x a", r#"read [("namespace", "x")] ["a"]"#),
            ("read", "Not enough arguments (expected 1, got 0)"),
            ("read a b", "Too many arguments (expected 1, got 2)"),
            ("read -feild=x a", "flag provided but not defined: -feild; did you mean -field?"),
            ("read -field", "flag needs an argument: -field"),
            ("read -h", "help read"),
            ("kv get -version=2 -ttl 1h30m a", r#"kv get [("version", "2"), ("ttl", "5400")] ["a"]"#),
            (
                "kv get -version=x a",
                r#"invalid value "x" for flag -version: strconv.ParseInt: parsing "x": invalid syntax"#,
            ),
            (
                "kv get -tls-skip-verify=false a -x",
                r#"kv get [("tls-skip-verify", "false")] ["a", "-x"] late"#,
            ),
            ("kv", "group 'kv' Some(\"\")"),
            ("kv -h", "group 'kv' None"),
            ("kv gte a", r#"group 'kv' Some("Unknown command \"gte\"; did you mean \"get\"?")"#),
            ("raed x", r#"group '' Some("Unknown command \"raed\"; did you mean \"read\"?")"#),
            ("-h", "group '' None"),
        ];
        for (line, expected) in cases {
            assert_eq!(told(line), expected, "{line}");
        }
    }

    #[test]
    fn durations() {
        let cases = [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("1h30m", Some(5400)),
            ("1d", Some(86_400)),
            ("1.5h", Some(5400)),
            ("-1s", Some(-1)),
            ("", None),
            ("abc", None),
            ("1x", None),
            ("99999999999h", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
