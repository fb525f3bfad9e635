storage "inmem" {}
listener "tcp" { address = "10.0.0.1:8200" tls_disable = 1 consistency_max_index_wait = "1ms" }
cluster_name = "a"
cluster_name = "b"
enable_response_header_raft_node_id = true
cache_size = 1
