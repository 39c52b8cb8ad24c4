"""One correlation id for all legs of a call that passes through a back-to-back user agent.

Each leg has its own Call-ID. A header that the B2BUA writes links them: the other leg's Call-ID (X-CID), or an id that
all legs share (P-Charging-Vector icid-value, RFC 7315 5.6; Session-ID, RFC 7989). So does a Call-ID that is the other
leg's with a suffix.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from capture_agent import config
from capture_agent.clock import Clock
from capture_agent.config.matchers import HeaderPattern, compiled
from capture_agent.hashing import digest
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.traced import Trace
from capture_agent.sip.headers import COMPACT
from capture_agent.sip.lookup import header_values
from capture_agent.sip.message import SipMessage
from capture_agent.sip.parameters import parameter

LOOKS = 8  # messages of a leg without an id, after which its headers are no longer read
LONGEST = 512  # bytes of an id: a peer chooses it
LONGEST_KEPT = 64  # bytes of an id that is remembered unhashed
IDLE_NS = 12 * 3600 * 1_000_000_000  # packet time after which a silent leg is forgotten

SHORT = {name: compact.encode() for compact, name in COMPACT.items()}
_ICID = re.compile(rb"icid-value[ \t]*=[ \t]*", re.IGNORECASE)
_ICID_VALUE = re.compile(rb'"((?:[^"\\]|\\.)*+)"|([^;, \t"]++)')
_UUID = re.compile(rb"[0-9a-f]{32}")
NIL = b"0" * 32

# Values that servers write without an id: nothing, an unset variable, a nil UUID. In any case, and in white space,
# quotes or brackets.
PLACEHOLDERS = frozenset(
    (b"", b"-", b"--", b"0", b"null", b"nil", b"none", b"undefined", b"unset", b"unknown", b"n/a", b"na")
)
LONGEST_PLACEHOLDER = 64
_AROUND = b" \t\r\n\"'()<>[]{}"

Read = Callable[[bytes], tuple[bytes, ...]]  # the ids in a header's value, the best known first


def icid(value: bytes) -> tuple[bytes, ...]:
    name = _ICID.search(value)
    found = _ICID_VALUE.match(value, name.end()) if name else None
    return ((found[1] or found[2] or b""),) if found else ()


def session(value: bytes) -> tuple[bytes, ...]:
    """The UUIDs of both ends: a message the other way has them swapped, the first message only its sender's."""
    ids = (parameter(value, b"remote"), value.partition(b";")[0].strip())
    return tuple(each for each in ids if each is not None and _UUID.fullmatch(each) and each != NIL)


def whole(value: bytes) -> tuple[bytes, ...]:
    return (value,)


def grouped(regex: str) -> Read:
    search = compiled(regex).search

    def read(value: bytes) -> tuple[bytes, ...]:
        found = search(value)
        group = found.group(1) if found else None
        return (group,) if group else ()

    return read


KNOWN: dict[str, Read] = {"p-charging-vector": icid, "session-id": session}


@dataclass(slots=True)
class Leg:
    """Known facts about a Call-ID. `traces`: its messages' last trace, and the same with our id."""

    correlation_id: bytes
    seen_ns: int
    looks: int = 0
    settled: bool = False
    traces: tuple[Trace, Trace] | None = None


@dataclass(slots=True)
class Header:
    name: bytes
    compact: bytes
    read: Read

    @classmethod
    def of(cls, pattern: HeaderPattern) -> Header:
        name = COMPACT.get(pattern.name.lower(), pattern.name.lower())
        regex = pattern.value.regex
        read = grouped(regex) if regex is not None else KNOWN.get(name, whole)
        return cls(name.encode(), SHORT.get(name, b""), read)

    def ids(self, sip: SipMessage) -> list[bytes]:
        return [
            found[:LONGEST]
            for value in header_values(sip, self.name, self.compact)
            for found in self.read(value)
            if not is_placeholder(found)
        ]


def known_as(call_id: bytes) -> bytes:
    """The key for an id: itself, or a digest if it is long. No Call-ID begins with a zero byte."""
    return call_id if len(call_id) <= LONGEST_KEPT else b"\0" + digest(call_id, b"Call-ID")


def is_placeholder(found: bytes) -> bool:
    """Whether it is a placeholder for a missing id. docs/configuration.md lists them."""
    if len(found) > LONGEST_PLACEHOLDER:
        return not found.strip()
    text = found.strip(_AROUND).lower()
    return text in PLACEHOLDERS or not text.strip(b"0-")


