# One of three nodes that replicate everything to each other. The other two differ in `node_id` and in the addresses.

storage "raft" {
  path    = "/var/lib/understudy"
  node_id = "n1"

  retry_join {
    leader_api_addr     = "https://10.0.1.12:8200"
    leader_ca_cert_file = "/etc/understudy/ca.crt"
  }
  retry_join {
    leader_api_addr     = "https://10.0.1.13:8200"
    leader_ca_cert_file = "/etc/understudy/ca.crt"
  }
}

listener "tcp" {
  address         = "10.0.1.11:8200"
  cluster_address = "10.0.1.11:8201"

  tls_cert_file   = "/etc/understudy/tls.crt"
  tls_key_file    = "/etc/understudy/tls.key"
  tls_min_version = "tls13"

  http_read_header_timeout = "10s"
  http_idle_timeout        = "5m"
  max_request_size         = 33554432
  max_request_duration     = "90s"

  # The proxy in front: its word about the client's address is believed.
  x_forwarded_for_authorized_addrs = ["10.0.1.0/24"]

  custom_response_headers {
    "default" = {
      "Content-Security-Policy" = ["default-src 'none'"]
    }
  }
}

# The administrators' way in on the machine itself.
listener "unix" {
  address     = "/run/understudy/api.sock"
  socket_mode = "0600"
}

# The node unseals itself with a key that lies beside it. Without this block it waits for shares.
seal "static" {
  current_key_id = "2026-1"
  current_key    = "file:///etc/understudy/seal.key"
}

api_addr     = "https://10.0.1.11:8200"
cluster_addr = "https://10.0.1.11:8201"
cluster_name = "example"

enable_response_header_raft_node_id = true

default_lease_ttl = "768h"
max_lease_ttl     = "768h"

audit "file" "log" {
  options {
    file_path = "/var/log/understudy/audit.log"
  }
}

log_level  = "info"
log_format = "json"
pid_file   = "/run/understudy/node.pid"
