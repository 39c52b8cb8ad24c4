"""The queue before a sink: every loss is counted, and nothing waits for ever."""

from __future__ import annotations

import logging
import threading

import pytest
from sink_samples import INVITE, ListSink, batch_of, eventually, not_sip, numbered, traced

from capture_agent.delivery.outbox import Outbox
from capture_agent.delivery.weight import NO_LIMIT, ORIGIN, RECORDS, fit
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.kinds import LogEvent, RtcpReport
from capture_agent.records.origin import Origin
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sip.scan import scan


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


def test_the_memory_that_messages_keep_is_bounded_too() -> None:
    gate = Gate()
    one = traced(INVITE)
    _, weight = fit([one], NO_LIMIT)
    outbox = Outbox(ListSink(gate), limit_bytes=2 * weight)
    outbox.put([one])
    assert gate.entered.wait(10)
    outbox.put([one])
    outbox.put([one])
    assert outbox.ledger().lost["queue_full"] == 1
    gate.open.set()
    outbox.close()


def test_of_a_batch_that_keeps_too_much_the_first_part_waits() -> None:
    """Wherever the long buffers are, for example between two messages that share one."""
    gate = Gate()
    batch = [sharing(SHARED, 0), *(traced(numbered(n, 30_000)) for n in range(10)), sharing(SHARED, 1)]
    outbox = Outbox(ListSink(gate), limit_bytes=110_000)
    outbox.put(batch)
    ledger = outbox.ledger()
    assert (ledger.outcomes["waiting"], ledger.lost["queue_full"], ledger.difference) == (4, 8, 0)
    gate.open.set()
    outbox.close()


def test_a_message_longer_than_all_the_room_goes_through_when_nothing_waits() -> None:
    outbox = Outbox(sink := ListSink(), limit_bytes=10)
    outbox.put(batch_of(2))
    outbox.close()
    assert (sink.sent, outbox.ledger().lost) == (1, {"queue_full": 1})


SHARED = numbered(0, 100) + numbered(1, 100)


def sharing(data: bytes, n: int) -> TracedMessage:
    """Message n of a buffer with two messages of equal length."""
    half = len(data) // 2
    sip = scan(data, n * half, (n + 1) * half)
    assert sip is not None
    datagram = Datagram(data, n * half, (n + 1) * half, 0, 4, 5060, 5070)
    return TracedMessage(CapturedMessage(datagram, sip), Direction.IN, Trace())


def rewritten(message: TracedMessage, text: bytes) -> TracedMessage:
    sip = scan(text, 0, len(text))
    assert sip is not None
    return TracedMessage(CapturedMessage(message.message.datagram, sip), Direction.IN, Trace())


one, other = sharing(SHARED, 0), traced(numbered(2, 900))
report = not_sip(RtcpReport, b"{}", Origin(correlation_id=b"c-1", node=b"edge"))
line = not_sip(LogEvent, b"x" * 1000)
OTHER = len(other.message.datagram.data)


@pytest.mark.parametrize(
    ("batch", "buffers"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([one], len(SHARED), id="one"),
        pytest.param([one, sharing(SHARED, 1)], len(SHARED), id="a shared one once"),
        pytest.param([one, other, one], len(SHARED) + OTHER, id="both ends alike"),
        pytest.param([one, other, one, other], len(SHARED) + OTHER, id="by turns"),
        pytest.param([other, rewritten(one, numbered(3))], OTHER + len(SHARED) + len(numbered(3)), id="rewritten"),
        pytest.param([report], 8 + 2 + ORIGIN + 7, id="an RTCP report of another agent"),
        pytest.param([line, one, line], 8 + 1000 + len(SHARED), id="log events"),
    ],
)
def test_weight_counts_each_buffer_once(batch: list[TracedMessage], buffers: int) -> None:
    assert fit(batch, NO_LIMIT) == (len(batch), buffers + len(batch) * RECORDS)
    assert fit(batch, buffers + len(batch) * RECORDS) == (len(batch), buffers + len(batch) * RECORDS)
    assert fit(batch, buffers + len(batch) * RECORDS - 1)[0] == max(0, len(batch) - 1)


def test_weight_counts_headers_that_were_asked_for() -> None:
    message = traced(INVITE.replace(b"To:", b"X: 1\r\n" * 100 + b"To:"))
    _, before = fit([message], NO_LIMIT)
    message.message.sip.header("X")
    assert fit([message], NO_LIMIT)[1] > before + 100 * 100


def test_figures_that_change_when_it_ends_are_in_the_books() -> None:
    """A last refused datagram; a package's sink that forgets everything when it is closed."""

    class Late(ListSink):
        def flush(self) -> None:
            self.sent -= 1
            self.lost["refused"] += 1

        def close(self) -> None:
            self.sent = 0
            self.lost.clear()

    outbox = Outbox(Late())
    outbox.put(batch_of(3))
    outbox.close()
    assert str(outbox.ledger()) == "list:: 3 seen, 2 sent, 0 waiting, 1 lost (refused 1)"


def test_the_thread_opens_the_sink_and_a_stop_does_not_wait_for_it() -> None:
    gate = Gate()

    class Deaf(ListSink):
        def open(self) -> None:
            gate(None)

    outbox = Outbox(Deaf())
    assert gate.entered.wait(10)
    outbox.put(batch_of(2))
    outbox.close(0.01)
    assert str(outbox.ledger()) == "list:: 2 seen, 0 sent, 0 waiting, 2 lost (shutdown 2)"
    gate.open.set()


