//! A node's configuration: the samples, every key, several files as one, and what is said about mistakes. The files
//! with mistakes and the exact answers are in `node/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use understudy::config::Severity;
use understudy::config::finding::{count, render};
use understudy::config::node::model::{
    Bind, CustomHeaders, Fallback, Forwarded, Pem, Seal, ServiceRegistration, StatusClass, Storage,
};
use understudy::config::node::{Environment, Loaded, NodeConfig, load, parse};
use understudy::config::proxy::{ClientCertMode, LogFormat, LogLevel, LogOutput, TlsVersion};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(text: &str) -> Loaded {
    parse(&[("node.hcl", text)], &Environment::default())
}

#[track_caller]
fn good(text: &str) -> NodeConfig {
    let loaded = read(text);
    loaded.config.unwrap_or_else(|| panic!("{}", render("node.hcl", &loaded.findings)))
}

/// Enough for a node, and these lines.
fn with(lines: &str) -> String {
    format!("storage \"file\" {{ path = \"/x\" }}\nlistener \"tcp\" {{ tls_disable = true }}\n{lines}")
}

fn of_listener(lines: &str) -> String {
    format!("storage \"file\" {{ path = \"/x\" }}\nlistener \"tcp\" {{ tls_disable = true\n{lines} }}")
}

#[test]
fn the_samples_are_without_errors_and_warnings() {
    for name in ["node.hcl", "node.json"] {
        let text = std::fs::read_to_string(root().join("config").join(name)).unwrap();
        let loaded = parse(&[(name, &text)], &Environment::default());
        assert_eq!(loaded.findings, [], "{}", render(name, &loaded.findings));
        assert!(loaded.config.is_some());
    }
}

/// A node is alone yet: what the sample of a cluster says of the others is said to have no effect, and nothing else is.
#[test]
fn the_sample_of_a_cluster_is_warned_of() {
    let text = std::fs::read_to_string(root().join("config/node-raft.hcl")).unwrap();
    let loaded = parse(&[("node-raft.hcl", &text)], &Environment::default());
    let settings: Vec<&str> = loaded.findings.iter().map(|finding| finding.path.as_str()).collect();
    assert!(loaded.findings.iter().all(|finding| finding.code == "no-effect"), "{:?}", loaded.findings);
    assert_eq!(settings, ["storage.retry_join", "storage.retry_join", "listener[0].cluster_address"]);
    assert!(loaded.config.is_some());
}

#[test]
fn hcl_and_json_say_the_same() {
    let of = |name: &str| {
        let text = std::fs::read_to_string(root().join("config").join(name)).unwrap();
        parse(&[(name, &text)], &Environment::default()).config.unwrap()
    };
    assert_eq!(of("node.hcl"), of("node.json"));
}

#[test]
fn every_bad_file_is_answered_word_for_word() {
    let dir = root().join("tests/config/node");
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e != "txt")).collect();
    files.sort();
    assert!(files.len() >= 6);
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let loaded = parse(&[(name, &std::fs::read_to_string(&path).unwrap())], &Environment::default());
        let said = render(name, &loaded.findings);
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(
            said,
            expected,
            "`UPDATE_GOLDEN=1 cargo test --test config` rewrites {}",
            golden.display()
        );
        assert_eq!(loaded.config.is_none(), count(&loaded.findings).errors > 0, "{name}");
        let json = serde_json::to_string(&loaded.findings).unwrap();
        assert!(!said.contains("hunter") && !json.contains("hunter"), "{said}");
    }
}

#[test]
fn a_listener_has_vaults_defaults() {
    let config = good(&with(""));
    let listener = &config.listeners[0];
    assert_eq!(listener.bind, Bind::Tcp("127.0.0.1:8200".parse().unwrap()));
    assert_eq!(listener.cluster_bind, Some(Bind::Tcp("127.0.0.1:8201".parse().unwrap())));
    let seconds = |time: Duration| time.as_secs();
    let timeouts = &listener.timeouts;
    let times = [timeouts.read_header, timeouts.read, timeouts.write, timeouts.idle].map(seconds);
    assert_eq!(times, [10, 30, 0, 300]);
    let limits = &listener.limits;
    assert_eq!((limits.size, limits.duration), (Some(32 << 20), Some(Duration::from_secs(90))));
    assert_eq!((limits.json_memory, limits.json_strings), (Some(34_078_720), Some(1000)));
    assert_eq!(
        (listener.forwarded.clone(), listener.custom_headers.clone()),
        (None, CustomHeaders::default())
    );
    assert!(!listener.open.rekey && !listener.open.generate_root && !listener.open.metrics);
    assert_eq!(config.cluster.api_addr, "http://127.0.0.1:8200");
    assert_eq!(config.cluster.cluster_addr, "https://127.0.0.1:8201");
    assert!(config.cluster.performance_standby && config.cluster.standby_reads);
    assert_eq!(seconds(config.leases.max_ttl), 768 * 3600);
    assert_eq!((config.log.level, config.log.format), (LogLevel::Info, LogFormat::Text));
    assert_eq!((config.seal, config.service_registration, config.pid_file), (Seal::Shamir, None, None));
}

