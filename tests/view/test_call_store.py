"""Calls with their messages for views that stay open: bounded, masked, with news since a version."""

from __future__ import annotations

from cli_samples import sip
from sink_samples import TIME_NS, traced

from capture_agent.config.rule_options import Legs
from capture_agent.emission.privacy import masker
from capture_agent.records.captured import CapturedMessage
from capture_agent.view import call_store
from capture_agent.view.call_filter import CallFilter
from capture_agent.view.call_store import CallStore


def message(call_id: str, seconds: float = 0, line: str = "INVITE sip:b SIP/2.0", more: bytes = b"") -> CapturedMessage:
    method = "BYE" if line.startswith("BYE") else "INVITE"
    raw = sip(line, call_id, f"1 {method}").replace(b"CSeq", more + b"CSeq", 1)
    found = traced(raw, time_ns=TIME_NS + round(seconds * 1e9)).message
    assert isinstance(found, CapturedMessage)
    return found


def ids(calls: object) -> list[bytes]:
    return [getattr(one, "call_id", one) for one in calls]  # type: ignore[attr-defined]


def test_pages_and_news() -> None:
    store = CallStore()
    store.add([message("a"), message("b", 1), message("c", 2)])
    page = store.select(sort="first", reverse=True, offset=1, limit=1)
    assert (ids(page.calls), page.total) == ([b"b"], 3)
    assert ids(store.since(0).calls) == [b"a", b"b", b"c"]
    assert not store.since(page.version).calls
    store.add([message("b", 3, "SIP/2.0 486 Busy Here"), message("d", 4)])
    news = store.since(page.version)
    assert (sorted(ids(news.calls)), news.gone, news.complete) == ([b"b", b"d"], (), True)
    busy = store.select(where=CallFilter("state = busy").matches)
    assert ids(busy.calls) == [b"b"]
    assert [one.sip.start_line for one in store.messages([b"b", b"d"])] == [
        b"INVITE sip:b SIP/2.0", b"SIP/2.0 486 Busy Here", b"INVITE sip:b SIP/2.0",
    ]  # fmt: skip
    store.clear()
    assert (len(store), store.held_bytes, store.evicted) == (0, 0, 0)
    assert sorted(store.since(news.version).gone) == [b"a", b"b", b"c", b"d"]


def test_every_sort_works() -> None:
    store = CallStore()
    store.add([message("a"), message("a", 1, "SIP/2.0 200 OK"), message("b", 2), message("b", 3, "SIP/2.0 503 No")])
    for name in call_store.SORTS:
        assert store.select(sort=name).total == 2


def test_ended_calls_make_room_first() -> None:
    store = CallStore(calls=3)
    store.add([message("up"), message("over", 1), message("over", 2, "SIP/2.0 486 Busy Here"), message("later", 3)])
    start = store.version
    store.add([message("new", 4)])
    assert ids(store.select().calls) == [b"up", b"later", b"new"]
    assert (store.evicted, store.since(start).gone, store.messages([b"over"])) == (1, (b"over",), [])
    store.add([message("newest", 5)])
    assert ids(store.select().calls) == [b"later", b"new", b"newest"], "none has ended: the first goes"


def test_bytes_are_bounded() -> None:
    store = CallStore(most_bytes=1 << 20)
    for n in range(100):
        store.add([message(f"{n}", n, more=b"X-Long: " + b"x" * 50_000 + b"\r\n")])
    assert store.held_bytes <= 1 << 20
    assert len(store) == 100 - store.evicted == 20
    assert store.held_bytes == sum(map(call_store.cost, (one.datagram for one in store.messages(ids(store.select().calls)))))  # fmt: skip


def test_messages_of_one_call_are_bounded() -> None:
    store = CallStore()
    for n in range(0, 10_000, 500):
        store.add([message("options", (n + more) / 1000, more=b"X-N: %d\r\n" % (n + more)) for more in range(500)])
    kept = store.messages([b"options"])
    assert len(kept) <= call_store.MOST_OF_A_CALL
    assert len(kept) + store.left_out == 10_000
    assert (b"X-N: 0\r\n" in kept[0].raw, b"X-N: 9999\r\n" in kept[-1].raw) == (True, True)


def test_too_old_a_reader_is_told(monkeypatch: object) -> None:
    store = CallStore(calls=1)
    for n in range(call_store.MOST_GONE + 10):
        store.add([message(str(n), n)]) if n < 3 else store._drop(b"%d" % n)
    assert not store.since(0).complete
    assert store.since(store.version).complete


def test_masks_hold_in_all_that_is_kept() -> None:
    store = CallStore(mask=masker(["users:truncate"]), keep_frames=True)
    store.add([message("a", line="INVITE sip:4930123456@b SIP/2.0")])
    (call,) = store.select().calls
    (kept,) = store.messages([b"a"])
    assert b"123456" not in kept.raw + call.uri + call.from_value
    assert not kept.datagram.frames


def test_legs() -> None:
    store = CallStore(Legs(suffixes=("_b2b-1",)))
    store.add([message("one"), message("one_b2b-1", 1), message("x", 2), message("y", 3)])
    store.link(b"x", b"id")
    store.link(b"y", b"id")
    calls = store.select().calls
    assert [ids(store.legs_of(call)) for call in calls] == [[b"one", b"one_b2b-1"]] * 2 + [[b"x", b"y"]] * 2
