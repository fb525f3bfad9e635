//! The official clients work unchanged: `bao` and hvac, over every engine they would meet first.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use understudy::cli::openbao::binary;

use crate::support::cluster::RealCluster;
use crate::support::proxy::ProxySpec;

#[tokio::test]
async fn the_bao_command_line_works_unchanged() {
    let cluster = RealCluster::start(3).await;
    let proxy = ProxySpec::before(&cluster).start().await;
    let server = binary::find_or_install(&mut |line| eprintln!("{line}")).await.unwrap();
    let mut script = Command::new("bash");
    script.arg(client("with_bao_cli.sh")).env("BAO", server);
    run(script, proxy.api, cluster.root_token()).await;
}

#[tokio::test]
async fn hvac_works_unchanged() {
    let cluster = RealCluster::start(3).await;
    let proxy = ProxySpec::before(&cluster).start().await;
    let mut script = Command::new(python());
    script.arg(client("with_hvac.py"));
    run(script, proxy.api, cluster.root_token()).await;
    let metrics = proxy.metrics().await;
    println!(
        "reads by standbys: {}",
        metrics.sum("requests_total", &[("class", "read"), ("role", "standby")])
    );
}

#[tokio::test]
async fn our_command_line_answers_as_the_official_one() {
    let server = binary::find_or_install(&mut |line| eprintln!("{line}")).await.unwrap();
    let mut script = Command::new(python());
    script.arg(client("cli_parity.py")).env("BAO", server);
    script.env("UNDERSTUDY", env!("CARGO_BIN_EXE_understudy"));
    finish(script).await;
}

fn client(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// `tests/run` names one that has hvac; by hand, the one it made.
fn python() -> PathBuf {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/venv/bin/python");
    let python = std::env::var_os("TEST_PYTHON").map_or(made, PathBuf::from);
    assert!(python.exists(), "no Python with hvac: `tests/run tools` installs one");
    python
}

/// Nothing may hang, even when a request is lost.
const LIMIT: Duration = Duration::from_secs(120);

async fn run(mut script: Command, address: std::net::SocketAddr, token: &str) {
    script.env("BAO_ADDR", format!("http://{address}")).env("BAO_TOKEN", token);
    finish(script).await;
}

async fn finish(mut script: Command) {
    let output = script.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, output).await.expect("the client ends in two minutes").unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success(), "{said}");
}
