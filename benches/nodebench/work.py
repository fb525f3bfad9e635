"""What is asked of a node, and what has to be there before: the same paths, token and payloads for every server."""

from dataclasses import dataclass

VALUE = "x" * 300
WRITES = """
local n, me = 0, tostring({{}}):match("0x(%x+)")
local body = '{body}'
function request() n = n + 1
  return wrk.format("POST", "/v1/kv1/write/" .. me .. "/" .. n % 20000, nil, body) end
"""
POST = """
wrk.method = "POST"
wrk.body = '{body}'
"""


@dataclass(frozen=True)
class Work:
    name: str
    path: str
    target: float
    script: str | None = None


WORK = (
    Work("kv v1 read", "/v1/kv1/read", 8),
    Work("kv v2 read", "/v1/kv2/data/read", 8),
    Work("transit encrypt", "/v1/transit/encrypt/key", 8, POST.format(body='{"plaintext":"aGVsbG8gd29ybGQ="}')),
    Work("token lookup-self", "/v1/auth/token/lookup-self", 8),
    Work("kv v1 durable write", "/v1/kv1/write", 20, WRITES.format(body='{"value":"%s"}' % VALUE)),
)


def prepare(api):
    """Mounts, a key, values, and a token as applications have it: a policy of its own, no root."""
    api.ask("POST", "sys/mounts/kv1", {"type": "kv", "options": {"version": "1"}})
    api.ask("POST", "sys/mounts/kv2", {"type": "kv", "options": {"version": "2"}})
    api.ask("POST", "sys/mounts/transit", {"type": "transit"})
    api.ask("POST", "transit/keys/key", {})
    api.ask("POST", "kv1/read", {"value": VALUE})
    write_v2(api)
    policy = 'path "kv1/*" {{ capabilities = {all} }} path "kv2/*" {{ capabilities = {all} }} ' \
             'path "transit/*" {{ capabilities = ["update", "create"] }}'
    policy = policy.format(all='["create", "read", "update", "delete", "list"]')
    api.ask("PUT", "sys/policies/acl/app", {"policy": policy})
    made = api.ask("POST", "auth/token/create", {"policies": ["app"], "ttl": "24h"})
    return made["auth"]["client_token"]


def write_v2(api):
    """A fresh v2 mount may still be upgrading itself."""
    from .server import wait
    wait(lambda: api.ask("POST", "kv2/data/read", {"data": {"value": VALUE}}))
