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
MOST_KINDS = 32  # kinds counted and reported separately: user code can create exception classes without limit
LONGEST_REASON = 200  # characters of an exception's text

FAILED: Final = object()

# Accounts by kind of function; failures by class of the exception.
HOOK = Account("hook", ("passed", "dropped"), (SLOW, OTHER))
CONDITION = Account("condition", ("true", "false"), (SLOW, OTHER))


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, if the program has its own handler for it."""


def is_ctrl_c(error: BaseException) -> bool:
    """Whether the user pressed Ctrl-C, or user code raised KeyboardInterrupt. Python's own handler leaves no trace."""
    if issubclass(type(error), Interrupted):
        return True
    own_handler = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return own_handler and issubclass(type(error), KeyboardInterrupt)


_forks = 0  # generations between this process and the one that imported us


def count_fork() -> None:
    global _forks  # noqa: PLW0603 - a number for each process
    _forks += 1


os.register_at_fork(after_in_child=count_fork)


def forks() -> int:
    """How often we were forked. More than before: this is a child made by user code."""
    return _forks


def end_child(before: int, error: BaseException | None = None) -> None:
    """Call it after user code, with forks() from before. In a child it does not return.

    Exits like sys.exit(), but without closing the parent's connections and flushing its buffered output.
    """
    if _forks != before:
        # Not `error.code`, which may be a property in a subclass.
        is_exit = error is not None and issubclass(type(error), SystemExit)
        code = SystemExit.__dict__["code"].__get__(error) if is_exit else int(error is not None)
        os._exit(code if isinstance(code, int) else int(code is not None))


@dataclass(frozen=True, slots=True)
class Limits:
    """When a call counts as failed, and how many failures are allowed.

    slow      seconds that a call may take; 0: not measured
    failures  the number after which it is disabled; 0: never
    clock     seconds since any origin
    report    takes a line for the log: printable ASCII, whatever a message contains
    """

    slow: float = 0.0
    failures: int = 0
    clock: Callable[[], float] = lambda: 0.0
    report: Callable[[str], object] = lambda line: None


@cython.final
@cython.cclass
class Guard:
    """A guarded function. Its books: seen = passed + dropped + failed(kind).

    effect   the consequence of a failed call, for the log
    answers  whether it returns true or false
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
        self.failed: Counter[str] = Counter()  # by kind: the exception's class, or SLOW
        self.off = False
        self._limits = limits
        self._clock = limits.clock
        self._slow = limits.slow

    def call(self, message: object) -> object:
        """The function's result, or FAILED. Check `self.off` before."""
        began: cython.double = 0.0
        took: cython.double
        before: cython.ulonglong = _forks
        self.seen += 1
        try:
            if self._slow:
                began = self._clock()
            result = self.function(message)
            if self.answers:
                result = bool(result)  # its truth value is user code, too
        except BaseException as error:  # sys.exit() too: a hook must not end a capture
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
        """Count the message that it has just passed as dropped."""
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
            self._limits.report(f"{self.name}: {kind}: {reason}; {self.effect}. Further ones are counted, not logged")
        limit = self._limits.failures
        if limit and not self.off and self.failed.total() >= limit:
            self.off = True
            self._limits.report(f"{self.name}: has failed {limit} times and has been disabled")


def kind_of(error: BaseException) -> str:
    """The name of its class, also as short printable ASCII."""
    return ascii(type.__dict__["__name__"].__get__(type(error)))[1:-1][:LONGEST_REASON]


def said_by(error: BaseException) -> str:
    """Its message; empty if reading it raises: user code may have defined it."""
    before = forks()
    try:
        says = str.__str__(str(error))  # only the text of a subclass
    except BaseException as other:
        end_child(before, other)
        return ""
    end_child(before)
    return says


def described(error: BaseException) -> str:
    """`'its message' (trunk.py:12)`. It may come from the network, so it is reduced to printable ASCII."""
    says = said_by(error)
    says = says if len(says) <= LONGEST_REASON else f"{says[:LONGEST_REASON]}..."
    return f"{says!a}{raised_at(error)}"


def raised_at(error: BaseException) -> str:
    """` (trunk.py:12)`; empty if Python itself raised it, where a line helps nobody."""
    place = BaseException.__dict__["__traceback__"].__get__(error)
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None or place.tb_frame.f_code.co_filename.startswith("<frozen"):
        return ""
    name = Path(place.tb_frame.f_code.co_filename).name
    return f" ({ascii(name)[1:-1][:LONGEST_REASON]}:{place.tb_lineno})"
