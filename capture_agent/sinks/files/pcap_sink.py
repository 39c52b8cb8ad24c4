"""What was traced as pcapng or pcap files: in the captured frames, or in packets with rebuilt headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from capture_agent.config.targets import PcapTarget
from capture_agent.net.sender import OVERSIZE
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.frames import CapturedFrame, Interface
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.files.capture_formats import FORMATS, CaptureFormat
from capture_agent.sinks.files.file_sink import FileSink
from capture_agent.sinks.files.open_file import OpenFile
from capture_agent.sinks.files.packets import ETHERNET, Oversize, Packets, buildable
from capture_agent.sinks.files.rotating_files import RotatingFiles
from capture_agent.sinks.sink import NOT_SIP

NO_INTERFACE = Interface("", ETHERNET)


class PcapSink(FileSink):
    """rejected: oversize, longer than a datagram; not_sip."""

    def __init__(self, target: PcapTarget) -> None:
        form = FORMATS[target.format]()
        super().__init__(str(target), self._packed, RotatingFiles(target, whole=form.whole, marked=True))
        self._records = CaptureRecords(form)

    def _packed(self, messages: list[TracedMessage], file: OpenFile) -> tuple[bytes, Counter[str]]:
        parts: list[bytes] = []
        rejected: Counter[str] = Counter()
        for one in messages:
            message = one.message
            if type(message) is not CapturedMessage:
                rejected[NOT_SIP] += 1
                continue
            try:
                self._records.add(message, file, parts)
            except Oversize:
                rejected[OVERSIZE] += 1
        return b"".join(parts), rejected


class CaptureRecords:
    """What a capture file has of a message.

    A message that came in frames of its own is written in these frames. All others are rebuilt: those that masks or
    hooks have changed (so masks hold), those from streams, and those whose frames were not kept.
    """

    def __init__(self, form: CaptureFormat) -> None:
        self._format = form
        self._packets = Packets()

    def add(self, message: CapturedMessage, file: OpenFile, parts: list[bytes]) -> None:
        """Append what comes next in the file to `parts`. Raises Oversize, and OSError if the file is another's."""
        frames = captured_frames(message)
        if not frames or not self._format.accepts(frames, file):
            frames = tuple(self._rebuilt(message, file))
        for frame in frames:
            parts += self._format.records(frame, file)

    def _rebuilt(self, message: CapturedMessage, file: OpenFile) -> Iterator[CapturedFrame]:
        """Of its own link type if possible, because many readers accept only one in a file."""
        datagram = message.datagram
        seen_on = datagram.interface or NO_INTERFACE
        link_type = self._format.link_type(buildable(seen_on.link_type), file)
        where = Interface(seen_on.name, link_type)
        for frame in self._packets.frames(datagram, message.raw, file.serial, link_type):
            yield CapturedFrame(frame, datagram.time_ns, 0, where)


def captured_frames(message: CapturedMessage) -> tuple[CapturedFrame, ...]:
    """None if it is not as it was captured, or not alone in its datagram."""
    datagram, sip = message.datagram, message.sip
    if sip.data is not datagram.data or sip.end != datagram.end or message.time_ns != message.seen_ns:
        return ()
    return datagram.captured_frames()