def test_the_cost_of_an_outage_is_reported_correctly(caplog: pytest.LogCaptureFixture) -> None:
    """Also losses in places other than before the sink; losses before the outage do not count."""
    go_on = threading.Event()
    tried = threading.Event()

    def fail(_: object) -> None:
        if not go_on.is_set():
            tried.set()
            sink.lost["unconfirmed"] += 1
            raise SinkError("list:: connection reset")

    sink = ListSink(fail)
    sink.lost["unconfirmed"] = 5
    with caplog.at_level(logging.INFO):
        outbox = Outbox(sink, limit=4, first_delay=0.3)
        outbox.put(batch_of(4))
        assert tried.wait(10)
        eventually(lambda: outbox.down() is not None)
        outbox.put(batch_of(7))
        down = outbox.down()
        go_on.set()
        eventually(lambda: outbox.down() is None)
        outbox.close()
    assert down is not None and (down.waiting, down.limit, down.lost) == (4, 4, 6)
    assert caplog.records[-1].levelno == logging.INFO
    assert caplog.messages[-1].endswith("messages lost meanwhile: 6")


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
    eventually(lambda: outbox.down() is not None)
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


def test_close_does_not_wait_longer_than_allowed(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    outbox = Outbox(ListSink(gate))
    outbox.put(batch_of(2))
    assert gate.entered.wait(10)
    outbox.put(batch_of(3))
    outbox.close(timeout=0.01)
    ledger = outbox.ledger()
    assert (ledger.outcomes["waiting"], ledger.lost, ledger.difference) == (0, {"shutdown": 5}, 0)
    assert "messages lost: 5" in caplog.text
    outbox.put(batch_of(1))
    assert outbox.ledger().lost["shutdown"] == 6
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


class Connecting(ListSink):
    connections = 0

    def send(self, batch: object) -> None:
        self.connections += 1
        super().send(batch)  # type: ignore[arg-type]


def test_its_standing_says_what_waits_and_since_when() -> None:
    gate, now = Gate(), [100.0]
    outbox = Outbox(ListSink(gate), clock=lambda: now[0])
    assert (outbox.standing().oldest_seconds, outbox.standing().queue_bytes, outbox.standing().up) == (0.0, 0, True)
    outbox.put(batch_of(1))
    assert gate.entered.wait(10)
    now[0] = 103.0
    outbox.put(batch_of(2))
    now[0] = 110.0
    standing = outbox.standing()
    assert standing.oldest_seconds == 10.0  # the one in hand
    assert standing.queue_bytes > 3 * RECORDS
    gate.open.set()
    outbox.close()
    standing = outbox.standing()
    assert (standing.oldest_seconds, standing.queue_bytes) == (0.0, 0)
    assert (standing.lag.count, standing.batch.count) == (3, 2)


def test_its_standing_says_how_often_it_was_reached_again() -> None:
    failures = iter([True, True, False])

    def once_down(_: object) -> None:
        if next(failures, False):
            down(_)

    outbox = Outbox(ListSink(once_down), first_delay=0.001)
    outbox.put(batch_of(1))
    outbox.put(batch_of(1))
    eventually(lambda: outbox.ledger().outcomes["sent"] == 2)
    eventually(lambda: outbox.standing().up)
    outbox.close()
    assert outbox.standing().reconnects == 1


def test_a_sink_that_counts_its_connections_is_believed() -> None:
    outbox = Outbox(Connecting())
    for _ in range(3):
        outbox.put(batch_of(1))
        eventually(lambda: outbox.ledger().outcomes["waiting"] == 0)
    outbox.close()
    assert outbox.standing().reconnects == 2


def test_the_lag_is_that_of_what_was_handed_over() -> None:
    fails = iter([True])

    def half(sink: object) -> None:
        if next(fails, False):
            down(sink)

    outbox = Outbox(ListSink(half), first_delay=0.001)
    outbox.put(batch_of(5))
    eventually(lambda: outbox.ledger().outcomes["sent"] == 5)
    outbox.close()
    standing = outbox.standing()
    assert (standing.lag.counts[-1], standing.lag.count, standing.batch.count) == (5, 5, 1)  # its messages are old
    assert standing.lag.total > 5 * standing.lag.bounds[-1]


def test_each_reason_of_an_outage_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    reasons = iter(["refused", "refused", "certificate has expired", "refused"])

    def fails(_: object) -> None:
        if (reason := next(reasons, None)) is not None:
            raise SinkError(f"list:: {reason}")

    outbox = Outbox(ListSink(fails), first_delay=0.001)
    outbox.put(batch_of(1))
    eventually(lambda: outbox.ledger().outcomes["sent"] == 1)
    outbox.close(10)
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [f"list:: {reason}; trying again" for reason in ("refused", "certificate has expired")]


def test_a_stop_makes_one_more_attempt_at_a_sink_that_is_down() -> None:
    attempts = 0

    def refuses(_: object) -> None:
        nonlocal attempts
        attempts += 1
        raise SinkError("list:: refused")

    outbox = Outbox(ListSink(refuses), first_delay=3600)
    outbox.put(batch_of(5))
    eventually(lambda: attempts == 1)
    outbox.close(3600)
    assert attempts == 2
    assert outbox.ledger().lost == {"unreachable": 5}
