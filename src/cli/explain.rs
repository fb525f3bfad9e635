//! `understudy explain METHOD PATH`: pending.
#[derive(Debug, Clone, clap::Args)]
pub struct ExplainArgs {
    pub method: String,
    pub path: String,
}
pub fn run(_args: &ExplainArgs) -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
