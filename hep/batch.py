"""Encodes many captured SIP messages as HEP packets into one buffer. Hot: compiled with batch.pxd, or plain Python.

The layout is siptrace's, byte for byte, and equals `encode`'s result for the same packet (tests/hep/test_batch.py).
Fields that differ between messages are written into a copy of a template.
"""

from __future__ import annotations

import struct
from array import array
from collections import deque

import cython

MAX_PACKET = cython.declare(cython.Py_ssize_t, 65535)  # the length field has 16 bits
ROOM = 1 << 18  # bytes
LAST_START = 160 << 10  # last offset in a room where a buffer may begin: later there would be too little space
MOST_SPARE = 16  # rooms kept for reuse
FIRST_ENDS = 1024

AF_INET, AF_INET6 = 2, 10  # as on Linux, on every platform
SIP = 1
NO_VLAN = -1
CHUNK_HEADER = cython.declare(cython.Py_ssize_t, 6)
PAYLOAD = cython.declare(cython.int, 0x000F)
CORRELATION_ID = cython.declare(cython.int, 0x0011)

# Offsets of values in the HEP3 template. Ports and times follow the addresses: counted from the template's end.
LENGTH_AT = cython.declare(cython.Py_ssize_t, 4)
PROTOCOL_AT = cython.declare(cython.Py_ssize_t, 19)
SOURCE_AT = cython.declare(cython.Py_ssize_t, 26)
PORTS_BEFORE_END = cython.declare(cython.Py_ssize_t, 47)
HEADER_1 = cython.declare(cython.Py_ssize_t, 8)
TIMES_2 = cython.declare(cython.Py_ssize_t, 12)

_U16 = struct.Struct("!H")
_CHUNK_HEADER = struct.Struct("!HHH")
_HEADER_1 = struct.Struct("!BBBBHH")
_TIMES_2 = struct.Struct("<IIHxx")


def _chunk(kind: int, value: bytes) -> bytes:
    return _CHUNK_HEADER.pack(0, kind, 6 + len(value)) + value


def _template(family: int, address_size: int, capture_id: int) -> bytes:
    """Everything before correlation id, key and payload, with zeros for fields that differ between messages."""
    addresses = (0x0003, 0x0004) if family == AF_INET else (0x0005, 0x0006)
    return b"HEP3\0\0" + b"".join(
        (
            _chunk(0x0001, bytes([family])),
            _chunk(0x0002, b"\0"),
            *(_chunk(kind, bytes(address_size)) for kind in addresses),
            _chunk(0x0007, bytes(2)),
            _chunk(0x0008, bytes(2)),
            _chunk(0x0009, bytes(4)),
            _chunk(0x000A, bytes(4)),
            _chunk(0x000B, bytes([SIP])),
            _chunk(0x000C, struct.pack("!I", capture_id)),
        )
    )


# The fields that pack_header fills in, and the bytes between: s packs bytes much faster than as many numbers.
_PLAIN_3 = {
    size: (
        struct.Struct(f"!4sH13sB6s{size}s6s{size}s6sH6sH6sI6sI17s"),
        (template[6:19], template[20:26], template[26 + size : 32 + size]),
    )
    for size, template in ((4, _template(AF_INET, 4, 0)), (16, _template(AF_INET6, 16, 0)))
}


@cython.cfunc
def new_room() -> bytearray:
    """ROOM bytes, uninitialised in the compiled build: each is written before it is read."""
    if cython.compiled:
        return PyByteArray_FromStringAndSize(cython.NULL, ROOM)  # type: ignore[name-defined,no-any-return]  # noqa: F821
    return bytearray(ROOM)


