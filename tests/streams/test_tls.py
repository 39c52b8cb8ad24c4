"""TLS in TCP: what both ends of a connection by OpenSSL said comes out, to the byte."""

from __future__ import annotations

import ssl
from binascii import unhexlify
from itertools import product
from random import Random

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_samples import START, request, response, run, segment
from test_websocket import frame
from tls_samples import NO_ENCRYPT_THEN_MAC, Ends, dialogue, relayed, segments, streams_with

from capture_agent.records.datagram import Datagram
from capture_agent.streams.tls.cipher_suites import TLS_1_3
from capture_agent.streams.tls.key_schedule import traffic_keys
from capture_agent.streams.tls.key_store import TRAFFIC, KeyStore
from capture_agent.streams.tls.record_protection import Aead
from capture_agent.streams.tls.tls_connections import PATIENCE_NS
from capture_agent.streams.tls.tls_direction import MOST_LOST
from capture_agent.streams.tls.tls_layer import MOST_TRIED

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
TEXTS = [request(1, b"v=0\r\n" * 20), response(1), request(2, b"x" * 3000), response(2, b"y" * 20_000), request(3)]
SUITES = (
    "AES128-SHA", "AES256-SHA", "AES128-SHA256", "AES256-SHA256", "ECDHE-RSA-AES256-SHA384", "AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305", "AES128-CCM",
    "AES256-CCM", "AES128-CCM8", "AES256-CCM8",
)  # fmt: skip
CURVE_SUITES = ("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-CHACHA20-POLY1305")  # fmt: skip


def payloads(messages: list[Datagram]) -> list[bytes]:
    return [message.payload for message in messages]


def states(streams: object) -> dict[str, int]:
    ledger = next(one for one in streams.ledgers() if one.name == "tls")  # type: ignore[attr-defined]
    assert ledger.seen == sum(ledger.outcomes.values()) + sum(ledger.rejected.values())
    return {name: count for name, count in {**ledger.outcomes, **ledger.rejected}.items() if count}


def check(ends: Ends, size: int = 1400, texts: list[bytes] = TEXTS) -> None:
    dialogue(ends, texts)
    messages, streams = run(segments(ends.written, size), streams_with(ends.keys))
    assert payloads(messages) == texts
    assert {message.transport for message in messages} == {"tls"}
    assert states(streams) == {"decrypted": 1}
    assert not any(streams.rejected().values())


@pytest.mark.parametrize("mac_first", [False, True])
@pytest.mark.parametrize("suite", [*SUITES, *CURVE_SUITES])
def test_suites_of_tls_1_2(suite: str, mac_first: bool) -> None:
    kind = "ec" if "ECDSA" in suite else "rsa"
    check(Ends(V12, f"{suite}:@SECLEVEL=0", kind, NO_ENCRYPT_THEN_MAC if mac_first else 0))


