//! The wire as the real server speaks it: scenarios are run against OpenBao, what it answered is kept in `fixtures`,
//! and the same scenarios against a node of ours must be answered alike, field by field.
//!
//! `UNDERSTUDY_RECORD=1 cargo test --test api -- recorded` records anew. `UNDERSTUDY_BINARY` names another program
//! than the one just built, `UNDERSTUDY_DIFFS` a directory to write differences to.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod answer;
mod compare;
mod differences;
mod hvac;
mod mask;
mod process;
mod replay;
mod scenario;
mod server;
mod session;
mod wire;

/// One test for each family and server.
macro_rules! families {
    ($($name:ident),* $(,)?) => {
        mod recorded {
            $(#[test] fn $name() { crate::replay::against_openbao(stringify!($name)); })*
        }
        mod node {
            $(#[test] fn $name() { crate::replay::against_the_node(stringify!($name)); })*
        }
        /// Every family with a test.
        const FAMILIES: &[&str] = &[$(stringify!($name)),*];
    };
}

families!(
    approle,
    audit_lines,
    bao_ceremonies,
    bao_output,
    bao_session,
    cubbyhole,
    health,
    hvac_session,
    identity,
    kv1,
    kv2,
    leases,
    mounts,
    policies,
    quotas,
    requests,
    seal,
    system,
    tokens,
    totp,
    transit,
    userpass,
    wrapping,
);

/// The sessions once more with our command line: it ends as the official one does with the real server.
mod own {
    macro_rules! sessions {
        ($($name:ident),* $(,)?) => {
            mod openbao {
                $(#[test] fn $name() { crate::replay::with_our_client(stringify!($name), crate::server::Make::OpenBao); })*
            }
            mod node {
                $(#[test] fn $name() { crate::replay::with_our_client(stringify!($name), crate::server::Make::Node); })*
            }
        };
    }
    sessions!(bao_ceremonies, bao_output, bao_session);
}

#[test]
fn every_scenario_has_a_test() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/scenarios");
    let mut files: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.push(hvac::HVAC.to_owned());
    files.extend(session::SESSIONS.iter().map(|name| (*name).to_owned()));
    let mut listed: Vec<&str> = FAMILIES.to_vec();
    files.sort();
    listed.sort_unstable();
    assert_eq!(files, listed);
}
