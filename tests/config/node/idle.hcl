storage "raft" {
  path = "/var/lib/x"
  performance_multiplier = 1
  trailing_logs = 1000
  snapshot_threshold = 1000
  max_entry_size = 2097152
  autopilot_reconcile_interval = "20s"
  autopilot_update_interval = "20s"
  retry_join_as_non_voter = true
  retry_join { leader_api_addr = "https://10.0.0.1:8200" }
}
listener "tcp" {
  tls_disable = true
  cluster_address = "127.0.0.1:8201"
  consistency_max_index_wait = "50ms"
  consistency_fallback_behavior = "forward"
  consistency_missing_header_forward = true
}
api_addr = "http://127.0.0.1:8200"
disable_performance_standby = true
disable_standby_reads = true
service_registration "kubernetes" { namespace = "a" pod_name = "b" }
telemetry {
  prometheus_retention_time = "1h"
  disable_hostname = true
  usage_gauge_period = "5m"
}
