"""TLS in TCP: what both ends of a connection by OpenSSL said comes out, to the byte."""

from __future__ import annotations

import gc
import itertools
import ssl
from binascii import unhexlify
from itertools import product
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_samples import ACK, FIN, RST, START, A, B, request, response, run, segment
from test_websocket import frame
from tls_captures import followed_by_tshark, tshark_key_log, write_capture
from tls_samples import NO_ENCRYPT_THEN_MAC, Ends, certificate, dialogue, relayed, segments, streams_with

from capture_agent.records.datagram import Datagram
from capture_agent.streams.tls.cipher_suites import TLS_1_3
from capture_agent.streams.tls.key_schedule import traffic_keys
from capture_agent.streams.tls.key_store import TRAFFIC, KeyStore
from capture_agent.streams.tls.private_keys import private_key
from capture_agent.streams.tls.record_protection import Aead
from capture_agent.streams.tls.record_search import MOST_TRIED
from capture_agent.streams.tls.tls_connections import PATIENCE_NS, TlsNews
from capture_agent.streams.tls.tls_direction import MOST_LOST, TlsDirection
from capture_agent.streams.tls.tls_layer import TlsLayer

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


@pytest.mark.once
@pytest.mark.parametrize("suite", ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256", "AES_128_CCM_SHA256", "AES_128_CCM_8_SHA256"])  # fmt: skip
def test_suites_of_tls_1_3(suite: str, tmp_path: Path) -> None:
    """By OpenSSL's own programs: Python cannot choose these. tshark finds the same."""
    said = relayed(["-tls1_3", "-ciphersuites", f"TLS_{suite}"], TEXTS[:3])
    for size in (7, 1400, 60_000):
        messages, streams = run(segments(said.written, size), streams_with(said.keys))
        assert payloads(messages) == said.texts
        assert states(streams) == {"decrypted": 1}
    (tmp_path / "keys").write_bytes(b"\n".join(said.keys) + b"\n")
    write_capture(tmp_path / "call.pcap", said.written)
    assert followed_by_tshark(tmp_path / "call.pcap", tshark_key_log(tmp_path / "keys")) == [b"".join(said.texts)]


@pytest.mark.once
@pytest.mark.parametrize("suite", ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256", "AES_128_CCM_SHA256", "AES_128_CCM_8_SHA256"])  # fmt: skip
def test_suites_of_tls_1_3_in_a_resumed_session(suite: str) -> None:
    said = relayed(["-tls1_3", "-ciphersuites", f"TLS_{suite}"], TEXTS[:2], resumed=True)
    for size in (7, 100, 60_000):
        messages, streams = run(segments(said.written, size), streams_with(said.keys))
        assert payloads(messages) == said.texts
        assert states(streams) == {"decrypted": 1}


@pytest.mark.once
def test_a_key_that_both_ends_share() -> None:
    """RFC 8446 2.2, without a certificate."""
    said = relayed(["-tls1_3", "-psk", "1a2b3c4d", "-psk_identity", "sip"], TEXTS[:2], serve=["-nocert"])
    messages, streams = run(segments(said.written), streams_with(said.keys))
    assert payloads(messages) == said.texts
    assert states(streams) == {"decrypted": 1}


@pytest.mark.once
@pytest.mark.parametrize("mac_first", [False, True])
@pytest.mark.parametrize("suite", [*SUITES, *CURVE_SUITES])
def test_suites_of_tls_1_2_resumed_in_any_segmentation(suite: str, mac_first: bool) -> None:
    """By ticket, and by id."""
    for no_ticket in (0, ssl.OP_NO_TICKET):
        options = (NO_ENCRYPT_THEN_MAC if mac_first else 0) | no_ticket
        first = Ends(V12, f"{suite}:@SECLEVEL=0", "ec" if "ECDSA" in suite else "rsa", options)
        dialogue(first, TEXTS[:1])
        second = Ends(V12, before=first)
        assert second.client.session_reused
        dialogue(second, TEXTS[:3])
        for size in (7, 100, 60_000):
            messages, streams = run(segments(second.written, size), streams_with(second.keys))
            assert payloads(messages) == TEXTS[:3]
            assert states(streams) == {"decrypted": 1}


@pytest.mark.once
def test_all_of_it_is_as_tshark_decrypts_it(tmp_path: Path) -> None:
    suites = [*SUITES, *CURVE_SUITES]
    found = [Ends(V12, f"{suite}:@SECLEVEL=0", "ec" if "ECDSA" in suite else "rsa") for suite in suites]
    found += [Ends(V12, f"{suite}:@SECLEVEL=0", options=NO_ENCRYPT_THEN_MAC) for suite in SUITES if "SHA" in suite]
    found += [Ends(V13), Ends(V13, curve="secp384r1")]
    for ends in found:
        dialogue(ends, TEXTS)
    found += [again := Ends(version, before=ends) for version, ends in ((V12, found[0]), (V13, found[-1]))]
    for ends in found[-2:]:
        dialogue(ends, TEXTS)
    assert again.client.session_reused
    (tmp_path / "keys").write_bytes(b"\n".join(line for ends in found for line in ends.keys) + b"\n")
    write_capture(tmp_path / "calls.pcap", *(ends.written for ends in found))
    ours = [b"".join(payloads(run(segments(ends.written), streams_with(ends.keys))[0])) for ends in found]
    assert followed_by_tshark(tmp_path / "calls.pcap", tshark_key_log(tmp_path / "keys"), len(found)) == ours
    assert set(ours) == {b"".join(TEXTS)}


def test_a_thousand_connections_at_once() -> None:
    """All are open at the same time, and half of the keys come late."""
    firsts = [Ends(version, kind="ec") for version in (V12, V13)]
    found = []
    for number in range(100):
        found.append(Ends(V12 if number % 2 else V13, before=firsts[1 - number % 2]))
        dialogue(found[-1], [request(number, b"v=0\r\n" * 20), response(number)])
    ports = range(20_000, 21_000)
    connections = [segments(found[port % 100].written, 300, port) for port in ports]
    pieces = [one for turn in itertools.zip_longest(*connections) for one in turn if one is not None]
    store = KeyStore(1 << 24)
    store.add_all(b"\n".join(line for ends in found[::2] for line in ends.keys))
    streams = streams_with(store=store)
    messages = []
    for at in range(0, len(pieces), 1000):
        if at == len(pieces) // 2000 * 1000:
            store.add_all(b"\n".join(line for ends in found[1::2] for line in ends.keys))
        messages += streams.messages(pieces[at : at + 1000])
    messages += streams.close()
    assert states(streams) == {"decrypted": 1000}
    got: dict[int, list[bytes]] = {}
    for one in messages:
        got.setdefault(one.source_port if one.source_port != 5061 else one.destination_port, []).append(one.payload)
    want = {port: [request(port % 100, b"v=0\r\n" * 20), response(port % 100)] for port in ports}
    assert got == want


@pytest.mark.parametrize("then", ["both ends finish", "one end resets", "nothing"])
@pytest.mark.parametrize("keys", ["known", "not known", "private"])
def test_what_was_kept_of_a_connection_is_freed(keys: str, then: str) -> None:
    """At once, without the collector of cycles, which runs seldom."""
    ends = Ends(V12, "AES128-GCM-SHA256")
    dialogue(ends, TEXTS)
    private = (private_key(Path(certificate("rsa")[1]).read_bytes(), ""),) if keys == "private" else ()
    store = KeyStore(1 << 20, private)
    if keys == "known":
        store.add_all(b"\n".join(ends.keys))
    pieces = segments(ends.written)
    ways = {40000: A + B, 5061: B + A}
    last = {one.source_port: one for one in pieces}
    if then == "both ends finish":
        pieces += [
            segment(b"", last[port].sequence + len(last[port].payload), FIN | ACK, len(pieces) + 1, ports=(port, 45061 - port), addresses=ways[port])
            for port in ways
        ]  # fmt: skip
    elif then == "one end resets":
        pieces.append(segment(b"", last[40000].sequence + len(last[40000].payload), RST, len(pieces) + 1, ports=(40000, 5061), addresses=A + B))  # fmt: skip
    gc.collect()
    gc.disable()
    try:
        streams = streams_with(store=store)
        streams.messages(pieces)
        streams.close()
        assert [one for one in gc.get_objects() if isinstance(one, TlsLayer | TlsDirection | TlsNews)] == []
    finally:
        gc.enable()


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


@pytest.mark.once
@pytest.mark.parametrize("letter", ["k", "K"])
def test_a_key_update(letter: str) -> None:
    said = relayed(["-tls1_3"], TEXTS, between=letter)
    messages, streams = run(segments(said.written), streams_with(said.keys))
    assert payloads(messages) == said.texts
    assert states(streams) == {"decrypted": 1}


@pytest.mark.once
def test_a_renegotiation() -> None:
    said = relayed(["-tls1_2"], TEXTS, between="R")
    assert sum(line.startswith(b"CLIENT_RANDOM") for line in said.keys) == 2
    messages, streams = run(segments(said.written), streams_with(said.keys))
    assert payloads(messages) == said.texts
    assert states(streams) == {"decrypted": 1}


@pytest.mark.once
@pytest.mark.parametrize("refused", [False, True])
def test_early_data(refused: bool) -> None:
    said = relayed(["-tls1_3"], TEXTS[:3], early=request(9, b"early"), refused=refused)
    assert (request(9, b"early") in said.texts) != refused
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
