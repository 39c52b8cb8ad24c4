"""The server's RSA key instead of a key log: what both ends said comes out, to the byte."""

from __future__ import annotations

import ssl
import subprocess
from itertools import product
from pathlib import Path

import pytest
from stream_samples import request, response, run
from tls_captures import followed_by_tshark, tshark_private_key, write_capture
from tls_samples import NO_ENCRYPT_THEN_MAC, Ends, Relayed, Said, certificate, dialogue, relayed, segments, streams_with

from capture_agent.records.datagram import Datagram
from capture_agent.streams.streams import Streams
from capture_agent.streams.tls.hello import LONGEST
from capture_agent.streams.tls.key_store import KeyStore
from capture_agent.streams.tls.private_keys import PrivateKey, private_key

pytestmark = pytest.mark.once

V12 = ssl.TLSVersion.TLSv1_2
NO_EXTENDED_MASTER_SECRET = 1 << 0  # SSL_OP_NO_EXTENDED_MASTER_SECRET
NO_TICKET = int(ssl.OP_NO_TICKET)
TEXTS = [request(1, b"v=0\r\n" * 20), response(1), request(2, b"x" * 3000), response(2, b"y" * 20_000), request(3)]
SUITES = (
    "AES128-SHA", "AES256-SHA", "AES128-SHA256", "AES256-SHA256", "AES128-GCM-SHA256", "AES256-GCM-SHA384",
    "AES128-CCM", "AES256-CCM", "AES128-CCM8", "AES256-CCM8",
)  # fmt: skip
CBC = SUITES[:4]


def key(file: str | None = None, password: str = "") -> PrivateKey:
    return private_key(Path(file or certificate("rsa")[1]).read_bytes(), password)


def other_key(bits: int) -> PrivateKey:
    made = subprocess.run(["openssl", "genrsa", str(bits)], capture_output=True, check=True, timeout=60)
    return private_key(made.stdout, "")


def read(written: list[Said], *keys: PrivateKey, size: int = 1400) -> tuple[list[Datagram], Streams]:
    return run(segments(written, size), streams_with(store=KeyStore(1 << 20, keys)))


def payloads(messages: list[Datagram]) -> list[bytes]:
    return [message.payload for message in messages]


def states(streams: Streams) -> dict[str, int]:
    ledger = next(one for one in streams.ledgers() if one.name == "tls")
    return {name: count for name, count in {**ledger.outcomes, **ledger.rejected}.items() if count}


def talk(suite: str, options: int = 0, before: Ends | None = None) -> Ends:
    ends = Ends(V12, f"{suite}:@SECLEVEL=0", options=options, before=before)
    dialogue(ends, TEXTS)
    return ends


def check(written: list[Said], texts: list[bytes] = TEXTS, size: int = 1400) -> None:
    messages, streams = read(written, key(), size=size)
    assert payloads(messages) == texts
    assert states(streams) == {"decrypted": 1}
    assert not any(streams.rejected().values())


OPTIONS = {
    "as offered": 0,
    "MAC first": NO_ENCRYPT_THEN_MAC,
    "master secret of RFC 5246": NO_EXTENDED_MASTER_SECRET,
    "neither": NO_ENCRYPT_THEN_MAC | NO_EXTENDED_MASTER_SECRET,
}


VARIANTS = [(suite, name) for suite in SUITES for name in OPTIONS if suite in CBC or "MAC first" not in name]


@pytest.mark.parametrize(("suite", "options"), [one for one in VARIANTS if one[1] != "neither"])
def test_every_suite(suite: str, options: str) -> None:
    check(talk(suite, OPTIONS[options]).written)


def test_every_suite_as_tshark_decrypts_it(tmp_path: Path) -> None:
    written = [talk(suite, OPTIONS[options]).written for suite, options in VARIANTS]
    write_capture(tmp_path / "calls.pcap", *written)
    option = tshark_private_key(certificate("rsa")[1])
    texts = followed_by_tshark(tmp_path / "calls.pcap", option, len(VARIANTS))
    assert texts == [b"".join(payloads(read(one, key())[0])) for one in written]
    assert set(texts) == {b"".join(TEXTS)}


@pytest.mark.parametrize(("suite", "size"), [*product(["AES128-SHA", "AES256-GCM-SHA384"], [7, 100, 60_000])])
def test_any_segmentation(suite: str, size: int) -> None:
    check(talk(suite).written, size=size)


@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("by_ticket", [True, False])
def test_a_session_that_is_resumed_twice(by_ticket: bool, extended: bool) -> None:
    """Its key exchange is only in the first connection. With tickets, the server may give new ones."""
    options = (0 if by_ticket else NO_TICKET) | (0 if extended else NO_EXTENDED_MASTER_SECRET)
    store = KeyStore(1 << 20, (key(),))
    seen: list[Ends] = []  # OpenSSL forgets the session of a connection that was not shut down
    for port in (40000, 40001, 40002):
        seen.append(talk("AES128-GCM-SHA256", options, seen[-1] if seen else None))
        assert seen[-1].client.session_reused == (port > 40000)
        messages, streams = run(segments(seen[-1].written, port=port), streams_with(store=store))
        assert payloads(messages) == TEXTS
        assert states(streams) == {"decrypted": 1}


def test_a_resumed_session_whose_first_connection_was_not_seen() -> None:
    messages, streams = read(talk("AES128-GCM-SHA256", before=talk("AES128-GCM-SHA256")).written, key())
    assert (messages, states(streams)) == ([], {"no_key": 1})


@pytest.mark.parametrize("suite", ["AES128-SHA", "AES256-GCM-SHA384"])
def test_a_renegotiation(suite: str) -> None:
    said: Relayed = relayed(["-tls1_2", "-cipher", suite], TEXTS, between="R")
    check(said.written, said.texts)


