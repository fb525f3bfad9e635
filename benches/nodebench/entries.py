"""A node with very many entries: how long until it is unsealed, what a long list does to others, memory and disk."""

import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from proxybench import load, run

from . import server
from .api import Api

VALUE_BYTES = 200
FOLDER = 100_000
CLIENTS = 32
READERS = 4
MB = 1_000_000
SECONDS_TO_UNSEALED = 5
FILL = """
local n, last = {begin}, {entries}
local body = '{{"value":"{value}"}}'
local folder = {folder}
function request()
  local k = n % last
  n = n + 1
  return wrk.format("POST", "/v1/kv1/" .. math.floor(k / folder) .. "/" .. string.format("%06d", k % folder), nil, body)
end
"""
LIST_SECONDS = 5
# One run of the filler, in seconds: it is run until everything is there.
FILL_SECONDS = 10


def measure(options):
    with tempfile.TemporaryDirectory(prefix="understudy-bench-", dir=options.directory) as directory:
        place = Place(options.binary, Path(directory))
        with place.running() as pid:
            place.initialise()
            place.api.ask("POST", "sys/mounts/kv1", {"type": "kv", "options": {"version": "1"}})
            rate = place.fill(options.entries)
            print(f"filled with {options.entries:,} entries of {VALUE_BYTES} bytes: {rate:,.0f} writes/s")
            print(f"memory after filling {run.rss_bytes(pid) / MB:.0f} MB, disk {place.disk_bytes() / MB:.0f} MB")
        for how in ("a clean stop", "kill -9"):
            if how == "kill -9":
                place.killed()
            began = time.monotonic()
            with place.running() as pid:
                place.unseal()
                took = time.monotonic() - began
                print(f"unsealed {took:.2f} s after it was started behind {how}, wanted under {SECONDS_TO_UNSEALED} s: "
                      f"{'met' if took < SECONDS_TO_UNSEALED else 'MISSED'}")
                print(f"memory then {run.rss_bytes(pid) / MB:.0f} MB, disk {place.disk_bytes() / MB:.0f} MB")
        with place.running() as pid:
            place.unseal()
            report_lists(place)
            print(f"memory after the lists {run.rss_bytes(pid) / MB:.0f} MB")


def report_lists(place):
    expected = min(FOLDER, place.entries)
    assert len(place.api.ask("LIST", "kv1/0/")["data"]["keys"]) == expected
    alone = place.reads()
    lists = []
    lister = threading.Thread(target=lambda: lists.append(place.lists()))
    lister.start()
    beside = place.reads()
    lister.join()
    for name, done in ((f"lists of {expected:,} keys, one after the other", lists[0]), ("reads alone", alone),
                       ("reads beside the lists", beside)):
        print(f"{name}: {done.requests:,}, p50 {done.p50_us / 1000:.2f} ms, p99 {done.p99_us / 1000:.2f} ms, "
              f"slowest {done.max_us / 1000:.0f} ms")


class Place:
    """Where a node lives; the process comes and goes."""

    def __init__(self, binary, directory):
        self.binary, self.directory, self.entries = os.path.abspath(binary), directory, 0
        (directory / "data").mkdir()
        port, cluster_port = server.free_ports(2)
        self.config = directory / "node.hcl"
        self.config.write_text(server.CONFIG.format(dir=directory, port=port, cluster_port=cluster_port))
        self.port, self.api, self.key = port, Api(f"http://127.0.0.1:{port}"), None

    def running(self):
        return Process(self)

    def initialise(self):
        server.wait(lambda: self.api.ask("GET", "sys/seal-status"))
        keys = self.api.ask("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.key, self.api.token = keys["keys"][0], keys["root_token"]
        self.unseal()

    def unseal(self):
        server.wait(lambda: self.api.ask("GET", "sys/seal-status"))
        self.api.ask("PUT", "sys/unseal", {"key": self.key})
        server.wait(lambda: self.api.ask("GET", "sys/health"))

    def fill(self, entries):
        """Entries per second. Runs overlap by the requests that were under way when the one before ended."""
        self.entries = entries
        written, began = 0, time.monotonic()
        while written < entries:
            written = max(0, written - CLIENTS)
            written += self.fill_for(FILL_SECONDS, written)
        return written / (time.monotonic() - began)

    def fill_for(self, seconds, begin):
        script = FILL.format(begin=begin, entries=self.entries, value="x" * VALUE_BYTES, folder=FOLDER)
        return self.load(script, "/", CLIENTS, seconds).requests

    def reads(self):
        return self.load("", "/v1/kv1/0/000077", READERS, LIST_SECONDS - 1)

    def lists(self):
        return self.load("", "/v1/kv1/0/?list=true", 1, LIST_SECONDS)

    def load(self, script, path, clients, seconds):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
            file.write(script)
            file.flush()
            command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "-H", f"X-Vault-Token: {self.api.token}",
                       "-s", file.name, f"http://127.0.0.1:{self.port}{path}"]
            done = load.parse(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        if done.errors:
            raise RuntimeError(f"{done.errors} requests failed")
        return done

    def killed(self):
        """Leaves the store as a kill behind some writes does."""
        with self.running() as pid:
            self.unseal()
            for n in range(1000):
                self.api.ask("POST", f"kv1/later/{n}", {"value": "x" * VALUE_BYTES})
            os.kill(pid, 9)

    def disk_bytes(self):
        return sum(file.stat().st_blocks * 512 for file in (self.directory / "data").rglob("*") if file.is_file())


class Process:
    def __init__(self, place):
        self.place = place

    def __enter__(self):
        with (self.place.directory / "log").open("ab") as log:
            self.child = subprocess.Popen([self.place.binary, "server", "-config", str(self.place.config)], stdout=log, stderr=log)
        return self.child.pid

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait(timeout=60)
