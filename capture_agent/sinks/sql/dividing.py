"""Divides a batch until the row that the database refuses is alone, so that its neighbours are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.verdicts import Verdict

TRIES = 3  # calls of `send`, each with a working connection, after which a possible outage no longer counts as one
PERHAPS_OF_ITS_ROW = (Verdict.DOUBTED, Verdict.LOST, Verdict.UNKNOWN)
MOST_HELD = 8  # messages of a batch that failed alone while none was stored: beyond that they are not the cause


class Failure(Protocol):
    @property
    def verdict(self) -> Verdict: ...

    def words(self) -> str: ...

    def explained(self) -> SinkError: ...


class Store(Protocol):
    """Stores parts of a batch. Both methods raise SinkError if the database cannot be reached."""

    def confirmed(self, part: Sequence[TracedMessage]) -> int:
        """How many of the first messages an unanswered commit has stored; they are counted."""

    def store(self, part: Sequence[TracedMessage]) -> Failure | None:
        """Store all in one transaction and count them; or none, and say why."""

    def takes_another(self, message: TracedMessage) -> bool:
        """Whether another message of this length can be stored now in this message's table. Stores nothing.

        Never raises.
        """

    def refuse(self, message: TracedMessage, failure: Failure) -> None:
        """Count it."""

    def close(self) -> None: ...


class Divider:
    """Sends batches part by part, in order; each message is counted before a later one is tried again.

    Actions by verdict:

    REFUSED            divided; alone: refused
    OUTAGE             raised
    CONFLICT           tried again at once, then raised
    TIMEOUT            raised; the TRIES-th time divided
    LOST, UNKNOWN      tried again at once on a new connection, then divided. Alone: held, and once the store accepts
                       another message, or a later one is stored, tried once more and refused; also refused if `send`
                       has failed like this TRIES times with nothing stored in between; otherwise raised
    DOUBTED            the same, but on the same connection, and always raised

    n messages take at most 5 n + 1 transactions, whatever is wrong with them; one bad message takes 2 log2(n) + 5.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._failed = 0  # calls of `send` that ended with held messages since anything was stored
        self._timed_out = 0

    def send(self, batch: Sequence[TracedMessage], at_once: int) -> None:
        """Raises SinkError: the messages counted by the store, from the first on, are done; the others are not."""
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
        """The database accepts rows, so the held ones are at fault, or an outage has just ended: those are retried."""
        self._failed = self._timed_out = 0
        self._refuse([one for one in held if one[1].verdict not in PERHAPS_OF_ITS_ROW or not self._stores(one[0])])
        held.clear()

    def _stores(self, message: TracedMessage) -> bool:
        """Whether it can be stored now: a later message has been, so this one cannot wait for another `send`."""
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
