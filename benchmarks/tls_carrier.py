"""The same SIP in TLS 1.3 by OpenSSL: a connection per client, a record for each message, and the key log."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.carriers import Connection, Frames, Message, over

SIPS = 5061


def secured(messages: Iterator[Message], key_log: Path) -> Frames:
    """Each connection shakes hands before its first message."""
    key_log.unlink(missing_ok=True)
    client, server = contexts()
    client.keylog_filename = str(key_log)

    def connect(message: Message, sequences: list[int]) -> Connection:
        return SecuredConnection(message, sequences, client, server)

    return over(messages, connect)


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    with TemporaryDirectory(prefix="benchmarks-") as folder:
        key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout k"
        command = f"openssl req -x509 -subj /CN=sip {key} -out c".split()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        server.load_cert_chain(f"{folder}/c", f"{folder}/k")
    for context in (client, server):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    return client, server


class SecuredConnection(Connection):
    """Both ends of it, in memory. What one of them writes is read by the other: else their keys would not follow."""

    def __init__(self, message: Message, sequences: list[int], client: ssl.SSLContext, server: ssl.SSLContext) -> None:
        super().__init__(message, sequences, port=SIPS)
        self._into = (ssl.MemoryBIO(), ssl.MemoryBIO())  # as `up` indexes
        self._out_of = (ssl.MemoryBIO(), ssl.MemoryBIO())
        self._ends = (
            server.wrap_bio(self._into[False], self._out_of[False], server_side=True),
            client.wrap_bio(self._into[True], self._out_of[True]),
        )

    def handshake(self) -> Iterator[tuple[bool, bytes]]:
        for up in (True, False, True, False):
            with suppress(ssl.SSLWantReadError):
                self._ends[up].do_handshake()
            if written := self._written(up):
                yield up, written

    def wrapped(self, up: bool, data: bytes) -> bytes:
        self._ends[up].write(data)
        written = self._written(up)
        self._ends[not up].read(len(data))
        return written

    def _written(self, up: bool) -> bytes:
        data = self._out_of[up].read()
        self._into[not up].write(data)
        return data