#[test]
fn every_key_of_a_listener_is_read() {
    let config = good(
        r#"
storage "file" { path = "/x" }
listener "tcp" {
  address = "[::1]:9200"
  cluster_address = ":9300"
  tls_cert_file = "/c" tls_key_file = "/k" tls_client_ca_file = "/ca"
  tls_min_version = "tls13" tls_max_version = "tls13"
  tls_require_and_verify_client_cert = "true"
  tls_disable_client_certs = false
  tls_auto_reload = true tls_auto_reload_interval = "1m"
  http_read_timeout = 1 http_read_header_timeout = "2s" http_write_timeout = "3s" http_idle_timeout = "4s"
  max_request_size = -1 max_request_duration = "5s" max_request_json_memory = 6 max_request_json_strings = "7"
  x_forwarded_for_authorized_addrs = ["10.0.0.0/8", "::1"]
  x_forwarded_for_hop_skips = 1
  x_forwarded_for_reject_not_present = true
  x_forwarded_for_reject_not_authorized = true
  disable_unauthed_rekey_endpoints = false
  disable_unauthed_generate_root_endpoints = "0"
  telemetry { unauthenticated_metrics_access = true }
  consistency_max_index_wait = "1s"
  consistency_fallback_behavior = "forward"
  consistency_missing_header_forward = true
  custom_response_headers {
    "default" = { "X-A" = ["b", "c"] }
    "4xx" = { "X-B" = "d, e" }
    "200" = { "X-A" = [] }
  }
}
"#,
    );
    let listener = &config.listeners[0];
    assert_eq!(listener.bind, Bind::Tcp("[::1]:9200".parse().unwrap()));
    assert_eq!(listener.cluster_bind, Some(Bind::Everywhere(9300)));
    let tls = listener.tls.as_ref().unwrap();
    assert_eq!((tls.min_version, tls.client_certs.mode), (TlsVersion::Tls13, ClientCertMode::Required));
    assert_eq!((tls.certificates[0].key_file.as_path(), tls.watch_interval.as_secs()), (Path::new("/k"), 60));
    let times = &listener.timeouts;
    assert_eq!([times.read, times.read_header, times.write, times.idle].map(|t| t.as_secs()), [1, 2, 3, 4]);
    let limits = &listener.limits;
    assert_eq!((limits.size, limits.duration.unwrap().as_secs()), (None, 5));
    assert_eq!((limits.json_memory, limits.json_strings), (Some(6), Some(7)));
    let forwarded = Forwarded {
        authorized: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        hop_skips: 1,
        reject_not_present: true,
        reject_not_authorized: true,
    };
    assert_eq!(listener.forwarded, Some(forwarded));
    assert!(listener.open.rekey && listener.open.generate_root && listener.open.metrics);
    let consistency = listener.consistency;
    assert_eq!((consistency.max_index_wait.as_secs(), consistency.fallback), (1, Fallback::Forward));
    assert!(consistency.missing_header_forward);
    let headers = |class| listener.custom_headers.0.get(&class).unwrap().clone();
    assert_eq!(headers(StatusClass::Every), [("X-A".to_owned(), vec!["b".to_owned(), "c".to_owned()])]);
    assert_eq!(headers(StatusClass::Hundred(4)), [("X-B".to_owned(), vec!["d, e".to_owned()])]);
    assert_eq!(headers(StatusClass::Exactly(200)), [("X-A".to_owned(), vec![])]);
    assert_eq!(config.cluster.api_addr, "https://[::1]:9200");
}

#[test]
fn headers_are_read_from_json_too() {
    let text = r#"{"storage": {"inmem": {}}, "listener": {"tcp": {"tls_disable": true,
        "custom_response_headers": {"default": {"X-A": ["b"]}, "4xx": {"X-B": ["c"]}}}}}"#;
    let config = good(text);
    assert_eq!(config.listeners[0].custom_headers.0.len(), 2);
    assert_eq!(config.storage, Storage::Inmem);
}

