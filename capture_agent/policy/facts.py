"""Values of a message that rules read, each looked up once, on first use. Hot: compiled, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.origin import Origin
from capture_agent.sip.headers import COMPACT, canonical
from capture_agent.sip.lookup import address, addresses, header_values, host_of, user_of
from capture_agent.sip.message import SipMessage

# Kinds of values.
HEADER = cython.declare(cython.int, 0)
URIS = cython.declare(cython.int, 1)
USERS = cython.declare(cython.int, 2)
HOSTS = cython.declare(cython.int, 3)
KINDS = {"uri": 1, "user": 2, "host": 3}

# Where to look: parts found by the scan, or headers by name; PAI is a header with several URIs.
REQUEST = cython.declare(cython.int, 0)
FROM = cython.declare(cython.int, 1)
TO = cython.declare(cython.int, 2)
PAI = cython.declare(cython.int, 3)
NAMES = {"request": b"", "from": b"from", "to": b"to", "pai": b"p-asserted-identity"}
OTHER = cython.declare(cython.int, 4)
NODE = cython.declare(cython.int, 5)  # of the agent that sent the message as HEP
OF_NODE = b"\0node"  # no header's name
PLACES = {name: place for place, name in enumerate(NAMES.values())} | {OF_NODE: 5}
SHORT = {name.encode(): compact.encode() for compact, name in COMPACT.items()}
LONGEST_URI = cython.declare(cython.int, 4096)


@cython.cclass
class Facts:
    """Holds one message at a time. Each value that can be read has a slot, assigned while rules are compiled."""

    __slots__ = (
        "_asked",
        "_blank",
        "_compacts",
        "_kinds",
        "_names",
        "_places",
        "_slots",
        "_values",
        "direction",
        "message",
    )

    def __init__(self) -> None:
        self._kinds: list[int] = []
        self._places: list[int] = []
        self._names: list[bytes] = []
        self._compacts: list[bytes] = []
        self._values: list[list[bytes] | None] = []
        self._blank: list[list[bytes] | None] = []
        self._slots: dict[tuple[int, bytes, bool], int] = {}
        self._asked = False

    def slot_of(self, field: str, fold: bool = False) -> int:
        """The slot of `from_user`, `pai_uri`, `to_host`, `node`, or a header's name. `fold`: in lower case."""
        place, _, kind = field.partition("_")
        if place in NAMES and kind in KINDS:
            return self._slot(KINDS[kind], NAMES[place], fold)
        if field == "node":
            return self._slot(0, OF_NODE, fold)
        name = canonical(field)
        return self._slot(0, name.encode("latin-1"), fold)

    def _slot(self, kind: int, name: bytes, fold: bool) -> int:
        if fold:
            self._slot(kind, name, False)
        key = (kind, name, fold)
        if key not in self._slots:
            self._slots[key] = len(self._values)
            # A folded slot names the slot that it folds.
            self._kinds.append(-1 - self._slots[kind, name, False] if fold else kind)
            self._places.append(PLACES.get(name, 4))
            self._names.append(name)
            self._compacts.append(SHORT.get(name, b""))
            self._values.append(None)
            self._blank.append(None)
        return self._slots[key]

    def begin(self, message: CapturedMessage, direction: Direction) -> cython.bint:
        """Make this the current message."""
        self.message = message
        self.direction = direction
        if self._asked:
            self._asked = False
            self._values = self._blank[:]
        return True

    def values(self, slot: cython.Py_ssize_t) -> list[bytes]:
        """All values of this slot in the message, in order."""
        known = self._values[slot]
        if known is None:
            self._asked = True
            known = self._values[slot] = self._look_up(slot)
        return known

    def _look_up(self, slot: cython.Py_ssize_t) -> list[bytes]:
        kind: cython.Py_ssize_t = self._kinds[slot]
        if kind < 0:
            return [value.lower() for value in self.values(-1 - kind)]
        place: cython.int = self._places[slot]
        sip: SipMessage = self.message.sip
        value: bytes | None
        if place == NODE:
            origin: Origin | None = self.message.origin
            return [] if origin is None or not origin.node else [origin.node]
        if place >= PAI:
            values: list[bytes] = header_values(sip, self._names[slot], self._compacts[slot])
            if kind == HEADER:
                return values
            uris: list[bytes] = []
            for one in values:
                if b"," in one:
                    uris.extend(addresses(one))
                elif uri := address(one):
                    uris.append(uri)
            if kind == URIS:
                return uris
            return [part for part in map(user_of if kind == USERS else host_of, uris) if part]
        value = sip.uri if place == REQUEST else sip.from_value if place == FROM else sip.to_value
        if value is None:
            return []
        if kind != HEADER:
            value = value[:LONGEST_URI] if place == REQUEST else address(value)
            if kind == USERS:
                value = user_of(value)
            elif kind == HOSTS:
                value = host_of(value)
            if not value:
                return []
        return [value]
