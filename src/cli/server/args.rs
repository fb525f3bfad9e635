//! The options of `understudy server`, and the environment variables that stand for them.

use std::path::PathBuf;

/// `understudy server -config FILE|DIR ...`, `understudy server -dev`
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServerArgs {
    /// A configuration file, or a directory of them; may be given several times (BAO_CONFIG_PATH).
    #[arg(long, value_name = "FILE|DIR")]
    pub config: Vec<PathBuf>,
    /// Least severe level of the log: trace, debug, info, warn, error (BAO_LOG_LEVEL).
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Form of the log: standard or json (BAO_LOG_FORMAT).
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Write the log to this file instead of standard error; SIGHUP opens it anew.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Everything in memory, initialised and unsealed: for trying things out.
    #[arg(long)]
    pub dev: bool,
    /// The root token of the development mode (BAO_DEV_ROOT_TOKEN_ID).
    #[arg(long, value_name = "TOKEN")]
    pub dev_root_token_id: Option<String>,
    /// Where the development mode listens [default: 127.0.0.1:8200] (BAO_DEV_LISTEN_ADDRESS).
    #[arg(long, value_name = "ADDR")]
    pub dev_listen_address: Option<String>,
    /// Do not write the root token to the token helper's file.
    #[arg(long)]
    pub dev_no_store_token: bool,
    /// The development mode with TLS: a CA, a certificate and a key are made for it.
    #[arg(long)]
    pub dev_tls: bool,
    /// Where -dev-tls writes them [default: a directory that is removed at the end].
    #[arg(long, value_name = "DIR")]
    pub dev_tls_cert_dir: Option<PathBuf>,
    /// Another name or address the certificate of -dev-tls is for; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub dev_tls_san: Vec<String>,
    /// Do not mount a key-value engine at secret/.
    #[arg(long)]
    pub dev_no_kv: bool,
}

// === impl ServerArgs ===

impl ServerArgs {
    /// What is not on the command line is taken from the environment: `BAO_NAME`, else `VAULT_NAME`.
    #[must_use]
    pub fn with_environment(mut self, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        self.dev |= self.dev_tls;
        let either = |name: &str| {
            let of = |prefix| variable(&format!("{prefix}_{name}")).filter(|text| !text.is_empty());
            of("BAO").or_else(|| of("VAULT"))
        };
        if self.config.is_empty() && !self.dev {
            self.config.extend(either("CONFIG_PATH").map(PathBuf::from));
        }
        self.log_level = self.log_level.or_else(|| either("LOG_LEVEL"));
        self.log_format = self.log_format.or_else(|| either("LOG_FORMAT"));
        self.dev_root_token_id = self.dev_root_token_id.or_else(|| either("DEV_ROOT_TOKEN_ID"));
        self.dev_listen_address = self.dev_listen_address.or_else(|| either("DEV_LISTEN_ADDRESS"));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let variable = |name: &str| match name {
            "BAO_LOG_LEVEL" => Some("debug".to_owned()),
            "VAULT_DEV_ROOT_TOKEN_ID" => Some("root".to_owned()),
            "BAO_CONFIG_PATH" => Some("/etc/x".to_owned()),
            _ => None,
        };
        let args = ServerArgs { log_level: Some("warn".into()), ..ServerArgs::default() };
        let args = args.with_environment(&variable);
        assert_eq!(
            (args.log_level.as_deref(), args.dev_root_token_id.as_deref()),
            (Some("warn"), Some("root"))
        );
        assert_eq!(args.config, [PathBuf::from("/etc/x")]);
        let dev = ServerArgs { dev: true, ..ServerArgs::default() }.with_environment(&variable);
        assert!(dev.config.is_empty());
    }
}
