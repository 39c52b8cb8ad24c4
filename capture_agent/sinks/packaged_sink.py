"""A sink from a package: any failure in it is a failure of this sink only, and one log line.

Its counters are read after each call. Messages that it accepted but never counted are lost (uncounted): a counter that
is forgotten, or raises, does not unbalance the books.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from capture_agent.books import Account
from capture_agent.config.secrets import MASK, repeats
from capture_agent.hooks.guard import LONGEST_REASON, end_child, forks, is_ctrl_c, kind_of, raised_at, said_by
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sink import NOT_SIP, InternalError, Sink, handled, kinds_of

MOST_REASONS = 64  # reasons and places
MOST_TOGETHER = 1_000_000

UNCOUNTED = "uncounted"  # lost: messages in none of its counters
ACCOUNT = Account("sink", rejected=(NOT_SIP,), lost=(UNCOUNTED,))

_log = logging.getLogger(__name__)


class PackagedSink:
    """`hidden`: its options as text, which no message repeats in part. Raises whatever the sink's `name` raises."""

    def __init__(self, sink: Sink, hidden: Sequence[str] = ()) -> None:
        self.name = str.__str__(str(sink.name))[:LONGEST_REASON]
        self.together = min(max(int(sink.together), 1), MOST_TOGETHER)
        self.kinds = tuple(kinds_of(sink))
        self.sent = 0
        self.rejected: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self._sink: Any = sink
        self._hidden = [*hidden]
        self._done = 0  # messages that it has accepted, as far as we know
        self._not_taken = 0  # messages of kinds that it does not accept
        self._figures: tuple[int, Counter[str], Counter[str]] = (0, Counter(), Counter())
        self._read()

    def open(self) -> None:
        """Raises SinkError."""
        try:
            with self._guarded():
                self._sink.open()
        except InternalError as error:
            raise SinkError(f"{self.name}: internal error: {error.kind}") from None

    def send(self, batch: Sequence[TracedMessage]) -> None:
        """Messages of kinds that it does not accept are rejected, in order. Raises SinkError, InternalError."""
        if all(type(one.message) in self.kinds for one in batch):
            self._send(batch)
            return
        for taken, run in groupby(batch, lambda one: type(one.message) in self.kinds):
            part = list(run)
            if taken:
                self._send(part)
            else:
                self._not_taken += len(part)
                self._count()

    def _send(self, batch: Sequence[TracedMessage]) -> None:
        before = handled(self) - self._not_taken
        try:
            with self._guarded():
                self._sink.send(batch)
        except Exception:
            self._done = max(self._done, handled(self) - self._not_taken)
            raise
        self._done = max(self._done, before + len(batch))
        self._count()

    def flush(self) -> None:
        """Raises SinkError."""
        try:
            with self._guarded():
                self._sink.flush()
        except InternalError as error:
            raise SinkError(f"{self.name}: internal error: {error.kind}") from None

    def close(self) -> None:
        try:
            with self._guarded():
                self._sink.close()
        except (SinkError, InternalError) as error:
            _log.error("%s: close: %s", self.name, error)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        before = forks()
        try:
            yield
        except SinkError as error:
            end_child(before, error)
            raise SinkError(self._said(error)) from None
        except BaseException as error:  # sys.exit() too: a sink must not end the agent
            end_child(before, error)
            if is_ctrl_c(error) and threading.current_thread() is threading.main_thread():
                raise
            raise InternalError(f"{kind_of(error)}{raised_at(error)}") from None
        finally:
            self._read()
        end_child(before)

    def _said(self, error: SinkError) -> str:
        says = said_by(error)
        return f"{self.name}: {MASK}" if repeats(says.replace(self.name, ""), self._hidden) else says

    def _read(self) -> None:
        """Its counters as they are now; if that fails, as they were."""
        before = forks()
        try:
            self._figures = int(self._sink.sent), counted(self._sink.rejected), counted(self._sink.lost)
        except BaseException as error:
            end_child(before, error)
            _log.error("%s: its counters: %s%s", self.name, kind_of(error), raised_at(error))
        end_child(before)
        self._count()

    def _count(self) -> None:
        self.sent, rejected, lost = self._figures
        uncounted = self._done - self.sent - rejected.total() - lost.total()
        self.lost = lost + Counter({UNCOUNTED: max(0, uncounted)})
        self.rejected = rejected + Counter({NOT_SIP: self._not_taken})


def counted(counter: Mapping[str, int]) -> Counter[str]:
    """Counts with text as reasons."""
    found: Counter[str] = Counter()
    for reason, count in list(counter.items())[:MOST_REASONS]:
        found[str.__str__(str(reason))[:LONGEST_REASON]] = int(count)
    return found
