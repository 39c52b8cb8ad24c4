"""When the agent is degraded, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from figure_samples import sink, source

from capture_agent.metrics.figures import SinkFigures, SourceFigures
from capture_agent.metrics.health import LOSING_SECONDS, Health

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("sources", "sinks", "wanted"),
    [
        pytest.param([source()], [sink()], [], id="ok"),
        pytest.param([], [], [], id="nothing yet"),
        pytest.param([source(up=False), source("eth1")], [sink()], ["eth0: down"], id="an interface is down"),
        pytest.param([source("eth*", up=False)], [], ["eth*: no interface matches"], id="a pattern without interfaces"),
        pytest.param([source(quiet=59.9)], [], [], id="quiet, but not for long"),
        pytest.param([source(quiet=60.4)], [], ["eth0: no packets for 60 s"], id="no packets"),
        pytest.param([source(quiet=1, sip_quiet=299)], [], [], id="no SIP, but not for long"),
        pytest.param([source(quiet=1, sip_quiet=300)], [], ["eth0: no SIP for 300 s"], id="no SIP"),
        pytest.param([source(quiet=90, sip_quiet=300)], [], ["eth0: no packets for 90 s"], id="one reason each"),
        pytest.param(
            [replace(source(quiet=90), up=None)], [replace(sink(lost=3), standing=None)], [], id="not wanted any more"
        ),
        pytest.param([], [sink(up=False, lost=3)], ["hep:h:9060: unreachable"], id="a sink is unreachable"),
        pytest.param([], [sink(lost=3)], ["hep:h:9060: loses messages: 3 so far"], id="a sink loses"),
        pytest.param([], [sink(), sink(lost=1)], ["hep:h:9060: loses messages: 1 so far"], id="of two alike one loses"),
    ],
)
def test_reasons(sources: list[SourceFigures], sinks: list[SinkFigures], wanted: list[str]) -> None:
    assert [str(reason) for reason in Health(60, 300).look(sources, sinks, 1000.0)] == wanted


@pytest.mark.parametrize(("seconds", "wanted"), [(0.0, []), (9.9, []), (10.0, ["capture_stands_still"])])
def test_a_capture_that_stands_still(seconds: float, wanted: list[str]) -> None:
    assert [one.reason for one in Health().look([source()], [sink()], 1000.0, seconds)] == wanted


def test_silence_is_normal_unless_configured() -> None:
    assert Health().look([source(quiet=1e6, sip_quiet=1e6)], [], 0.0) == []


def test_losing_ends_a_minute_after_the_last_loss() -> None:
    health = Health()
    looks = [(0.0, 0), (1.0, 5), (30.0, 5), (50.0, 9), (50.0 + LOSING_SECONDS - 1, 9), (50.0 + LOSING_SECONDS, 9)]
    found = [[one.reason for one in health.look([], [sink(lost=lost)], now)] for now, lost in looks]
    losing = ["sink_losing"]
    assert found == [[], losing, losing, losing, losing, []]


def test_only_changes_are_news() -> None:
    health = Health()
    states = [[], [sink(up=False)], [sink(up=False)], [], []]
    assert [health.is_news(health.look([], sinks, 0.0)) for sinks in states] == [False, True, False, True, False]


def test_a_packet_now_and_then_without_sip_is_one_event() -> None:
    health = Health(60, 60)
    looks = [source(quiet=quiet, sip_quiet=300) for quiet in (70, 1, 80, 2)]
    found = [health.look([one], [], 0.0) for one in looks]
    assert [reason.reason for reasons in found for reason in reasons] == ["no_packets", "no_sip"] * 2
    assert [health.is_news(reasons) for reasons in [*found, []]] == [True, False, False, False, True]
