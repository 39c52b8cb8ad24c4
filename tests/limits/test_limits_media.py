"""What is kept of announced media, under its worst input."""

from __future__ import annotations

import pytest
from measuring import documented, held_mib, main

from capture_agent.media.media_table import MediaTable
from capture_agent.records.traced import Trace

MOST = 100_000


def small_calls() -> MediaTable:
    """One place each."""
    table, traces = MediaTable(MOST, 1 << 60), ((Trace(), 1),)
    for n in range(MOST + 1000):
        place = (bytes((10, n >> 16 & 255, n >> 8 & 255, n & 255)), 4000)
        table.announce(b"call-%d@192.0.2.1" % n, [(place, None)], traces, False, 10**18 + n)
    assert table.evicted == 1000
    return table


def long_names() -> MediaTable:
    table, traces = MediaTable(MOST, 1 << 60), ((Trace(), 1),)
    for n in range(MOST):
        place = (n.to_bytes(16, "big"), 4000)
        table.announce(b"%d" % n + b"x" * 2000, [(place, None)], traces, False, 10**18 + n)
    assert table.evicted
    assert table.bytes <= 512 * MOST
    return table


CASES = {
    "announced media": small_calls,
    "announced media of long Call-IDs": long_names,
}


@pytest.mark.parametrize("case", CASES)
def test_it_holds_no_more_than_documented(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
