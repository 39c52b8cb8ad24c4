"""The table of what is counted does what a dict and two ordered dicts do, in both builds."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture_agent.counting.bindings import Binding
from capture_agent.counting.ordered_table import OrderedTable

HIGH = 1 << 63
# Keys that meet in one slot, at the end of the slots and around it, however many of them there are.
KEYS = [*range(4), *(n << 40 for n in range(1, 5)), *((n << 40) - 1 for n in range(1, 5)), HIGH, HIGH + 1, 2 * HIGH - 1]
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "shift", "remove", "evict"]), st.sampled_from(KEYS), st.integers(0, 1))
)


def thing(key: int) -> Binding:
    one = Binding.__new__(Binding)
    one.begin(key, 0)
    return one


@settings(max_examples=300)
@given(STEPS)
def test_steps(steps: list[tuple[str, int, int]]) -> None:
    table = OrderedTable()
    known: dict[int, Binding] = {}
    queues: list[OrderedDict[int, Binding]] = [OrderedDict(), OrderedDict()]
    for what, key, queue in steps:
        if what == "add" and key not in known:
            known[key] = queues[queue][key] = one = thing(key)
            table.add(one, queue)
        elif what == "shift" and key in known:
            one = next(held.pop(key) for held in queues if key in held)
            queues[queue][key] = one
            table.shift(one, queue)
        elif what == "remove" and key in known:
            for held in queues:
                held.pop(key, None)
            table.remove(known.pop(key))
        elif what == "evict" and queues[queue]:
            _, one = queues[queue].popitem(last=False)
            assert table.first(queue) is one
            del known[one.key]
            table.remove(one)
        assert table.count == len(known)
        assert [table.length(0), table.length(1)] == [len(held) for held in queues]
        assert all(table.find(key) is known.get(key) for key in KEYS)


@pytest.mark.parametrize("apart", [1, 1 << 32], ids=["side by side", "in one slot"])
def test_many(apart: int) -> None:
    """More than there is room for at first, and as many again in the places of those that have left."""
    count = 3000 if apart == 1 else 1200
    table = OrderedTable()
    for turn in range(2):
        for n in range(count):
            table.add(thing(n * apart + turn), n & 1)
        assert all(table.find(n * apart + turn) is not None for n in range(count))
        assert table.find(count * apart + turn) is None
        for n in range(count):
            first = table.first(n & 1)
            assert first.key == n * apart + turn
            table.remove(first)
        assert table.count == 0
