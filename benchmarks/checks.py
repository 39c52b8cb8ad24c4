"""Was all of the work done? Each check raises Failed, or tells what is to be shown beside the figure."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.cases import COMPILED, LISTING, PLAIN, SQLITE, Case
from benchmarks.collector import Counts
from benchmarks.measure import Failed, Usage


def check_books(case: Case, usage: Usage) -> None:
    """What the agent prints at its end: every packet and message is accounted for, and sent."""
    if case.who not in (COMPILED, PLAIN) or case.work == LISTING:
        return
    frames = case.capture.packets
    wanted = [
        "frames: " if frames is None else f"frames: {frames} seen, {frames} carried\n",
        f" {case.capture.sip} traced, 0 not traced, 0 duplicate",
        f": {case.capture.sip} seen, {case.capture.sip} sent, 0 waiting",
    ]
    missing = [line for line in wanted if line not in usage.errors]
    if missing or "does not balance" in usage.errors or re.search(r"\d lost", usage.errors):
        raise Failed(f"{case.key}: the books say:\n{usage.errors}")


def check_collector(case: Case, counts: Counts) -> tuple[int, int]:
    """How many the kernel dropped at the sink, and how many the sender lost; we and the limit must lose none."""
    lost = case.capture.sip - counts.packets - counts.dropped
    ours = case.who not in ("sngrep", "sipgrep")
    if counts.broken or lost < 0 or (lost and ours):
        raise Failed(f"{case.key}: the sink has {counts}, not {case.capture.sip} messages")
    return counts.dropped, lost


def check_table(case: Case, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM sip_trace").fetchone()
    if rows != case.capture.sip:
        raise Failed(f"{case.key}: {rows} rows, not {case.capture.sip}")


def check_list(case: Case, output: Path) -> None:
    with output.open("rb") as file:
        lines = sum(1 for _ in file)
    if lines != case.capture.sip:
        raise Failed(f"{case.key}: {lines} lines, not {case.capture.sip}")


def needs_collector(case: Case) -> bool:
    return case.work not in (SQLITE, LISTING)
