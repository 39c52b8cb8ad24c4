"""What was traced lately, for whoever looks on."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from sink_samples import batch_of

from capture_agent.control import onlookers
from capture_agent.control.onlookers import Onlookers

pytestmark = pytest.mark.once


def numbers(answer: dict[str, Any]) -> tuple[int, int, int]:
    return answer["next"], answer["missed"], len(answer["messages"])


def test_from_now_on_and_from_where_one_was() -> None:
    made = Onlookers()
    assert not made.wanted
    assert numbers(made.after(None)) == (0, 0, 0)
    assert made.wanted
    made.see(batch_of(3))
    assert numbers(made.after(None)) == (3, 0, 0)
    assert numbers(made.after(0)) == (3, 0, 3)
    assert numbers(made.after(2)) == (3, 0, 1)
    assert numbers(made.after(99)) == (3, 0, 3)  # of an agent that has been started again
    sent, wanted = made.after(2)["messages"][0], batch_of(3)[2].message
    assert (sent[0], sent[4], sent[6]) == (
        wanted.time_ns,
        wanted.datagram.source_port,
        wanted.datagram.destination_port,
    )
    assert b64decode(sent[7]) == wanted.raw


def test_it_is_bounded_in_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onlookers, "MOST_MESSAGES", 5)
    made = Onlookers()
    made.after(None)
    made.see(batch_of(8))
    assert numbers(made.after(1)) == (8, 2, 5)


def test_it_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onlookers, "MOST_BYTES", 2500)
    made = Onlookers()
    made.after(None)
    made.see(batch_of(8, size=1000))
    assert numbers(made.after(0)) == (8, 6, 2)


def test_nobody_asks_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Onlookers()
    made.after(None)
    made.see(batch_of(2))
    monkeypatch.setattr(onlookers, "LAPSE", -1.0)
    made.see(batch_of(2))
    assert not made.wanted
    assert numbers(made.after(0)) == (2, 2, 0)
