"""What is due at which second of packet time. Hot: compiled with due_times.pxd, or plain Python."""

from __future__ import annotations

import cython

SECOND = cython.declare(cython.longlong, 1_000_000_000)
NOWHERE = cython.declare(cython.longlong, -1)
NEVER = cython.declare(cython.longlong, 1 << 62)
LEAST = cython.declare(cython.Py_ssize_t, 1024)  # entries that may be out of date before they are looked through


@cython.cclass
class Timed:
    """Something with a key and an end: it is due at `due_ns`, and in a queue of an OrderedTable."""

    __slots__ = ("_second", "due_ns", "key", "place", "queue")

    def start(self, key: cython.ulonglong) -> cython.bint:
        """In place of __init__, which costs as much as all the rest: its arguments would be objects."""
        self.key = key
        self.place = self.queue = 0
        self.due_ns = 0
        self._second = NOWHERE  # where it waits
        return True


@cython.final
@cython.cclass
class Deadlines:
    """A wheel of seconds: each step costs the same, however many wait.

    What is due later than before stays where it waits, and is put on from there. What is due earlier waits in two
    places, of which the earlier one counts.

    held     how many wait
    entries  places that they take; at most twice as many, and LEAST
    """

    __slots__ = ("_done", "_seconds", "entries", "held")

    def __init__(self) -> None:
        self._seconds: dict[int, list[Timed]] = {}
        self._done = -1  # no second up to this one has entries
        self.entries = 0
        self.held = 0

    def add(self, one: Timed, due_ns: cython.longlong) -> None:
        self.held += 1
        one._second = NOWHERE
        self.move(one, due_ns)

    def move(self, one: Timed, due_ns: cython.longlong) -> None:
        """It is due at another time."""
        one.due_ns = due_ns
        second: cython.longlong = due_ns // SECOND + 1
        if one._second == NOWHERE or second < one._second:
            self._enter(one, second)

    def remove(self, one: Timed) -> None:
        """It is due no more."""
        one._second = NOWHERE
        self.held -= 1

    def over(self, now_ns: cython.longlong) -> list[Timed]:
        """Those that are due by now, in the order of their seconds: each must be moved or removed."""
        second: cython.longlong = now_ns // SECOND
        if second <= self._done:
            return []
        over: list[Timed] = []
        first: cython.longlong = self._done + 1
        self._done = second
        if second - first < len(self._seconds):
            while first <= second:
                waiting = self._seconds.pop(first, None)
                if waiting is not None:
                    over += self._due(waiting, first, now_ns)
                first += 1
        else:
            for at in sorted(self._seconds):
                if at > second:
                    break
                over += self._due(self._seconds.pop(at), at, now_ns)
        return over

    def all(self) -> list[Timed]:
        """The same, whenever they are due; time begins anew."""
        self._done = -1
        over: list[Timed] = []
        for second in sorted(self._seconds):
            over += self._due(self._seconds.pop(second), second, NEVER)
        return over

    def _due(self, waiting: list[Timed], second: cython.longlong, now_ns: cython.longlong) -> list[Timed]:
        due: list[Timed] = []
        one: Timed
        self.entries -= len(waiting)
        for one in waiting:
            if one._second != second:
                continue  # it has gone, or waits elsewhere
            one._second = NOWHERE
            if one.due_ns > now_ns:
                self._enter(one, one.due_ns // SECOND + 1)
            else:
                due.append(one)
        return due

    def _enter(self, one: Timed, second: cython.longlong) -> cython.bint:
        second = max(second, self._done + 1)
        one._second = second
        waiting = self._seconds.get(second)
        if waiting is None:
            self._seconds[second] = [one]
        else:
            waiting.append(one)
        self.entries += 1
        if self.entries > 2 * self.held + LEAST:
            self._tidy()
        return True

    def _tidy(self) -> cython.bint:
        """Only what still waits there."""
        self.entries = 0
        for second, waiting in list(self._seconds.items()):
            kept = [one for one in waiting if cython.cast(Timed, one)._second == second]
            self.entries += len(kept)
            if kept:
                self._seconds[second] = kept
            else:
                del self._seconds[second]
        return True