@dataclass
class LegTable:
    """Correlation ids by Call-ID, and by the ids that legs share. Bounded: the least recently seen is evicted."""

    settings: config.Legs
    forgotten: int = 0
    _legs: OrderedDict[bytes, Leg] = field(default_factory=OrderedDict)
    _ids: OrderedDict[bytes, bytes] = field(default_factory=OrderedDict)  # a Session-ID's two UUIDs lead to one id
    _clock: Clock = field(default_factory=Clock)
    _looked_at: CapturedMessage | None = None  # the last message: each of its traces asks

    def __post_init__(self) -> None:
        self._by_call_id = [Header.of(pattern) for pattern in self.settings.call_id_in]
        self._by_id = [Header.of(pattern) for pattern in self.settings.id_in]
        self._suffixes = tuple(suffix.encode() for suffix in self.settings.suffixes)

    @property
    def remembered(self) -> int:
        return len(self._legs)

    def id_of(self, call_id: bytes) -> bytes:
        """Empty: it has none, or is not known."""
        leg = self._legs.get(known_as(call_id))
        return leg.correlation_id if leg is not None else b""

    def with_id(self, message: CapturedMessage, trace: Trace) -> Trace:
        """This trace, with the correlation id of the message's call if it has none."""
        if trace.correlation_id:
            return trace
        leg = self.leg_of(message)
        if leg is None or not leg.correlation_id:
            return trace
        if leg.traces is None or leg.traces[0] is not trace or leg.traces[1].correlation_id != leg.correlation_id:
            leg.traces = (trace, trace.changed(correlation_id=leg.correlation_id))
        return leg.traces[1]

    def leg_of(self, message: CapturedMessage) -> Leg | None:
        call_id = message.sip.call_id
        if call_id is None:
            return None
        self._clock.tick(message.seen_ns)
        now_ns, key = self._clock.now_ns, known_as(call_id)
        leg = self._legs.get(key)
        if leg is None:
            leg = self._legs[key] = Leg(b"", now_ns)
            self._forget(now_ns)
        else:
            leg.seen_ns = now_ns
            self._legs.move_to_end(key)
        if not leg.settled and message is not self._looked_at:
            self._looked_at = message
            self._look(message.sip, call_id, leg)
        return leg

    def _look(self, sip: SipMessage, call_id: bytes, leg: Leg) -> None:
        leg.looks += 1
        found = self._other_leg(sip, call_id) or self._shared(sip, leg)
        if found:
            leg.correlation_id = found
            leg.settled = not any(header.read is session for header in self._by_id) or leg.looks >= LOOKS
        elif not leg.correlation_id and (self._by_call_id or self._suffixes):
            leg.correlation_id = call_id[:LONGEST]  # the other leg will refer to it
        leg.settled = leg.settled or leg.looks >= LOOKS

    def _other_leg(self, sip: SipMessage, call_id: bytes) -> bytes:
        for header in self._by_call_id:
            for named in header.ids(sip):
                if named != call_id:
                    return self._id_of(named)
        for suffix in self._suffixes:
            if call_id.endswith(suffix) and len(call_id) > len(suffix):
                return self._id_of(call_id[: -len(suffix)])
        return b""

    def _id_of(self, call_id: bytes) -> bytes:
        """That of the leg with this Call-ID, whether it was seen or not."""
        other = self._legs.get(known_as(call_id))
        return other.correlation_id if other is not None and other.correlation_id else call_id[:LONGEST]

    def _shared(self, sip: SipMessage, leg: Leg) -> bytes:
        for header in self._by_id:
            ids = header.ids(sip)
            if not ids:
                continue
            if header.read is not session:
                return leg.correlation_id or ids[0]
            known = (self._ids.get(each) for each in ids)
            found = leg.correlation_id or next(filter(None, known), ids[0])
            for each in ids:
                self._ids[each] = found
                self._ids.move_to_end(each)
            return found
        return b""

    def let_go(self) -> None:
        """Release the batch's buffer."""
        self._looked_at = None

    def _forget(self, now_ns: int) -> None:
        most = self.settings.remembered
        while len(self._ids) > most:
            self._ids.popitem(last=False)
        while len(self._legs) > most or next(iter(self._legs.values())).seen_ns + IDLE_NS < now_ns:
            self._legs.popitem(last=False)
            self.forgotten += 1
