"""The proxies under test: their configuration and command, each with one worker, all for the same three origins.

HAProxy and Envoy are set up as people put them in front of Vault (a method split, least connections, health
checks), with nothing switched on that would slow them down. Understudy runs its defaults.
It leaves starting, pinning and measuring to `run`.
"""

from dataclasses import dataclass
from pathlib import Path

from . import cluster
from .port import free_ports

MAX_CONNECTIONS = 12000


@dataclass(frozen=True)
class Peer:
    name: str
    port: int
    tls_port: int
    config_name: str
    config: str
    command: tuple


def haproxy(directory):
    port, tls_port = free_ports(2)
    config = HAPROXY.format(dir=directory, port=port, tls_port=tls_port, max=MAX_CONNECTIONS,
                            servers="\n  ".join(f"server n{port} 127.0.0.1:{port}" for port in cluster.PORTS))
    return Peer("haproxy", port, tls_port, "haproxy.cfg", config, ("haproxy", "-f", f"{directory}/haproxy.cfg"))


def envoy(directory, binary):
    port, tls_port = free_ports(2)
    listeners = "".join((envoy_listener(port, ""), envoy_listener(tls_port, ENVOY_TLS.format(dir=directory))))
    clusters = "".join((envoy_cluster("any", ENVOY_UNSEALED), envoy_cluster("active", ENVOY_ACTIVE)))
    command = (str(binary), "-c", f"{directory}/envoy.yaml", "--concurrency", "1", "--disable-hot-restart", "-l", "error")
    return Peer("envoy", port, tls_port, "envoy.yaml", ENVOY.format(listeners=listeners, clusters=clusters), command)


def understudy(directory, binary):
    port, tls_port, admin_port = free_ports(3)
    config = UNDERSTUDY.format(dir=directory, port=port, tls_port=tls_port, admin_port=admin_port, max=MAX_CONNECTIONS,
                               servers="".join(understudy_server(port) for port in cluster.PORTS))
    command = (str(Path(binary).resolve()), "proxy", "--config", f"{directory}/understudy.yaml")
    return Peer("understudy", port, tls_port, "understudy.yaml", config, command)


def understudy_server(port):
    return f"    - {{name: n{port}, address: \"http://127.0.0.1:{port}\"}}\n"


def envoy_listener(port, transport_socket):
    return ENVOY_LISTENER.format(port=port, transport_socket=transport_socket)


def envoy_cluster(name, statuses):
    endpoints = "".join(ENVOY_ENDPOINT.format(port=port) for port in cluster.PORTS)
    return ENVOY_CLUSTER.format(name=name, statuses=statuses, endpoints=endpoints, max=MAX_CONNECTIONS)


HAPROXY = """
global
  nbthread 1
  maxconn {max}
  no strict-limits
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout http-keep-alive 300s
  timeout server 95s
  http-reuse always
  maxconn {max}
frontend vault
  bind 127.0.0.1:{port} backlog 4096
  bind 127.0.0.1:{tls_port} backlog 4096 ssl crt {dir}/server.pem alpn http/1.1
  acl is_read method GET HEAD LIST
  use_backend vault_any if is_read
  default_backend vault_active
backend vault_any
  balance leastconn
  option httpchk GET /v1/sys/health
  http-check expect status 200,429,473
  default-server inter 2s fall 3 rise 2 check
  {servers}
backend vault_active
  option httpchk GET /v1/sys/health
  http-check expect status 200
  default-server inter 1s fall 2 rise 1 check
  {servers}
"""

ENVOY = """
static_resources:
  listeners:{listeners}
  clusters:{clusters}
"""
ENVOY_LISTENER = """
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    tcp_backlog_size: 4096
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: vault
          codec_type: HTTP1
          route_config:
            virtual_hosts:
            - name: vault
              domains: ["*"]
              routes:
              - match: {{prefix: "/", headers: [{{name: ":method", string_match: {{safe_regex: {{regex: "GET|HEAD|LIST"}}}}}}]}}
                route: {{cluster: any, timeout: 95s}}
              - match: {{prefix: "/"}}
                route: {{cluster: active, timeout: 95s}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}{transport_socket}"""
ENVOY_TLS = """
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates: [{{certificate_chain: {{filename: "{dir}/server.crt"}}, private_key: {{filename: "{dir}/server.key"}}}}]"""
ENVOY_CLUSTER = """
  - name: {name}
    type: STATIC
    lb_policy: LEAST_REQUEST
    connect_timeout: 1s
    common_lb_config: {{healthy_panic_threshold: {{value: 0}}}}
    circuit_breakers: {{thresholds: [{{max_connections: {max}, max_pending_requests: {max}, max_requests: {max}}}]}}
    health_checks: [{{timeout: 1s, interval: 2s, unhealthy_threshold: 2, healthy_threshold: 1,
      http_health_check: {{path: /v1/sys/health, expected_statuses: [{statuses}]}}}}]
    load_assignment:
      cluster_name: {name}
      endpoints: [{{lb_endpoints: [{endpoints}]}}]"""
ENVOY_ENDPOINT = "{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}},"
ENVOY_ACTIVE = "{start: 200, end: 201}"
ENVOY_UNSEALED = "{start: 200, end: 201}, {start: 429, end: 430}, {start: 473, end: 474}"

UNDERSTUDY = """
version: 1
runtime: {{workers: 1, max_connections: {max}}}
listeners:
  - name: api
    bind: ["127.0.0.1:{port}"]
    limits: {{max_connections: {max}}}
  - name: api-tls
    bind: ["127.0.0.1:{tls_port}"]
    tls: {{certificates: [{{cert_file: {dir}/server.crt, key_file: {dir}/server.key}}]}}
    limits: {{max_connections: {max}}}
cluster:
  name: bench
  servers:
{servers}
admin: {{bind: "127.0.0.1:{admin_port}"}}
"""
