"""The key schedule against published vectors, and key logs line by line."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.streams.tls.cipher_suites import TLS_1_3
from capture_agent.streams.tls.hello import Malformed, MessageReader, client_hello, server_hello
from capture_agent.streams.tls.key_schedule import next_secret, prf, traffic_keys
from capture_agent.streams.tls.key_store import ENTRY_COST, HANDSHAKE, MASTER, TRAFFIC, KeyStore

RANDOM = bytes(range(32))

# RFC 8448 3: a traffic secret, and the key and IV derived from it.
RFC_8448 = {
    "server handshake": (
        "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
        "3fce516009c21727d0f2e4e86ee403bc",
        "5d313eb2671276ee13000b30",
    ),
    "client handshake": (
        "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
        "dbfaa693d1762c5b666af5d950258d01",
        "5bd3c71b836e0b76bb73265f",
    ),
    "server application": (
        "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
        "9f02283b6c9c07efc26bb9f2ac92e356",
        "cf782b88dd83549aadf1e984",
    ),
    "client application": (
        "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
        "17422dda596ed5d9acd890e3c63f5051",
        "5b78923dee08579033e523d9",
    ),
}


@pytest.mark.parametrize("name", RFC_8448)
def test_keys_of_rfc_8448(name: str) -> None:
    secret, key, iv = map(bytes.fromhex, RFC_8448[name])
    keys = traffic_keys(TLS_1_3[0x1301], secret)
    assert (keys.key, keys.iv) == (key, iv)
    assert key.hex() not in repr(keys)
    assert len(next_secret(TLS_1_3[0x1301], secret)) == len(secret)


def test_the_prf_of_tls_1_2() -> None:
    """The vector for SHA-256 that was published on the TLS working group's list in 2008."""
    secret = bytes.fromhex("9bbe436ba940f017b17652849a71db35")
    seed = bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c")
    want = "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7"
    assert prf("sha256", secret, b"test label", seed, 100).hex().startswith(want)


LINES = {
    "a master secret": (b"CLIENT_RANDOM %s %s" % (RANDOM.hex().encode(), b"ab" * 48), MASTER),
    "capitals, CR": (b"CLIENT_RANDOM %s %s\r" % (RANDOM.hex().upper().encode(), b"AB" * 48), MASTER),
    "the client's": (b"CLIENT_TRAFFIC_SECRET_0 %s %s" % (RANDOM.hex().encode(), b"ab" * 32), TRAFFIC[True]),
    "a handshake": (b"SERVER_HANDSHAKE_TRAFFIC_SECRET %s %s" % (RANDOM.hex().encode(), b"ab" * 48), HANDSHAKE[False]),
}
OTHER_LINES = {
    "a comment": (b"# CLIENT_RANDOM", 0),
    "empty": (b"", 0),
    "another label": (b"EXPORTER_SECRET %s %s" % (RANDOM.hex().encode(), b"ab" * 32), 0),
    "a short random": (b"CLIENT_RANDOM abcd %s" % (b"ab" * 48), 1),
    "an odd secret": (b"CLIENT_RANDOM %s %s" % (RANDOM.hex().encode(), b"a" * 95), 0),
    "too long": (b"CLIENT_RANDOM %s %s" % (RANDOM.hex().encode(), b"ab" * 300), 1),
    "not hexadecimal": (b"CLIENT_RANDOM %s %s" % (RANDOM.hex().encode(), b"zz" * 48), 1),
    "bytes": (bytes(range(128, 256)), 1),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_with_a_secret(name: str) -> None:
    line, label = LINES[name]
    store = KeyStore(1 << 20)
    assert store.add(line)
    assert store.secret(label, RANDOM) == bytes.fromhex(line.split()[2].decode())
    assert store.news() == [RANDOM]
    assert store.news() == []


@pytest.mark.parametrize("name", OTHER_LINES)
def test_a_line_without_one(name: str) -> None:
    line, refused = OTHER_LINES[name]
    store = KeyStore(1 << 20)
    assert not store.add(line)
    assert (len(store), store.refused, store.news()) == (0, refused, [])


@given(st.binary(max_size=600))
def test_any_line(line: bytes) -> None:
    assert not KeyStore(1 << 20).add(line)


def test_the_oldest_secrets_are_evicted() -> None:
    store = KeyStore(6 * ENTRY_COST)
    for number in range(5):
        store.add(b"CLIENT_RANDOM %064x %s" % (number, b"ab" * 48))
    assert [store.secret(MASTER, number.to_bytes(32, "big")) is not None for number in range(5)] == [False] * 2 + [
        True
    ] * 3
    assert len(store) == 3


@given(st.binary(max_size=200))
def test_any_hello(body: bytes) -> None:
    for read in (client_hello, server_hello):
        with suppress(Malformed):
            read(body)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_messages_do_not_depend_on_the_records(pieces: list[bytes]) -> None:
    whole, cut = MessageReader(), MessageReader()
    try:
        together = list(whole.feed(b"".join(pieces)))
    except Malformed:
        return
    assert [message for piece in pieces for message in cut.feed(piece)] == together
    assert cut.buffered == whole.buffered
