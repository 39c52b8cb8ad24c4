"""Divides a batch of which the database refuses a row until that row is alone, so that its neighbours are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from capture_agent.net.errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.verdicts import Verdict

TRIES = (
    3  # of `send`, with a connection that works each time, before what is not surely an outage counts as one no more
)
PERHAPS_OF_ITS_ROW = (Verdict.DOUBTED, Verdict.LOST, Verdict.UNKNOWN)
MOST_HELD = 8  # messages of one batch that fail alone while none is stored: then it is not they


class Failure(Protocol):
    @property
    def verdict(self) -> Verdict: ...

    def words(self) -> str: ...

    def explained(self) -> SinkError: ...


class Store(Protocol):
    """Where parts of a batch go. Both raise SinkError when the database cannot be reached."""

    def confirmed(self, part: Sequence[TracedMessage]) -> int:
        """How many of the first messages a commit without an answer has stored; they are counted."""

    def store(self, part: Sequence[TracedMessage]) -> Failure | None:
        """All, in one transaction, and counted; or none, and why."""

    def takes_another(self, message: TracedMessage) -> bool:
        """Whether another message of this length can be stored now, where this one goes. Stores nothing.

        Never raises.
        """

    def refuse(self, message: TracedMessage, failure: Failure) -> None:
        """Count it."""

    def close(self) -> None: ...


class Divider:
    """Sends batches part by part, in their order; each message is counted before a later one is tried again.

    What a verdict leads to:

    REFUSED            divided; alone: refused
    OUTAGE             raised
    CONFLICT           tried again at once, then raised
    TIMEOUT            raised; the TRIES-th time divided
    LOST, UNKNOWN      tried again at once on a new connection, then divided. Alone: held, and when the store takes
                       another message, or a later one is stored, tried once more and refused; refused also when `send`
                       has failed like this TRIES times with nothing stored between; raised otherwise
    DOUBTED            the same, but on the same connection, and raised however often

    n messages take at most 5 n + 1 transactions, whatever is wrong with them; one bad one takes 2 log2(n) + 5.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._failed = 0  # sends that ended with held messages, since something was last stored
        self._timed_out = 0

    def send(self, batch: Sequence[TracedMessage], at_once: int) -> None:
        """Raises SinkError: what the store has counted is done, from the first message on, the others are not."""
        parts = [batch[at : at + at_once] for at in range(0, len(batch), at_once)]
        parts.reverse()
        held: list[tuple[TracedMessage, Failure]] = []
        tried: Sequence[TracedMessage] | None = None
        divided = False
        while parts:
            part = parts.pop()
            if done := self._store.confirmed(part):
                self._stored(held)
                if part := part[done:]:
                    parts.append(part)
                continue
            failure = self._store.store(part)
            if failure is None:
                self._stored(held)
            elif tried is not part and again(failure.verdict, divided):
                tried = part
                if failure.verdict is not Verdict.DOUBTED:
                    self._store.close()
                parts.append(part)
            elif self._is_outage(failure.verdict):
                raise failure.explained()
            elif len(part) > 1:
                divided = True
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                held.append((part[0], failure))
                if self._settled(held):
                    self._refuse(held)
                elif failure.verdict in PERHAPS_OF_ITS_ROW and self._store.takes_another(part[0]):
                    self._stored(held)
                elif sum(failed.verdict is not Verdict.REFUSED for _, failed in held) >= MOST_HELD:
                    break
        if held:
            self._failed += 1
            self._store.close()
            raise next(failed for _, failed in held if failed.verdict is not Verdict.REFUSED).explained()

    def _is_outage(self, verdict: Verdict) -> bool:
        if verdict is Verdict.TIMEOUT:
            self._timed_out += 1
            return self._timed_out < TRIES
        return verdict in (Verdict.OUTAGE, Verdict.CONFLICT)

    def _settled(self, held: list[tuple[TracedMessage, Failure]]) -> bool:
        verdicts = {failure.verdict for _, failure in held}
        if self._failed >= TRIES:
            return verdicts.isdisjoint((Verdict.TIMEOUT, Verdict.DOUBTED))
        return verdicts == {Verdict.REFUSED}

    def _stored(self, held: list[tuple[TracedMessage, Failure]]) -> None:
        """The database takes rows: it was those that are held. An outage may have ended meanwhile."""
        self._failed = self._timed_out = 0
        self._refuse([one for one in held if one[1].verdict not in PERHAPS_OF_ITS_ROW or not self._stores(one[0])])
        held.clear()

    def _stores(self, message: TracedMessage) -> bool:
        """A later message has been stored: nothing can be left for another `send`."""
        try:
            return self._store.store([message]) is None or self._store.confirmed([message]) == 1
        except SinkError:
            return False

    def _refuse(self, held: list[tuple[TracedMessage, Failure]]) -> None:
        for message, failure in held:
            self._store.refuse(message, failure)
        held.clear()


def again(verdict: Verdict, divided: bool) -> bool:
    """Whether a part is tried a second time at once."""
    if verdict in (Verdict.REFUSED, Verdict.OUTAGE, Verdict.TIMEOUT):
        return False
    return not divided or verdict is Verdict.CONFLICT
