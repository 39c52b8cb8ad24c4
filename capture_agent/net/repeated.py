"""Messages that a receiver may have twice: acknowledged on a connection that broke, and sent again."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

REPEAT = 60.0  # seconds between log lines

_log = logging.getLogger(__name__)


class RepeatedWarning:
    """Logs how many there are: at once, then once a minute while there are more, and at the end."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._unsure = 0  # how many of those to be sent again, which go first, may have arrived
        self.waiting = 0  # not logged yet
        self._said_at = -math.inf

    def unsure(self, count: int) -> None:
        """A connection has ended; this many of the messages to be sent again may have arrived."""
        self._unsure = max(self._unsure, count)

    def sent(self, count: int) -> None:
        """This many messages have now certainly arrived."""
        again = min(count, self._unsure)
        self._unsure -= again
        self.waiting += again

    def say_at_times(self) -> None:
        if self.waiting and self._clock() >= self._said_at + REPEAT:
            self.say()

    def say(self) -> None:
        if self.waiting:
            what = "messages sent again after a connection broke: the receiver may have them twice"
            _log.warning("%s: %s: about %s", self._name, what, f"{self.waiting:,}")
            self.waiting, self._said_at = 0, self._clock()
