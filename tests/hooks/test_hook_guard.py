"""A hook that raises or is slow is counted, reported once, and finally disabled."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from capture_agent.hooks import guard as guards
from capture_agent.hooks.guard import FAILED, Guard, Limits


class Clock:
    """Seconds that pass only on command."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def raises(error: BaseException | type[BaseException]) -> Callable[[object], None]:
    def function(message: object) -> None:
        raise error

    return function


def guarded(function: Callable[[Any], object], **limits: Any) -> tuple[Guard, list[str]]:
    log: list[str] = []
    return Guard("trunk.py", function, Limits(report=log.append, **limits), "traced all the same"), log


def test_what_works_is_counted() -> None:
    guard, log = guarded(lambda message: f"saw {message}")
    assert [guard.call(n) for n in (1, 2)] == ["saw 1", "saw 2"]
    guard.drops()
    assert str(guard.ledger()) == "hook trunk.py: 2 seen, 1 passed, 1 dropped"
    assert log == []


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (ValueError("no"), "ValueError", "'no'"),
        (KeyError, "KeyError", "''"),
        (ValueError("a\r\n\x1b[31m\u202e\u20ac"), "ValueError", r"'a\r\n\x1b[31m\u202e\u20ac'"),
        (ValueError("x" * 1000), "ValueError", f"'{'x' * 200}...'"),
        (Unspeakable(), "Unspeakable", "''"),
        (SystemExit(2), "SystemExit", "'2'"),
        (GeneratorExit(), "GeneratorExit", "''"),
        (MemoryError(), "MemoryError", "''"),
    ],
)
def test_exceptions_are_reported_once(error: BaseException, kind: str, says: str) -> None:
    guard, log = guarded(raises(error))
    for _ in range(3):
        assert guard.call(None) is FAILED
    line = raises.__code__.co_firstlineno + 2
    assert log == [
        f"trunk.py: {kind}: {says} (test_hook_guard.py:{line}); traced all the same. Further ones are counted, not logged"
    ]
    assert str(guard.ledger()) == f"hook trunk.py: 3 seen, 0 passed, 0 dropped, 3 rejected ({kind} 3)"


def test_a_hook_without_end_is_a_failure_too() -> None:
    def deeper(message: object) -> object:
        return deeper(message)

    guard, log = guarded(deeper)
    assert guard.call(None) is FAILED
    assert log[0].startswith("trunk.py: RecursionError: ")
    assert sys.getrecursionlimit() == 1000


def test_ctrl_c_ends_the_program_and_not_the_hook() -> None:
    guard, log = guarded(raises(KeyboardInterrupt), failures=1)
    with pytest.raises(KeyboardInterrupt):
        guard.call(None)
    assert (guard.ledger().difference, log[0][:9]) == (0, "trunk.py:")


def test_slow_calls() -> None:
    clock = Clock()

    def takes(seconds: float) -> None:
        clock.now += seconds

    guard, log = guarded(takes, slow=0.125, clock=clock)
    assert [guard.call(seconds) is FAILED for seconds in (0.0, 0.125, 0.25, 5.0, 0.0)] == [
        False, False, True, True, False
    ]  # fmt: skip
    assert log == [
        "trunk.py: slow: took 250 ms, more than 125 ms; traced all the same. Further ones are counted, not logged"
    ]
    assert str(guard.ledger()) == "hook trunk.py: 5 seen, 3 passed, 0 dropped, 2 rejected (slow 2)"


def test_without_a_limit_the_clock_is_not_read() -> None:
    guard, _ = guarded(lambda message: None, clock=raises(AssertionError))
    assert guard.call(None) is None


def test_it_is_disabled_after_a_number_of_failures_of_any_kind() -> None:
    clock = Clock()

    def works_at_times(n: int) -> None:
        clock.now += 1.0 if n % 3 == 1 else 0.0
        if n % 3 == 2:
            raise KeyError(n)

    guard, log = guarded(works_at_times, slow=0.5, failures=4, clock=clock)
    called = 0
    for n in range(100):
        if not guard.off:
            called += 1
            guard.call(n)
    assert called == 6
    assert log[-1] == "trunk.py: has failed 4 times and has been disabled"
    assert len(log) == 3
    assert str(guard.ledger()) == "hook trunk.py: 6 seen, 2 passed, 0 dropped, 4 rejected (KeyError 2, slow 2)"


def test_it_may_be_allowed_to_fail_for_ever() -> None:
    guard, _ = guarded(raises(KeyError))
    for _ in range(1000):
        guard.call(None)
    assert (guard.off, guard.seen) == (False, 1000)


def test_kinds_are_bounded() -> None:
    def new_kind(message: object) -> None:
        raise type(f"E{guard.seen}", (Exception,), {})

    guard, log = guarded(new_kind)
    for _ in range(100):
        guard.call(None)
    assert len(guard.failed) == guards.MOST_KINDS + 1
    assert guard.failed[guards.OTHER] == 100 - guards.MOST_KINDS
    assert len(log) == guards.MOST_KINDS + 1
    assert guard.ledger().difference == 0
