# every form once
path "secret/data/+/x*" { capabilities = ["read", "list",] min_wrapping_ttl = "10s" }
"path" a {
  "allowed_parameters" = { "b" = [], c = ["d", 1, -0x1F, 1.5e3, true] }
}
