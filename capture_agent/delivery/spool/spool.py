"""The messages of one sink on disk, as its outbox uses them. Two threads of the outbox may; nothing here raises."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from capture_agent.config.spool_options import SpoolSection
from capture_agent.delivery.sink_account import EXPIRED, SPOOL_FAILED, SPOOL_FULL
from capture_agent.delivery.spool.batch_compression import NotCompressed, compressed, decompressed
from capture_agent.delivery.spool.packing import BatchPacker, Unpackable
from capture_agent.delivery.spool.spool_error import Damaged, SpoolError
from capture_agent.delivery.spool.spool_file import STEP, SpoolFile
from capture_agent.delivery.spool.spool_lock import FIRST
from capture_agent.delivery.spool.spool_rows import ROW_BYTES, Row
from capture_agent.delivery.spool.unpacking import BatchUnpacker, UnreadableBatch
from capture_agent.delivery.standing import SpoolStanding
from capture_agent.records.traced import TracedMessage

BATCH_BYTES = 1 << 20  # of a batch before it is compressed, and before its last message
BATCH_MESSAGES = 4096
PART_SECONDS, LEAST_MESSAGES = 0.1, 10  # of a batch that is sent at a limited rate: each is sent at once
SPARE_BYTES = 16 << 20  # of the disk that stay free, so that what is sent can be removed
BACK = 1024  # numbers between a batch that is put back and the next, so that another fits there
FULL_SECONDS = 60.0  # so long a spool counts as full after a message has made room
RETRY_SECONDS = 1.0  # between attempts to use a file that has failed

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """And how a sink's messages use the file: SpoolSection explains the last three."""

    bytes: int = 1 << 30
    seconds: float = 72 * 3600.0  # 0: no limit
    drain_per_second: float = 0.0  # messages; 0: no limit
    above_percent: int = 50
    beside: bool = False

    @property
    def batch_messages(self) -> int:
        """Of one batch at most."""
        if not self.drain_per_second:
            return BATCH_MESSAGES
        return min(BATCH_MESSAGES, max(LEAST_MESSAGES, int(self.drain_per_second * PART_SECONDS)))

    @classmethod
    def of(cls, section: SpoolSection) -> SpoolLimits:
        return cls(
            section.mib << 20, section.max_age_hours * 3600, section.drain_per_second, section.above_percent,
            section.beside,
        )  # fmt: skip


@dataclass(slots=True)
class Change:
    """What a call has changed, for the books.

    stored  messages that are in the file now, or in `lost`
    found   messages in the file that the books do not have yet: of an earlier run
    lost    messages that were in the file, by place
    """

    stored: int = 0
    found: int = 0
    lost: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Taken:
    """The rest of a batch from the front.

    before   the number that was taken before
    skipped  how many messages of the batch were sent before
    bytes    that it takes on disk
    """

    id: int
    before: int
    skipped: int
    messages: list[TracedMessage]
    bytes: int


