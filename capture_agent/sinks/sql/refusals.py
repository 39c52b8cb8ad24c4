"""Log lines about rows that a database refuses: few, and without the row's content."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import URL

from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.database import explain, shown
from capture_agent.sinks.sql.sip_trace_table import INSERTED
from capture_agent.sinks.sql.verdicts import Verdict

EVERY = 60.0  # seconds between log lines
LONGEST = 300  # characters of the database's text

HIDDEN = "..."
TOKEN = re.compile(r"[^\s'\"`(),;]+")
WORD = re.compile(r"\w+")
LONG = 6  # shortest word that is also searched inside other words
OWN_WORDS = frozenset((*INSERTED, "sip_trace", "from", "to", "for", "with", "by"))

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FailedPart:
    """A part of a batch that was not stored."""

    verdict: Verdict
    url: URL
    error: Exception
    part: Sequence[TracedMessage]

    def words(self) -> str:
        """The database's own text, without content of messages."""
        words = explain(self.error)
        quotes = self.verdict in (Verdict.REFUSED, Verdict.DOUBTED, Verdict.UNKNOWN)
        return without_content(words, self.part) if quotes else words

    def explained(self) -> SinkError:
        return SinkError(f"{shown(self.url)}: {self.words()}")


class Refusals:
    """Logs the first refusal at once, then at most one line a minute, with the number of refusals."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._next = -float("inf")
        self._silent = 0

    def add(self, words: str) -> None:
        now = self._clock()
        if now < self._next:
            self._silent += 1
            return
        more = f"; {self._silent} more since the last such line" if self._silent else ""
        self._next, self._silent = now + EVERY, 0
        _log.warning("%s: refused a message: %s%s", self._name, words, more)


def without_content(words: str, messages: Sequence[TracedMessage]) -> str:
    """The text without words that also occur in one of the messages: constraints and triggers quote values."""
    texts = [traced.message.raw.decode("utf-8", "replace") for traced in messages]
    texts += [user for traced in messages for user in traced.trace.users]
    content = "\n".join(texts).casefold()
    there = set(WORD.findall(content))

    def hidden(token: re.Match[str]) -> str:
        word = token[0]
        if word in OWN_WORDS:
            return word
        pieces = [piece for piece in WORD.findall(word.casefold()) if len(piece) > 2 or not piece.isalpha()]
        found = any(piece in there or (len(piece) >= LONG and piece in content) for piece in pieces)
        return HIDDEN if found or "\\" in word else word  # bytes that are not text are quoted as \xE9

    shown = TOKEN.sub(hidden, words[: 4 * LONGEST])[:LONGEST]
    return "".join(letter if letter.isprintable() else "?" for letter in shown)
