"""Frames from an interface of this host, by libpcap.

libpcap is only called without blocking, because its blocking read can hang on a quiet interface: the source waits for
the descriptor, and takes the frames available.
"""

from __future__ import annotations

import math
import select
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Any

import pcapy

from capture_agent.net.own_sockets import OwnSockets, SocketSnapshot
from capture_agent.records.frames import FRAME_ROW, Frames, Interface
from capture_agent.sources.containers import index_live_batch
from capture_agent.sources.interface_list import list_interfaces
from capture_agent.sources.kernel_counters import Growing
from capture_agent.sources.own_filter import attached, leave_out, take_nothing
from capture_agent.sources.source import INTERFACE, KERNEL, MAXIMUM_SNAPSHOT, UNREAD, SourceError, link_type

BATCH = 512  # most frames: 32 MiB at 64 KiB each, as segmentation offload makes them
WAIT_MS = 200  # to wait for the first frame of a batch
HAND_OVER_MS = 50  # how long the kernel may keep a frame to fill a block of its ring
HANDED_OVER = 0.25  # seconds after which the kernel has handed over what it had
LAST_COUNT = 2.0  # most seconds for counting unread frames; a full ring of 1 GiB takes half a second

# PCAP_ERROR_ in pcap/pcap.h
NO_SUCH_DEVICE, NO_PERMISSION, NOT_UP, NO_PERMISSION_FOR_PROMISCUOUS = -5, -8, -9, -11


