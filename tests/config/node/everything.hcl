storage "raft" {
  path = ""
  node = "n1"
  trailing_logs = -1
  performance_multiplier = 20
  max_entry_size = "many"
  snapshot_interval = "30s"
  retry_join { leader_api_addr = "10.0.0.1:8200" leader_client_cert_file = "/c" }
  retry_join { auto_join = "provider=aws" }
}
storage "raft" { path = "/var/lib/x" }
ha_storage "consul" {}

listener "tcp" {
  adress = "127.0.0.1:8200"
  address = "127.0.0.1"
  cluster_address = "{{ GetPrivateIP }}:8201"
  tls_cert_file = "/tls.crt"
  tls_min_version = "tls11"
  tls_cipher_suites = "TLS_X"
  tls_require_and_verify_client_cert = "yes"
  http_read_timeout = "soon"
  max_request_size = 1.5
  x_forwarded_for_authorized_addrs = "10.0.0.0/8, everywhere"
  x_forwarded_for_hop_skips = -1
  proxy_protocol_behavior = "use_always"
  consistency_fallback_behavior = "forwrad"
  custom_response_headers {
    "Default" = { "X-A" = ["b"] }
    "600" = {}
    "4xx" = { "X-Vault-Token" = ["x"], "Bad Name" = ["x"], "X-B" = ["a\nb"], "X-C" = {} }
    "200" = "text"
  }
  telemetry { unauthenticated_metrics_acces = true }
}
listener "udp" {}
listener "unix" {}
listener { address = ":8200" }
listener = "tcp"

seal "awskms" {}
seal "static" { current_key = "hunter2" }
seal "static" { current_key_id = "a" current_key = "hunter2" previous_key_id = "a" previous_key = "hunter2" }

api_addr = "10.0.0.1:8200"
cluster_addr = true
default_lease_ttl = "10h"
max_lease_ttl = "1h"
log_level = "verbose"
log_level = "loud"
log_format = "xml"
disable_mlock = true
ui = "on"
disable_performance_standby = "maybe"
initialize "x" {}
service_registration "consul" { tls_skip_verify = true tls_cert_file = "/c" token = "hunter2" }
audit "file" "a" { options { file_path = "/x" mode = [] } }
audit "file" "a/" {}
audit "file" {}
telemetry { statsd_address = "x:1" prometheus_retention = "1h" }
log_levle = "info"
