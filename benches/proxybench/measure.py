"""One measurement, and the alternation that makes figures of a small shared machine comparable.

A figure counts as a ratio taken in one run, A B A B, median of several rounds, with its spread.
"""

import statistics
import time
from dataclasses import dataclass

from . import load, run


@dataclass(frozen=True)
class Scenario:
    name: str
    path: str = "/v1/secret/data/app"
    tls: bool = False
    script: str | None = None


SCENARIOS = (
    Scenario("plain"),
    Scenario("sessions", script=load.THOUSAND_TOKENS),
    Scenario("post", script=load.POST_ONE_IN_TEN),
    Scenario("1k", path="/v1/secret/data/medium"),
    Scenario("64k", path="/v1/secret/data/large"),
    Scenario("tls", tls=True),
)


@dataclass(frozen=True)
class Sample:
    cpu_us: float
    load: load.Load
    rss: int


@dataclass(frozen=True)
class Row:
    """One proxy in one scenario; CPU in microseconds per answered request."""

    scenario: str
    proxy: str
    cpu_us: float
    cpu_low: float
    cpu_high: float
    rps: float
    p50_us: float
    p99_us: float
    rss: int
    errors: int


def alternate(scenario, proxies, options, directory):
    """`proxies`: (peer, pid) pairs. Every round measures each of them once, in the same order."""
    script = write_script(scenario, directory)
    samples = {peer.name: [] for peer, _ in proxies}
    for _ in range(options.rounds):
        for peer, pid in proxies:
            samples[peer.name].append(sample(peer, pid, scenario, script, options))
    return [summary(scenario, name, taken) for name, taken in samples.items()]


def write_script(scenario, directory):
    if scenario.script is None:
        return None
    path = directory / f"{scenario.name}.lua"
    path.write_text(scenario.script)
    return path


def sample(peer, pid, scenario, script, options):
    url = url_of(peer, scenario)
    load.wrk(url, options.warm_up, script)
    before = run.cpu_seconds(pid)
    done = load.wrk(url, options.measured, script)
    spent = run.cpu_seconds(pid) - before
    return Sample(cpu_us=spent * 1e6 / max(done.requests, 1), load=done, rss=run.rss_bytes(pid))


def url_of(peer, scenario):
    scheme, port = ("https", peer.tls_port) if scenario.tls else ("http", peer.port)
    return f"{scheme}://127.0.0.1:{port}{scenario.path}"


def summary(scenario, name, taken):
    cpu = [one.cpu_us for one in taken]
    return Row(
        scenario=scenario.name, proxy=name,
        cpu_us=statistics.median(cpu), cpu_low=min(cpu), cpu_high=max(cpu),
        rps=statistics.median(one.load.rps for one in taken),
        p50_us=statistics.median(one.load.p50_us for one in taken),
        p99_us=statistics.median(one.load.p99_us for one in taken),
        rss=max(one.rss for one in taken),
        errors=sum(one.load.errors for one in taken),
    )


@dataclass(frozen=True)
class Idle:
    proxy: str
    connections: int
    rss_before: int
    rss: int
    closed: int


def idle(peer, pid, connections, settle_seconds):
    """Memory of a freshly started proxy while `connections` clients keep a served connection open."""
    before = run.rss_bytes(pid)
    with load.IdleCrowd(peer.port, connections) as crowd:
        time.sleep(settle_seconds)
        return Idle(peer.name, connections, before, run.rss_bytes(pid), crowd.closed())
