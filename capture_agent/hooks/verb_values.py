"""Checks every value that a hook passes to a verb, before it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from capture_agent.config.uris import is_table_name
from capture_agent.events import PLACE, Place, parse_place

MOST_USERS = 32  # each adds a row to the table
LONGEST_USER = 255  # like the column traced_user
LONGEST_CORRELATION_ID = 1024  # bytes; a HEP packet has room for much more than anyone needs
LONGEST_EVENT = 16384  # bytes
LONGEST_MESSAGE = 60_000  # bytes: with its chunks it fits a datagram
MODES = ("message", "transaction", "dialog")


class HookError(ValueError):
    """A verb got an invalid value. If the hook does not catch this, it is a failure of the hook."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How a message will be traced: one Decision for each of its traces.

    sinks           the names of the sinks that get it
    users           the traced users: one row of the table for each, in addition to the row without a user
    table           empty: the sink's configured table
    correlation_id  empty: none is sent
    rule            the name of the rule or hook that decided; empty: `trace.mode`
    """

    sinks: tuple[str, ...]
    users: tuple[str, ...]
    table: str
    correlation_id: str
    rule: str


class SinkNames:
    """The sinks by name, as bits of Trace.sinks. A name means all sinks with that name.

    `names`: by sink id.
    """

    def __init__(self, names: Mapping[int, str] | None = None, defaults: int = 0, collectors: int = 0) -> None:
        self.names = dict(names or {})
        self.defaults = defaults  # the default sinks
        self.collectors = collectors  # those of them that accept uncaptured messages
        self._bits: dict[str, int] = {}
        for bit, name in self.names.items():
            self._bits[name] = self._bits.get(name, 0) | 1 << bit

    def bits(self, names: Iterable[str]) -> int:
        """Without names: the default sinks. Raises HookError."""
        found = 0
        for name in names:
            if not isinstance(name, str) or name not in self._bits:
                known = ", ".join(map(repr, self._bits)) or "none"
                raise HookError(f"sink {name!r}: no such sink, configured are: {known}")
            found |= self._bits[name]
        return found or self.defaults

    def named(self, bits: int) -> tuple[str, ...]:
        return tuple(name for bit, name in self.names.items() if bits >> bit & 1)


def mode_of(mode: str) -> str:
    if mode not in MODES:
        raise HookError(f"mode {mode!r}: expected 'message', 'transaction' or 'dialog'")
    return MODES[MODES.index(mode)]


def users_of(users: str | Iterable[str]) -> tuple[str, ...]:
    """One or several users, each once, in order."""
    try:
        found = (users,) if isinstance(users, str) else tuple(islice(users, MOST_USERS + 1))
    except TypeError:
        raise HookError(f"users {users!r}: expected text, or several texts") from None
    if len(found) > MOST_USERS:
        raise HookError(f"users: expected at most {MOST_USERS}")
    for user in found:
        encoded("user", user, 4 * LONGEST_USER)
        if not 1 <= len(user) <= LONGEST_USER:
            raise HookError(f"user: {len(user)} characters, expected 1 to {LONGEST_USER}")
    return tuple(dict.fromkeys(map(plain, found)))


def plain(text: str) -> str:
    """Only the text of a str subclass: its methods are user code, and would be called unguarded."""
    return text if type(text) is str else str.__str__(text)


def table_of(table: str) -> str:
    """Empty: the sink's configured table."""
    if not isinstance(table, str) or (table and not is_table_name(table)):
        raise HookError(f"table {table!r}: expected letters, digits and underscores, at most 32")
    return plain(table)


def correlation_id_of(correlation_id: str) -> bytes:
    return encoded("correlation_id", correlation_id, LONGEST_CORRELATION_ID)


def event_of(text: str) -> bytes:
    return encoded("text", text, LONGEST_EVENT)


def message_of(message: bytes | str) -> bytes:
    raw = plain(message).encode("utf-8", "surrogateescape") if isinstance(message, str) else message
    raw = memoryview(raw).tobytes() if isinstance(raw, bytes) else raw
    if not isinstance(raw, bytes) or not 1 <= len(raw) <= LONGEST_MESSAGE:
        raise HookError(f"message: expected 1 to {LONGEST_MESSAGE} bytes, or text")
    return raw


def place_of(what: str, text: str) -> Place:
    try:
        return parse_place(plain(text)) if isinstance(text, str) else parse_place("")
    except ValueError as error:
        raise HookError(f"{what} {text!r}: expected {PLACE} ({error})") from None


def encoded(what: str, text: str, limit: int) -> bytes:
    """Text that databases and collectors accept."""
    if not isinstance(text, str):
        raise HookError(f"{what} {text!r}: expected text")
    try:
        data = plain(text).encode()
    except UnicodeEncodeError:
        data = b"\0"
    if b"\0" in data:
        raise HookError(f"{what} {text!r}: NUL and lone surrogates cannot be stored")
    if len(data) > limit:
        raise HookError(f"{what}: {len(data)} bytes, expected at most {limit}")
    return data
