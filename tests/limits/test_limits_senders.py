"""What sinks on connections keep until it is acknowledged."""

from __future__ import annotations

import pytest
from measuring import documented, held_mib, main

from capture_agent.net.unconfirmed import ROOM, Unconfirmed

BATCH = 1 << 18  # bytes, and one more packet: what a sink packs together
MOST = 65_535


def unconfirmed() -> object:
    """One small packet at a time costs most per byte; then the biggest batch that comes when there is just room."""
    kept = Unconfirmed()
    position = 0
    while kept.held < ROOM:
        kept.add(bytes([position & 255]) * 7, [7], position)
        position += 7
    kept.add(b"x" * (BATCH + MOST), [*range(8, BATCH + MOST, 8), BATCH + MOST], position)
    return kept


CASES = {
    "what a TCP sink keeps until it is acknowledged": unconfirmed,
}


@pytest.mark.parametrize("case", CASES)
def test_memory(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
