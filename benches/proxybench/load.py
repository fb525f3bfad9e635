"""The load: `wrk` with a token on every request, and a crowd of idle keep-alive connections.

It leaves reading the proxy's CPU and memory to `measure`.
"""

import re
import socket
import subprocess
from dataclasses import dataclass

LOAD_CORE = "1"
CONNECTIONS = 64
TOKEN = "s.kQ8zPp0nT5cJmXw2Yb7LdR4f"
UNITS_IN_US = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}

POST_ONE_IN_TEN = """
local n = 0
local get, post
function init() get = wrk.format("GET"); post = wrk.format("POST", nil, nil, '{"data":{"password":"0123456789abcdef"}}') end
function request() n = n + 1; if n % 10 == 0 then return post end return get end
"""
THOUSAND_TOKENS = """
local n, requests = 0, {}
function init() for i = 1, 1000 do
  wrk.headers["X-Vault-Token"] = string.format("s.kQ8zPp0nT5cJmXw2Yb7L%04d", i); requests[i] = wrk.format("GET") end end
function request() n = n % 1000 + 1; return requests[n] end
"""


@dataclass(frozen=True)
class Load:
    requests: int
    rps: float
    p50_us: float
    p99_us: float
    max_us: float
    errors: int


def wrk(url, seconds, script=None):
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency",
               "-H", f"X-Vault-Token: {TOKEN}", *(["-s", str(script)] if script else []), url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return parse(done.stdout)


def parse(report):
    return Load(
        requests=int(found(r"(\d+) requests in", report)),
        rps=float(found(r"Requests/sec:\s+([\d.]+)", report)),
        p50_us=latency(found(r"(?m)^\s+50%\s+(\S+)", report)),
        p99_us=latency(found(r"(?m)^\s+99%\s+(\S+)", report)),
        max_us=latency(found(r"(?m)^\s+Latency\s+\S+\s+\S+\s+(\S+)", report)),
        errors=errors(report),
    )


def found(pattern, report):
    match = re.search(pattern, report)
    if match is None:
        raise RuntimeError(f"wrk's report has no {pattern!r}:\n{report}")
    return match[1]


def latency(text):
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        raise RuntimeError(f"wrk measured no latency ({text}): nothing was answered")
    return float(match[1]) * UNITS_IN_US[match[2]]


def errors(report):
    """Answers that are not 2xx or 3xx, and connections that failed."""
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    return int(refused[1] if refused else 0) + sum(map(int, broken.groups() if broken else ()))


class IdleCrowd:
    """`count` keep-alive connections from 32 loopback addresses, each of which was answered once."""

    def __init__(self, port, count):
        self.sockets = [open_and_ask(port, f"127.0.0.{2 + number % 32}") for number in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.sockets:
            connection.close()

    def closed(self):
        """How many of them the proxy has hung up on."""
        return sum(is_closed(connection) for connection in self.sockets)


def open_and_ask(port, source):
    connection = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
    connection.sendall(f"GET /v1/secret/data/app HTTP/1.1\r\nHost: vault\r\nX-Vault-Token: {TOKEN}\r\n\r\n".encode())
    answer = connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"an idle connection was answered {answer[:60]!r}")
    return connection


def is_closed(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
