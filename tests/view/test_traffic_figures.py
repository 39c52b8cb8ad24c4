"""Figures of calls: whose failures they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture_agent import read
from capture_agent.view.aliases import Aliases
from capture_agent.view.traffic_figures import TrafficFigures

pytestmark = pytest.mark.once

PCAPS = Path(__file__).parents[2] / "pcaps"


@pytest.mark.parametrize(
    ("capture", "peers"),
    [
        ("demo.pcap", {"203.0.113.32": 1}),  # dave was busy: neither the proxy, nor whom it told so
        ("look/forked.pcap", {}),
    ],
)
def test_a_failure_is_that_of_the_host_that_was_called(capture: str, peers: dict[str, int]) -> None:
    figures = TrafficFigures()
    figures.finish(read(PCAPS / capture).calls(), Aliases())
    assert figures.failing_peers == peers
