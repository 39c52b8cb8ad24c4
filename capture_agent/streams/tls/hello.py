"""Messages of the handshake, as far as decryption needs them: RFC 8446 4, RFC 5246 7.4."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

HELLO_REQUEST, CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET = 0, 1, 2, 4
END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS, CERTIFICATE = 5, 8, 11
SERVER_HELLO_DONE, CLIENT_KEY_EXCHANGE, FINISHED, KEY_UPDATE = 14, 16, 20, 24
READ = (CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, ENCRYPTED_EXTENSIONS)  # of others only the type counts

ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET, SESSION_TICKET, EARLY_DATA, SUPPORTED_VERSIONS = 22, 23, 35, 42, 43
VERSION_1_2, VERSION_1_3 = 0x0303, 0x0304
# RFC 8446 4.1.3: the random value of a ServerHello that is a HelloRetryRequest.
RETRY = bytes.fromhex("CF21AD74E59A6111BE1D8C021E65B891C2A211167ABB8C5E079E09E2C8A8339C")

LONGEST = 65_536  # bytes of a message that is read: key shares after quantum computers and tickets included


@dataclass(frozen=True, slots=True)
class ClientHello:
    random: bytes = field(repr=False)
    version: int  # RFC 5246 7.4.1.2: the highest one that is offered, up to TLS 1.2
    session_id: bytes = field(repr=False)
    ticket: bytes = field(repr=False)  # the hash of that of the session to resume; empty: none
    early_data: bool


@dataclass(frozen=True, slots=True)
class ServerHello:
    random: bytes = field(repr=False)
    suite: int
    session_id: bytes = field(repr=False)
    version: int  # the negotiated one
    mac_last: bool  # encrypt-then-MAC
    extended_master: bool
    compressed: bool

    @property
    def is_retry(self) -> bool:
        return self.random == RETRY


class Malformed(ValueError):
    """A message that breaks its own lengths."""


class _Fields:
    """Reads fields one after another. Raises Malformed."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) < size:
            raise Malformed
        self._at += size
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size_of_length: int) -> bytes:
        return self.take(self.number(size_of_length))

    @property
    def rest(self) -> bool:
        return self._at < len(self._data)


def client_hello(body: bytes) -> ClientHello:
    """RFC 8446 4.1.2. Raises Malformed."""
    fields = _Fields(body)
    version, random, session_id = fields.number(2), fields.take(32), fields.vector(1)
    fields.vector(2)
    fields.vector(1)
    told = extensions(fields)
    return ClientHello(random, version, session_id, _hashed(told.get(SESSION_TICKET, b"")), EARLY_DATA in told)


def server_hello(body: bytes) -> ServerHello:
    """RFC 8446 4.1.3. Raises Malformed."""
    fields = _Fields(body)
    version, random, session_id = fields.number(2), fields.take(32), fields.vector(1)
    suite, compression = fields.number(2), fields.number(1)
    told = extensions(fields)
    if len(told.get(SUPPORTED_VERSIONS, b"")) == 2:
        version = int.from_bytes(told[SUPPORTED_VERSIONS], "big")
    return ServerHello(
        random, suite, session_id, version, ENCRYPT_THEN_MAC in told, EXTENDED_MASTER_SECRET in told, compression != 0
    )


def own_certificate(body: bytes) -> bytes:
    """The first one of a chain, DER: RFC 5246 7.4.2. Raises Malformed."""
    return _Fields(_Fields(body).vector(3)).vector(3)


def new_ticket(body: bytes) -> bytes:
    """The hash of the ticket in a NewSessionTicket (RFC 5077 3.3); empty: it has none. Raises Malformed."""
    fields = _Fields(body)
    fields.take(4)
    return _hashed(fields.vector(2))


def _hashed(ticket: bytes) -> bytes:
    """A ticket may have 64 KB."""
    return sha256(ticket).digest() if ticket else b""


def encrypted_premaster(body: bytes) -> bytes:
    """RFC 5246 7.4.7.1. Raises Malformed."""
    return _Fields(body).vector(2)


def accepts_early_data(body: bytes) -> bool:
    """Whether EncryptedExtensions (RFC 8446 4.3.1) say so. Raises Malformed."""
    return EARLY_DATA in extensions(_Fields(body))


def extensions(fields: _Fields) -> dict[int, bytes]:
    """By type. A hello of TLS 1.2 may have none."""
    found: dict[int, bytes] = {}
    if fields.rest:
        inner = _Fields(fields.vector(2))
        while inner.rest:
            kind = inner.number(2)
            found[kind] = inner.vector(2)
    return found


class HandshakeMessage(NamedTuple):
    """`body` is empty if the message is not read."""

    kind: int
    size: int  # bytes of the body
    body: bytes

    @property
    def whole(self) -> bytes | None:
        """With its header; None: it was not read."""
        if len(self.body) < self.size:
            return None
        return bytes((self.kind,)) + self.size.to_bytes(3, "big") + self.body


class MessageReader:
    """Messages from the records of one direction: a message may lie in several records, a record have several.

    `reads_all`: also those that are not in READ, unless they are too long.
    """

    __slots__ = ("_kept", "_skip", "reads_all")

    def __init__(self, reads_all: bool = False) -> None:
        self.reads_all = reads_all
        self._kept = bytearray()
        self._skip = 0  # bytes of a message that is not read

    @property
    def buffered(self) -> int:
        return len(self._kept)

    @property
    def is_between(self) -> bool:
        """Whether no message has begun."""
        return not self._kept and not self._skip

    def clear(self) -> None:
        self._kept.clear()
        self._skip = 0

    def feed(self, data: bytes) -> Iterator[HandshakeMessage]:
        """Each message that is complete; of those that are not read, when they begin.

        Raises Malformed: a message that must be read is too long.
        """
        passing = min(self._skip, len(data))
        self._skip -= passing
        self._kept += data[passing:]
        while len(self._kept) >= 4:
            kind, size = self._kept[0], int.from_bytes(self._kept[1:4], "big")
            if kind in READ or (self.reads_all and size <= LONGEST):
                if size > LONGEST:
                    raise Malformed
                if len(self._kept) < 4 + size:
                    return
                body = bytes(self._kept[4 : 4 + size])
                del self._kept[: 4 + size]
                yield HandshakeMessage(kind, size, body)
                continue
            passing = min(len(self._kept), 4 + size)
            self._skip = 4 + size - passing
            del self._kept[:passing]
            yield HandshakeMessage(kind, size, b"")
