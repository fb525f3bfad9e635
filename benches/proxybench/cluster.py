"""Three origins that answer as an OpenBao 2.7 raft cluster does, played by nginx on the load generator's core.

Health, leader and capability answers differ per node, everything else is a constant with an index header,
so that a proxy which looks at roles and indices has its real work to do on every request.
It leaves starting and stopping to `run`.
"""

import base64
import json

from .port import free_ports

PORTS = free_ports(3)
ACTIVE = PORTS[0]
CLUSTER_ID = "9dcf58f7-5d3e-4b0c-9c35-2f6b8a2f1c55"
APPLIED_INDEX = 2927

CONFIG = """
worker_processes 1;
daemon off;
pid {dir}/origins.pid;
error_log {dir}/origins.log warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 16000; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_body_temp_path {dir}/body;
  default_type application/json;
  {servers}
}}
"""

SERVER = """
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    {large_values}
    location = /v1/sys/health {{ return {health_status} '{health}\\n'; }}
    location = /v1/sys/leader {{ add_header Cache-Control no-store; return 200 '{leader}\\n'; }}
    location = /v1/sys/internal/ui/mounts {{ {headers} return 200 '{mounts}\\n'; }}
    location /v1/secret/data/large {{ {headers} return 200 '$k64'; }}
    location /v1/secret/data/medium {{ {headers} return 200 '$k1'; }}
    location / {{ {headers} return 200 '{small}'; }}
  }}"""


def config(directory):
    servers = "".join(server(port) for port in PORTS)
    return CONFIG.format(dir=directory, servers=servers)


def server(port):
    return SERVER.format(
        port=port,
        large_values=large_values(),
        health_status=health_status(port),
        health=json.dumps(health(port), separators=(",", ":")),
        leader=json.dumps(leader(port), separators=(",", ":")),
        mounts=json.dumps({"request_id": "", "data": {"auth": {}, "secret": {}}}, separators=(",", ":")),
        headers=f"add_header Cache-Control no-store; add_header X-Vault-Index {index_header()};",
        small=answer_of(250),
    )


def health_status(port):
    """The code nginx sends; a probe that asks for one code in every state reads the fields instead."""
    return "200" if port == ACTIVE else "429"


def health(port):
    return {
        "initialized": True, "sealed": False, "standby": port != ACTIVE,
        "replication_performance_mode": "primary", "replication_dr_mode": "disabled",
        "server_time_utc": 1795374528, "version": "2.7.2",
        "cluster_name": "vault-cluster-0905d80f", "cluster_id": CLUSTER_ID,
    }


def leader(port):
    own = {"active_time": "2026-11-22T19:08:05.537220968Z"} if port == ACTIVE else {}
    return {
        "ha_enabled": True, "is_self": port == ACTIVE, **own,
        "leader_address": f"http://127.0.0.1:{ACTIVE}",
        "leader_cluster_address": f"https://127.0.0.1:{ACTIVE + 1000}",
        "raft_committed_index": APPLIED_INDEX, "raft_applied_index": APPLIED_INDEX,
    }


def index_header():
    state = json.dumps({"cluster": CLUSTER_ID, "value": str(APPLIED_INDEX)}, separators=(",", ":"))
    return base64.b64encode(state.encode()).decode()


def answer_of(size):
    """A KV v2 read of exactly `size` bytes, newline included."""
    shell = '{"request_id":"b1f5c7de-6a3c-1e44-2f0e-5c9a0d3c7c11","lease_id":"","renewable":false,' \
            '"lease_duration":0,"data":{"data":{"password":"%s"},"metadata":{"version":1}},"auth":null}\n'
    return shell % ("x" * (size - len(shell) + len("%s")))


def large_values():
    """nginx limits one word of its configuration to 4 KiB: 64 KiB are put together from 1 KiB."""
    return f"set $k1 '{answer_of(1024)}'; set $k8 '{'$k1' * 8}'; set $k64 '{'$k8' * 8}';"
