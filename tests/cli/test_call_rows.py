"""The list of calls follows the store in small steps, and shows what a new one would."""

from __future__ import annotations

import pytest
from cli_samples import sip
from hypothesis import given, settings
from hypothesis import strategies as st
from sink_samples import TIME_NS, traced

from capture_agent.cli.screen.call_rows import CallRows
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.message_filter import MessageFilter
from capture_agent.view.aliases import Aliases
from capture_agent.view.call_store import CallStore

pytestmark = pytest.mark.once
LINES = ("INVITE sip:b SIP/2.0", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK", "SIP/2.0 486 Busy Here")


def message(number: int, line: int, seconds: int) -> CapturedMessage:
    raw = sip(LINES[line], f"{number}@b", sender=f"user{number % 3}")
    found = traced(raw, time_ns=TIME_NS + seconds * 10**9).message
    assert isinstance(found, CapturedMessage)
    return found


def built(rows: CallRows) -> CallRows:
    for _ in rows.rebuild():
        pass
    return rows


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=8), max_size=8),
    st.sampled_from(["first", "state", "from", "messages"]),
    st.booleans(),
    st.sampled_from(["", "busy", "user1"]),
)
def test_following_equals_beginning_again(
    batches: list[list[tuple[int, int]]], sort: str, few: bool, search: str
) -> None:
    store = CallStore(calls=4 if few else 100)
    rows = built(CallRows(store, Aliases()))
    rows.sort, rows.search = sort, search
    for seconds, batch in enumerate(batches):
        store.add([message(number, line, seconds) for number, line in batch])
        if rows.follow() is None:
            built(rows)
        fresh = CallRows(store, Aliases())
        fresh.sort, fresh.search = sort, search
        assert [call.call_id for call in rows.calls] == [call.call_id for call in built(fresh).calls]
        assert [rows.index(call) for call in rows.calls] == list(range(len(rows)))


def test_what_is_chosen() -> None:
    store = CallStore()
    store.add([message(0, 0, 0), message(0, 3, 1), message(1, 0, 700), message(1, 2, 701), message(2, 0, 702)])
    rows = CallRows(store, Aliases())
    for change, want in (
        ({}, [0, 1, 2]),
        ({"problems": True}, [0]),
        ({"problems": False, "up": True}, [1]),
        ({"up": False, "kinds": frozenset("2")}, []),
        ({"kinds": frozenset("12"), "window_ns": 600 * 10**9, "now_ns": TIME_NS + 702 * 10**9}, [1, 2]),
        ({"window_ns": 0, "with_message": MessageFilter("status = 486")}, [0]),
        ({"with_message": None, "where": lambda call: call.messages == 1}, [2]),
    ):
        for name, value in change.items():
            setattr(rows, name, value)
        assert [call.call_id for call in built(rows).calls] == [b"%d@b" % number for number in want]
    rows.where, rows.reverse = None, True
    assert built(rows).at(0).call_id == b"2@b"