class LiveInterface:
    """A Source. Opening it raises SourceError if it cannot capture.

    The default snapshot length cuts nothing, not even the long frames of segmentation offload.
    With a shorter one, pcapy does not report a cut frame's length on the wire: its row has the captured length.
    `bpf` is a filter in tcpdump's syntax, or a function that makes one for a link type. The kernel leaves out packets
    of `own` sockets, as far as it knows them.
    Times are the kernel's, in microseconds. `any` means all interfaces, in Linux cooked mode (link type 113).
    """

    def __init__(
        self,
        name: str,
        *,
        bpf: str | Callable[[int], str] = "",
        snapshot_length: int = MAXIMUM_SNAPSHOT,
        promiscuous: bool = True,
        buffer_mib: int = 16,
        own: OwnSockets | None = None,
    ) -> None:
        self.name = name
        self._own = own
        self._left_out: SocketSnapshot | None = None
        self._lock = Lock()  # libpcap's handle must not be closed or counted by another thread meanwhile
        self._error: SourceError | None = None
        self._unread = 0
        self._last_at = math.inf  # when nothing more comes, although nobody has closed it
        self._counters = {KERNEL: Growing(), INTERFACE: Growing()}
        self._handle = _activate(name, snapshot_length, promiscuous, buffer_mib)
        try:
            self._handle.setnonblock(1)
            if callable(bpf):
                bpf = bpf(link_type(self._handle.datalink()))
            if bpf:
                self._handle.setfilter(bpf)
        except (pcapy.PcapError, UnicodeError, ValueError) as error:
            self.close()
            raise SourceError(f"{name}: filter {bpf!r}: {error}", usage=True) from None
        self._interfaces = [Interface(name, link_type(self._handle.datalink()))]
        self._base = attached(self._handle.getfd()) if own is not None else []

    def batches(self) -> Iterator[Frames]:
        """Until `close` or `finish`; raises SourceError, after what the kernel has buffered: the interface went down.

        After `close` it raises that at once, and buffered frames are only counted.
        """
        number = 1
        nothing = Frames(b"", array("q"), 0, self._interfaces)
        poll = select.poll()
        poll.register(self._handle.getfd(), select.POLLIN)
        while True:
            self._leave_out_own()
            poll.poll(WAIT_MS)
            failed = self._error
            if (taken := self._take()) is None:
                if self._error is not None:
                    raise self._error
                return
            data, meta = taken
            if not meta:
                if failed is not None:
                    raise failed
                if time.monotonic() >= self._last_at:
                    return
                yield nothing
                continue
            index = array("q", bytes(len(meta) // 16 * 8 * FRAME_ROW))
            count = index_live_batch(meta, len(data), index)
            yield Frames(data, index, count, self._interfaces, number)
            number += count

    def _leave_out_own(self) -> None:
        """Renew the kernel's filter if our sockets have changed."""
        if not self._base or self._own is None or (known := self._own.known) is self._left_out:
            return
        with self._lock, suppress(OSError):  # if the kernel cannot filter, user space does
            self._left_out = known
            if self._handle is not None and self._base:
                leave_out(self._handle.getfd(), self._interfaces[0].link_type, known, self._base)

    def dropped(self) -> Mapping[str, int]:
        """After `close`, or when libpcap can no longer tell: the last figures."""
        with self._lock:
            self._count()
            lost = {place: counter.total for place, counter in self._counters.items()}
            return lost | {UNREAD: self._unread} if self._unread else lost

    def _count(self) -> None:
        if self._handle is None:
            return
        with suppress(pcapy.PcapError):
            _, kernel, interface = self._handle.stats()
            self._counters[KERNEL].feed(kernel)
            self._counters[INTERFACE].feed(interface)

    def close(self) -> None:
        """Also ends `batches`, within its waiting time. Frames still in the kernel are counted as `unread`."""
        with self._lock:
            self._count_left()
            self._count()
            handle, self._handle = self._handle, None
            if handle is not None:
                handle.close()

    def take_no_more(self) -> None:
        """After this, `batches` yields only frames that the kernel has buffered by now."""
        with self._lock:
            self._cut_off()

    def finish(self) -> None:
        """The same, and then `batches` ends."""
        self.take_no_more()
        self._last_at = time.monotonic() + HANDED_OVER

    def _cut_off(self) -> None:
        self._base = []
        with suppress(OSError):
            if self._handle is not None:
                take_nothing(self._handle.getfd())

    def _count_left(self) -> None:
        if self._handle is None:
            return
        deadline = time.monotonic() + LAST_COUNT
        poll = select.poll()
        poll.register(self._handle.getfd(), select.POLLIN)
        self._cut_off()
        while time.monotonic() < deadline:
            failed = self._error
            poll.poll(2 * HAND_OVER_MS)
            _, meta = self._next()
            self._unread += len(meta) // 16
            if not meta and self._error is failed:
                return

    def __enter__(self) -> LiveInterface:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> tuple[bytes, bytes] | None:
        """The frames available now, as next_batch returns them; None once closed."""
        with self._lock:
            return None if self._handle is None else self._next()

    def _next(self) -> tuple[bytes, bytes]:
        try:
            taken: tuple[bytes, bytes] = self._handle.next_batch(BATCH)
        except pcapy.PcapError as error:
            # libpcap reports it only once, and before the frames in the kernel's last block, which is not full.
            self._error = SourceError(f"{self.name}: {str(error)[:1].lower()}{str(error)[1:]}")
            return b"", b""
        return taken


def _activate(name: str, snapshot_length: int, promiscuous: bool, buffer_mib: int) -> Any:
    """An activated libpcap handle. Raises SourceError with advice."""
    try:
        handle = pcapy.create(name)
        handle.set_snaplen(snapshot_length)
        handle.set_promisc(int(promiscuous))
        handle.set_timeout(HAND_OVER_MS)
        handle.set_buffer_size(buffer_mib << 20)
        status = handle.activate()
    except (pcapy.PcapError, ValueError, OverflowError) as error:
        raise SourceError(f"{name}: {error}", usage=True) from None
    if status >= 0:
        return handle
    raise SourceError(f"{name}: {_why_not(status, name, snapshot_length, promiscuous)}", usage=True)


def _why_not(status: int, name: str, snapshot_length: int, promiscuous: bool) -> str:
    if status in (NO_PERMISSION, NO_PERMISSION_FOR_PROMISCUOUS):
        return "no permission to capture: run as root, or give the process CAP_NET_RAW"
    if status == NO_SUCH_DEVICE:
        known = ", ".join(interface.name for interface in list_interfaces())
        return f"no such interface, expected one of {known}"
    if status == NOT_UP:
        return "the interface is down"
    # pcapy does not return libpcap's text for a failed activation; opening in the older way does.
    try:
        pcapy.open_live(name, snapshot_length, int(promiscuous), HAND_OVER_MS).close()
    except pcapy.PcapError as error:
        return str(error).removeprefix(f"{name}: ")
    return f"libpcap cannot capture there (status {status})"
