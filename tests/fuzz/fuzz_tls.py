"""TLS with its keys: records of a recorded connection, messages of the handshake, lines of key logs."""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random

from fuzz_mutations import Target
from stream_samples import request, response, run
from tls_samples import Ends, certificate, dialogue, segments, streams_with

from capture_agent.streams.tls.hello import (
    Malformed,
    MessageReader,
    client_hello,
    encrypted_premaster,
    new_ticket,
    own_certificate,
    server_hello,
)
from capture_agent.streams.tls.key_store import ENTRY_COST, KeyStore
from capture_agent.streams.tls.private_keys import PrivateKey, private_key

TEXTS = [request(1), response(1), request(2, b"x" * 3000), response(2)]
PIECES = [b"\x17\x03\x03", b"\x16\x03\x03\x00\x05", b"\x14\x03\x03\x00\x01\x01", bytes(4), b"\xff" * 4]


@cache
def recorded() -> list[Ends]:
    found = [Ends(version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]
    found.append(Ends(ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"))
    for ends in found:
        dialogue(ends, TEXTS)
    return found


def written() -> list[tuple[Ends, int]]:
    return [(ends, number) for ends in recorded() for number in range(len(ends.written))]


def tls_targets() -> dict[str, Target]:
    records = [ends.written[number][1] for ends, number in written()]
    lines = [line for ends in recorded() for line in ends.keys]
    return {
        "tls_records": Target(records, PIECES, run_records),
        "tls_handshake": Target([record[5:] for record in records], PIECES, run_handshake),
        "tls_key_log": Target(lines, [b" ", b"\n", b"CLIENT_RANDOM", b"#", b"0"], KeyLogRun()),
    }


def run_records(sample: int, data: bytes, draw: Random) -> None:
    """What one end wrote is changed, and some segments are lost: only true messages come out, and nothing is held."""
    ends, number = written()[sample]
    changed = [*ends.written]
    changed[number] = changed[number][0], data
    pieces = segments(changed, draw.choice((50, 700, 5000)))
    for _ in range(draw.choice((0, 0, 1, 3))):
        del pieces[draw.randrange(len(pieces))]
    messages, streams = run(pieces, streams_with(store=store_of(ends)))
    assert all(one.payload in TEXTS for one in messages if one.transport == "tls" and not one.missing)
    assert streams.counts.waiting == 0


@cache
def server_key() -> PrivateKey:
    return private_key(Path(certificate("rsa")[1]).read_bytes(), "")


def store_of(ends: Ends) -> KeyStore:
    """With a key log, or with the server's key if that is enough."""
    store = KeyStore(1 << 20, (server_key(),))
    if ends is not recorded()[-1]:
        store.add_all(b"\n".join(ends.keys))
    return store


def run_handshake(sample: int, data: bytes, draw: Random) -> None:
    cut = draw.randint(0, len(data))
    reader = MessageReader(reads_all=draw.random() < 0.5)
    with suppress(Malformed):
        for part in (data[:cut], data[cut:]):
            for _, _, body in reader.feed(part):
                assert len(body) <= len(data)
    for read in (client_hello, server_hello):
        with suppress(Malformed):
            assert len(read(data[4:]).random) == 32
    for part_of in (own_certificate, encrypted_premaster, new_ticket):
        with suppress(Malformed):
            assert len(part_of(data[4:])) <= max(32, len(data))


class KeyLogRun:
    def __init__(self) -> None:
        self._store = KeyStore(10 * ENTRY_COST)

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        self._store.add_all(data)
        assert len(self._store) <= 5
        assert all(len(random) == 32 for random in self._store.news())
