"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, but something is or will be missing or wrong
    BROKEN = "broken"  # nothing arrives, or nothing of a part


SEVERITY = {Status.OK: 0, Status.WARNING: 1, Status.BROKEN: 2}  # the exit status, too


@dataclass(frozen=True, slots=True)
class Finding:
    """`of`: what was checked, of several: an interface, a destination, a file. `check`: by default the table's name.

    None of the texts contains a secret, or a part of a SIP message.
    """

    status: Status
    found: str
    to_do: str = ""
    of: str = ""
    check: str = ""


def ok(found: str, of: str = "", to_do: str = "", check: str = "") -> Finding:
    return Finding(Status.OK, found, to_do, of, check)


def warning(found: str, to_do: str, of: str = "", check: str = "") -> Finding:
    return Finding(Status.WARNING, found, to_do, of, check)


def broken(found: str, to_do: str, of: str = "", check: str = "") -> Finding:
    return Finding(Status.BROKEN, found, to_do, of, check)
