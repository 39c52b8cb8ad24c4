"""The queue before a sink: nothing is lost that is not counted, and nobody waits for ever."""

from __future__ import annotations

import logging
import threading

import pytest
from sink_samples import INVITE, ListSink, batch_of, eventually, traced

from capture_agent.sinks.outbox import Outbox, held_bytes
from capture_agent.sinks.sink import SinkError


def down(_: object) -> None:
    raise SinkError("list:: connection refused")


class Gate:
    """Holds a sink until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()

    def __call__(self, _: object) -> None:
        self.entered.set()
        assert self.open.wait(10)


def test_everything_goes_out_in_order_and_the_sink_is_closed() -> None:
    sink = ListSink()
    outbox = Outbox(sink)
    messages = batch_of(100)
    for at in range(0, 100, 7):
        outbox.put(messages[at : at + 7])
    outbox.put([])
    outbox.close()
    assert sink.messages == messages
    assert sink.closed
    assert str(outbox.ledger()) == "list:: 100 seen, 100 sent, 0 waiting"
    assert outbox.ledger().difference == 0


def test_what_waits_together_goes_out_together() -> None:
    gate = Gate()
    sink = ListSink(gate)
    outbox = Outbox(sink)
    outbox.put(batch_of(1))
    assert gate.entered.wait(10)
    for n in range(5):
        outbox.put(batch_of(2, first=n))
    gate.open.set()
    outbox.close()
    assert sink.batches == [1, 10]


@pytest.mark.parametrize(
    ("puts", "sent", "lost"),
    [
        pytest.param([4, 4], 9, 0, id="just full"),
        pytest.param([4, 5], 9, 1, id="a part fits"),
        pytest.param([8, 3], 9, 3, id="nothing fits"),
    ],
)
def test_it_drops_what_finds_no_room(puts: list[int], sent: int, lost: int) -> None:
    gate = Gate()
    outbox = Outbox(ListSink(gate), limit=9)
    outbox.put(batch_of(1))
    assert gate.entered.wait(10)
    for count in puts:
        outbox.put(batch_of(count))
    ledger = outbox.ledger()
    assert (ledger.outcomes["waiting"], ledger.lost["queue_full"], ledger.difference) == (sent, lost, 0)
    gate.open.set()
    outbox.close()
    ledger = outbox.ledger()
    assert (ledger.outcomes, ledger.difference) == ({"sent": sent, "waiting": 0}, 0)


def test_the_buffers_that_messages_keep_alive_are_bounded_too() -> None:
    gate = Gate()
    one = traced(INVITE)
    weight = len(one.message.datagram.data)
    outbox = Outbox(ListSink(gate), limit_bytes=2 * weight)
    outbox.put([one])
    assert gate.entered.wait(10)
    outbox.put([one])
    outbox.put([one])
    assert outbox.ledger().lost["queue_full"] == 1
    gate.open.set()
    outbox.close()


def test_weight_counts_each_buffer_once() -> None:
    one, other = traced(INVITE), traced(INVITE)
    size = len(one.message.datagram.data)
    assert [held_bytes(batch) for batch in ([one], [one, one], [one, one, other])] == [size, size, 2 * size]


def test_it_tries_again_and_logs_an_outage_once(caplog: pytest.LogCaptureFixture) -> None:
    attempts = 0

    def twice(_: object) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise SinkError("list:: connection refused")

    sink = ListSink(twice)
    with caplog.at_level(logging.INFO):
        outbox = Outbox(sink, limit=4, first_delay=0.001)
        messages = batch_of(3)
        outbox.put(messages)
        eventually(lambda: sink.sent == 3)
        outbox.close()
    assert sink.messages == messages
    assert outbox.failure is None
    assert [record.getMessage().partition(" after")[0] for record in caplog.records] == [
        "list:: connection refused; trying again",
        "list:: up again",
    ]


def test_what_an_outage_costs_is_counted_as_such() -> None:
    tried = threading.Event()

    def fail(_: object) -> None:
        tried.set()
        raise SinkError("list:: connection refused")

    outbox = Outbox(ListSink(fail), limit=4, first_delay=60)
    outbox.put(batch_of(3))
    assert tried.wait(10)
    eventually(lambda: outbox._down_since is not None)
    outbox.put(batch_of(3))
    assert str(outbox.ledger()) == "list:: 6 seen, 0 sent, 4 waiting, 2 lost (unreachable 2)"
    outbox.close()
    assert str(outbox.ledger()) == "list:: 6 seen, 0 sent, 0 waiting, 6 lost (unreachable 6)"


def test_a_bug_in_a_sink_stops_only_that_sink(caplog: pytest.LogCaptureFixture) -> None:
    def bug(_: object) -> None:
        raise KeyError("INVITE sip:secret@example.com")

    outbox = Outbox(ListSink(bug))
    outbox.put(batch_of(2))
    outbox.close()
    assert str(outbox.failure) == "list:: internal error: KeyError"
    assert "secret" not in caplog.text
    assert str(outbox.ledger()) == "list:: 2 seen, 0 sent, 0 waiting, 2 lost (internal_error 2)"


def test_close_does_not_wait_longer_than_it_is_told() -> None:
    gate = Gate()
    outbox = Outbox(ListSink(gate))
    outbox.put(batch_of(2))
    assert gate.entered.wait(10)
    outbox.put(batch_of(3))
    outbox.close(timeout=0.01)
    ledger = outbox.ledger()
    assert (ledger.outcomes["waiting"], ledger.lost, ledger.difference) == (2, {"shutdown": 3}, 0)
    outbox.put(batch_of(1))
    assert outbox.ledger().lost["shutdown"] == 4
    gate.open.set()


def test_close_wakes_a_sink_that_waits_to_try_again() -> None:
    tried = threading.Event()

    def fail(_: object) -> None:
        tried.set()
        raise SinkError("list:: connection refused")

    outbox = Outbox(ListSink(fail), first_delay=3600)
    outbox.put(batch_of(2))
    assert tried.wait(10)
    outbox.close(timeout=10)
    assert outbox.ledger().lost == {"unreachable": 2}
