# One node on its own, behind TLS: `understudy server -config node.hcl`.
# It keeps everything in one folder. For a cluster see node-raft.hcl.

storage "file" {
  path = "/var/lib/understudy"
}

listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "/etc/understudy/tls.crt"
  tls_key_file  = "/etc/understudy/tls.key" # SIGHUP reads both again
}

api_addr     = "https://understudy.example.org:8200"
cluster_name = "example"

log_level = "info" # SIGHUP takes up a change
pid_file  = "/run/understudy/node.pid"
