"""Unacknowledged messages of sinks on connections."""

from __future__ import annotations

import pytest
from measuring import documented, held_mib, main

from capture_agent.net.unconfirmed import ROOM, Unconfirmed
from hep.batch import Encoder

BATCH = 196_609  # bytes, and one more packet: what a sink packs together
MOST = 65_535


def small() -> object:
    """One small packet at a time costs most per byte; then the largest batch when there is just room for it."""
    kept = Unconfirmed()
    position = 0
    while kept.held < ROOM:
        kept.add(memoryview(bytes([position & 255]) * 7), [7], position)
        position += 7
    buffer = memoryview(b"x" * (BATCH + MOST))
    kept.add(buffer, [*range(8, BATCH + MOST, 8), BATCH + MOST], position)
    return kept


def rooms() -> object:
    """All rooms in use, then those that the encoder keeps for reuse, and small buffers in as many as possible."""
    kept, encoder = Unconfirmed(), Encoder()
    position = 0
    for size in (BATCH, 1):
        kept.confirm(position)
        while kept.held < ROOM:
            encoder.clear(kept.oldest)
            start = encoder.used
            while encoder.used < start + size:
                encoder.add(bytes(8) + b"x" * min(size, MOST - 200), 0, 4, 1, 2, 17, 0, 8, 8 + min(size, MOST - 200))
            kept.add(encoder.buffer, encoder.ends, position)
            position += len(encoder.buffer)
    return kept, encoder


CASES = {
    "unacknowledged messages of a SIP sink": small,
    "unacknowledged messages of a HEP sink": rooms,
}


@pytest.mark.parametrize("case", CASES)
def test_memory(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