@pytest.mark.parametrize("suite", ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256", "AES_128_CCM_SHA256", "AES_128_CCM_8_SHA256"])  # fmt: skip
def test_suites_of_tls_1_3(suite: str) -> None:
    """By OpenSSL's own programs: Python cannot choose these."""
    said = relayed(["-tls1_3", "-ciphersuites", f"TLS_{suite}"], TEXTS)
    messages, streams = run(segments(said.written), streams_with(said.keys))
    assert payloads(messages) == said.texts
    assert states(streams) == {"decrypted": 1}


@pytest.mark.parametrize(("version", "size"), [*product([V12, V13], [1, 7, 100, 1400, 60_000])])
def test_any_segmentation(version: ssl.TLSVersion, size: int) -> None:
    check(Ends(version), size, TEXTS[:3] if size == 1 else TEXTS)


@pytest.mark.parametrize("version", [V12, V13])
def test_a_session_that_is_resumed(version: ssl.TLSVersion) -> None:
    first = Ends(version)
    check(first)
    second = Ends(version, before=first)
    check(second)
    assert second.client.session_reused


def test_a_server_that_asks_for_another_key_share() -> None:
    check(Ends(V13, curve="secp384r1"))


@pytest.mark.parametrize("letter", ["k", "K"])
def test_a_key_update(letter: str) -> None:
    said = relayed(["-tls1_3"], TEXTS, between=letter)
    messages, streams = run(segments(said.written), streams_with(said.keys))
    assert payloads(messages) == said.texts
    assert states(streams) == {"decrypted": 1}


def test_a_renegotiation() -> None:
    said = relayed(["-tls1_2"], TEXTS, between="R")
    assert sum(line.startswith(b"CLIENT_RANDOM") for line in said.keys) == 2
    messages, streams = run(segments(said.written), streams_with(said.keys))
    assert payloads(messages) == said.texts
    assert states(streams) == {"decrypted": 1}


def test_early_data_that_is_accepted() -> None:
    said = relayed(["-tls1_3"], TEXTS, early=request(9, b"early"))
    messages, streams = run(segments(said.written), streams_with(said.keys))
    assert payloads(messages) == said.texts
    assert states(streams) == {"decrypted": 1}


def test_a_websocket_in_tls() -> None:
    ends = Ends(V13)
    upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    ends.say(True, upgrade)
    ends.say(False, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
    ends.say(True, frame(TEXTS[0], key=b"abcd"))
    messages, _ = run(segments(ends.written), streams_with(ends.keys))
    assert [(m.payload, m.transport) for m in messages] == [(TEXTS[0], "wss")]


def test_a_message_has_the_time_and_ports_of_the_segment_that_completed_it() -> None:
    ends = Ends(V13)
    dialogue(ends, TEXTS[:1])
    pieces = segments(ends.written)
    messages, _ = run(pieces, streams_with(ends.keys))
    last = pieces[-1]
    assert [(m.frame, m.source_port, m.destination_port) for m in messages] == [(last.frame, 40000, 5061)]
    assert messages[0].time_ns == last.time_ns


@pytest.mark.parametrize("version", [V12, V13])
def test_keys_that_come_after_the_records(version: ssl.TLSVersion) -> None:
    """The messages have the times of their packets."""
    ends = Ends(version)
    dialogue(ends, TEXTS)
    pieces = segments(ends.written)
    store = KeyStore(1 << 20)
    streams = streams_with(store=store)
    assert streams.messages(pieces) == []
    store.add_all(ends.log.read_bytes())
    messages = streams.messages([])
    assert sorted(payloads(messages)) == sorted(TEXTS)
    assert {m.payload: m.frame for m in messages} == {
        m.payload: m.frame for m in run(pieces, streams_with(ends.keys))[0]
    }
    assert streams.close() == []
    assert states(streams) == {"decrypted": 1}


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("then", ["the end", "time", "the connection's end"])
def test_keys_that_never_come(version: ssl.TLSVersion, then: str) -> None:
    ends = Ends(version)
    dialogue(ends, TEXTS)
    streams = streams_with([])
    streams.messages(segments(ends.written))
    assert states(streams) == {"open": 1}
    if then == "time":
        for n in range(1, 4):  # one packet alone does not move the clock
            streams.messages([segment(b"", time_ns=START + n * PATIENCE_NS, ports=(1, 2))] * 3)
        assert states(streams) == {"no_key": 1}
    assert streams.close() == []
    assert states(streams) == {"no_key": 1}


@pytest.mark.parametrize("missing", [b"CLIENT_HANDSHAKE", b"SERVER_HANDSHAKE", b"CLIENT_TRAFFIC", b"SERVER_TRAFFIC"])
def test_a_line_that_is_missing(missing: bytes) -> None:
    """Without a handshake's secret nothing is lost; without that of the traffic, one direction."""
    ends = Ends(V13)
    dialogue(ends, TEXTS)
    keys = [line for line in ends.keys if not line.startswith(missing)]
    messages, _ = run(segments(ends.written), streams_with(keys))
    lost = {b"CLIENT_TRAFFIC": TEXTS[::2], b"SERVER_TRAFFIC": TEXTS[1::2]}.get(missing, [])
    assert sorted(payloads(messages)) == sorted(text for text in TEXTS if text not in lost)


@pytest.mark.parametrize("version", [V12, V13])
def test_a_connection_joined_in_the_middle(version: ssl.TLSVersion) -> None:
    ends = Ends(version)
    shaken = len(ends.written)
    dialogue(ends, TEXTS)
    messages, streams = run(segments(ends.written[shaken:], begun=False), streams_with(ends.keys))
    assert messages == []
    assert set(states(streams)) == {"joined"}


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("gone", range(0, 26, 2))
def test_a_lost_segment_costs_only_what_was_in_it(version: ssl.TLSVersion, gone: int) -> None:
    """Each text is in a record of its own; the one that lacks a segment is missing, and no other."""
    ends = Ends(version)
    texts = [request(n, b"v=0\r\n" * 100) for n in range(20)]
    shaken = len(segments(ends.written, 300))
    for text in texts:
        ends.say(True, text)
    pieces = segments(ends.written, 300)
    del pieces[shaken + gone]
    messages, streams = run(pieces, streams_with(ends.keys))
    assert set(payloads(messages)) < set(texts)
    assert len(messages) >= len(texts) - 2
    assert states(streams) == {"decrypted": 1}


@pytest.mark.parametrize("seed", range(6))
def test_segments_reordered_and_sent_again(seed: int) -> None:
    draw = Random(seed)
    ends = Ends(V13 if seed % 2 else V12)
    dialogue(ends, TEXTS)
    pieces = segments(ends.written, 500)
    head, rest = pieces[:2], pieces[2:]
    rest += draw.sample(rest, 10)
    for at in range(0, len(rest) - 4, 4):
        part = rest[at : at + 4]
        draw.shuffle(part)
        rest[at : at + 4] = part
    messages, _ = run(head + rest, streams_with(ends.keys))
    assert sorted(payloads(messages)) == sorted(TEXTS)


def test_plain_sip_beside_tls_is_as_without_it() -> None:
    stream = b"".join(TEXTS)
    pieces = [segment(stream[at : at + 700], 1001 + at, frame=at) for at in range(0, len(stream), 700)]
    with_keys, without = run(pieces, streams_with([]))[0], run(pieces)[0]
    assert payloads(with_keys) == payloads(without)
    assert [(m.time_ns, m.frame, m.transport) for m in with_keys] == [
        (m.time_ns, m.frame, m.transport) for m in without
    ]


def test_a_record_that_was_changed_ends_that_connection_alone() -> None:
    ends, other = Ends(V13), Ends(V13)
    for one in (ends, other):
        dialogue(one, TEXTS)
    by_client, data = ends.written[-3]
    ends.written[-3] = by_client, data[:-1] + bytes([data[-1] ^ 1])
    pieces = [*segments(ends.written), *segments(other.written, port=40001)]
    messages, streams = run(pieces, streams_with([*ends.keys, *other.keys]))
    assert states(streams) == {"broken": 1, "decrypted": 1}
    assert [m.payload for m in messages if 40001 in (m.source_port, m.destination_port)] == TEXTS
    assert [m.payload for m in messages if 40000 in (m.source_port, m.destination_port)] != TEXTS


def test_what_a_peer_sends_after_a_gap_costs_a_bounded_number_of_decryptions(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = Ends(V13)
    shaken = len(segments(ends.written))
    ends.written += [(True, b"x" * 100), *[(True, b"\x17\x03\x03\x00\x40" * 280)] * 20]
    pieces = segments(ends.written)
    del pieces[shaken]
    tried = []
    opened = Aead.opened

    def counted(self: Aead, sequence: int, header: bytes, body: bytes) -> bytes | None:
        tried.append(sequence)
        return opened(self, sequence, header, body)

    monkeypatch.setattr(Aead, "opened", counted)
    _, streams = run(pieces, streams_with(ends.keys))
    assert MOST_LOST < len(tried) < (MOST_TRIED + 1) * MOST_LOST
    assert streams.counts.foreign == 1


@pytest.mark.parametrize(("updates", "state"), [(1, "decrypted"), (2, "broken")])
def test_a_record_has_one_key_update_at_most(updates: int, state: str) -> None:
    ends = Ends(V13)
    store = KeyStore(1 << 20)
    store.add_all(b"\n".join(ends.keys))
    label = TRAFFIC[True]
    line = next(line for line in ends.keys if line.startswith(label)).split()
    keys = traffic_keys(TLS_1_3[0x1302], unhexlify(line[2]))
    inner = b"\x18\0\0\1\0" * updates + b"\x16"
    header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
    ends.written.append((True, header + AESGCM(keys.key).encrypt(keys.iv, inner, header)))
    _, streams = run(segments(ends.written), streams_with(store=store))
    assert states(streams) == {state: 1}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_comes_the_books_balance(data: st.DataObject) -> None:
    """Bytes changed, cut out and put in, segments dropped: no exception, nothing held, only true messages."""
    ends = RECORDED[data.draw(st.sampled_from([0, 1]))]
    written = []
    for by_client, text in ends.written:
        changed = bytearray(text)
        for at in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=2)):
            changed[at] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(changed)))
        written.append((by_client, bytes(changed[:cut]) if data.draw(st.booleans()) else bytes(changed)))
    pieces = segments(written, data.draw(st.sampled_from([50, 700, 5000])))
    for at in sorted(data.draw(st.sets(st.integers(0, len(pieces) - 1), max_size=4)), reverse=True):
        del pieces[at]
    messages, streams = run(pieces, streams_with(ends.keys))
    known = set(TEXTS)
    assert all(m.payload in known for m in messages if m.transport == "tls" and not m.missing)
    assert streams.counts.waiting == 0


def recorded(version: ssl.TLSVersion) -> Ends:
    ends = Ends(version)
    dialogue(ends, TEXTS)
    return ends


RECORDED = [recorded(V12), recorded(V13)]
