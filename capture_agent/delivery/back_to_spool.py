"""What a sink was given and never confirmed goes back to its spool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from capture_agent.delivery.handed_over import HandedOver
from capture_agent.delivery.spool.spool import BATCH_MESSAGES, Change, Spool
from capture_agent.records.traced import TracedMessage


def back_to_spool(handed: HandedOver, spool: Spool, count: int) -> Iterator[Change]:
    """The last `count` messages that were handed over go before all that the spool has, in order.

    `stored` of each change: so many of them are in the spool.
    """
    parts: list[TracedMessage] = []
    for one in handed.last(count):
        if one.row is None:
            parts[:0] = one.messages
            continue
        yield from put_back(spool, parts)
        parts = []
        change = spool.give_back(one.row, one.at)
        yield replace(change, stored=change.stored + one.count)
    yield from put_back(spool, parts)
    for row in handed.confirmed(0):
        yield spool.remove(row)


def put_back(spool: Spool, batch: Sequence[TracedMessage]) -> Iterator[Change]:
    """Nothing more once the disk fails."""
    for end in range(len(batch), 0, -BATCH_MESSAGES):  # each goes before the one that was put back last
        change, _ = spool.put_back(batch[max(0, end - BATCH_MESSAGES) : end], taken=False)
        yield change
        if not change.stored:
            return
