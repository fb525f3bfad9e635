//! The way in: arguments → one subcommand → exit code.

fn main() -> std::process::ExitCode {
    understudy::cli::run()
}
