"""Times as text: in a zone, since the first message, or since the one before."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Literal

TimeMode = Literal["start", "delta", "absolute"]
SECOND = 1_000_000_000
AGE = re.compile(r"([0-9]{1,9})(s|m|h|d|w)")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
LONGEST_AGE = 100 * 366 * 86_400


def moment(time_ns: int, zone: tzinfo | None = UTC, decimals: int = 0) -> str:
    """`2026-11-25 21:09:21`, with up to 6 decimals; None: this host's zone. Outside the calendar it is a number."""
    try:
        whole = datetime.fromtimestamp(time_ns // SECOND, UTC).astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return f"{time_ns / 1e9:.{decimals}f}"
    fraction = f".{time_ns % SECOND // 1000:06d}"[: decimals + 1] if decimals else ""
    return f"{whole:%Y-%m-%d %H:%M:%S}{fraction}"


def zone_text(time_ns: int, zone: tzinfo | None = UTC) -> str:
    """`UTC`, `CET`, or an offset for a zone without a name."""
    try:
        return datetime.fromtimestamp(time_ns // SECOND, UTC).astimezone(zone).tzname() or "UTC"
    except (OverflowError, ValueError, OSError):
        return "UTC"


def seconds_of_age(written: str) -> int:
    """Of `90s`, `10m`, `2h`, `3d`, `1w`; 0 for what is none."""
    found = AGE.fullmatch(written)
    seconds = int(found[1]) * UNITS[found[2]] if found else 0
    return seconds if seconds <= LONGEST_AGE else 0


def arrow_time(time_ns: int, since_ns: int, delay_ns: int, mode: TimeMode, zone: tzinfo | None = UTC) -> str:
    if mode == "absolute":
        return moment(time_ns, zone, 3).rpartition(" ")[2]
    return f"+{delay_ns / 1e9:.3f}" if mode == "delta" else f"{since_ns / 1e9:.3f}"


def duration(seconds: float) -> str:
    """`0.3 s`, `12 s`, `1:02:03`"""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
