"""A sink without a queue, for replays: nothing is lost while it works, and it stops at the first failure."""

from __future__ import annotations

from sink_samples import ListSink, batch_of

from capture_agent.delivery.direct import Direct
from capture_agent.net.sink_errors import SinkError


def test_everything_goes_out_at_once() -> None:
    sink = ListSink()
    direct = Direct(sink)
    messages = batch_of(10)
    direct.put(messages[:4])
    assert sink.messages == messages[:4]
    direct.put([])
    direct.put(messages[4:])
    direct.close()
    assert (sink.messages, sink.closed, direct.failure) == (messages, True, None)
    assert str(direct.ledger()) == "list:: 10 seen, 10 sent, 0 waiting"


def test_the_first_failure_is_kept_and_the_rest_counted() -> None:
    def down(_: object) -> None:
        raise SinkError("list:: connection refused")

    direct = Direct(ListSink(down))
    for _ in range(10):
        direct.put(batch_of(2))
    direct.close()
    assert str(direct.failure) == "list:: connection refused"
    assert str(direct.ledger()) == "list:: 20 seen, 0 sent, 0 waiting, 20 lost (unreachable 20)"


def test_messages_before_the_failure_count_as_sent() -> None:
    def half(_: object) -> None:
        sink.sent += 3
        raise SinkError("list:: connection reset by peer")

    sink = ListSink(half)
    direct = Direct(sink)
    direct.put(batch_of(5))
    direct.close()
    assert str(direct.ledger()) == "list:: 5 seen, 3 sent, 0 waiting, 2 lost (unreachable 2)"


def test_small_batches_are_put_together() -> None:
    sink = ListSink(together=10)
    direct = Direct(sink)
    messages = batch_of(25)
    for at in range(0, 16, 4):
        direct.put(messages[at : at + 4])
    assert (sink.batches, str(direct.ledger())) == ([12], "list:: 16 seen, 12 sent, 4 waiting")
    direct.flush()
    direct.put(messages[16:])
    assert (sink.batches, direct.ledger().difference) == ([12, 4], 0)
    direct.close()
    assert (sink.batches, sink.messages) == ([12, 4, 9], messages)


def test_what_is_held_at_a_failure_is_lost() -> None:
    def down(_: object) -> None:
        raise SinkError("list:: connection refused")

    direct = Direct(ListSink(down, together=10))
    direct.put(batch_of(4))
    direct.close()
    assert str(direct.failure) == "list:: connection refused"
    assert str(direct.ledger()) == "list:: 4 seen, 0 sent, 0 waiting, 4 lost (unreachable 4)"


def test_its_standing() -> None:
    """Up or down, but no times: nobody waits for a replay."""
    sink = ListSink(lambda _: refuse("list:: connection refused"), together=3)
    direct = Direct(sink)
    direct.put(batch_of(2))
    assert (direct.standing().up, direct.standing().oldest_seconds) == (True, 0.0)
    direct.put(batch_of(2))
    assert not direct.standing().up
    assert (direct.standing().lag.count, direct.standing().batch.count) == (0, 0)


def refuse(why: str) -> None:
    raise SinkError(why)
