"""The table of announced places: who has one, what makes room, and that its accounts stay right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.media.media_addresses import Place
from capture_agent.media.media_table import BYTES_EACH, LINGER_NS, MOST_OF_CALL, MediaTable

pytestmark = pytest.mark.once

IDLE_NS = 1000 * LINGER_NS
MOST = 100


def place(n: int) -> tuple[bytes, int]:
    return bytes((10, 0, n >> 8 & 255, n & 255)), 4000


def placed(numbers: list[int], formats: tuple[bytes | None, ...] = (None,)) -> list[tuple[Place, bytes | None]]:
    return [(place(n), formats[n % len(formats)]) for n in numbers]


def table_with(*calls: tuple[bytes, list[int]]) -> MediaTable:
    table = MediaTable(MOST, IDLE_NS)
    for at, (call_id, numbers) in enumerate(calls):
        table.announce(call_id, placed(numbers), (), False, at)
    return table


def owner(table: MediaTable, n: int) -> bytes | None:
    call = table.find(place(n))
    return None if call is None else call.call_id


def test_the_last_one_that_announces_a_place_has_it() -> None:
    table = table_with((b"a", [1, 2]), (b"b", [2]), (b"c", [1]))
    assert [owner(table, n) for n in (1, 2, 3)] == [b"c", b"b", None]
    assert table.call(b"a") is None


def test_the_oldest_call_makes_room_first_those_that_are_over() -> None:
    table = table_with(*((b"%d" % n, [n]) for n in range(MOST)))
    for over in (b"5", b"7"):
        if (call := table.call(over)) is not None:
            table.end(call, MOST)
    table.announce(b"new", placed([1000, 1001, 1002]), (), False, MOST)
    assert [n for n in range(MOST) if owner(table, n) is None] == [0, 5, 7]
    assert (table.evicted, len(table)) == (3, MOST)


def test_one_call_cannot_take_the_table() -> None:
    table = MediaTable(100_000, IDLE_NS)
    for n in range(1000):
        table.announce(b"a", placed([n]), (), False, n)
    assert (len(table), table.evicted) == (MOST_OF_CALL, 1000 - MOST_OF_CALL)
    assert owner(table, 999) == b"a"


def test_what_is_announced_again_is_among_the_latest() -> None:
    table = MediaTable(100_000, IDLE_NS)
    for n in range(1000):
        table.announce(b"a", placed([5000, n]), (), False, n)
    assert (owner(table, 5000), len(table)) == (b"a", MOST_OF_CALL)


def test_a_call_with_a_name_longer_than_the_table() -> None:
    table = table_with((b"a", [1]), (b"x" * BYTES_EACH * MOST, [2]))
    assert (len(table), table.bytes) == (0, 0)


STEPS = st.one_of(
    st.tuples(st.just("announce"), st.integers(0, 20), st.lists(st.integers(0, 150), min_size=1, max_size=8)),
    st.tuples(st.just("end"), st.integers(0, 20), st.just([])),
    st.tuples(st.just("expire"), st.integers(0, 5), st.just([])),
)


@given(st.lists(STEPS, max_size=60))
def test_its_accounts(steps: list[tuple[str, int, list[int]]]) -> None:
    table, now = MediaTable(MOST, IDLE_NS), 0
    for what, n, numbers in steps:
        call_id = b"call-%d" % n
        if what == "announce":
            table.announce(call_id, placed(numbers, (None, b"8 PCMA/8000", b"")[: n % 3 + 1]), (), False, now)
        elif what == "end" and (call := table.call(call_id)) is not None:
            table.end(call, now)
        elif what == "expire":
            now += n * LINGER_NS // 3
            table.expire(now)
        calls = {one.call_id: one for m in range(151) if (one := table.find(place(m))) is not None}
        assert len(table) == sum(len(one.places) for one in calls.values()) <= MOST
        assert table.bytes == sum(one.cost for one in calls.values())
    table.forget()
    assert (len(table), table.bytes) == (0, 0)
