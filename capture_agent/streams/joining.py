"""The bytes before the first message boundary found in a stream that was joined in the middle."""

from __future__ import annotations

from collections.abc import Iterator

from capture_agent.records.datagram import Datagram
from capture_agent.streams.framing import find_start, measure
from capture_agent.streams.layer import Layer
from capture_agent.streams.limits import MAX_JOINING, MAX_JOINING_BYTES
from capture_agent.streams.pieces import Piece, Pieces

LINE_ENDS = b"\r\n\0"


class Joining:
    """When a capture begins, too, segments may come in any order: the start of a message after its end.

    So bytes before the first boundary are kept for a while, whether they were passed by or come late.
    """

    def __init__(self, layer: Layer) -> None:
        self.origin = 0  # where the first message starts, or how far its start was looked for
        self._emitter = layer.emitter
        self._pieces = Pieces(layer.emitter)

    @property
    def size(self) -> int:
        return self._pieces.cost()

    def pass_by(self, segment: Datagram, offset: int) -> None:
        """Keep this segment, which the layer has passed by and counted as skipped. It lies at this offset."""
        counts = self._emitter.outlet.counts
        skipped = counts.skipped_bytes
        self.add(segment, segment.start, segment.end, offset)
        counts.skipped_bytes = skipped
        self.origin = offset + segment.end - segment.start
        self.complete()

    def add(self, segment: Datagram, start: int, end: int, offset: int) -> bool:
        """Keep these bytes, which lie before the origin or end there. False: nothing new, or no more room."""
        if self._pieces.size + end - start > MAX_JOINING_BYTES or len(self._pieces.parts) >= MAX_JOINING:
            return False
        new = self._pieces.insert(segment, start, end, offset, False)
        self._emitter.outlet.counts.skipped_bytes += new
        return new > 0

    def complete(self) -> None:
        """Emit the messages that end right at the origin, if any are complete now."""
        parts = self._pieces.parts
        first = len(parts)
        at = self.origin
        while first and parts[first - 1].end == at:
            first -= 1
            at = parts[first].offset
        run = b"".join(part.segment.payload for part in parts[first:])
        start = find_start(run, 0, len(run))
        sizes = list(messages(run, start)) if start >= 0 else []
        if not sizes or sizes[-1][1] != len(run):
            return
        self._put(run, sizes)
        # Messages before them may still be completed.
        self.origin -= len(run) - start
        self._pieces = Pieces(self._emitter)
        for part in parts:
            end = min(part.end, self.origin)
            if part.offset < end:
                begin = part.segment.start
                self._pieces.insert(part.segment, begin, begin + (end - part.offset), part.offset, False)

    def finish(self) -> None:
        """No more will come: emit what is complete."""
        runs: list[list[Piece]] = []
        end = None
        for part in self._pieces.parts:
            if part.offset != end:
                runs.append([])
            runs[-1].append(part)
            end = part.end
        for parts in runs:
            self._emitter.outlet.carrier = parts[-1].segment
            run = b"".join(part.segment.payload for part in parts)
            start = find_start(run, 0, len(run))
            if start >= 0:
                self._put(run, list(messages(run, start)))

    def _put(self, run: bytes, sizes: list[tuple[int, int]]) -> None:
        for start, end in sizes:
            if start < end:
                self._emitter.emit_own(run[start:end])
                self._emitter.outlet.counts.skipped_bytes -= end - start


def messages(run: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Where the complete messages from `at` on start and end; keep-alives after them count as empty messages."""
    while at < len(run):
        start = at
        while at < len(run) and run[at] in LINE_ENDS:
            at += 1
        if at > start:
            yield at, at
            continue
        size = measure(run, at, len(run))
        if size <= 0 or at + size > len(run):
            return
        at += size
        yield start, at
