"""Frames from a capture file: pcap, pcapng or HEP3 packets back to back; plain or compressed, a path or standard input.

Several captures in one file, as joined by `cat`, are read one after another. The same reader reads all files. A damaged
file yields every frame before the damage, then reports where it is.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from capture_agent.os_errors import in_words
from capture_agent.records.frames import FRAME_ROW, Frames
from capture_agent.sources.containers import Stop
from capture_agent.sources.file_bytes import STANDARD_INPUT, Stopped, open_file, open_stream
from capture_agent.sources.hep_dump import DUMPS, HepDumpFormat
from capture_agent.sources.other_formats import described
from capture_agent.sources.pcap import HEADER_SIZE, VARIANTS, PcapFormat
from capture_agent.sources.pcapng import BYTE_ORDER_MAGICS, SECTION_HEADER, OnSecrets, PcapngFormat
from capture_agent.sources.source import SourceError

Format = PcapFormat | PcapngFormat | HepDumpFormat
BATCH = 512  # frames at most
BLANK_INDEX = array("q", bytes(8 * FRAME_ROW * BATCH))


class CaptureFile:
    """A Source. Opening it raises SourceError if the file is missing or not a capture.

    While it waits for a pipe, it ends once `stopped` returns true. `on_secrets` takes key logs in the file.
    """

    def __init__(self, path: str | Path, stopped: Stopped = lambda: False, on_secrets: OnSecrets | None = None) -> None:
        self._stopped = stopped
        self._on_secrets = on_secrets
        self.name = str(path)
        self._label = "standard input" if self.name == STANDARD_INPUT else self.name
        self._file = open_file(path, self._label)
        self._earlier: Counter[str] = Counter()  # drops in the file's earlier captures
        self._data = b""  # bytes read but not walked over
        self._offset = 0  # offset of its first byte
        try:
            self._stream, self._byte = open_stream(self._file, stopped)
            self._format = self._recognise()
        except OSError as error:
            self.close()
            raise SourceError(f"{self._label}: {in_words(error)}", usage=True) from None
        except SourceError:
            self.close()
            raise

    def batches(self) -> Iterator[Frames]:
        if self._format is None:
            if self._stopped():
                return
            have = len(self._data)
            raise self._broken(f"the file ends inside its header, {have} of {HEADER_SIZE} bytes are there")
        number = 1
        at = self._format.start
        index = BLANK_INDEX[:]
        while True:
            walker = self._format.walker
            count = walker.walk(self._data, at, index, BATCH)
            at = walker.at
            if count:
                yield Frames(self._data, index, count, self._format.interfaces, number)
                number += count
                index = BLANK_INDEX[:]
            if walker.stopped is Stop.BLOCK:
                if wrong := self._format.read_block(self._data[at : at + walker.value]):
                    raise self._broken(wrong, at)
                at += walker.value
            elif walker.stopped is Stop.MORE:
                if not self._fill(at, walker.value):
                    break
                at = 0
            elif walker.stopped is not Stop.FULL:
                at = self._enter_next(at)
        if self._stopped():  # then an incomplete record is not damage
            return
        if self._stream.problem:
            raise self._broken(self._stream.problem, len(self._data))
        if self._data:
            raise self._broken(self._format.cut(len(self._data)))

    def _enter_next(self, at: int) -> int:
        """Where the walker cannot continue, another capture may begin, joined by `cat`. Returns where to continue.

        Raises SourceError if none begins there.
        """
        assert self._format is not None
        if len(self._data) - at < HEADER_SIZE:
            self._fill(at, HEADER_SIZE)
            at = 0
        following = self._data[at : at + HEADER_SIZE]
        # The walker itself enters another section of pcapng: if it stops at one, the section is damaged.
        section = isinstance(self._format, PcapngFormat) and following[:4] == SECTION_HEADER
        packet = isinstance(self._format, HepDumpFormat) and following[:4] in DUMPS
        if len(following) < HEADER_SIZE or section or packet or not begins_capture(following):
            raise self._broken(self._format.damage(), at)
        self._earlier.update(self._format.dropped)
        self._format = capture_format(following, self._label, self._on_secrets)
        return at + self._format.start

    def dropped(self) -> Mapping[str, int]:
        """Drops in the interface statistics of pcapng files; none for pcap."""
        return self._earlier + Counter(self._format.dropped) if self._format else {}

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> CaptureFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recognise(self) -> Format | None:
        """The format, by its first bytes; None if there are too few."""
        whole = self._fill(0, HEADER_SIZE)
        head = self._data[:HEADER_SIZE]
        if not whole and self._stopped():
            return None
        if self._stream.problem and not whole:
            raise self._broken(self._stream.problem, len(head))
        if not head:
            raise SourceError(f"{self._label}: the file is empty", usage=True)
        if begins_capture(head):
            return capture_format(head, self._label, self._on_secrets) if whole or head[:4] in DUMPS else None
        hint = described(head)
        expected = "expected pcap or pcapng" if not hint else f"it is {hint}"
        raise SourceError(
            f"{self._label}: not a capture file: it begins with {head[:4].hex(' ')}, {expected}", usage=True
        )

    def _fill(self, at: int, wanted: int) -> bool:
        """Drop the bytes before `at` and read until `wanted` bytes are available; False if the file ends first."""
        self._data = self._data[at:]
        self._offset += at
        try:
            self._data = self._stream.read(self._data, wanted)
        except (OSError, ValueError) as error:  # ValueError: it has been closed
            raise self._broken(in_words(error)) from None
        return len(self._data) >= wanted

    def _broken(self, what: str, at: int = 0) -> SourceError:
        return SourceError(f"{self._label}: {what} ({self._byte.format(self._offset + at)})")


def begins_capture(head: bytes) -> bool:
    """Whether these bytes, as far as they go, begin a pcap or pcapng file."""
    if head[:4] in VARIANTS or head[:4] in DUMPS:
        return True
    return head[:4] == SECTION_HEADER and (head[8:12] in BYTE_ORDER_MAGICS or len(head) < 12)


def capture_format(head: bytes, label: str, on_secrets: OnSecrets | None) -> Format:
    """How to read the capture with this header. Raises SourceError for an unknown version."""
    if head[:4] in DUMPS:
        return HepDumpFormat()
    return PcapFormat(head, label) if head[:4] in VARIANTS else PcapngFormat(on_secrets)
