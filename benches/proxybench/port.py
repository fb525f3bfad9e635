"""Ports nobody listens on, below the range clients are given theirs from."""

import itertools
import os
import socket

LOWEST, HIGHEST = 20_000, 30_000
_candidates = itertools.count(LOWEST + os.getpid() * 32 % (HIGHEST - LOWEST))


def free_ports(count):
    return tuple(itertools.islice(filter(is_free, _candidates), count))


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
