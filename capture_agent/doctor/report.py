"""The findings as lines of text, or as data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from capture_agent.doctor.finding import SEVERITY, Finding, Status
from capture_agent.view.text import padded, printable

NAME_WIDTH = 13
STATUS_WIDTH = 7
INDENT = " " * (STATUS_WIDTH + NAME_WIDTH + 2)


def exit_status(findings: Iterable[Finding]) -> int:
    """0: nothing to say, 1: warnings, 2: something is broken."""
    return max((SEVERITY[one.status] for one in findings), default=0)


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """A line per finding, one with advice if there is any, and a summary."""
    for one in findings:
        of = f"{one.of}: " if one.of else ""
        yield printable(f"{padded(one.status, STATUS_WIDTH)} {padded(one.check, NAME_WIDTH)} {of}{one.found}")
        if one.to_do:
            yield printable(f"{INDENT}-> {one.to_do}")
    yield summary(findings)


def summary(findings: Sequence[Finding]) -> str:
    broken, warnings = (sum(one.status == status for one in findings) for status in (Status.BROKEN, Status.WARNING))
    if not broken and not warnings:
        return "nothing is wrong"
    return f"{broken} broken, {warnings} warning{'' if warnings == 1 else 's'}"


def as_json(findings: Sequence[Finding]) -> str:
    """An object with the worst status, and an object for each finding in the order of the text."""
    worst = max((one.status for one in findings), key=SEVERITY.__getitem__, default=Status.OK)
    checks = [
        {"name": one.check, "of": one.of, "status": one.status, "found": one.found, "to_do": one.to_do}
        for one in findings
    ]
    return json.dumps({"status": worst, "exit_status": SEVERITY[worst], "checks": checks}, indent=2)
