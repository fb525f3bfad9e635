//! The command line: arguments → one subcommand → exit code. Decides nothing else.
pub mod check;
pub mod dev;
pub mod explain;
pub mod openbao;
pub mod proxy;

/// Runs the command line of this process.
#[must_use]
pub fn run() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
