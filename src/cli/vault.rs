//! The client verbs as one entrance: words and environment in, exit code out.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use super::client::Client;
use super::client::settings::{self, settings};
use super::line::help;
use super::line::{Given, Parsed, Verb, parse};
use super::output::Format;
use super::session::{Failure, OK, Outcome, Session, WRONG};
use super::token_file;
use super::verbs::{self, Run};
use crate::secret::SecretString;

/// Verbs that are not the client's: `clap` reads their arguments.
const OTHERS: &[(&str, &str)] = &[
    ("dev", "Start a throw-away cluster and the proxy in front of it"),
    ("proxy", "Run the proxy"),
    ("server", "Run a node"),
    ("check", "Check a configuration file; exit 0 ok, 1 errors, 2 warnings with --strict"),
    ("explain", "Say where a request would go, and why"),
];
/// An unknown verb, as in a shell.
const UNKNOWN: u8 = 127;

/// Runs a client verb or prints help; `None` when the first word is somebody else's.
pub(super) fn run(args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let words: Vec<OsString> = args.skip(1).collect();
    let first = words.first().and_then(|word| word.to_str()).unwrap_or("-h").to_owned();
    if OTHERS.iter().any(|(name, _)| *name == first.as_str()) {
        return None;
    }
    let words: Result<Vec<String>, OsString> = words.into_iter().map(OsString::into_string).collect();
    let Ok(words) = words else { return Some(complain(WRONG, "the arguments must be UTF-8")) };
    let version = matches!(first.as_str(), "-v" | "-version" | "--version" | "-V");
    let words = if version { vec!["version".to_owned()] } else { words };
    Some(match parse(verbs::all(), &words) {
        Parsed::Run(verb, given, late) => {
            late.into_iter().for_each(|late| eprintln!("{late}"));
            finish(execute(verb, given))
        }
        Parsed::Help(verb) => show(&help::of_verb(verb)),
        Parsed::Wrong(why) => complain(WRONG, &why),
        Parsed::Group(path, None) => show(&group_help(&path)),
        Parsed::Group(path, Some(why)) => {
            let code = if path.is_empty() && !why.is_empty() { UNKNOWN } else { WRONG };
            let lines = if why.is_empty() { String::new() } else { format!("{why}\n\n") };
            complain(code, (lines + &group_help(&path)).trim_end())
        }
    })
}

fn group_help(path: &str) -> String {
    if !path.is_empty() {
        return help::of_group(verbs::all(), path);
    }
    let clients: Vec<(String, &str)> = help::members(verbs::all(), "");
    let others: Vec<(String, &str)> =
        OTHERS.iter().map(|(name, about)| ((*name).to_owned(), *about)).collect();
    format!(
        "Usage: understudy <command> [options] [args]\n\nServers and proxies:\n{}\nClient of any Vault-API server \
         (VAULT_ADDR, VAULT_TOKEN):\n{}\n`understudy <command> -h` shows the options of each.\n",
        help::listed(&others),
        help::listed(&clients)
    )
}

fn execute(verb: &Verb<Run>, given: Given) -> Outcome {
    let env = |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok());
    let stored = token_of(verb, &env);
    let token = stored.map_err(|why| Failure::wrong(format!("Error getting the stored token: {why}")))?;
    let settings = settings(&given, &env, token).map_err(Failure::wrong)?;
    let name = given.value("format").map(str::to_owned).or_else(|| settings::variable(&env, "FORMAT"));
    let name = name.unwrap_or_default();
    let format =
        Format::parse(&name).ok_or_else(|| Failure::wrong(format!("Invalid output format: {name}")))?;
    let mut session = Session {
        client: Client::new(settings).map_err(Failure::wrong)?,
        given,
        format,
        env: &env,
        out: &mut std::io::stdout().lock(),
        err: &mut std::io::stderr(),
        input: &mut std::io::stdin(),
        terminal: std::io::stdout().is_terminal(),
    };
    let outcome = (verb.run)(&mut session);
    let flushed = session.out.flush();
    flushed.map_err(|error| Failure::wrong(format!("cannot write the result: {error}"))).and(outcome)
}

/// The environment's token, else the stored one; `version` and `status` need none.
fn token_of(verb: &Verb<Run>, env: settings::Env<'_>) -> Result<Option<SecretString>, String> {
    if let Some(token) = settings::variable(env, "TOKEN") {
        return Ok(Some(SecretString::new(token)));
    }
    match env("HOME").filter(|_| !matches!(verb.path, "version" | "status")) {
        Some(home) => token_file::load(&token_file::path(&PathBuf::from(home))),
        None => Ok(None),
    }
}

fn finish(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) if failure.is_result => show(&(failure.text + "\n")),
        Err(failure) => complain(failure.code, &failure.text),
    }
}

fn show(text: &str) -> ExitCode {
    let printed = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(if printed.is_err() { WRONG } else { OK })
}

fn complain(code: u8, text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(code)
}
