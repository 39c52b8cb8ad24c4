"""The log lines about messages that may have arrived twice."""

from __future__ import annotations

import pytest

from capture_agent.net.repeated import RepeatedWarning

pytestmark = pytest.mark.once


def test_it_says_the_sum_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    repeated = RepeatedWarning("hep+tcp:h:9060", clock=lambda: now)
    want = []
    for seconds, unsure, sent, line in [
        (0, 0, 5, ""),
        (1, 3, 2, "2"),
        (2, 0, 9, ""),  # one of them again
        (30, 2000, 1500, ""),
        (61, 0, 400, "1,901"),
        (70, 0, 400, ""),
    ]:
        now = seconds
        repeated.unsure(unsure)
        repeated.sent(sent)
        repeated.say_at_times()
        want += [line] if line else []
    repeated.say()
    repeated.say()
    lines = [record.getMessage() for record in caplog.records]
    head = "hep+tcp:h:9060: messages sent again after a connection broke: the receiver may have them twice: about"
    assert lines == [f"{head} {count}" for count in [*want, "100"]]
