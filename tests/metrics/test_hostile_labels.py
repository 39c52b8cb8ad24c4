"""What peers write into methods, statuses, causes, tags and addresses cannot make series without end."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest
from correlate.correlate_samples import SECOND, START
from figure_samples import figures

from capture_agent.correlate.correlator import Correlator
from capture_agent.counting.sip_counters import METHODS, TRANSPORTS
from capture_agent.counting.stage import Counting
from capture_agent.metrics.exposition import Exposition
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.scan import scan

pytestmark = pytest.mark.once

MANY = 10_000
PEERS = {"carrier": ["10.0.0.0/24"]}
ALLOWED = {
    "method": {*METHODS},
    "transport": {*TRANSPORTS},
    "status": {*map(str, range(100, 700)), "other"},
    "class": {"3xx", "4xx", "5xx", "6xx", "other"},
    "cause": {*map(str, range(1, 128)), "other"},
    "peer": {"carrier", "other"},
    "direction": {"in", "out"},
}


def hostile(n: int) -> Iterator[CapturedMessage]:
    """An unknown method, an unknown status, and a call and a registration that fail as no other did."""
    yield seen(n, f"M{n} sip:b SIP/2.0", f"M{n}")
    yield seen(n, f"SIP/2.0 {100 + n % 900} No{n}", f"X{n}")
    for of in ("INVITE", "REGISTER"):
        yield seen(n, f"{of} sip:b SIP/2.0", of)
        status = 300 + n % 400
        yield seen(n, f"SIP/2.0 {status} No{n}", of, f"Reason: Q.850;cause={n};text=x{n}", f"Reason: R{n};cause=1")


def seen(n: int, start: str, method: str, *more: str) -> CapturedMessage:
    lines = [
        start,
        f"Via: SIP/2.0/UDP h;branch=z9hG4bK{n}{method}",
        f"From: <sip:a{n}@b>;tag=f{n}",
        f"To: <sip:b{n}@b>" + (f";tag=t{n}" if start.startswith("SIP") else ""),
        f"Call-ID: {n}{method}",
        f"CSeq: 1 {method}",
        f"Contact: <sip:a{n}@b>",
        *more,
    ]
    addresses = ip_address((10 << 24) + n).packed + ip_address("192.0.2.1").packed
    data = addresses + "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
    sip = scan(data, 8, len(data))
    assert sip is not None
    transport = "udp" if n % 2 else f"t{n}"
    at_ns = START + n * SECOND // 10
    return CapturedMessage(Datagram(data, 8, len(data), 0, 4, 5060, 5060, at_ns, transport=transport), sip)


def scraped(counting: Counting) -> list[str]:
    body, _ = Exposition(lambda: replace(figures(), counted=counting.snapshot())).text()
    return [line for line in body.decode().splitlines() if not line.startswith("#")]


def test_series_do_not_grow() -> None:
    counting, correlator = Counting(PEERS, calls=True), Correlator()
    found = []
    for first in (0, MANY):
        for n in range(first, first + MANY):
            batch = list(hostile(n))
            correlator.observe(batch)
            counting.observe(batch)
        found.append({line.rpartition(" ")[0] for line in scraped(counting)})
    assert found[1] == found[0]
    assert sum(map(len, found)) < 40_000
    values = defaultdict(set)
    for line in found[1]:
        if re.match(r"capture_agent_(sip|call|calls|registration|registrations|options|session)_", line):
            for name, value in re.findall(r'(\w+)="([^"]*)"', line):
                values[name].add(value)
    for name, allowed in ALLOWED.items():
        assert values[name] <= allowed, name
        assert len(values[name]) > 1 or name == "direction"
