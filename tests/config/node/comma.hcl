storage "file" { path = "/x" }
listener "tcp" {
  tls_disable = true
  custom_response_headers { "default" = { "A" = ["b" "c"] } }
}