#[test]
fn a_unix_listener_has_a_path_and_a_mode() {
    let config =
        good("storage \"inmem\" {}\nlistener \"unix\" { address = \"/run/x.sock\" socket_mode = \"0600\" }");
    let Bind::Unix(socket) = &config.listeners[0].bind else { panic!("a unix socket") };
    assert_eq!((socket.path.as_path(), socket.mode), (Path::new("/run/x.sock"), 0o600));
    assert_eq!((config.listeners[0].tls.clone(), config.listeners[0].cluster_bind.clone()), (None, None));
}

#[test]
fn every_key_of_raft_is_read() {
    let config = good(
        r#"
listener "tcp" { tls_disable = true }
api_addr = "https://n1.example.org"
cluster_addr = "http://n1.example.org:9201"
disable_performance_standby = true
disable_standby_reads = true
storage "raft" {
  path = "/x" node_id = "n1" retry_join_as_non_voter = true performance_multiplier = 2 trailing_logs = 3
  snapshot_threshold = 4 max_entry_size = 100000 autopilot_reconcile_interval = "6s" autopilot_update_interval = "7s"
  retry_join {
    leader_api_addr = "https://n2:8200" leader_tls_servername = "n2" leader_ca_cert_file = "/ca"
    leader_client_cert = "CERT" leader_client_key_file = "/k"
  }
  retry_join { leader_api_addr = "http://n3:8200" }
}
"#,
    );
    let Storage::Raft(raft) = &config.storage else { panic!("raft") };
    assert_eq!(
        (raft.path.as_path(), raft.node_id.as_deref(), raft.non_voter),
        (Path::new("/x"), Some("n1"), true)
    );
    assert_eq!((raft.performance_multiplier, raft.trailing_logs, raft.snapshot_threshold), (2, 3, 4));
    assert_eq!((raft.max_entry_size, raft.autopilot_reconcile_interval.as_secs()), (100_000, 6));
    let join = &raft.retry_join[0];
    assert_eq!(
        (join.leader_api_addr.as_str(), join.tls_server_name.as_deref()),
        ("https://n2:8200", Some("n2"))
    );
    assert_eq!(join.ca_cert, Some(Pem::File("/ca".into())));
    assert_eq!(raft.retry_join.len(), 2);
    assert!(!format!("{raft:?}").contains("CERT"));
    let cluster = &config.cluster;
    assert_eq!(
        (cluster.api_addr.as_str(), cluster.cluster_addr.as_str()),
        ("https://n1.example.org:443", "https://n1.example.org:9201")
    );
    assert!(!cluster.performance_standby && !cluster.standby_reads);
}

