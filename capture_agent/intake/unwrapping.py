"""Takes messages out of HEP packets. Hot: compiled with unwrapping.pxd, or plain Python.

HEP is a tunnel that carries payloads without their headers, and says what the headers were. HEP3 is a list of chunks;
HEP 1 and 2 have a fixed header (hep/version12.py). Every length is checked before it is used.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from enum import IntEnum
from hmac import compare_digest

import cython

from capture_agent.books import Account, Ledger
from capture_agent.records.datagram import Datagram
from capture_agent.records.kinds import MOST_KINDS, Captured, not_sip
from capture_agent.records.origin import Envelope, envelope
from hep import HepError, ProtocolType
from hep.compression import inflate

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.records.datagram import FROM_HEP, NO_FRAME, NO_FRAME_END, NO_VLAN


class Refused(IntEnum):
    """Why a HEP packet is not opened."""

    MAGIC = 1  # neither HEP 1, 2, 3 nor EEP1
    TRUNCATED = 2  # it ends inside a header
    TOTAL_LENGTH = 3  # the length in the header is not the packet's
    CHUNK_LENGTH = 4  # a chunk below its header's 6 bytes, or past the end
    CHUNK_SIZE = 5  # a field with another width than its fixed one
    CHUNK_TYPE = 6  # generic type 0
    HEADER_LENGTH = 7  # HEP 1 and 2: hp_l does not match the address family
    FAMILY = 8  # neither IPv4 nor IPv6, or a source of one and a destination of the other
    COMPRESSION = 9  # a damaged compressed payload, or one that is too long
    NO_PAYLOAD = 10
    NO_ADDRESSES = 11  # SIP between unknown hosts
    AUTH_KEY = 12  # another key than the listener's, or none
    LOOP = 13  # this agent has sent it before
    HOPS = 14  # it has passed as many relays as a message may


REASONS = {reason: reason.name.lower() for reason in Refused}
OF_SENDERS = (Refused.AUTH_KEY, Refused.LOOP, Refused.HOPS)
OTHER = "other"
# Kinds with a counter of their own; the rest share one: a peer chooses the number.
KIND_NAMES = {int(kind): kind.name.lower() for kind in ProtocolType}
ACCOUNT = Account("hep", (*KIND_NAMES.values(), OTHER), tuple(REASONS.values()))

VENDOR = cython.declare(cython.int, 0xCA9E)  # of our chunks, as in the spool
PATH = cython.declare(cython.int, 0x401)  # the ids of the relays that a message has passed
ID_SIZE = cython.declare(cython.int, 8)
MOST_HOPS = cython.declare(cython.int, 8)

MAGIC = cython.declare(cython.int, Refused.MAGIC)
TRUNCATED = cython.declare(cython.int, Refused.TRUNCATED)
TOTAL_LENGTH = cython.declare(cython.int, Refused.TOTAL_LENGTH)
CHUNK_LENGTH = cython.declare(cython.int, Refused.CHUNK_LENGTH)
CHUNK_SIZE = cython.declare(cython.int, Refused.CHUNK_SIZE)
CHUNK_TYPE = cython.declare(cython.int, Refused.CHUNK_TYPE)
HEADER_LENGTH = cython.declare(cython.int, Refused.HEADER_LENGTH)
FAMILY = cython.declare(cython.int, Refused.FAMILY)
COMPRESSION = cython.declare(cython.int, Refused.COMPRESSION)
NO_PAYLOAD = cython.declare(cython.int, Refused.NO_PAYLOAD)
NO_ADDRESSES = cython.declare(cython.int, Refused.NO_ADDRESSES)
AUTH_KEY = cython.declare(cython.int, Refused.AUTH_KEY)
LOOP = cython.declare(cython.int, Refused.LOOP)
HOPS = cython.declare(cython.int, Refused.HOPS)

SIP = cython.declare(cython.int, 1)
UNKNOWN = cython.declare(cython.longlong, -1)
NOTHING = b""
# Chunk 0x0002 to a transport. 22 is siptrace's number for everything encrypted, and for WebSocket.
UDP, TRANSPORTS = "udp", {6: "tcp", 22: "tls", 132: "sctp"}
# Bytes of generic chunks that are read here, 0 for any; the others are passed on as they came.
SIZES = cython.declare(bytes, bytes((0, 1, 1, 4, 4, 16, 16, 2, 2, 4, 4, 1, 4, 0, 0, 0, 0, 0, 2, 0)))
READ_HERE = cython.declare(bytes, bytes(number not in (0, 0x0D) for number in range(0x14)))


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=True)
def number16(data: bytes, at: cython.Py_ssize_t) -> cython.int:
    number: cython.int = data[at] << 8 | data[at + 1]
    return number


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=True)
def number32(data: bytes, at: cython.Py_ssize_t) -> cython.longlong:
    number: cython.longlong = data[at]
    return number << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=True)
def little32(data: bytes, at: cython.Py_ssize_t) -> cython.longlong:
    number: cython.longlong = data[at + 3]
    return number << 24 | data[at + 2] << 16 | data[at + 1] << 8 | data[at]


@cython.cfunc
@cython.inline
def text_at(data: bytes, at: cython.Py_ssize_t, size: cython.Py_ssize_t) -> bytes:
    if not cython.compiled:
        return data[at : at + size]
    if at < 0 or size < 0 or at > len(data) - size:
        raise IndexError("bytes outside of their buffer")
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + at, size)  # type: ignore[name-defined, no-any-return]  # noqa: F821


@cython.final
@cython.cclass
class Unwrapping:
    """Counts: seen = the sum of kinds + the sum of rejected.

    keys   the key that every packet of a listener must have, by the listener's name
    own    8 bytes that no other relay has: added to the path of what is passed on. Empty: no relay, paths stay
    """

    __slots__ = (
        "_capture_id",
        "_chunks",
        "_correlation_id",
        "_correlation_size",
        "_deflated_at",
        "_deflated_size",
        "_destination",
        "_family",
        "_interface",
        "_key",
        "_key_at",
        "_key_size",
        "_keys",
        "_kind",
        "_kinds",
        "_last_chunks",
        "_last_envelope",
        "_last_id",
        "_last_id_number",
        "_last_node",
        "_micros",
        "_node_at",
        "_node_size",
        "_others",
        "_own",
        "_own_path",
        "_path_at",
        "_path_size",
        "_payload_at",
        "_payload_size",
        "_port_from",
        "_port_to",
        "_protocol",
        "_rejected",
        "_room",
        "_seconds",
        "_source",
        "_used",
        "_vlan",
        "_width",
        "_width_to",
        "kinds",
        "rejected",
        "seen",
    )  # fmt: skip

    def __init__(self, keys: Mapping[str, bytes] | None = None, own: bytes = b"") -> None:
        self.seen = 0
        self.kinds = array("Q", bytes(8 * MOST_KINDS))  # by HEP3 chunk 0x000b
        self._kinds = self.kinds
        self.rejected = array("Q", bytes(8 * (max(Refused) + 1)))  # by Refused
        self._rejected = self.rejected
        self._keys = dict(keys or {})
        self._own = own
        self._own_path = path_chunk(own) if own else NOTHING
        self._others: list[Captured] = []
        self._last_node = self._last_chunks = NOTHING
        self._last_id: int | None = None
        self._last_id_number = UNKNOWN
        self._last_envelope: Envelope | None = None
        self._interface: object = None
        self._key: bytes | None = None
        self._room = NOTHING  # the buffer of what is found in one batch
        self._used = 0
        self._forget()

    def ledgers(self) -> list[Ledger]:
        """None without any packets."""
        if not self.seen:
            return []
        outcomes: dict[str, int] = {}
        for kind, count in enumerate(self.kinds):
            if count:
                name = KIND_NAMES.get(kind, OTHER)
                outcomes[name] = outcomes.get(name, 0) + count
        rejected = {name: self.rejected[reason] for reason, name in REASONS.items()}
        return [ACCOUNT.ledger(self.seen, outcomes, rejected)]

    def misdirected(self) -> dict[str, int]:
        """Packets that were refused because of how a sender is configured, by reason. From any thread."""
        return {name: self.rejected[reason] for reason, name in REASONS.items() if reason in OF_SENDERS}

    def take_others(self) -> list[Captured]:
        """What was not SIP since the last call."""
        others = self._others
        if others:
            self._others = []
        return others

    def unwrapped(self, datagrams: list[Datagram]) -> list[Datagram]:
        """These datagrams, with HEP packets replaced by the SIP in them. All other traffic stays.

        What is found shares one buffer, as the packets did.
        """
        out: list[Datagram] = []
        datagram: Datagram
        inner: Datagram | None
        version: cython.int
        size: cython.Py_ssize_t = 0
        if cython.compiled:
            for datagram in datagrams:
                if version_of(datagram.data, datagram.start, datagram.end):
                    size += datagram.end - datagram.start
            self._room = PyBytes_FromStringAndSize(cython.NULL, size)  # type: ignore[name-defined]  # noqa: F821
            self._used = 0
        for datagram in datagrams:
            version = version_of(datagram.data, datagram.start, datagram.end)
            if (datagram.flags & FROM_HEP) != FROM_HEP and (
                version == 0 or (version < 3 and not self._is_old(datagram))
            ):
                out.append(datagram)
                continue
            self.seen += 1
            inner = self._open(datagram, version)
            if inner is not None:
                out.append(inner)
        self._room = NOTHING
        return out

    def _put(self, data: bytes, at: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
        """Add data[at:at + size] to the room. Raises IndexError if either is outside."""
        if not cython.compiled:
            self._room += data[at : at + size]
        elif at < 0 or size < 0 or at > len(data) - size or self._used > len(self._room) - size:
            raise IndexError("bytes outside of their buffer")
        else:
            memcpy(PyBytes_AS_STRING(self._room) + self._used, PyBytes_AS_STRING(data) + at, size)  # type: ignore[name-defined]  # noqa: F821
        self._used += size
        return True

    def _is_old(self, datagram: Datagram) -> cython.bint:
        """Whether a datagram on the wire is HEP 1 or 2: a header that fits, and text after it."""
        at: cython.Py_ssize_t = datagram.start
        size: cython.Py_ssize_t = datagram.end - at
        length: cython.Py_ssize_t
        if size < 16:
            return False
        length = 16 if datagram.data[at + 2] == 2 else 40 if datagram.data[at + 2] == 10 else 0
        if not length or (datagram.data[at + 1] != length and datagram.data[at + 1] != length + 12):
            return False
        if datagram.data[at] == 2:
            length += 12
        return size > length and 0x41 <= (datagram.data[at + length] & 0xDF) <= 0x5A

    def _open(self, datagram: Datagram, version: cython.int) -> Datagram | None:
        """The SIP in this packet; None if it is refused, or not SIP."""
        wrong: cython.int
        self._forget()
        if version == 3:
            wrong = self._read3(datagram.data, datagram.start, datagram.end)
        elif version:
            wrong = self._read12(datagram.data, datagram.start, datagram.end, version)
        else:
            wrong = MAGIC
        if not wrong:
            wrong = self._check(datagram)
        if wrong:
            self._rejected[wrong] += 1
            return None
        if self._deflated_at:
            return self._inflated(datagram)
        return self._made(datagram, datagram.data)

    def _forget(self) -> None:
        self._family = self._protocol = self._kind = self._vlan = -1
        self._source = self._destination = self._width = self._width_to = 0
        self._port_from = self._port_to = 0
        self._seconds = self._micros = self._capture_id = UNKNOWN
        self._payload_at = self._payload_size = self._deflated_at = self._deflated_size = 0
        self._key_at = self._key_size = self._node_at = self._node_size = self._path_at = self._path_size = 0
        self._correlation_id = self._correlation_size = 0
        self._chunks = NOTHING

    def _read3(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> int:
        """Find the chunks of HEP3. Returns why it is wrong, or 0. The last one of a kind counts."""
        vendor: cython.int
        kind: cython.int
        size: cython.Py_ssize_t
        at: cython.Py_ssize_t = start + 6
        others: list[bytes] | None = None
        if end - start < 6:
            return TRUNCATED
        if number16(data, start + 4) != end - start:
            return TOTAL_LENGTH
        while at < end:
            if end - at < 6:
                return TRUNCATED
            vendor = number16(data, at)
            kind = number16(data, at + 2)
            size = number16(data, at + 4)
            if size < 6 or size > end - at:
                return CHUNK_LENGTH
            if vendor == 0 and kind < 0x14 and READ_HERE[kind]:
                if SIZES[kind] and SIZES[kind] != size - 6:
                    return CHUNK_SIZE
                self._take(data, kind, at + 6, size - 6)
            elif vendor == 0 and kind == 0:
                return CHUNK_TYPE
            elif vendor == VENDOR and kind == PATH:
                self._path_at = at + 6
                self._path_size = size - 6
            else:
                if others is None:
                    others = []
                others.append(text_at(data, at, size))
            at += size
        if others is not None:
            self._chunks = b"".join(others)
        return 0

    def _take(self, data: bytes, kind: cython.int, at: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
        """A chunk of a fixed width that fits, or of any: data[at:at + size]."""
        if kind == 0x0F:
            self._payload_at, self._payload_size = at, size
        elif kind == 0x01:
            self._family = data[at]
        elif kind == 0x02:
            self._protocol = data[at]
        elif kind in (0x03, 0x05):
            self._source, self._width = at, size
        elif kind in (0x04, 0x06):
            self._destination, self._width_to = at, size
        elif kind == 0x07:
            self._port_from = number16(data, at)
        elif kind == 0x08:
            self._port_to = number16(data, at)
        elif kind == 0x09:
            self._seconds = number32(data, at)
        elif kind == 0x0A:
            self._micros = number32(data, at)
        elif kind == 0x0B:
            self._kind = data[at]
        elif kind == 0x0C:
            self._capture_id = number32(data, at)
        elif kind == 0x0E:
            self._key_at, self._key_size = at, size
        elif kind == 0x10:
            self._deflated_at, self._deflated_size = at, size
        elif kind == 0x11:
            self._correlation_id, self._correlation_size = at, size
        elif kind == 0x12:
            self._vlan = number16(data, at)
        else:  # 0x13
            self._node_at, self._node_size = at, size
        return True

    def _read12(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, version: cython.int) -> int:
        """Read the header of HEP 1 or 2. Returns why it is wrong, or 0."""
        if end - start < 8:
            return TRUNCATED
        width: cython.Py_ssize_t = 4 if data[start + 2] == 2 else 16 if data[start + 2] == 10 else 0
        if not width:
            return FAMILY
        at: cython.Py_ssize_t = start + 8 + 2 * width
        if data[start + 1] != at - start and not (version == 2 and data[start + 1] == at - start + 12):
            return HEADER_LENGTH
        if at + (12 if version == 2 else 0) > end:
            return TRUNCATED
        self._family = data[start + 2]
        self._protocol = data[start + 3]
        self._port_from = number16(data, start + 4)
        self._port_to = number16(data, start + 6)
        self._source = start + 8
        self._destination = start + 8 + width
        self._width = self._width_to = width
        self._kind = SIP
        if version == 2:
            self._seconds = little32(data, at)
            self._micros = little32(data, at + 4)
            self._capture_id = data[at + 9] << 8 | data[at + 8]
            at += 12
        self._payload_at, self._payload_size = at, end - at
        return 0

    def _check(self, datagram: Datagram) -> int:
        """What lengths cannot show. Returns why it is refused, or 0."""
        if self._keys:
            if datagram.interface is not self._interface:
                self._interface = datagram.interface
                self._key = self._keys.get(datagram.interface.name) if datagram.interface is not None else None
            if self._key is not None and not compare_digest(
                self._key, text_at(datagram.data, self._key_at, self._key_size)
            ):
                return AUTH_KEY
        if self._path_size:
            if self._path_size % ID_SIZE:
                return CHUNK_SIZE
            path: bytes = text_at(datagram.data, self._path_at, self._path_size)
            if self._own and self._own in (path[n : n + ID_SIZE] for n in range(0, len(path), ID_SIZE)):
                return LOOP
            if self._own and self._path_size >= ID_SIZE * MOST_HOPS:
                return HOPS
            self._chunks += path_chunk(path + self._own)
        else:
            self._chunks = self._chunks + self._own_path if self._chunks else self._own_path
        if self._chunks == self._last_chunks:  # as with the name: sinks recognise the same object
            self._chunks = self._last_chunks
        else:
            self._last_chunks = self._chunks
        if self._width != self._width_to:
            return FAMILY if self._width and self._width_to else NO_ADDRESSES
        if self._kind < 0:
            self._kind = SIP
        if self._kind == SIP and not self._width:
            return NO_ADDRESSES
        if self._family >= 0 and self._width and self._family != (2 if self._width == 4 else 10):
            return FAMILY
        return 0 if self._payload_size or self._deflated_size else NO_PAYLOAD

    def _inflated(self, datagram: Datagram) -> Datagram | None:
        """A packet with a compressed payload, which takes precedence over a plain one."""
        data: bytes = datagram.data
        try:
            payload = inflate(text_at(data, self._deflated_at, self._deflated_size), 0)
        except HepError:
            self._rejected[COMPRESSION] += 1
            return None
        # It may be longer than its packet: it gets a buffer of its own.
        room: bytes = self._room
        used: cython.Py_ssize_t = self._used
        self._payload_at, self._payload_size = len(data), len(payload)
        self._room, self._used = bytes(2 * self._width + self._payload_size), 0
        inner = self._made(datagram, data + payload)
        self._room, self._used = room, used
        return inner

    def _made(self, datagram: Datagram, data: bytes) -> Datagram | None:
        """The datagram with what was in it, instead of the packet."""
        if not cython.compiled:
            self._room, self._used = NOTHING, 0
        datagram.address_at = self._used
        datagram.address_size = self._width
        self._put(data, self._source, self._width)
        self._put(data, self._destination, self._width)
        datagram.start = self._used
        self._put(data, self._payload_at, self._payload_size)
        datagram.end = self._used
        datagram.data = self._room
        datagram.source_port = self._port_from
        datagram.destination_port = self._port_to
        seen_ns: cython.longlong = datagram.time_ns
        if self._seconds >= 0:
            datagram.time_ns = self._seconds * 1_000_000_000 + max(self._micros, 0) * 1000
        datagram.protocol = 6 if self._protocol == 22 else 17 if self._protocol < 0 else self._protocol
        datagram.transport = UDP if self._protocol == 17 else TRANSPORTS.get(self._protocol, UDP)
        datagram.vlan = self._vlan if self._vlan >= 0 else NO_VLAN
        datagram.missing = 0
        datagram.sequence = 0
        datagram.flags = FROM_HEP
        datagram.frame_at = NO_FRAME
        datagram.frame_end = NO_FRAME_END
        datagram.frame_cut = 0
        datagram.frames = None
        # A dump says nothing of when its packets came.
        datagram.envelope = self._envelope(data, seen_ns if seen_ns else datagram.time_ns)
        self._kinds[self._kind] += 1
        if self._kind != SIP:
            self._others.append(other_kind(datagram))
            return None
        return datagram

    def _envelope(self, data: bytes, seen_ns: cython.longlong) -> Envelope:
        # One sender sends many: they share its name and its number.
        node: bytes = NOTHING
        if self._node_size:
            node = text_at(data, self._node_at, self._node_size)
            if node == self._last_node:
                node = self._last_node
            else:
                self._last_node = node
        if self._capture_id != self._last_id_number:
            self._last_id_number = self._capture_id
            self._last_id = None if self._capture_id < 0 else self._capture_id
        correlation_id: bytes = NOTHING
        if self._correlation_size:
            correlation_id = text_at(data, self._correlation_id, self._correlation_size)
        last: Envelope | None = self._last_envelope
        if (
            last is not None
            and last.seen_ns == seen_ns
            and last.kind == self._kind
            and last.origin.node is node
            and last.origin.chunks is self._chunks
            and last.origin.capture_id is self._last_id
            and not correlation_id
            and not last.origin.correlation_id
        ):
            return last
        self._last_envelope = envelope(self._kind, seen_ns, self._last_id, node, correlation_id, self._chunks)
        return self._last_envelope


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=True)
def version_of(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    """1, 2 or 3 by the first bytes; 0 if it is not HEP."""
    if at >= end:
        return 0
    if data[at] <= 2:
        return data[at]
    if (data[at] != 0x48 and data[at] != 0x45) or end - at < 4:  # H, E
        return 0
    if data[at] == 0x48:  # HEP3
        return 3 if data[at + 1] == 0x45 and data[at + 2] == 0x50 and data[at + 3] == 0x33 else 0
    return 3 if data[at + 1] == 0x45 and data[at + 2] == 0x50 and data[at + 3] == 0x31 else 0  # EEP1


def path_chunk(path: bytes) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in (VENDOR, PATH, 6 + len(path))) + path


def other_kind(datagram: Datagram) -> Captured:
    """The record of a payload that is not SIP."""
    of: Envelope | None = datagram.envelope
    assert of is not None
    return not_sip(of.kind, datagram, of.origin, of.seen_ns)
