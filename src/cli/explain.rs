//! `understudy explain METHOD PATH`: where a request would go and why, from a configuration or from a live proxy.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::config::{self, finding};
use crate::proxy::explain::{Asked, offline};

/// The whole question to a live proxy.
const LIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// An explanation is a few KiB.
const MAX_ANSWER: usize = 1024 * 1024;

/// `understudy explain METHOD PATH [-H 'K: V'] -config FILE | --admin URL`
#[derive(Debug, Clone, clap::Args)]
pub struct ExplainArgs {
    /// GET, LIST, PUT, ...
    pub method: String,
    /// As on the wire, with or without /v1/, query included.
    pub path: String,
    /// A header of the request, as 'Name: value'; repeatable.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Explain by this configuration file alone.
    #[arg(long, short, value_name = "FILE", required_unless_present = "admin")]
    pub config: Option<PathBuf>,
    /// Ask the proxy with this admin address, which knows roles, mounts and what it learned.
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    pub admin: Option<Uri>,
    /// A file with the admin token, when the admin address asks for one.
    #[arg(long, value_name = "FILE", requires = "admin")]
    pub admin_token_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Prints the explanation. Exit codes: 0 explained, 1 not.
#[must_use]
pub fn run(args: &ExplainArgs) -> ExitCode {
    match explain(args) {
        Ok(explanation) if args.json => {
            println!("{explanation:#}");
            ExitCode::SUCCESS
        }
        Ok(explanation) => {
            println!("{}", as_text(&explanation).trim_end());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("understudy explain: {why}");
            ExitCode::FAILURE
        }
    }
}

fn explain(args: &ExplainArgs) -> Result<Value, String> {
    let headers = args.headers.iter().map(|header| split_header(header)).collect::<Result<Vec<_>, _>>()?;
    match (&args.admin, &args.config) {
        (Some(admin), _) => live(admin, args, &headers),
        (None, Some(file)) => {
            // Parsed, not loaded: explaining needs none of the certificates the file names.
            let name = file.display().to_string();
            let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
            let loaded = config::parse(&text, &name);
            let refused = || finding::render(&name, &loaded.findings);
            let config = loaded.config.clone().ok_or_else(refused)?;
            let asked =
                Asked::parse(&args.method, &args.path, &headers).map_err(|error| error.to_string())?;
            let explanation = offline(&asked, Arc::new(config), Instant::now());
            if !args.json {
                return Ok(Value::String(explanation.to_text()));
            }
            serde_json::to_value(explanation).map_err(|error| error.to_string())
        }
        (None, None) => Err("give -config FILE or --admin URL".to_owned()),
    }
}

fn split_header(header: &str) -> Result<(String, String), String> {
    let (name, value) = header.split_once(':').ok_or("a header is written as 'Name: value'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

// --- a live proxy ---

fn live(admin: &Uri, args: &ExplainArgs, headers: &[(String, String)]) -> Result<Value, String> {
    let question = serde_json::json!({ "method": args.method, "path": args.path, "headers": headers });
    let token = args.admin_token_file.as_ref().map(std::fs::read_to_string).transpose();
    let token = token.map_err(|error| format!("the admin token file: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let asked = ask(admin, &question, token.as_deref().map(str::trim));
    let answered = runtime.block_on(async { tokio::time::timeout(LIVE_TIMEOUT, asked).await });
    answered.map_err(|_| format!("{admin} did not answer within {} s", LIVE_TIMEOUT.as_secs()))?
}

async fn ask(admin: &Uri, question: &Value, token: Option<&str>) -> Result<Value, String> {
    let authority = admin.authority().ok_or("--admin takes http://HOST:PORT")?;
    if admin.scheme_str() != Some("http") {
        return Err("--admin takes http://HOST:PORT".to_owned());
    }
    let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
    let failed = |error: &dyn std::fmt::Display| format!("{admin}: {error}");
    let stream = tokio::net::TcpStream::connect(&address).await.map_err(|error| failed(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let driving = tokio::spawn(connection);
    let mut request = Request::post("/v1/explain")
        .header(http::header::HOST, authority.as_str())
        .header(http::header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request =
        request.body(Full::new(Bytes::from(question.to_string()))).map_err(|error| failed(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
    let status = answer.status();
    let body =
        Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| failed(&error))?;
    driving.abort();
    let value: Value = serde_json::from_slice(&body.to_bytes()).map_err(|error| failed(&error))?;
    if status.is_success() { Ok(value) } else { Err(format!("{admin} answered {status}: {value}")) }
}

// --- text ---

/// One fact a line, lists indented; the order is that of the JSON.
fn as_text(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, 0, &mut out);
    out
}

fn write_value(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    if let Some(fields) = value.as_object() {
        for (name, field) in fields {
            write_field(name, field, depth, out);
        }
    } else if let Some(items) = value.as_array() {
        let lines = items.iter().map(|item| format!("{indent}- {}\n", one_line(item)));
        lines.for_each(|line| out.push_str(&line));
    } else {
        out.push_str(plain_text(value).trim_end());
    }
}

fn write_field(name: &str, field: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    if field.is_object() || field.is_array() {
        out.push_str(&format!("{indent}{name}:\n"));
        write_value(field, depth + 1, out);
    } else {
        out.push_str(&format!("{indent}{name}: {}\n", plain_text(field)));
    }
}

fn one_line(item: &Value) -> String {
    let Some(fields) = item.as_object() else { return plain_text(item) };
    let shown = fields.iter().map(|(name, field)| format!("{name}={}", plain_text(field)));
    shown.collect::<Vec<_>>().join("  ")
}

fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
