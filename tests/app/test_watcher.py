"""Losses are logged at once, then once a minute while they last; outages with their counts."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from capture_agent.app.watcher import Watched, Watcher

pytestmark = pytest.mark.once


@dataclass
class Outage:
    seconds: float
    waiting: int = 12_300
    limit: int = 100_000
    lost: int = 0


def lines(caplog: pytest.LogCaptureFixture, looks: list[tuple[float, list[Watched]]]) -> list[tuple[float, str]]:
    """The lines logged at each time."""
    now = 0.0
    accounts: list[Watched] = []
    watcher = Watcher(lambda: accounts, lambda: now)
    said = []
    for time, found in looks:
        now, accounts = time, found
        with caplog.at_level(logging.INFO):
            watcher.look()
        said += [(now, text) for text in caplog.messages]
        caplog.clear()
    return said


def sink(lost: int = 0, refused: int = 0, rejected: int = 0, outage: Outage | None = None) -> Watched:
    return Watched("hep:h", "messages", {"queue_full": lost, "refused": refused}, {"oversize": rejected}, outage)


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        pytest.param([(1, [sink()]), (2, [sink()])], [], id="nothing"),
        pytest.param(
            [(1, [sink()]), (2, [sink(2668, 3)]), (3, [sink(2668, 3)])],
            [(2, "hep:h: 2,671 messages lost (queue_full 2,668, refused 3)")],
            id="at once",
        ),
        pytest.param(
            [(t, [sink(10 * t)]) for t in range(1, 130)],
            [
                (1, "hep:h: 10 messages lost (queue_full 10)"),
                (61, "hep:h: 600 more messages lost (queue_full 600); 610 in all"),
                (121, "hep:h: 600 more messages lost (queue_full 600); 1,210 in all"),
            ],
            id="once a minute while it lasts",
        ),
        pytest.param(
            [(1, [sink(1)]), (30, [sink(5)]), (90, [sink(5)]), (500, [sink(6)])],
            [
                (1, "hep:h: 1 messages lost (queue_full 1)"),
                (90, "hep:h: 4 more messages lost (queue_full 4); 5 in all"),
                (500, "hep:h: 1 more messages lost (queue_full 1); 6 in all"),
            ],
            id="the rest, too; and at once again",
        ),
        pytest.param(
            [(1, [sink(2, rejected=1)])],
            [(1, "hep:h: 2 messages lost (queue_full 2), 1 messages rejected (oversize 1)")],
            id="rejected",
        ),
        pytest.param(
            [
                (1, [Watched("eth0", "packets", {"kernel": 4})]),
                (2, [Watched("eth0", "packets", {"kernel": 4}), sink(1)]),
            ],
            [(1, "eth0: 4 packets lost (kernel 4)"), (2, "hep:h: 1 messages lost (queue_full 1)")],
            id="an account that comes later",
        ),
        pytest.param(
            [(1, [sink(1), sink()]), (2, [sink(1), sink(7)])],
            [(1, "hep:h: 1 messages lost (queue_full 1)"), (2, "hep:h: 7 messages lost (queue_full 7)")],
            id="two of one name",
        ),
        pytest.param(
            [(t, [sink(outage=Outage(t - 1) if t < 200 else None)]) for t in range(1, 300)],
            [(61 + 60 * n, f"hep:h: down for {n + 1} min: 12,300 waiting of 100,000, 0 lost") for n in range(3)],
            id="an outage",
        ),
    ],
)
def test_lines(
    caplog: pytest.LogCaptureFixture, looks: list[tuple[float, list[Watched]]], said: list[tuple[float, str]]
) -> None:
    assert lines(caplog, looks) == said
