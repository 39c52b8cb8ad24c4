"""All calls that are looked at: messages in, calls and what has changed of them out. Bounded in number and bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from capture_agent import config
from capture_agent.config.matchers import ANY, HeaderPattern, TextPattern
from capture_agent.policy.legs import LegTable
from capture_agent.records.captured import CapturedMessage
from capture_agent.view.call import Hop, SipCall

MOST_CALLS = 500_000
MOST_BYTES = 256 << 20
MOST_HOPS = 50_000  # that calls share
LOOKS = 6  # messages of a call in which an id that legs share is looked for,
REQUEST_LOOKS = 2  # and, if only headers with the other leg's Call-ID are known, of its requests
COUNTED_AGAIN = 8  # messages of a call after which its memory is measured again
LEGS = config.Legs(call_id_in=(HeaderPattern("X-CID", TextPattern(ANY)),))


@dataclass(frozen=True, slots=True)
class CallChanges:
    """Since they were last asked for: the calls that are new or different, and the Call-IDs that are forgotten."""

    calls: tuple[SipCall, ...]
    forgotten: tuple[bytes, ...]


class CallBook:
    """Calls by Call-ID, in the order of their first message. The one that was silent longest makes room for others.

    without_call_id  messages that belong to no call
    forgotten        calls that had to make room
    """

    def __init__(
        self, legs: config.Legs | None = None, calls: int = MOST_CALLS, most_bytes: int = MOST_BYTES, live: bool = False
    ) -> None:
        """`legs`: the rules that link legs, in addition to X-CID. `live`: `changes` will be asked."""
        self.without_call_id = 0
        self.forgotten = 0
        self._calls: dict[bytes, SipCall] = {}
        self._most, self._most_bytes = calls, most_bytes
        self._bytes = 0
        self._number = 0
        self._hops: dict[Hop, Hop] = {}
        self._rules = with_usual(legs)
        self._legs = LegTable(self._rules)
        self._groups: dict[bytes, dict[bytes, None]] = {}  # Call-IDs by correlation id
        self._live = live
        self._changed: dict[bytes, SipCall] = {}
        self._gone: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[SipCall]:
        return iter(self._calls.values())

    def get(self, call_id: bytes) -> SipCall | None:
        return self._calls.get(call_id)

    def add(self, messages: Iterable[CapturedMessage], stored_as: bytes | None = None) -> None:
        """Take these messages, which may be freed afterwards. `stored_as`: their Call-ID, instead of their own."""
        calls, hops = self._calls, self._hops
        responses = bool(self._rules.id_in)
        looks = LOOKS if responses else REQUEST_LOOKS
        for message in messages:
            datagram = message.datagram
            call_id = message.sip.call_id if stored_as is None else stored_as
            if call_id is None:
                self.without_call_id += 1
                continue
            found = (datagram.source, datagram.source_port, datagram.destination, datagram.destination_port)
            hop = hops.setdefault(found, found)
            call = calls.get(call_id)
            if call is None:
                call = self._new(call_id, message)
            is_new = call.add(message, hop) and (responses or message.sip.is_request)
            if is_new and call.looks < looks and call.method == b"INVITE":
                self._look(call, message)
            if not call.messages % COUNTED_AGAIN:
                self._count(call)
            if self._live:
                self._changed[call_id] = call
        self._legs.let_go()
        if len(hops) > MOST_HOPS:
            hops.clear()

    def link(self, call_id: bytes, correlation_id: bytes) -> None:
        """Its legs are those with this correlation id, as somebody else has found out."""
        call = self._calls.get(call_id)
        if call is not None and correlation_id and call.correlation_id != correlation_id:
            self._leave_group(call)
            call.correlation_id = correlation_id
            self._groups.setdefault(correlation_id, {})[call_id] = None

    def legs_of(self, call: SipCall) -> list[SipCall]:
        """All legs of this call that are known, with itself, in the order of their first message."""
        ids = {call.call_id: None, **self._groups.get(call.correlation_id, {}), **self._groups.get(call.call_id, {})}
        if call.correlation_id:
            ids[call.correlation_id] = None  # the first leg's Call-ID, usually
        found = (self._calls.get(one) for one in ids)
        return sorted((one for one in found if one is not None), key=lambda one: (one.first_ns, one.number))

    def touch(self, call: SipCall) -> None:
        """Something is known of it that its messages do not say."""
        if self._live:
            self._changed[call.call_id] = call

    def forget(self, call_id: bytes) -> None:
        """Makes room for others; the call may come again."""
        call = self._calls.pop(call_id, None)
        if call is not None:
            self._let_go(call)

    def changes(self) -> CallChanges:
        """What has changed since the last time."""
        found = CallChanges(tuple(self._changed.values()), tuple(self._gone))
        self._changed, self._gone = {}, {}
        return found

    def _new(self, call_id: bytes, message: CapturedMessage) -> SipCall:
        self._number += 1
        call = self._calls[call_id] = SipCall(call_id, self._number, message)
        self._count(call)
        self._gone.pop(call_id, None)
        while len(self._calls) > self._most or self._bytes > self._most_bytes:
            self._forget_one()
        return call

    def _count(self, call: SipCall) -> None:
        now = call.held_bytes
        self._bytes += now - call.held
        call.held = now

    def _forget_one(self) -> None:
        """The first that nothing was seen of since it was last examined."""
        while True:
            call_id = next(iter(self._calls))
            call = self._calls.pop(call_id)
            if not call.touched or len(self._calls) < 2:
                break
            call.touched = False
            self._calls[call_id] = call
        self._let_go(call)

    def _let_go(self, call: SipCall) -> None:
        self.forgotten += 1
        self._bytes -= call.held
        self._leave_group(call)
        self._changed.pop(call.call_id, None)
        if self._live:
            self._gone[call.call_id] = None

    def _leave_group(self, call: SipCall) -> None:
        group = self._groups.get(call.correlation_id)
        if group is not None:
            group.pop(call.call_id, None)
            if not group:
                del self._groups[call.correlation_id]

    def _look(self, call: SipCall, message: CapturedMessage) -> None:
        call.looks += 1
        leg = self._legs.leg_of(message)
        if leg is not None and leg.correlation_id != call.call_id:
            self.link(call.call_id, leg.correlation_id)


def with_usual(legs: config.Legs | None) -> config.Legs:
    if legs is None:
        return LEGS
    known = {one.name.lower() for one in legs.call_id_in}
    more = tuple(one for one in LEGS.call_id_in if one.name.lower() not in known)
    return config.Legs((*legs.call_id_in, *more), legs.id_in, legs.suffixes, legs.remembered)