class Spool:
    """`clock`: seconds since the epoch, for the age of batches.

    While the file fails (`failing` says why), nothing is stored, and messages in it wait until it works again. A file
    that SQLite cannot read is renamed, and its messages are lost (spool_failed).
    """

    def __init__(self, path: Path, limits: SpoolLimits, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.limits = limits
        self.failing = ""
        self.messages = 0  # that can be taken
        self.bytes = 0  # of all that is in the file
        self._oldest: float | None = None  # when the first batch that can be taken was stored
        self._moved = True  # that is another batch now
        self._full_at: float | None = None
        self._clock = clock
        self._lock = threading.Lock()
        self._file = SpoolFile(path)
        self._taken = FIRST  # the last number that was taken
        self._ended: dict[int, int] = {}  # to be removed by the next change: number, bytes
        self._failed_at: dict[bool, float] = {}  # the last time, of writing and of the rest

    def standing(self) -> SpoolStanding:
        oldest, full = self._oldest, self._full_at
        age = 0.0 if oldest is None else max(0.0, self._clock() - oldest)
        return SpoolStanding(
            self.messages, self.bytes, age, self.limits.bytes, bool(self.failing),
            full is not None and time.monotonic() - full < FULL_SECONDS,
        )  # fmt: skip

    def open(self) -> Change:
        """Finds what an earlier run has left."""
        return self._change(lambda change: None, writes=True)

    def append(self, batch: Sequence[TracedMessage]) -> Change:
        """All of it, or nothing while the file fails. The oldest batches make room."""

        def add(change: Change) -> None:
            parts, unpackable = self._parts(batch)
            room = self._make_room(sum(len(data) + ROW_BYTES for _, data in parts), change)
            too_many = 0
            while parts and sum(len(data) + ROW_BYTES for _, data in parts) > room:
                too_many += parts.pop(0)[0]
            _, last = self._file.edges(self._taken)
            at = max(self._taken, FIRST if last is None else last)
            self._write([(at + STEP * n, messages, data) for n, (messages, data) in enumerate(parts, 1)])
            change.stored = len(batch)
            change.lost[SPOOL_FAILED] += unpackable
            self._made_room(too_many, change)

        return self._change(add, writes=True)

    def put_back(self, batch: Sequence[TracedMessage], taken: bool) -> tuple[Change, Taken | None]:
        """Before all that can be taken. `taken`: it is in somebody's hand already."""
        placed: list[Taken] = []

        def add(change: Change) -> None:
            data = compressed(b"".join(map(BatchPacker().pack, batch)))
            first, last = self._file.edges(self._taken)
            if first is None:
                id_ = max(self._taken, FIRST if last is None else last) + STEP
            else:
                id_ = first - max(1, min(BACK, (first - self._taken) // 2))
            self._moved = True
            self._write([(id_, len(batch), data)])
            if taken:
                placed.append(Taken(id_, self._taken, 0, list(batch), len(data) + ROW_BYTES))
                self._taken = id_
                self.messages -= len(batch)
            change.stored = len(batch)

        change = self._change(add, writes=True)
        return change, placed[0] if placed else None

    def take(self) -> tuple[Change, Taken | None]:
        """The first batch that is not taken; None: there is none, or the file fails."""
        found: list[Taken] = []

        def read(change: Change) -> None:
            self._expire(change)
            while (row := self._file.first(self._taken)) is not None:
                messages = unpacked(row)
                before, self._taken = self._taken, row.id
                self._moved = True
                self.messages -= row.rest
                if messages:
                    change.found += max(0, len(messages) - row.rest)
                    change.lost[SPOOL_FAILED] += max(0, row.rest - len(messages))
                    found.append(Taken(row.id, before, row.done, messages, row.bytes))
                    return
                change.lost[SPOOL_FAILED] += row.rest
                _log.error("%s: a batch is damaged; messages lost: %d", self.path, row.rest)
                self._ended[row.id] = row.bytes
            if self.messages > 0:
                change.lost[SPOOL_FAILED] += self.messages
                _log.error("%s: batches are missing; messages lost: %d", self.path, self.messages)
                self.messages = 0

        change = self._change(read, reads=True)
        return change, found[0] if found else None

    def give_back(self, taken: Taken, done: int) -> Change:
        """What was taken last goes back to the front, but its first `done` messages."""

        def note(change: Change) -> None:
            self._write([], {taken.id: taken.skipped + done})

        with self._lock:
            self._taken, self._moved = taken.before, True
            self.messages += len(taken.messages) - done
        return self._change(note)

    def remove(self, taken: Taken) -> Change:
        """It is sent, and so is all that was before it. If the disk is full, a mark says so."""

        def end(change: Change) -> None:
            try:
                self._write([])
            except Damaged:
                raise
            except SpoolError:
                self._file.mark_sent(taken.id)
                raise
            if not self.bytes:
                self._file.shrink()

        with self._lock:
            self._ended[taken.id] = taken.bytes
        return self._change(end)

    def expire(self) -> Change:
        """Remove what is too old; and if the file fails, try whether it does still."""

        def drop(change: Change) -> None:
            self._expire(change)
            if self.failing:
                self._write([])

        return self._change(drop, writes=True)

    def close(self) -> None:
        with self._lock:
            self._file.release()

    def _change(self, action: Callable[[Change], None], writes: bool = False, reads: bool = False) -> Change:
        """`writes`: it needs room on the disk. What reads or writes is tried once in RETRY_SECONDS while it fails."""
        change = Change()
        with self._lock:
            if (writes or reads) and time.monotonic() - self._failed_at.get(writes, -RETRY_SECONDS) < RETRY_SECONDS:
                return change
            try:
                if self._file.is_open and not self.messages and self._file.vanished:
                    self._file.close()  # opened again, it is another one
                if not self._file.is_open:
                    self._open(change)
                if writes:
                    self._check_disk()
                action(change)
                self._works(writes)
            except Damaged as error:
                self._set_aside(error, change)
            except SpoolError as error:
                self._fails(error, writes)
            except Unpackable:  # of a batch that is put back: it stays where it is
                pass
            if self.messages < 0:  # damaged numbers have said less
                change.found -= self.messages
                self.messages = 0
        return change

    def _check_disk(self) -> None:
        if self._file.vanished:
            raise SpoolError("the file has vanished")
        if self._file.room < SPARE_BYTES:
            raise SpoolError("the disk is full")

    def _open(self, change: Change) -> None:
        """Other messages than expected: those of an earlier run, or of a file that has vanished."""
        self._file.open()
        self._taken, self._moved = max(self._taken, self._file.sent), True
        held = self._file.held(self._taken)
        if held.messages > self.messages:
            change.found += held.messages - self.messages
        elif held.messages < self.messages:
            change.lost[SPOOL_FAILED] += self.messages - held.messages
        self.messages, self.bytes, self._oldest = held.messages, self._file.held(self._file.sent).bytes, held.oldest

    def _write(self, added: list[tuple[int, int, bytes]], done: dict[int, int] | None = None) -> None:
        """Add (number, messages, data), and remove what has ended."""
        now = self._clock()
        self._file.change(list(self._ended), [(id_, now, messages, data) for id_, messages, data in added], done or {})
        self.bytes += sum(len(data) + ROW_BYTES for _, _, data in added) - sum(self._ended.values())
        self.messages += sum(messages for _, messages, _ in added)
        self._ended.clear()

    def _set_aside(self, error: Damaged, change: Change) -> None:
        lost, self.messages, self.bytes, self._oldest, self._moved = self.messages, 0, 0, None, True
        change.lost[SPOOL_FAILED] += lost
        self._ended.clear()
        try:
            aside = self._file.set_aside()
        except SpoolError as another:
            self._fails(another, True)
            return
        _log.error("%s: damaged (%s); set aside as %s; messages lost: %d", self.path, error, aside, lost)

    def _fails(self, error: SpoolError, writes: bool) -> None:
        self._failed_at[writes] = time.monotonic()
        if not self.failing:
            _log.error("%s: cannot be used: %s", self.path, error)
        self.failing = str(error) or "unknown"

    def _works(self, writes: bool) -> None:
        if self._moved or not self.messages:
            found = self._file.oldest(self._taken) if self.messages else None
            self._oldest = None if found is None else found[1]
            self._moved = not self.messages
        self._failed_at.pop(writes, None)
        if self.failing and writes:
            _log.info("%s: can be used again", self.path)
            self.failing = ""

    def _parts(self, batch: Sequence[TracedMessage]) -> tuple[list[tuple[int, bytes]], int]:
        """Batches of limited size, how many messages and their packets; and how many messages cannot be packed."""
        parts: list[tuple[int, bytes]] = []
        most = self.limits.batch_messages
        packer, held, size, unpackable = BatchPacker(), list[bytes](), 0, 0
        for traced in batch:
            try:
                packets = packer.pack(traced)
            except Unpackable:
                unpackable += 1
                continue
            held.append(packets)
            size += len(packets)
            if size >= BATCH_BYTES or len(held) >= most:
                parts.append((len(held), compressed(b"".join(held))))
                held, size = [], 0
        if held:
            parts.append((len(held), compressed(b"".join(held))))
        return parts, unpackable

    def _make_room(self, more: int, change: Change) -> int:
        """Remove the oldest batches, as many as are needed. Returns the room."""
        room = self.limits.bytes - self.bytes + sum(self._ended.values())
        while room < more and (found := self._file.oldest(self._taken)) is not None:
            self._drop(found[0])
            self._made_room(found[0].rest, change)
            room += found[0].bytes
        return room

    def _made_room(self, messages: int, change: Change) -> None:
        if messages:
            change.lost[SPOOL_FULL] += messages
            self._full_at = time.monotonic()

    def _expire(self, change: Change) -> None:
        if not self.limits.seconds:
            return
        before = self._clock() - self.limits.seconds
        while (found := self._file.oldest(self._taken)) is not None:
            row, stored_at = found
            if stored_at is None or stored_at >= before:
                break
            self._drop(row)
            change.lost[EXPIRED] += row.rest

    def _drop(self, row: Row) -> None:
        self._file.change([*self._ended, row.id], [], {})
        self.bytes -= row.bytes + sum(self._ended.values())
        self.messages -= row.rest
        self._moved = True
        self._ended.clear()


def unpacked(row: Row) -> list[TracedMessage]:
    """Those that are not sent yet; none: they are not what was written. Raises SpoolError: a library to read them is
    missing.
    """
    if row.data is None:
        return []
    try:
        return BatchUnpacker().unpack(decompressed(row.data))[row.done :]
    except (NotCompressed, UnreadableBatch):
        return []
