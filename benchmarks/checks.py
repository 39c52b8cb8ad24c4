"""Checks that all work was done. Each check raises Failed, or returns a note to show next to the figure."""

from __future__ import annotations

import re
from pathlib import Path
from struct import unpack_from

from benchmarks.cases import (
    COMPILED,
    FILES,
    FIRST_LIVE,
    LISTING,
    LIVE_SQLITE,
    MEASURED,
    PLAIN,
    RELAYED,
    SPOOL,
    STORED,
    Case,
)
from benchmarks.collector import Counts
from benchmarks.measure import Failed, Usage

PACKET = 6  # the block of pcapng


def check_books(case: Case, usage: Usage) -> None:
    """Check the agent's books: every packet and message is accounted for, and sent."""
    if case.who not in (COMPILED, PLAIN) or case.work == LISTING:
        return
    if case.work in (*FIRST_LIVE, LIVE_SQLITE) and "does not balance" not in usage.errors:
        return  # drops of the kernel are shown: the collector does not have these
    frames = case.capture.sip if case.work in RELAYED else case.capture.packets
    wanted = [
        "frames: " if frames is None else f"frames: {frames} seen, {frames} carried\n",
        f" {case.capture.sip} traced, 0 not traced, 0 duplicate",
        f": {case.capture.sip} seen, {case.capture.sip} sent, 0 waiting",
    ]
    if case.work == MEASURED:  # with reports
        wanted[2] = " measured, 0 not sampled, 0 duplicate, 0 waiting\n"
    missing = [line for line in wanted if line not in usage.errors]
    if missing or "does not balance" in usage.errors or re.search(r"\d lost", usage.errors):
        raise Failed(f"{case.key}: the books say:\n{usage.errors}")


def check_collector(case: Case, counts: Counts) -> tuple[int, int]:
    """How many messages the kernel dropped at the sink and the sender lost: from a file, only peers may lose any."""
    reports = counts.broken if case.work == MEASURED else 0  # they are no SIP
    lost = case.capture.sip + reports - counts.packets - counts.dropped
    may_lose = case.work in FIRST_LIVE or case.who in ("sngrep", "sipgrep")
    if counts.broken != reports or lost < 0 or (lost and not may_lose):
        raise Failed(f"{case.key}: the sink has {counts}, not {case.capture.sip} messages")
    return counts.dropped, lost


def check_packets(case: Case, output: Path) -> None:
    """A packet of pcapng for each message, after a section header and an interface."""
    found, at, data = 0, 0, output.read_bytes()
    while at + 8 <= len(data):
        kind, size = unpack_from("<II", data, at)
        found += kind == PACKET
        at += max(size, 8)
    if (found, at) != (case.capture.sip, len(data)):
        raise Failed(f"{case.key}: {found} packets, not {case.capture.sip}")


def check_list(case: Case, output: Path) -> None:
    with output.open("rb") as file:
        lines = sum(1 for _ in file)
    if lines != case.capture.sip:
        raise Failed(f"{case.key}: {lines} lines, not {case.capture.sip}")


def needs_collector(case: Case) -> bool:
    return case.work not in (*STORED, *FILES, LIVE_SQLITE, LISTING, SPOOL)
