"""Calls a user's function, and contains all its failures. Hot: compiled with guard.pxd, or plain Python.

If the function has forked, the child process ends when it returns: otherwise it would send everything twice.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cython

from capture_agent.books import Account, Ledger

SLOW: Final = "slow"
OTHER: Final = "other"
MOST_KINDS = 32  # counted and reported apart: a class of exceptions is made in no time
LONGEST_REASON = 200  # characters of what an exception says

FAILED: Final = object()

# By the kind of function; and their failures, by the class of what was raised.
HOOK = Account("hook", ("passed", "dropped"), (SLOW, OTHER))
CONDITION = Account("condition", ("true", "false"), (SLOW, OTHER))


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, where the program has a handler of its own for it."""


def is_ctrl_c(error: BaseException) -> bool:
    """The user's, or a KeyboardInterrupt that user code has raised? Python's own handler leaves no trace."""
    if issubclass(type(error), Interrupted):
        return True
    own_handler = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return own_handler and issubclass(type(error), KeyboardInterrupt)


_forks = 0  # that lie between this process and the one that has imported us


def count_fork() -> None:
    global _forks  # noqa: PLW0603 - a number for each process
    _forks += 1


os.register_at_fork(after_in_child=count_fork)


def forks() -> int:
    """More than before: this is a child, which user code has made."""
    return _forks


def end_child(before: int, error: BaseException | None = None) -> None:
    """Called after user code, with what forks() was before it. In a child it does not return.

    As sys.exit() would, but without closing what belongs to the parent: its connections, its buffered output.
    """
    if _forks != before:
        # Not `error.code`, which a subclass may have made a property.
        is_exit = error is not None and issubclass(type(error), SystemExit)
        code = SystemExit.__dict__["code"].__get__(error) if is_exit else int(error is not None)
        os._exit(code if isinstance(code, int) else int(code is not None))


@dataclass(frozen=True, slots=True)
class Limits:
    """When a function fails, and how often it may.

    slow      seconds that one call may take; 0: they are not measured
    failures  so many, and it is called no more; 0: it may fail for ever
    clock     seconds, from any beginning
    report    takes a line for the log: printable ASCII, whatever a message had in it
    """

    slow: float = 0.0
    failures: int = 0
    clock: Callable[[], float] = lambda: 0.0
    report: Callable[[str], object] = lambda line: None


@cython.final
@cython.cclass
class Guard:
    """One function. Its books: seen = passed + dropped + failed(kind).

    effect   what becomes of a failed call, for the log
    answers  what it returns is a yes or no
    """

    __slots__ = (
        "_clock",
        "_limits",
        "_slow",
        "answers",
        "dropped",
        "effect",
        "failed",
        "function",
        "name",
        "off",
        "passed",
        "seen",
    )

    def __init__(
        self, name: str, function: Callable[[Any], object], limits: Limits, effect: str, answers: bool = False
    ) -> None:
        self.name = name
        self.function = function
        self.effect = effect
        self.answers = answers
        self.seen = 0
        self.passed = 0
        self.dropped = 0
        self.failed: Counter[str] = Counter()  # by kind: the class of what it raised, or SLOW
        self.off = False
        self._limits = limits
        self._clock = limits.clock
        self._slow = limits.slow

    def call(self, message: object) -> object:
        """What the function returns, or FAILED. `self.off` must have been asked before."""
        began: cython.double = 0.0
        took: cython.double
        before: cython.ulonglong = _forks
        self.seen += 1
        try:
            if self._slow:
                began = self._clock()
            result = self.function(message)
            if self.answers:
                result = bool(result)  # which is user code, too
        except BaseException as error:  # sys.exit() too: no hook ends a capture
            if _forks != before:
                end_child(before, error)
            if is_ctrl_c(error):
                self._fail("KeyboardInterrupt", "")
                raise
            self._fail(kind_of(error), described(error))
            return FAILED
        if _forks != before:
            end_child(before)
        if self._slow:
            took = self._clock() - began
            if took > self._slow:
                self._fail(SLOW, f"took {1000 * took:.0f} ms, more than {1000 * self._slow:g} ms")
                return FAILED
        self.passed += 1
        return result

    def drops(self) -> None:
        """What it has just passed, it drops."""
        self.passed -= 1
        self.dropped += 1

    def ledger(self) -> Ledger:
        """`hook trunk.py: 9 seen, 7 passed, 1 dropped, 1 rejected (KeyError 1)`"""
        account = CONDITION if self.answers else HOOK
        outcomes = dict(zip(account.outcomes, (self.passed, self.dropped), strict=True))
        return Ledger(f"{account.name} {self.name}", self.seen, outcomes, Counter(self.failed))

    def _fail(self, kind: str, reason: str) -> None:
        if kind not in self.failed and len(self.failed) >= MOST_KINDS:
            kind = OTHER
        self.failed[kind] += 1
        if self.failed[kind] == 1 and reason:
            self._limits.report(f"{self.name}: {kind}: {reason}; {self.effect}. More of this kind are only counted")
        limit = self._limits.failures
        if limit and not self.off and self.failed.total() >= limit:
            self.off = True
            self._limits.report(f"{self.name}: has failed {limit} times and is called no more")


def kind_of(error: BaseException) -> str:
    """The name of its class: printable ASCII, too, and short."""
    return ascii(type.__dict__["__name__"].__get__(type(error)))[1:-1][:LONGEST_REASON]


def said_by(error: BaseException) -> str:
    """Its message; empty where asking for it raises: it is as broken as the function that raised it."""
    before = forks()
    try:
        says = str.__str__(str(error))  # of a subclass the text alone
    except BaseException as other:
        end_child(before, other)
        return ""
    end_child(before)
    return says


def described(error: BaseException) -> str:
    """`'what it says' (trunk.py:12)`. It may have come from the network, so only printable ASCII is left of it."""
    says = said_by(error)
    says = says if len(says) <= LONGEST_REASON else f"{says[:LONGEST_REASON]}..."
    return f"{says!a}{raised_at(error)}"


def raised_at(error: BaseException) -> str:
    """` (trunk.py:12)`; empty where Python's own machinery has raised it, which says nothing to anybody."""
    place = BaseException.__dict__["__traceback__"].__get__(error)
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None or place.tb_frame.f_code.co_filename.startswith("<frozen"):
        return ""
    name = Path(place.tb_frame.f_code.co_filename).name
    return f" ({ascii(name)[1:-1][:LONGEST_REASON]}:{place.tb_lineno})"