#[test]
fn the_outermost_keys_are_read() {
    let config = good(&with(
        r#"
seal "shamir" {}
seal "static" { current_key_id = "b" current_key = "env://B" previous_key_id = "a" previous_key = "file:///a" disabled = false }
cluster_name = "c"
default_lease_ttl = "1h" max_lease_ttl = 7200
log_level = "WARN" log_format = "json" log_file = "/log"
enable_response_header_hostname = true
raw_storage_endpoint = true introspection_endpoint = true
unsafe_allow_api_audit_creation = true allow_audit_log_prefixing = true
audit "file" "a" { description = "d" local = true options { file_path = "/a" mode = 384 } }
audit "socket" "b/" { options = { address = "x:1" } }
telemetry { prometheus_retention_time = 0 metrics_prefix = "u" disable_hostname = true }
service_registration "consul" { address = "c:8501" scheme = "https" token = "hunter2" service_tags = "a,b" check_timeout = "9s" }
pid_file = "/pid"
"#,
    ));
    let Seal::Static(seal) = &config.seal else { panic!("static") };
    assert_eq!((seal.current.id.as_str(), seal.current.text.as_str()), ("b", "env://B"));
    assert_eq!(seal.previous.as_ref().unwrap().id, "a");
    assert_eq!(config.cluster.name.as_deref(), Some("c"));
    assert_eq!((config.leases.default_ttl.as_secs(), config.leases.max_ttl.as_secs()), (3600, 7200));
    assert_eq!((config.log.level, config.log.format), (LogLevel::Warn, LogFormat::Json));
    assert_eq!(config.log.output, LogOutput::File("/log".into()));
    assert!(config.response_headers.hostname && !config.response_headers.raft_node_id);
    assert!(config.endpoints.raw_storage && config.endpoints.introspection);
    assert!(config.audit.allow_api_creation && config.audit.allow_prefix);
    let [file, socket] = config.audit.devices.as_slice() else { panic!("two devices") };
    assert_eq!((file.kind.as_str(), file.path.as_str(), file.local), ("file", "a/", true));
    assert_eq!(file.options.get("mode").map(String::as_str), Some("384"));
    assert_eq!((socket.path.as_str(), socket.options.len()), ("b/", 1));
    assert_eq!((config.telemetry.prometheus, config.telemetry.prefix.as_str()), (false, "u"));
    let Some(ServiceRegistration::Consul(consul)) = &config.service_registration else { panic!("consul") };
    assert_eq!((consul.address.as_str(), consul.tls, consul.service_tags.len()), ("c:8501", true, 2));
    assert_eq!(config.pid_file.as_deref(), Some(Path::new("/pid")));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn several_files_are_one() {
    let (first, second) = (
        "storage \"file\" { path = \"/a\" }\nlistener \"tcp\" { tls_disable = true }\nmax_lease_ttl = \"2h\"\n\
         disable_performance_standby = true\ncluster_name = \"a\"\ntelemetry { metrics_prefix = \"a\" }",
        "storage \"file\" { path = \"/b\" }\nlistener \"unix\" { address = \"/s\" }\nmax_lease_ttl = \"1h\"\n\
         disable_performance_standby = false\ncluster_name = \"b\"\ndefault_lease_ttl = \"1h\"",
    );
    let config = parse(&[("a.hcl", first), ("b.hcl", second)], &Environment::default()).config.unwrap();
    assert_eq!(config.storage, Storage::File { path: "/b".into() });
    assert_eq!((config.listeners.len(), config.leases.max_ttl.as_secs()), (2, 7200));
    assert!(!config.cluster.performance_standby, "a switch that is on stays on");
    assert_eq!((config.cluster.name.as_deref(), config.telemetry.prefix.as_str()), (Some("b"), "a"));
}

#[test]
fn a_finding_names_its_own_file() {
    let texts = [("a.hcl", with("")), ("b.json", "{\"clustr_name\": 1}".to_owned())];
    let texts: Vec<_> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let findings = parse(&texts, &Environment::default()).findings;
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((finding.file.as_str(), finding.line, finding.column), ("b.json", 1, 2));
    assert_eq!(finding.help.as_deref(), Some("did you mean `cluster_name`?"));
}

#[test]
fn the_environment_wins_where_vaults_does() {
    let variable = |name: &str| {
        let value = match name {
            "BAO_API_ADDR" => "http://e:1",
            "VAULT_RAFT_NODE_ID" => "e1",
            "VAULT_LOG_LEVEL" => "debug",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let text = "storage \"raft\" { path = \"/x\" node_id = \"n1\" }\nlistener \"tcp\" { tls_disable = true }\n\
                api_addr = \"http://f:1\"\nlog_level = \"warn\"";
    let config = parse(&[("a.hcl", text)], &Environment::read(&variable)).config.unwrap();
    let Storage::Raft(raft) = config.storage else { panic!("raft") };
    assert_eq!((raft.node_id.as_deref(), config.cluster.api_addr.as_str()), (Some("e1"), "http://e:1"));
    assert_eq!((config.cluster.cluster_addr.as_str(), config.log.level), ("https://e:2", LogLevel::Debug));
}

#[test]
fn a_directory_is_read_in_the_order_of_names() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("20.json", "{\"cluster_name\": \"second\"}");
    write("10.hcl", &with("cluster_name = \"first\""));
    write(".hidden.hcl", "this is no configuration");
    write("old.hcl~", "this is no configuration");
    write("notes.txt", "this is no configuration");
    let loaded = load(&[dir.path().to_owned()], &[], &Environment::default());
    assert_eq!(loaded.config.unwrap().cluster.name.as_deref(), Some("second"));
    assert_eq!(loaded.files.len(), 2);
    let empty = tempfile::tempdir().unwrap();
    let findings = load(&[empty.path().to_owned()], &[], &Environment::default()).findings;
    assert_eq!(findings[0].code, "unreadable");
}

#[test]
fn certificate_files_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.hcl");
    std::fs::write(&file, "storage \"inmem\" {}\nlistener \"tcp\" {\n  tls_cert_file = \"/nonexistent/c\"\n  tls_key_file = \"/nonexistent/k\"\n}\n").unwrap();
    let loaded = load(&[file], &[], &Environment::default());
    let errors = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error);
    assert_eq!(errors.map(|finding| (finding.line, finding.column)).collect::<Vec<_>>(), [(3, 19), (4, 18)]);
}

#[test]
fn templates_are_named() {
    let findings = read(&of_listener("address = \"{{ GetPrivateIP }}:8200\"")).findings;
    assert_eq!(findings[0].message, "address templates are not supported by this version");
}

#[test]
fn nothing_but_mistakes_is_answered_soon_and_briefly() {
    let text: String = (0..60_000).map(|number| format!("k{number} = 1\n")).collect();
    let loaded = read(&with(&text));
    assert!((1..=1000).contains(&loaded.findings.len()) && loaded.config.is_none());
}
