"""How far back a receiver that resets its connection may not have read what its kernel acknowledged."""

from __future__ import annotations

from collections import deque

from capture_agent.net.connection import PROOF

STEPS = 16  # moments remembered of the window


class ReadDoubt:
    """Of one connection. Doubtful is what was acknowledged within the last `seconds`, and at most PROOF bytes: no
    kernel keeps more unread.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._moments: deque[tuple[float, int]] = deque()  # when, and how much was acknowledged then
        self._certain = 0

    def certain(self, acknowledged: int, now: float) -> int:
        """How many of the acknowledged bytes are beyond doubt at this moment."""
        moments = self._moments
        if not moments or now - moments[-1][0] >= self._seconds / STEPS:
            moments.append((now, acknowledged))
        while moments and now - moments[0][0] >= self._seconds:
            self._certain = moments.popleft()[1]
        return max(self._certain, acknowledged - PROOF)
