"""The index of calls and the queue that holds them, compared with a dict in order of arrival."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from capture_agent.build import flavour
from capture_agent.correlate.index import Index
from capture_agent.correlate.queues import Call, Queue

LEAST = 1024  # slots of the smallest index
WORD = 1 << 64
COMPILED = flavour() == "compiled"

# Steps between keys. Multiples of the number of slots share their low bits: each of them is looked for at the same slot.
STRIDES = [1, 2, 3, LEAST // 2, LEAST, LEAST + 1, 2 * LEAST, 4 * LEAST, 1 << 32, 1 << 63, WORD - 1]
# The last slots, after which a probe continues at the first, and the first.
KEYS = st.one_of(st.integers(LEAST - 4, LEAST + 3), st.integers(0, 3), st.integers(0, WORD - 1))
COUNTS = st.one_of(st.integers(1, 20), st.integers(300, 700))  # the second: enough for growing, and for shrinking again


class CallsOfAQueue(RuleBasedStateMachine):
    """As in the table of calls: the queue owns each call, the index borrows it."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index()
        self.queue = Queue()
        self.model: dict[int, tuple[Call, int]] = {}  # by key, in the order of the queue
        self.gone: list[int] = []  # keys that were in the index
        self.now_ns = 0

    @rule(first=KEYS, stride=st.sampled_from(STRIDES), count=COUNTS)
    def add(self, first: int, stride: int, count: int) -> None:
        for n in range(count):
            key = (first + n * stride) % WORD
            if key in self.model:
                with pytest.raises(ValueError):
                    self.index.insert(Call(key))
            else:
                self._put(Call(key))
                self.index.insert(self.model[key][0])

    def _put(self, call: Call) -> None:
        self.now_ns += 1
        self.queue.put(call, self.now_ns)
        self.model[call.key] = (call, self.now_ns)

    @precondition(lambda self: self.model)
    @rule(at=st.integers(0, 10_000), step=st.integers(1, 5), count=COUNTS)
    def remove_out_of_turn(self, at: int, step: int, count: int) -> None:
        keys = list(self.model)
        for key in keys[at % len(keys) :: step][:count]:
            self._forget(key)

    @precondition(lambda self: self.model)
    @rule(count=COUNTS)
    def evict(self, count: int) -> None:
        """Evict the first call, like a full table."""
        for call, _ in self.queue.waiting()[:count]:
            assert call is next(iter(self.model.values()))[0]
            self._forget(call.key)

    def _forget(self, key: int) -> None:
        call, _ = self.model.pop(key)
        self.index.delete(call)
        self.queue.take(call)
        self.gone.append(key)
        with pytest.raises(KeyError):
            self.index.delete(call)

    @precondition(lambda self: self.model)
    @rule(at=st.integers(0, 10_000))
    def line_up_again(self, at: int) -> None:
        """A call that has not expired moves to the end of the queue; the index does not change."""
        call, _ = self.model.pop(list(self.model)[at % len(self.model)])
        self.queue.take(call)
        self._put(call)

    @rule(key=KEYS)
    def look_for_any(self, key: int) -> None:
        assert self.index.look_up(key) is self.model.get(key, (None,))[0]

    @rule()
    def forget_everything(self) -> None:
        self.index.empty()
        for call, _ in self.model.values():
            self.queue.take(call)
        self.gone += self.model
        self.model.clear()

    @invariant()
    def all_are_found_and_no_other(self) -> None:
        assert len(self.index) == self.queue.count == len(self.model)
        assert all(self.index.look_up(key) is call for key, (call, _) in self.model.items())
        assert [key for key in self.gone[-1000:] if key not in self.model and self.index.look_up(key)] == []

    @invariant()
    def the_queue_keeps_the_order(self) -> None:
        assert self.queue.waiting() == list(self.model.values())

    @invariant()
    def it_is_at_most_half_full_and_shrinks_again(self) -> None:
        slots = self.index.slots
        if not COMPILED:
            assert slots == 0
            return
        assert slots >= LEAST and slots & (slots - 1) == 0
        assert 2 * len(self.index) <= slots
        assert slots == LEAST or 8 * len(self.index) >= slots - 1


CallsOfAQueue.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestCallsOfAQueue = CallsOfAQueue.TestCase


@pytest.mark.parametrize("stride", STRIDES)
def test_keys_that_are_looked_for_at_one_slot(stride: int) -> None:
    """As many as one table size holds, and one more, which makes it grow; then they are removed from both ends."""
    index = Index()
    keys = dict.fromkeys((LEAST - 1 + n * stride) % WORD for n in range(LEAST // 2 + 1))
    calls = {key: Call(key) for key in keys}
    for call in calls.values():
        index.insert(call)
    left = list(calls)
    while left:
        index.delete(calls[left.pop(0 if len(left) % 3 else -1)])
        if len(left) % 50 == 0:
            assert [key for key in calls if index.look_up(key) is not (calls[key] if key in left else None)] == []
    assert (len(index), index.slots) == (0, LEAST if COMPILED else 0)
