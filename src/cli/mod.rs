//! The command line: arguments → one subcommand → exit code. Decides nothing else.
pub mod check;
pub mod client;
pub mod dev;
pub mod explain;
pub mod input;
pub mod line;
pub mod openbao;
pub mod output;
pub mod probe;
pub mod proxy;
pub mod server;
pub mod session;
pub mod token_file;
mod vault;
pub mod verbs;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::node::Environment;

/// The command line cannot be obeyed (BSD's EX_USAGE).
const USAGE: u8 = 64;

/// One endpoint for a Vault-API cluster: standbys answer the reads, the active node takes the writes, and nobody
/// reads the past.
#[derive(Debug, Parser)]
#[command(name = "understudy", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a throw-away cluster and the proxy in front of it.
    Dev(dev::DevArgs),
    /// Run the proxy.
    Proxy(proxy::ProxyArgs),
    /// Run a node.
    Server(server::ServerArgs),
    /// Check a configuration file; exit 0 ok, 1 errors, 2 warnings with --strict.
    Check(check::CheckArgs),
    /// Say where a request would go, and why.
    Explain(explain::ExplainArgs),
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    if let Some(code) = vault::run(std::env::args_os()) {
        return code;
    }
    let arguments = std::env::args_os().enumerate().map(|(at, argument)| vault_style(at, argument));
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // What cannot be printed (a closed pipe) cannot be reported either.
            drop(error.print());
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        Command::Dev(args) => dev::run(&args, proxy::serve),
        Command::Proxy(args) => proxy::run(&args, std::env::var_os("NOTIFY_SOCKET")),
        Command::Server(args) => server::run(&args, &variable, std::env::var_os("NOTIFY_SOCKET")),
        Command::Check(args) => check::run(&args, &Environment::read(&variable), Some(probe::probe)),
        Command::Explain(args) => explain::run(&args),
    }
}

/// A variable of the environment, where it is text.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok())
}

/// Vault's single-dash long flags (`-config=x`) mean the same as `--config=x`.
fn vault_style(at: usize, argument: OsString) -> OsString {
    let Some(text) = argument.to_str() else { return argument };
    let long = text.strip_prefix('-').filter(|rest| {
        at > 0
            && rest.chars().next().is_some_and(char::is_alphabetic)
            && rest.chars().nth(1).is_some_and(|c| c != '=')
    });
    // `-H 'K: V'` and other one-letter flags stay as they are.
    match long {
        Some(rest) => OsString::from(format!("--{rest}")),
        None => argument,
    }
}

/// The known word that `word` was probably meant to be.
fn suggest(word: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let near = known.map(|name| (strsim::damerau_levenshtein(word, &name), name)).min()?;
    (near.0 <= 2 && near.0 < word.len()).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_dash_long_flags() {
        for (given, meant) in [
            ("-config=x", "--config=x"),
            ("-config", "--config"),
            ("--config", "--config"),
            ("-H", "-H"),
            ("-c", "-c"),
            ("-", "-"),
            ("x", "x"),
            ("-1", "-1"),
        ] {
            assert_eq!(vault_style(1, given.into()), OsString::from(meant));
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
