storage "consul" {}
backend "inmem" {}
listener "tcp" { address = ":8200" tls_disable = 1 }
listener "tcp" { address = "[::]:8200" tls_disable = 1 }
