"""What the operator of a sink wants to know of it, besides its ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from capture_agent.histogram import Distribution, Histogram
from capture_agent.records.traced import TracedMessage

# From a packet's time until it is handed over, and that one batch takes: from a collector on this host to one that was
# down for an hour.
LAG_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
BATCH_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
NO_LAG = Histogram(LAG_SECONDS).now()
NO_BATCH = Histogram(BATCH_SECONDS).now()


@dataclass(frozen=True, slots=True)
class SpoolStanding:
    """What waits on disk.

    bytes    of everything in the file, also of messages that are being sent
    oldest_seconds  since the oldest message was written; 0: there are none
    failing  whether the file cannot be used now
    limit_bytes  that `bytes` may reach
    full     whether messages have made room for newer ones within the last minute
    """

    messages: int
    bytes: int
    oldest_seconds: float
    limit_bytes: int
    failing: bool = False
    full: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A sink at one moment.

    queue_bytes     memory of the messages in the queue and in hand
    oldest_seconds  how long the oldest of these, or in the spool, has waited; 0: there are none
    reconnects      times that it was reached again
    lag             seconds from the packet's time to handed over, by message
    batch           seconds that handing over one batch took
    """

    queue_bytes: int
    oldest_seconds: float
    up: bool
    reconnects: int
    lag: Distribution = NO_LAG
    batch: Distribution = NO_BATCH
    spool: SpoolStanding | None = None  # None: the sink has none


class DeliveryPace:
    """How fast a sink takes what it is given: filled once per batch."""

    def __init__(self) -> None:
        self.lag = Histogram(LAG_SECONDS)
        self.batch = Histogram(BATCH_SECONDS)

    def took(self, batch: Sequence[TracedMessage], done: int, began: float) -> None:
        """The first `done` messages of it have been handed over; `began`: time.monotonic() before.

        All of them have the lag of the first: the longest in the batch. An attempt that failed is not counted.
        """
        if done:
            self.batch.observe(time.monotonic() - began)
            self.lag.observe(max(0.0, (time.time_ns() - batch[0].message.time_ns) / 1e9), done)
