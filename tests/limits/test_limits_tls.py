"""What is kept of TLS connections, under its worst input."""

from __future__ import annotations

import ssl
import struct
from pathlib import Path

import pytest
from measuring import documented, held_mib, main

from capture_agent.records.datagram import Datagram
from capture_agent.streams.limits import MAX_BYTES
from capture_agent.streams.streams import Streams
from capture_agent.streams.tls.key_store import KeyStore
from capture_agent.streams.tls.private_keys import private_key
from capture_agent.streams.tls.tls_layer import decrypting

HERE = 16 << 20  # bytes for connections, instead of all
SYN, ACK = 2, 16


def segment(n: int, by_client: bool, sequence: int, payload: bytes, flags: int = ACK) -> Datagram:
    """Of connection n."""
    ends = (0x0A000000 + n, 0x0B000000) if by_client else (0x0B000000, 0x0A000000 + n)
    data = struct.pack(">II", *ends) + payload
    ports = (1024, 5061) if by_client else (5061, 1024)
    return Datagram(data, 8, len(data), 0, 4, *ports, 10**9, 1, 6, "tcp", sequence=sequence, flags=flags)


def conversation() -> tuple[list[tuple[bool, bytes]], list[bytes]]:
    """What the ends of a connection by OpenSSL wrote, and its key log."""
    from tls_samples import Ends

    ends = Ends(ssl.TLSVersion.TLSv1_3)
    for by_client in (True, False):
        ends.say(by_client, b"OPTIONS sip:a SIP/2.0\r\n")
    return ends.written, ends.keys


def talk(streams: Streams, n: int, written: list[tuple[bool, bytes]]) -> None:
    at = {True: 1, False: 1}
    segments = [segment(n, by_client, 0, b"", SYN) for by_client in at]
    for by_client, data in written:
        segments.append(segment(n, by_client, at[by_client], data))
        at[by_client] += len(data)
    streams.messages(segments)


def connections() -> Streams:
    """Decrypted, each with half a message."""
    written, keys = conversation()
    store = KeyStore(1 << 20)
    for line in keys:
        store.add(line)
    put_below, shared = decrypting(store)
    shared.room = HERE - MAX_BYTES
    streams = Streams()
    streams.attend(put_below, shared)
    for n in range(2500):
        talk(streams, n, written)
    assert streams.counts.evicted
    return streams


def handshakes_with_private_keys() -> Streams:
    """Each has a long hello, which may be needed for the hash of all that is said, and no answer."""
    from tls_samples import certificate

    key = private_key(Path(certificate("rsa")[1]).read_bytes(), "")
    put_below, shared = decrypting(KeyStore(1 << 20, (key,)))
    shared.room = HERE - MAX_BYTES
    streams = Streams()
    streams.attend(put_below, shared)
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\0\x9c" + b"\1\0" + b"\x7f\xf4" + b"\0\x23" + b"\x7f\xf0" + bytes(0x7FF0)
    hello = b"\1" + len(body).to_bytes(3, "big") + body
    records = [b"\x16\3\1" + len(part).to_bytes(2, "big") + part for part in (hello[:16_000], hello[16_000:32_000], hello[32_000:])]  # fmt: skip
    for n in range(2000):
        talk(streams, n, [(True, record) for record in records])
    assert streams.counts.evicted
    return streams


def records_without_keys() -> Streams:
    written, _ = conversation()
    streams = Streams()
    streams.attend(*decrypting(KeyStore(1 << 20)))
    hellos = [data for _, data in written[:2]]
    record = b"\x17\x03\x03\x00\x11" + bytes(17)
    for n in range(40):
        talk(streams, n, [(True, hellos[0]), (False, hellos[1]), *[(True, record * 450)] * 4])
    return streams


def secrets() -> KeyStore:
    store = KeyStore(64 << 20)
    for n in range(200_000):
        store.add(b"CLIENT_TRAFFIC_SECRET_0 %064x %0128x" % (n, n))
        store.remember(b"%d" % n, n.to_bytes(48, "big"))
    return store


CASES = {
    "TLS connections": connections,
    "TLS handshakes with private keys": handshakes_with_private_keys,
    "TLS records without keys": records_without_keys,
    "TLS secrets": secrets,
}


@pytest.mark.parametrize("case", CASES)
def test_it_holds_no_more_than_documented(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    import sys

    sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "streams")]
    main(CASES)
