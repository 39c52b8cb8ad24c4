"""Calls with their messages, for views that stay open: filled by one thread, looked at by others. Bounded.

    store = CallStore(config.legs, mask=..., lock=threading.RLock())
    store.add(messages)                              # from any source; masked, copied, counted
    page = store.select(where=CallFilter(...).matches, sort="setup", reverse=True, offset=0, limit=50)
    page.calls, page.total, page.version
    news = store.since(page.version)                 # the calls that are new or different, the Call-IDs that are gone
    news.complete                                    # False: too much has gone since; select again
    store.messages([call.call_id for call in store.legs_of(call_id)])     # sorted by time, for ladder_of

A version is a number that grows with each batch. Masks are applied here, before anything is kept: no view can show,
export or search what they hide. If there are too many calls or bytes, ended calls make room first, the one that ended
first before others; then the one that was first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from capture_agent import config
from capture_agent.media.stream_figures import StreamFigures
from capture_agent.policy.lookback import copied, frames_size
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.scan import scan
from capture_agent.view.call import SipCall
from capture_agent.view.call_book import CallBook

MOST_CALLS = 200_000
MOST_BYTES = 256 << 20  # of messages
MOST_BOOK_BYTES = 256 << 20  # of what is known of calls
MOST_OF_A_CALL = 4000  # messages; of more, the oldest quarter after the first half makes room
MOST_GONE = 50_000  # Call-IDs of forgotten calls, for readers
BATCH = 2000  # calls that a batch may have beyond MOST_CALLS
MOST_STREAMS = 256  # reports of streams of a call; the oldest make room
MESSAGE_COST = 330  # bytes in addition to its own
STREAM_COST = 1250
UP = frozenset(("calling", "ringing", "in call", "waiting", "subscribed"))

Mask = Callable[[CapturedMessage], CapturedMessage]
Wanted = Callable[[SipCall], bool]

# How lists are sorted, by the names of the columns of `calls`; what is not known comes first.
SORTS: dict[str, Callable[[SipCall], Any]] = {
    "number": lambda call: call.number,
    "first": lambda call: call.first_ns,
    "last": lambda call: call.last_ns,
    "answered": lambda call: call.answered_ns,
    "ended": lambda call: call.ended_ns,
    "from": lambda call: call.from_user,
    "to": lambda call: call.to_user,
    "uri": lambda call: call.uri,
    "method": lambda call: call.method,
    "state": lambda call: call.state,
    "status": lambda call: call.status,
    "reason": lambda call: call.reason,
    "cause": lambda call: call.causes,
    "messages": lambda call: call.messages,
    "retransmissions": lambda call: call.retransmissions,
    "setup": lambda call: -1.0 if call.setup_seconds is None else call.setup_seconds,
    "duration": lambda call: -1.0 if call.seconds is None else call.seconds,
    "codecs": lambda call: call.codecs,
    "hosts": lambda call: call.endpoints,
    "transport": lambda call: call.transports,
    "legs": lambda call: call.correlation_id,
    "call-id": lambda call: call.call_id,
}


@dataclass(frozen=True, slots=True)
class CallPage:
    """`total`: how many calls match; `version`: of the store at that moment."""

    calls: tuple[SipCall, ...]
    total: int
    version: int


@dataclass(frozen=True, slots=True)
class CallNews:
    """What is new since a version. `complete`: False if more calls are gone than are remembered."""

    version: int
    calls: tuple[SipCall, ...]
    gone: tuple[bytes, ...]
    complete: bool = True


class CallStore:
    """`lock`: is held in each method, if several threads use it.

    evicted       calls that made room
    left_out      messages of calls with very many, that made room
    keeps_frames  whether messages have their captured frames
    """

    def __init__(
        self,
        legs: config.Legs | None = None,
        calls: int = MOST_CALLS,
        most_bytes: int = MOST_BYTES,
        mask: Mask | None = None,
        keep_frames: bool = False,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        """`keep_frames`: each message has the captured frames, if its pipeline keeps them; never with a mask."""
        self.version = 0
        self.evicted = 0
        self.left_out = 0
        self.lock = lock or nullcontext()
        self._mask = mask
        self.keeps_frames = keep_frames and mask is None
        self._book = CallBook(legs, calls=calls + BATCH, most_bytes=MOST_BOOK_BYTES, live=True)
        self._most, self._most_bytes = calls, most_bytes
        self._bytes = 0
        self._kept: dict[bytes, list[Datagram]] = {}
        self._streams: dict[bytes, list[StreamFigures]] = {}
        self._changed: dict[bytes, int] = {}  # the version of each call's last change, in this order
        self._gone: deque[tuple[int, bytes]] = deque(maxlen=MOST_GONE)
        self._forgot = 0  # the version up to which `_gone` does not reach back
        self._over: dict[bytes, None] = {}  # ended calls, in the order in which they ended

    def __len__(self) -> int:
        return len(self._book)

    @property
    def held_bytes(self) -> int:
        """Of messages."""
        return self._bytes

    @property
    def total_messages(self) -> int:
        """That are kept now."""
        with self.lock:
            return sum(map(len, self._kept.values()))

    def add(self, messages: Sequence[CapturedMessage], stored_as: bytes | None = None) -> None:
        """Take these messages, in the order of their time; they may be freed afterwards.

        `stored_as`: their Call-ID, instead of their own.
        """
        if self._mask is not None:
            messages = [self._mask(one) for one in messages]
        with self.lock:
            self._book.add(messages, stored_as)
            for message in messages:
                call_id = message.sip.call_id if stored_as is None else stored_as
                if call_id is not None:
                    self._keep(call_id, message)
            self._note_changes()
            while len(self._book) > self._most or (self._bytes > self._most_bytes and len(self._book) > 1):
                self._make_room()

    def add_streams(self, reports: Sequence[StreamFigures]) -> None:
        """What was measured of streams of known calls."""
        if not reports:
            return
        with self.lock:
            for one in reports:
                if (call := self._book.get(one.call_id)) is None:
                    continue
                kept = self._streams.setdefault(one.call_id, [])
                kept.append(one)
                self._bytes += STREAM_COST
                if len(kept) > MOST_STREAMS:
                    del kept[0]
                    self._bytes -= STREAM_COST
                self._book.touch(call)
            self._note_changes()

    def link(self, call_id: bytes, correlation_id: bytes) -> None:
        """Its legs are those with this correlation id, as somebody else has found out."""
        with self.lock:
            self._book.link(call_id, correlation_id)

    def get(self, call_id: bytes) -> SipCall | None:
        with self.lock:
            return self._book.get(call_id)

    def legs_of(self, call: SipCall) -> list[SipCall]:
        """All legs of this call, with itself, in the order of their first message."""
        with self.lock:
            return self._book.legs_of(call)

    def messages(self, call_ids: Iterable[bytes]) -> list[CapturedMessage]:
        """What is kept of these calls, sorted by time. Views ask for few calls."""
        with self.lock:
            found = [datagram for one in dict.fromkeys(call_ids) for datagram in self._kept.get(one, ())]
        return sorted(map(as_message, found), key=lambda message: message.time_ns)

    def streams(self, call_ids: Iterable[bytes]) -> list[StreamFigures]:
        """The reports of these calls' streams, for ladder_of."""
        with self.lock:
            return [report for one in dict.fromkeys(call_ids) for report in self._streams.get(one, ())]

    def select(
        self,
        where: Wanted | None = None,
        sort: str = "number",
        reverse: bool = False,
        offset: int = 0,
        limit: int | None = None,
    ) -> CallPage:
        """The calls that match, sorted (`SORTS`): this part of them."""
        with self.lock:
            found = [call for call in self._book if where is None or where(call)]
            version = self.version
        found.sort(key=SORTS[sort], reverse=reverse)
        return CallPage(tuple(found[offset : None if limit is None else offset + limit]), len(found), version)

    def snapshot(self) -> CallPage:
        """All calls, unsorted, for those who look at many in small steps."""
        with self.lock:
            found = tuple(self._book)
            return CallPage(found, len(found), self.version)

    def since(self, version: int) -> CallNews:
        """Costs as much as there is news."""
        with self.lock:
            changed = []
            for call_id in reversed(self._changed):
                if self._changed[call_id] <= version:
                    break
                call = self._book.get(call_id)
                if call is not None:
                    changed.append(call)
            gone = []
            for at, call_id in reversed(self._gone):
                if at <= version:
                    break
                if self._book.get(call_id) is None:
                    gone.append(call_id)
            return CallNews(self.version, tuple(reversed(changed)), tuple(gone), version >= self._forgot)

    def clear(self) -> None:
        """Forget all calls."""
        with self.lock:
            before = self.evicted
            for call_id in [call.call_id for call in self._book]:
                self._book.forget(call_id)
            self._note_changes()
            self.evicted = before

    def _keep(self, call_id: bytes, message: CapturedMessage) -> None:
        datagram = copied(message, self.keeps_frames).datagram
        kept = self._kept.setdefault(call_id, [])
        kept.append(datagram)
        self._bytes += cost(datagram)
        if len(kept) > MOST_OF_A_CALL:
            first, after = MOST_OF_A_CALL // 2, MOST_OF_A_CALL // 2 + MOST_OF_A_CALL // 4
            self._bytes -= sum(map(cost, kept[first:after]))
            self.left_out += after - first
            del kept[first:after]

    def _note_changes(self) -> None:
        changes = self._book.changes()
        self.version += 1
        for call in changes.calls:
            call_id = call.call_id
            self._changed.pop(call_id, None)
            self._changed[call_id] = self.version
            if call.state in UP:
                self._over.pop(call_id, None)
            else:
                self._over.setdefault(call_id)
        for call_id in changes.forgotten:
            self.evicted += 1
            self._drop(call_id)

    def _make_room(self) -> None:
        call_id = next(iter(self._over), None) or next(iter(self._book)).call_id
        self._book.forget(call_id)
        self._note_changes()

    def _drop(self, call_id: bytes) -> None:
        """What belongs to a call that its book has forgotten."""
        self._bytes -= sum(map(cost, self._kept.pop(call_id, ())))
        self._bytes -= STREAM_COST * len(self._streams.pop(call_id, ()))
        self._changed.pop(call_id, None)
        self._over.pop(call_id, None)
        if len(self._gone) == MOST_GONE:
            self._forgot = self._gone[0][0]
        self._gone.append((self.version, call_id))


def cost(datagram: Datagram) -> int:
    return len(datagram.data) + MESSAGE_COST + (frames_size(datagram.frames) if datagram.frames else 0)


def as_message(datagram: Datagram) -> CapturedMessage:
    sip = scan(datagram.data, datagram.start, datagram.end)
    assert sip is not None  # the same bytes were SIP before
    return CapturedMessage(datagram, sip)