def test_a_client_with_a_certificate() -> None:
    """Its messages are part of the transcript."""
    cert, own = certificate("rsa")
    said = relayed(["-tls1_2", "-cipher", "AES128-GCM-SHA256"], TEXTS, serve=["-Verify", "1"], client=["-cert", cert, "-key", own])  # fmt: skip
    check(said.written, said.texts)


def test_other_keys_beside_the_right_one() -> None:
    ends = talk("AES128-SHA")
    messages, _ = read(ends.written, other_key(2048), other_key(1024), key())
    assert payloads(messages) == TEXTS


@pytest.mark.parametrize("bits", [1024, 2048, 3072])
def test_only_other_keys(bits: int) -> None:
    messages, streams = read(talk("AES128-SHA").written, other_key(bits))
    assert (messages, states(streams)) == ([], {"no_key": 1})


@pytest.mark.parametrize("bits", [1024, 2048])
def test_what_was_not_encrypted_for_a_key_is_no_secret(bits: int) -> None:
    """With implicit rejection the library returns random bytes instead of an error."""
    one = other_key(bits)
    assert [one.premaster(bytes([n]) * (bits // 8), (0x0303, 0x0303)) for n in range(1, 20)] == [None] * 19
    assert one.premaster(b"", (0x0303, 0x0303)) is None


def test_forward_secrecy_has_no_key() -> None:
    messages, streams = read(talk("ECDHE-RSA-AES128-GCM-SHA256").written, key())
    assert (messages, states(streams)) == ([], {"no_key": 1})


def test_a_key_log_beside_private_keys() -> None:
    ends = talk("ECDHE-RSA-AES128-GCM-SHA256")
    store = KeyStore(1 << 20, (key(),))
    store.add_all(b"\n".join(ends.keys))
    messages, _ = run(segments(ends.written), streams_with(store=store))
    assert payloads(messages) == TEXTS


@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_client_is_captured_before_the_server(extended: bool, seed: int) -> None:
    """The hash of a transcript has the messages in the order in which they were sent."""
    ends = talk("AES128-GCM-SHA256", 0 if extended else NO_EXTENDED_MASTER_SECRET)
    pieces = segments(ends.written, 100 + 300 * seed)
    said = {port: [piece for piece in pieces[2:] if piece.source_port == port] for port in (40000, 5061)}
    messages, streams = run([*pieces[:2], *said[40000], *said[5061]], streams_with(store=KeyStore(1 << 20, (key(),))))
    assert sorted(payloads(messages)) == sorted(TEXTS)
    assert states(streams) == {"decrypted": 1}


@pytest.mark.parametrize("gone", range(2, 8))
def test_a_lost_segment_of_the_handshake(gone: int) -> None:
    """Nothing wrong comes out, and the books balance."""
    ends = talk("AES128-SHA")
    pieces = segments(ends.written, 300)
    del pieces[gone]
    messages, streams = run(pieces, streams_with(store=KeyStore(1 << 20, (key(),))))
    assert set(payloads(messages)) <= set(TEXTS)
    assert sum(states(streams).values()) == 1
    assert streams.counts.waiting == 0


@pytest.mark.parametrize("gone", range(2, 12))
def test_beside_a_key_log_a_private_key_costs_nothing(gone: int) -> None:
    """Where the handshake is not complete, only the key log helps: nobody waits for the rest."""
    ends = talk("AES128-SHA")
    pieces = segments(ends.written, 300)
    del pieces[gone]
    found = []
    for keys in ((), (key(),)):
        store = KeyStore(1 << 20, keys)
        store.add_all(b"\n".join(ends.keys))
        messages, streams = run(pieces, streams_with(store=store))
        found.append((sorted(payloads(messages)), states(streams)))
    assert found[0] == found[1]


def test_a_hello_that_is_as_long_as_it_may_be_is_counted() -> None:
    hello = b"\x01" + LONGEST.to_bytes(3, "big") + bytes(LONGEST)
    records = b"".join(b"\x16\x03\x01\x40\x00" + hello[at : at + 0x4000] for at in range(0, 0x4000 * 3, 0x4000))
    _, streams = read([(True, records)], key())
    assert states(streams) == {"open": 1}


FILES = {
    "a password": (["rsa", "-aes256"], "sip.example", ""),
    "no password": (["rsa", "-aes256"], "", "encrypted, and there is no keys_password"),
    "another password": (["rsa", "-aes256"], "wrong", "keys_password does not decrypt it"),
    "PKCS8": (["pkcs8", "-topk8"], "sip.example", ""),
    "a public key": (["rsa", "-pubout"], "", "not a private key in PEM"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file(name: str) -> None:
    command, password, want = FILES[name]
    secret = ["-passout", "pass:sip.example"] if "-pubout" not in command else []
    made = subprocess.run(["openssl", *command, "-in", certificate("rsa")[1], *secret], capture_output=True, check=True, timeout=60)  # fmt: skip
    if not want:
        assert private_key(made.stdout, password).is_of(
            ssl.PEM_cert_to_DER_cert(Path(certificate("rsa")[0]).read_text())
        )
        return
    with pytest.raises(ValueError, match=f"^{want}$"):
        private_key(made.stdout, password)


def test_a_key_of_another_kind() -> None:
    with pytest.raises(ValueError, match="^not an RSA key: only those encrypt the secrets of TLS$"):
        key(certificate("ec")[1])


def test_no_text_has_a_key() -> None:
    one = key()
    assert repr(one) == f"<capture_agent.streams.tls.private_keys.PrivateKey object at 0x{id(one):x}>"
