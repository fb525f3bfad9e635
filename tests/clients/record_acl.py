#!/usr/bin/env python3
"""Asks a real server what random policies allow and prints it: src/core/policy/recorded.json.

    bao server -dev -dev-root-token-id=root -dev-listen-address=127.0.0.1:8300 &
    tests/clients/record_acl.py http://127.0.0.1:8300 root > src/core/policy/recorded.json

The questions come from a fixed seed. The server must be a fresh one: a kv v1 mount is made at kv/.
"""

import json
import random
import sys
import urllib.error
import urllib.request

CASES = 250
CAPABILITIES = ["create", "read", "update", "delete", "list", "sudo", "patch", "scan"]


class Server:
    def __init__(self, address, token):
        self.address, self.token = address, token

    def ask(self, method, path, data=None, token=None):
        body = None if data is None else json.dumps(data).encode()
        headers = {"X-Vault-Token": token or self.token}
        request = urllib.request.Request(f"{self.address}/v1/{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def must(self, method, path, data=None, token=None):
        status, body = self.ask(method, path, data, token)
        assert status < 300, (method, path, data, status, body)
        return json.loads(body) if body else None


def key(pick):
    segments = [pick.choice(["a", "a", "b", "ab", "+", "+", "", "a+"]) for _ in range(pick.randint(1, 3))]
    made = "/".join(["kv", *segments]) if pick.random() < 0.8 else "/".join(segments)
    made += pick.choice(["", "*"])
    return made if "+*" not in made else made.replace("+*", "+/*")


def capabilities(pick):
    if pick.random() < 0.12:
        return ["deny"]
    return pick.sample(CAPABILITIES, pick.randint(0, 7))


def values(pick):
    return pick.sample(["x", "x*", "*y", "*z*", "", True, 1, ["x", "y"]], pick.randint(0, 2))


def parameters(pick):
    return {pick.choice(["p", "Q", "*"]): values(pick) for _ in range(pick.randint(0, 2))}


def block(pick):
    made = {"capabilities": capabilities(pick)}
    for field, chance in [("allowed_parameters", 0.25), ("denied_parameters", 0.2)]:
        if pick.random() < chance:
            made[field] = parameters(pick)
    if pick.random() < 0.1:
        made["required_parameters"] = [pick.choice(["p", "Q"])]
    return made


def policy(pick):
    """As text, because JSON cannot have one path twice or an empty map of parameters."""
    blocks = []
    for _ in range(pick.randint(1, 4)):
        fields = "".join(f"  {name} = {hcl(value)}\n" for name, value in block(pick).items())
        blocks.append(f"path {hcl(key(pick))} {{\n{fields}}}\n")
    return "".join(blocks)


def hcl(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{hcl(name)} = {hcl(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(hcl, value)) + "]"
    return json.dumps(value)


def path(pick):
    segments = [pick.choice(["a", "b", "ab", "abc", "a+", "a"]) for _ in range(pick.randint(0, 3))]
    return "/".join(["kv", *segments]) + pick.choice(["", "", "/"])


def data(pick):
    value = lambda: pick.choice(["x", "xa", "ay", "aza", "", True, False, 1, ["x", "y"], None])
    return {pick.choice(["p", "q", "Q", "r"]): value() for _ in range(pick.randint(1, 2))}


def question(pick, server, token):
    """Update, read and list of something that is there, so that a write is no create."""
    asked = {"operation": pick.choice(["update", "read", "list"]), "data": {}}
    asked["path"] = "kv/" + pick.choice(["a", "b", "a/b", "ab/a/b"])
    if asked["operation"] == "update":
        asked["data"] = data(pick)
        status, _ = server.ask("PUT", asked["path"], asked["data"], token)
    else:
        status, _ = server.ask({"read": "GET", "list": "LIST"}[asked["operation"]], asked["path"], None, token)
    return asked | {"allowed": status != 403}


def case(pick, server):
    policies = [policy(pick) for _ in range(pick.randint(1, 3))]
    for number, text in enumerate(policies):
        server.must("PUT", f"sys/policies/acl/r{number}", {"policy": text})
    names = [f"r{number}" for number in range(len(policies))]
    made = server.must("POST", "auth/token/create", {"policies": names, "no_default_policy": True})
    token = made["auth"]["client_token"]
    paths = sorted({path(pick) for _ in range(10)})
    told = server.must("POST", "sys/capabilities", {"token": token, "paths": paths})["data"]
    asked = [question(pick, server, token) for _ in range(6)]
    return {"policies": policies, "capabilities": {path: told[path] for path in paths}, "asked": asked}


def main():
    server, pick = Server(*sys.argv[1:3]), random.Random(20261124)
    server.must("POST", "sys/mounts/kv", {"type": "kv"})
    for there in ["a", "b", "a/b", "ab/a/b"]:
        server.must("PUT", f"kv/{there}", {"v": "1"})
    cases = [case(pick, server) for _ in range(CASES)]
    print("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]")


main()
