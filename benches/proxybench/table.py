"""The tables, and how the figures stand to the targets. Wall-clock figures are reported, never asserted."""

CPU_TARGETS = (("haproxy", 1.0), ("envoy", 0.3))
IDLE_TARGET_BYTES = 150_000_000
MB = 1_000_000


def print_rows(rows):
    print("\n| scenario | proxy | CPU us/request (min-max) | Understudy's CPU to it | rps | p50 | p99 | RSS | errors |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row.scenario} | {row.proxy} | {row.cpu_us:.1f} ({row.cpu_low:.1f}-{row.cpu_high:.1f}) "
              f"| {ratio(rows, row)} | {row.rps:,.0f} | {row.p50_us / 1000:.2f} ms | {row.p99_us / 1000:.2f} ms "
              f"| {row.rss / MB:.0f} MB | {row.errors} |")


def ratio(rows, row):
    ours = find(rows, row.scenario, "understudy")
    return f"{ours.cpu_us / row.cpu_us:.2f}x" if ours and row.proxy != "understudy" and row.cpu_us else ""


def find(rows, scenario, proxy):
    return next((row for row in rows if (row.scenario, row.proxy) == (scenario, proxy)), None)


def print_idle(rows):
    print("\n| idle keep-alive connections | proxy | RSS before | RSS | per connection | closed on them |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        each = (row.rss - row.rss_before) / max(row.connections, 1)
        print(f"| {row.connections:,} | {row.proxy} | {row.rss_before / MB:.0f} MB | {row.rss / MB:.0f} MB "
              f"| {each / 1000:.1f} kB | {row.closed} |")


def print_verdicts(rows, idle_rows):
    print()
    for scenario in dict.fromkeys(row.scenario for row in rows):
        for line in verdicts(rows, scenario):
            print(line)
    for row in idle_rows:
        if row.proxy == "understudy":
            print(f"idle: {row.rss / MB:.0f} MB of {IDLE_TARGET_BYTES / MB:.0f} MB: {word(row.rss <= IDLE_TARGET_BYTES)}")


def verdicts(rows, scenario):
    ours, haproxy = find(rows, scenario, "understudy"), find(rows, scenario, "haproxy")
    for name, limit in CPU_TARGETS:
        peer = find(rows, scenario, name)
        if ours and peer:
            yield (f"{scenario}: CPU {ours.cpu_us / peer.cpu_us:.2f}x {name}, wanted at most {limit}x: "
                   f"{word(ours.cpu_us <= limit * peer.cpu_us)}")
    if ours and haproxy:
        yield (f"{scenario}: p99 {ours.p99_us / 1000:.2f} ms, haproxy {haproxy.p99_us / 1000:.2f} ms: "
               f"{word(ours.p99_us <= haproxy.p99_us)}")


def word(met):
    return "met" if met else "MISSED"
