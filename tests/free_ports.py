"""Ports for servers that tests start, and start again."""

from __future__ import annotations

import os
import re
import socket
from itertools import count
from random import SystemRandom

# Below those that Linux gives to connections (net.ipv4.ip_local_port_range), so that no connection of another test
# takes one before its server has it, or while the server is down. Each worker of a run has its own.
FIRST, EACH, WORKERS = 21_000, 2_300, 5
_worker = int(re.sub("[^0-9]", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % WORKERS
_numbers = count(SystemRandom().randrange(EACH))


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, over UDP and TCP; not one that was given lately."""
    for _ in range(EACH):
        port = FIRST + _worker * EACH + next(_numbers) % EACH
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