@cython.cfunc
@cython.inline
def copy(
    room: bytearray, at: cython.Py_ssize_t, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Copy data[start:end] to room[at:]. Returns where it ends there."""
    behind: cython.Py_ssize_t = at + end - start
    if not (0 <= start <= end <= len(data) and at >= 0 and behind <= len(room)):
        raise ValueError(f"{start}:{end} of {len(data)} bytes do not fit at {at} of {len(room)}")
    if cython.compiled:
        memcpy(PyByteArray_AS_STRING(room) + at, PyBytes_AS_STRING(data) + start, end - start)  # type: ignore[name-defined]  # noqa: F821
    else:
        room[at:behind] = data[start:end]
    return behind


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def put16(into: cython.p_uchar, value: cython.longlong) -> cython.void:
    """Write the low 16 bits, big endian. Compiled only, like those below: the caller ensures that there is room."""
    into[0] = value >> 8 & 0xFF
    into[1] = value & 0xFF


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def put32(into: cython.p_uchar, value: cython.longlong) -> cython.void:
    into[0] = value >> 24 & 0xFF
    into[1] = value >> 16 & 0xFF
    into[2] = value >> 8 & 0xFF
    into[3] = value & 0xFF


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def put_addresses(into: cython.p_uchar, addresses: cython.p_char, size: cython.Py_ssize_t) -> cython.void:
    """Copy both into their chunks: by size, because a copy of known size is a single instruction."""
    if size == 4:
        memcpy(into, addresses, 4)  # type: ignore[name-defined]  # noqa: F821 - cimported
        memcpy(into + 4 + CHUNK_HEADER, addresses + 4, 4)  # type: ignore[name-defined]  # noqa: F821
    else:
        memcpy(into, addresses, 16)  # type: ignore[name-defined]  # noqa: F821
        memcpy(into + 16 + CHUNK_HEADER, addresses + 16, 16)  # type: ignore[name-defined]  # noqa: F821


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def put_ports_and_times(
    into: cython.p_uchar,
    source_port: cython.int,
    destination_port: cython.int,
    time_ns: cython.longlong,
) -> cython.void:
    seconds: cython.longlong = time_ns // 1000000000
    put16(into, source_port)
    put16(into + 8, destination_port)
    put32(into + 16, seconds)
    put32(into + 26, time_ns // 1000 - seconds * 1000000)  # the seconds in nanoseconds may exceed 64 bits


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def put_chunk(
    into: cython.p_uchar, kind: cython.int, value: cython.p_char, size: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Write the chunk's length."""
    put16(into, 0)
    put16(into + 2, kind)
    put16(into + 4, CHUNK_HEADER + size)
    memcpy(into + CHUNK_HEADER, value, size)  # type: ignore[name-defined]  # noqa: F821
    return CHUNK_HEADER + size


def pack_header(
    room: bytearray,
    at: int,
    total: int,
    template: bytes,
    addresses: bytes,
    source_port: int,
    destination_port: int,
    protocol: int,
    time_ns: int,
) -> int:
    """For the plain build: write the template and all fields that differ, in one call. Returns where it ends."""
    size = len(addresses) >> 1
    header, between = _PLAIN_3[size]
    before, first, second = between
    seconds, rest = divmod(time_ns, 1000000000)
    header.pack_into(
        room, at, b"HEP3", total, before, protocol & 0xFF, first, addresses, second, addresses[size:],
        b"\0\0\0\7\0\x08", source_port, b"\0\0\0\x08\0\x08", destination_port,
        b"\0\0\0\x09\0\x0a", seconds & 0xFFFFFFFF, b"\0\0\0\x0a\0\x0a", rest // 1000, template[-17:],
    )  # fmt: skip
    return at + len(template)


@cython.final
@cython.cclass
class Encoder:
    """Appends packets to one buffer until `clear`.

    A buffer is in a room, alone or after others that are still needed. `used` bytes of the room are full; this buffer
    begins at `start`.

    version      1, 2 or 3; capture_id goes into HEP2 (its low 16 bits, as siptrace does) and HEP3
    auth_key     chunk 0x000e, node_name chunk 0x0013: HEP3 only
    with_vlan    whether to write chunk 0x0012 (HEP3 only): then call `set_vlan` before `add`
    """

    __slots__ = (
        "_end_at",
        "_ends",
        "_from_chunks",
        "_from_name",
        "_from_tail",
        "_from_vlan",
        "_full",
        "_name_at",
        "_number",
        "_room",
        "_spare",
        "_tail",
        "_template4",
        "_template6",
        "_vlan",
        "_vlan_tails",
        "capture_id",
        "count",
        "start",
        "used",
        "version",
        "with_vlan",
    )

    def __init__(
        self,
        version: int = 3,
        capture_id: int = 2001,
        auth_key: bytes = b"",
        node_name: bytes = b"",
        with_vlan: bool = False,
    ) -> None:
        if version not in (1, 2, 3):
            raise ValueError(f"HEP version {version}, expected 1, 2 or 3")
        self.version = version
        self.capture_id = capture_id
        self._template4 = _template(AF_INET, 4, capture_id)
        self._template6 = _template(AF_INET6, 16, capture_id)
        key = _chunk(0x000E, auth_key) if auth_key else b""
        name = _chunk(0x0013, node_name) if node_name else b""
        self._tail = key + name
        self.with_vlan = with_vlan and version == 3
        self._name_at = len(key)
        self._vlan = self._from_vlan = NO_VLAN
        self._number = capture_id
        self._from_name = self._from_chunks = b""
        self._from_tail = self._tail
        self._vlan_tails = {NO_VLAN: self._tail}
        self._full: deque[bytearray] = deque()  # earlier rooms, in order, with buffers that are still needed
        self._spare: list[bytearray] = []
        self._room = new_room()
        self.start = 0
        self.used = 0
        self._ends = self._end_at = array("q", bytes(8 * FIRST_ENDS))
        self.clear()

    def set_vlan(self, vlan: cython.int) -> None:
        """Set the VLAN id of packets added from now on; -1: no chunk."""
        if vlan == self._vlan:
            return
        tail = self._vlan_tails.get(vlan)
        if tail is None:
            # By number, like `encode` for chunks that siptrace does not send: after the key, before the name.
            plain = self._vlan_tails[NO_VLAN]
            key = plain[: self._name_at]
            tail = key + _chunk(0x0012, _U16.pack(vlan)) + plain[self._name_at :]
            self._vlan_tails[vlan] = tail
        self._vlan, self._tail = vlan, tail

    def clear(self, needed: memoryview | None = None) -> None:
        """Start a new buffer. Earlier results of `buffer` become invalid, except `needed` and all later ones.

        Raises ValueError if `needed` is not a part of one of them, or of one that was not needed the last time.
        """
        self._free(None if needed is None else needed.obj)
        self.start = 0 if needed is None else self.used
        if self.start > LAST_START or len(self._room) > ROOM:  # it has grown for a very long message
            if needed is not None:
                self._full.append(self._room)
            self._room = self._spare.pop() if self._spare else new_room()
            self.start = 0
        self.used = self.start
        self.count = 0

    def _free(self, needed: object) -> None:
        """Reuse the rooms before this one or, if a buffer is needed, those before its room."""
        if needed is not None and needed is not self._room and not any(room is needed for room in self._full):
            raise ValueError("`needed` is not a buffer of this encoder")
        while self._full and self._full[0] is not needed:
            room = self._full.popleft()
            if len(room) == ROOM and len(self._spare) < MOST_SPARE:
                self._spare.append(room)

    @property
    def buffer(self) -> memoryview:
        """The packets back to back."""
        return memoryview(self._room)[self.start : self.used]

    @property
    def ends(self) -> array[int]:
        """Where each packet ends in the buffer."""
        return self._ends[: self.count]

    def add(
        self,
        data: bytes,
        address_at: cython.Py_ssize_t,
        address_size: cython.Py_ssize_t,
        source_port: cython.int,
        destination_port: cython.int,
        protocol: cython.int,
        time_ns: cython.longlong,
        payload_start: cython.Py_ssize_t,
        payload_end: cython.Py_ssize_t,
        correlation_id: bytes = b"",
    ) -> bool:
        """Append one packet. False, and nothing is appended, if it would be longer than 65,535 bytes.

        data[address_at:] holds the source and the destination address, each address_size (4 or 16) bytes;
        data[payload_start:payload_end] is the message; time_ns counts from the epoch.
        Raises ValueError if these bounds are outside data.
        """
        template: bytes
        at: cython.Py_ssize_t
        if address_size != 4 and address_size != 16:
            raise ValueError(f"addresses of {address_size} bytes, expected 4 or 16")
        # Checked before anything is added up or written.
        if not (0 <= payload_start <= payload_end <= len(data) and 0 <= address_at <= len(data) - 2 * address_size):
            raise ValueError(
                f"addresses at {address_at} and payload {payload_start}:{payload_end} do not fit in {len(data)} bytes"
            )
        size: cython.Py_ssize_t = payload_end - payload_start
        if self.version != 3:
            at = self._add_header_12(
                data, address_at, address_size, source_port, destination_port, protocol, time_ns, size
            )
            if at < 0:
                return False
            self._close(copy(self._room, at, data, payload_start, payload_end))
            return True
        template = self._template4 if address_size == 4 else self._template6
        total: cython.Py_ssize_t = len(template) + len(self._tail) + CHUNK_HEADER + size
        if correlation_id:
            total += CHUNK_HEADER + len(correlation_id)
        if total > MAX_PACKET:
            return False
        at = self._reserve(total)
        if not cython.compiled:
            addresses = data[address_at : address_at + 2 * address_size]
            end = pack_header(
                self._room, at, total, template, addresses, source_port, destination_port, protocol, time_ns
            )
            self._room[end - 4 : end] = (self._number & 0xFFFFFFFF).to_bytes(4, "big")
            before = (_chunk(CORRELATION_ID, correlation_id) if correlation_id else b"") + self._tail
            payload = _CHUNK_HEADER.pack(0, PAYLOAD, CHUNK_HEADER + size)
            self._room[end : at + total] = before + payload + data[payload_start:payload_end]
            self._close(at + total)
            return True
        # Here `total` bytes are free, the sum of everything written now.
        into: cython.p_uchar = cython.cast(cython.p_uchar, PyByteArray_AS_STRING(self._room)) + at  # type: ignore[name-defined]  # noqa: F821
        text: cython.p_char = PyBytes_AS_STRING(data)  # type: ignore[name-defined]  # noqa: F821
        memcpy(into, PyBytes_AS_STRING(template), len(template))  # type: ignore[name-defined]  # noqa: F821
        put16(into + LENGTH_AT, total)
        into[PROTOCOL_AT] = protocol & 0xFF
        put_addresses(into + SOURCE_AT, text + address_at, address_size)
        into += len(template)
        put32(into - 4, self._number)
        put_ports_and_times(into - PORTS_BEFORE_END, source_port, destination_port, time_ns)
        if correlation_id:
            into += put_chunk(into, CORRELATION_ID, PyBytes_AS_STRING(correlation_id), len(correlation_id))  # type: ignore[name-defined]  # noqa: F821
        memcpy(into, PyBytes_AS_STRING(self._tail), len(self._tail))  # type: ignore[name-defined]  # noqa: F821
        put_chunk(into + len(self._tail), PAYLOAD, text + payload_start, size)
        self._close(at + total)
        return True

    def add_from(
        self,
        data: bytes,
        address_at: cython.Py_ssize_t,
        address_size: cython.Py_ssize_t,
        source_port: cython.int,
        destination_port: cython.int,
        protocol: cython.int,
        time_ns: cython.longlong,
        payload_start: cython.Py_ssize_t,
        payload_end: cython.Py_ssize_t,
        correlation_id: bytes,
        capture_id: cython.longlong,
        node_name: bytes,
        vlan: cython.int,
        chunks: bytes,
    ) -> bool:
        """As `add`, for a message of another sender: what it says of itself replaces what this encoder would say.

        capture_id   below 0: this encoder's
        node_name    empty: this encoder's
        vlan         below 0: none
        chunks       whole chunks, which HEP3 gets before the payload
        """
        usual: cython.longlong = self._number
        tail: bytes = self._tail
        if self.version == 3:
            if node_name is not self._from_name or chunks is not self._from_chunks or vlan != self._from_vlan:
                self._set_sender(node_name, vlan, chunks)
            self._tail = self._from_tail
        if capture_id >= 0:
            self._number = capture_id
        try:
            return self.add(
                data, address_at, address_size, source_port, destination_port, protocol, time_ns,
                payload_start, payload_end, correlation_id,
            )  # fmt: skip
        finally:
            self._number = usual
            self._tail = tail

    def _set_sender(self, node_name: bytes, vlan: cython.int, chunks: bytes) -> None:
        """Chunks of `add_from`, in the order of `set_vlan`; the same sender's next message has them again."""
        plain = self._vlan_tails[NO_VLAN]
        name = _chunk(0x0013, node_name) if node_name else plain[self._name_at :]
        number = _chunk(0x0012, _U16.pack(vlan)) if vlan >= 0 else b""
        self._from_tail = plain[: self._name_at] + number + name + chunks
        self._from_name, self._from_vlan, self._from_chunks = node_name, vlan, chunks

    def append(self, packet: bytes) -> bool:
        """Append an encoded packet. False, and nothing is appended, if it is too long."""
        if len(packet) > MAX_PACKET:
            return False
        at: cython.Py_ssize_t = self._reserve(len(packet))
        self._close(copy(self._room, at, packet, 0, len(packet)))
        return True

    def _add_header_12(
        self,
        data: bytes,
        address_at: cython.Py_ssize_t,
        address_size: cython.Py_ssize_t,
        source_port: cython.int,
        destination_port: cython.int,
        protocol: cython.int,
        time_ns: cython.longlong,
        size: cython.Py_ssize_t,
    ) -> int:
        """Write the header of HEP1 or HEP2, with room for the payload. Returns the payload's offset; -1: too long."""
        length: cython.Py_ssize_t = HEADER_1 + 2 * address_size
        total: cython.Py_ssize_t = length + (TIMES_2 if self.version == 2 else 0) + size
        if total > MAX_PACKET:
            return -1
        at: cython.Py_ssize_t = self._reserve(total)
        family = AF_INET if address_size == 4 else AF_INET6
        # hp_l counts neither the times of HEP2 nor the payload.
        _HEADER_1.pack_into(
            self._room, at, self.version, length, family, protocol & 0xFF, source_port, destination_port
        )
        at = copy(self._room, at + HEADER_1, data, address_at, address_at + 2 * address_size)
        if self.version == 2:
            seconds = time_ns // 1000000000
            micros = time_ns // 1000 - seconds * 1000000
            _TIMES_2.pack_into(self._room, at, seconds & 0xFFFFFFFF, micros, self._number & 0xFFFF)
            at += TIMES_2
        return at

    def _reserve(self, size: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Make room for this many more bytes. Returns their offset."""
        need: cython.Py_ssize_t = self.used + size
        if need > len(self._room):
            self._grow(size)
        return self.used

    def _grow(self, size: cython.Py_ssize_t) -> None:
        """Continue in a room with this many more bytes: a buffer that is still in use must not move."""
        begun = self._room[self.start : self.used]
        if self.start:
            self._full.append(self._room)
        self._room = bytearray(max(ROOM, 2 * len(begun), len(begun) + size))
        self._room[: len(begun)] = begun
        self.start, self.used = 0, len(begun)

    def _close(self, end: cython.Py_ssize_t) -> cython.void:
        """The packet is complete and ends there."""
        if self.count == len(self._ends):
            self._ends = self._end_at = self._ends * 2
        self._end_at[self.count] = end - self.start
        self.used = end
        self.count += 1
