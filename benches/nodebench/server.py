"""One node each of OpenBao and of ours, from the same configuration: raft storage on disk, one share, plain HTTP."""

import os
import shutil
import time
import urllib.error
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proxybench import run
from proxybench.port import free_ports

from .api import Api

CONFIG = """
storage "raft" {{
  path = "{dir}/data"
  node_id = "n1"
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_disable = true
}}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster_port}"
log_level = "warn"
"""
BOTH_CORES = "0,1"


@dataclass(frozen=True)
class Server:
    name: str
    port: int
    pid: int
    api: Api
    directory: Path

    def disk_bytes(self):
        return sum(file.stat().st_size for file in self.directory.rglob("*") if file.is_file())


def openbao(options):
    return shutil.which("bao") or options.bao


@contextmanager
def running(name, binary, directory):
    """An initialised, unsealed node that leads."""
    directory = Path(directory, name)
    (directory / "data").mkdir(parents=True)
    port, cluster_port = free_ports(2)
    config = directory / "node.hcl"
    config.write_text(CONFIG.format(dir=directory, port=port, cluster_port=cluster_port))
    command = (os.path.abspath(binary), "server", "-config", str(config))
    with run.running(name, command, BOTH_CORES, directory) as child:
        api = Api(f"http://127.0.0.1:{port}")
        wait(lambda: api.ask("GET", "sys/seal-status"))
        keys = api.ask("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        api.ask("PUT", "sys/unseal", {"key": keys["keys"][0]})
        api.token = keys["root_token"]
        wait(lambda: api.ask("GET", "sys/health"))
        yield Server(name, port, child.pid, api, directory)


def wait(question, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return question()
        except (OSError, RuntimeError, urllib.error.URLError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
