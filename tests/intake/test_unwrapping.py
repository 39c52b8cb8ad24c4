"""HEP packets become messages with what the sender said, or are refused for a counted reason."""

from __future__ import annotations

import zlib
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.config import Capture, HepTarget
from capture_agent.delivery.weight import fit
from capture_agent.intake.unwrapping import Unwrapping
from capture_agent.pipeline import Pipeline
from capture_agent.records.datagram import NO_VLAN
from capture_agent.records.frames import HEP_LINK_TYPE, Frames, Interface
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_batch import fill
from capture_agent.sinks.hep.hep_other import relayed_packet
from hep import Chunk, Packet, decode, encode
from hep.batch import Encoder

SIP = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>\r\n"
    b"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
HOME, AWAY = b"\x0a\0\0\1", b"\x0a\0\0\2"
SEEN = 1_800_000_000_000_000_000
WHOLE = Packet(
    source=HOME,
    destination=AWAY,
    source_port=5060,
    destination_port=5080,
    protocol=17,
    seconds=1_700_000_000,
    microseconds=123_456,
    protocol_type=1,
    capture_id=4_000_000_000,
    correlation_id=b"leg-7",
    vlan=120,
    agent_name=b"sbc-1",
    payload=SIP,
    extra=(Chunk(3, 9, b"theirs"), Chunk(2, 1, b"")),
    mos=410,
    source_mac=0x0200_0000_0001,
)
OWN = b"relay--1"
OTHER = b"relay--2"


def frames(*packets: bytes) -> Frames:
    return Frames.of(list(packets), HEP_LINK_TYPE, [SEEN] * len(packets))


def opened(*packets: bytes, own: bytes = OWN) -> tuple[list[TracedMessage], Pipeline]:
    pipeline = Pipeline(unwrapping=Unwrapping(own=own))
    return pipeline.process(frames(*packets)), pipeline


def sent(traced: list[TracedMessage], version: int = 3) -> list[Packet]:
    """What a HEP sink makes of it."""
    target = HepTarget("127.0.0.1", capture_id=1, auth_key="ours", node_name="relay", version=version)  # type: ignore[arg-type]
    encoder = Encoder(target.version, target.capture_id, target.auth_key.encode(), target.node_name.encode())
    fill(encoder, traced, 0, 1 << 20, lambda one: relayed_packet(one, target, one.message.origin))  # type: ignore[arg-type]
    ends = [0, *encoder.ends]
    return [decode(bytes(encoder.buffer[start:end])) for start, end in pairwise(ends)]


def passed_on(packet: Packet) -> Packet:
    [found] = sent(opened(encode(packet))[0])
    return found


def rejected(pipeline: Pipeline) -> dict[str, int]:
    [ledger] = [one for one in pipeline.ledgers() if one.name == "hep"]
    assert ledger.difference == 0
    return {reason: count for reason, count in ledger.rejected.items() if count}


def test_a_message_keeps_what_its_sender_said() -> None:
    [one], _ = opened(encode(WHOLE))
    message, datagram = one.message, one.message.datagram
    assert (message.raw, datagram.source, datagram.destination) == (SIP, HOME, AWAY)
    assert (datagram.source_port, datagram.destination_port, datagram.transport) == (5060, 5080, "udp")
    assert (datagram.time_ns, message.seen_ns, datagram.vlan) == (1_700_000_000_123_456_000, SEEN, 120)
    origin = message.origin
    assert origin is not None
    assert (origin.capture_id, origin.node, origin.correlation_id) == (4_000_000_000, b"sbc-1", b"leg-7")


@pytest.mark.parametrize("kind", [1, 5, 100, 35, 0])
@pytest.mark.parametrize("family", [4, 16])
@pytest.mark.parametrize("said", ["all", "little"])
def test_it_goes_on_as_it_came(kind: int, family: int, said: str) -> None:
    packet = replace(
        WHOLE, protocol_type=kind, source=HOME * (family // 4), destination=AWAY * (family // 4), payload=SIP
    )
    if said == "little":
        packet = replace(
            packet, vlan=None, correlation_id=None, agent_name=None, capture_id=None, extra=(), mos=None,
            source_mac=None,
        )  # fmt: skip
    found = passed_on(packet)
    path = found.extra[-1]
    assert path.data == OWN
    wanted = replace(packet, auth_key=b"ours", extra=(*packet.extra, path), family=2 if family == 4 else 10)
    if said == "little":  # then the relay's own
        wanted = replace(wanted, agent_name=b"relay", capture_id=1)
    assert found == wanted


@pytest.mark.parametrize("protocol", [6, 17, 22, 132, 50])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_transport_of_each_version(version: int, protocol: int) -> None:
    [one], _ = opened(encode(replace(WHOLE, protocol=protocol), version))
    datagram = one.message.datagram
    assert datagram.transport == {6: "tcp", 22: "tls", 132: "sctp"}.get(protocol, "udp")
    assert (datagram.source_port, datagram.destination_port, one.message.raw) == (5060, 5080, SIP)
    assert datagram.time_ns == (SEEN if version == 1 else 1_700_000_000_123_456_000)
    origin = one.message.origin
    assert origin is not None
    assert origin.capture_id == {1: None, 2: 4_000_000_000 & 0xFFFF, 3: 4_000_000_000}[version]
    assert sent([one])[0].protocol == protocol


def test_payload_types_are_counted() -> None:
    kinds = [1, 1, 5, 5, 5, 100, 35, 200, 201]
    traced, pipeline = opened(*(encode(replace(WHOLE, protocol_type=kind)) for kind in kinds))
    assert sorted(one.message.kind for one in traced) == sorted(kinds)
    [ledger] = [one for one in pipeline.ledgers() if one.name == "hep"]
    assert (ledger.seen, ledger.outcomes) == (
        9,
        {"sip": 2, "rtcp_json": 3, "log": 1, "mos_short_json": 1, "other": 2},
    )


def test_a_payload_that_is_not_sip_needs_no_addresses() -> None:
    packet = Packet(protocol_type=100, payload=b"a line", capture_id=7)
    found = passed_on(packet)
    assert (found.source, found.destination, found.payload, found.capture_id) == (None, None, b"a line", 7)


def test_a_compressed_payload() -> None:
    [one], _ = opened(encode(replace(WHOLE, compressed=True)))
    assert one.message.raw == SIP


def raw(*chunks: bytes, length: int | None = None, magic: bytes = b"HEP3") -> bytes:
    body = b"".join(chunks)
    return magic + (6 + len(body) if length is None else length).to_bytes(2, "big") + body


def chunk(kind: int, data: bytes, size: int | None = None) -> bytes:
    return b"\0\0" + kind.to_bytes(2, "big") + (6 + len(data) if size is None else size).to_bytes(2, "big") + data


ADDRESSES = chunk(3, HOME) + chunk(4, AWAY)
BOMB = zlib.compress(bytes(1 << 20))


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        pytest.param(b"", "magic", id="nothing"),
        pytest.param(b"INVITE sip:a@b SIP/2.0", "magic", id="sip"),
        pytest.param(b"HEP", "magic", id="three bytes"),
        pytest.param(b"HEP3\0", "truncated", id="five bytes"),
        pytest.param(raw(bytes(6)), "chunk_length", id="twelve bytes"),
        pytest.param(raw(chunk(0, b"")), "chunk_type", id="twelve bytes, type 0"),
        pytest.param(raw(length=5), "total_length", id="shorter than its header"),
        pytest.param(raw(ADDRESSES, length=65535), "total_length", id="longer than it is"),
        pytest.param(raw(b"\0\0\0"), "truncated", id="half a chunk"),
        pytest.param(raw(chunk(15, b"", 65535)), "chunk_length", id="a chunk past the end"),
        pytest.param(raw(chunk(3, b"\1\2\3")), "chunk_size", id="an address of three bytes"),
        pytest.param(raw(ADDRESSES), "no_payload", id="no payload"),
        pytest.param(raw(chunk(15, SIP)), "no_addresses", id="no addresses"),
        pytest.param(raw(chunk(3, HOME), chunk(15, SIP)), "no_addresses", id="one address"),
        pytest.param(raw(chunk(3, HOME), chunk(6, bytes(16)), chunk(15, SIP)), "family", id="two families"),
        pytest.param(raw(chunk(1, b"\x0a"), ADDRESSES, chunk(15, SIP)), "family", id="another family"),
        pytest.param(raw(ADDRESSES, chunk(16, b"x")), "compression", id="not compressed"),
        pytest.param(raw(ADDRESSES, chunk(16, BOMB)), "compression", id="a bomb"),
        pytest.param(b"\1", "truncated", id="HEP 1, one byte"),
        pytest.param(b"\1\x10\2\x11" + bytes(8), "truncated", id="HEP 1, twelve bytes"),
        pytest.param(b"\1\x10\3\x11" + bytes(30), "family", id="HEP 1, no family"),
        pytest.param(b"\2\x28\2\x11" + bytes(30), "header_length", id="HEP 2, another length"),
        pytest.param(b"\2\x10\2\x11" + bytes(20), "truncated", id="HEP 2 without its time"),
        pytest.param(b"\1\x10\2\x11" + bytes(12), "no_payload", id="HEP 1 without a payload"),
    ],
)
def test_what_is_refused(packet: bytes, reason: str) -> None:
    traced, pipeline = opened(packet, encode(WHOLE))
    assert len(traced) == 1
    assert rejected(pipeline) == {reason: 1}


@pytest.mark.parametrize(("key", "taken"), [(b"secret", 1), (b"Secret", 0), (b"secret1", 0), (b"", 0), (None, 0)])
def test_the_key_of_a_listener(key: bytes | None, taken: int) -> None:
    pipeline = Pipeline(unwrapping=Unwrapping({"hep:there": b"secret"}, OWN))
    batch = frames(encode(replace(WHOLE, auth_key=key)))
    batch.interfaces[0] = Interface("hep:there", HEP_LINK_TYPE)
    assert len(pipeline.process(batch)) == taken
    assert rejected(pipeline) == ({} if taken else {"auth_key": 1})
    other = frames(encode(replace(WHOLE, auth_key=key)))
    other.interfaces[0] = Interface("hep:elsewhere", HEP_LINK_TYPE)
    assert len(pipeline.process(other)) == 1


def test_a_message_does_not_come_back() -> None:
    once = passed_on(WHOLE)
    _, pipeline = opened(encode(once))
    assert rejected(pipeline) == {"loop": 1}
    [through], _ = opened(encode(once), own=OTHER)
    [twice] = sent([through])
    assert twice.extra[-1].data == OWN + OTHER
    _, pipeline = opened(encode(twice))
    assert rejected(pipeline) == {"loop": 1}


def test_a_message_passes_a_limited_number_of_relays() -> None:
    packet = WHOLE
    for number in range(8):
        [one], _ = opened(encode(packet), own=b"relay%03d" % number)
        [packet] = sent([one])
    traced, pipeline = opened(encode(packet))
    assert (traced, rejected(pipeline)) == ([], {"hops": 1})


def test_reading_a_dump_refuses_no_path() -> None:
    once = passed_on(WHOLE)
    [one], _ = opened(encode(once), own=b"")
    assert sent([one])[0].extra == once.extra


def test_captured_hep_is_opened_only_where_it_is_asked_for() -> None:
    datagram = Frames.of([in_udp(encode(WHOLE)), in_udp(encode(WHOLE, 2)), in_udp(SIP)], 101)
    assert [one.raw for one in Pipeline().messages(datagram)] == [SIP]
    found = Pipeline(Capture(hep_in=True)).messages(datagram)
    assert [one.raw for one in found] == [SIP] * 3
    assert [one.datagram.vlan for one in found] == [120, NO_VLAN, NO_VLAN]


def in_udp(payload: bytes) -> bytes:
    from capture_agent.records.frame_building import Ends, udp

    return udp(Ends(b"\x7f\0\0\1", 9000, b"\x7f\0\0\2", 9060), payload)


@pytest.mark.parametrize("piece", [1, 5, 100, 1 << 20])
def test_captured_hep_over_tcp(piece: int) -> None:
    from capture_agent.records.frame_building import ACK, FIN, SYN, Ends, tcp

    ends = Ends(b"\x7f\0\0\1", 9000, b"\x7f\0\0\2", 9060)
    stream = b"".join(encode(replace(WHOLE, capture_id=n)) for n in range(5))
    packets = [tcp(ends, 0, SYN)]
    packets += [tcp(ends, 1 + at, ACK, stream[at : at + piece]) for at in range(0, len(stream), piece)]
    packets.append(tcp(ends, 1 + len(stream), FIN))
    pipeline = Pipeline(Capture(hep_in=True))
    found = pipeline.messages(Frames.of(packets, 101)) + pipeline.last_messages()
    assert [one.origin.capture_id for one in found if one.origin is not None] == list(range(5))
    assert {one.raw for one in found} == {SIP}
    assert len(pipeline.trace(found)) == 5
    assert all(ledger.difference == 0 for ledger in pipeline.ledgers())


@given(st.lists(st.binary(max_size=200) | st.binary(max_size=60).map(raw), max_size=8))
def test_whatever_comes_is_counted(packets: list[bytes]) -> None:
    _, pipeline = opened(*packets)
    assert all(ledger.difference == 0 for ledger in pipeline.ledgers())


@given(st.data())
def test_damage_is_counted(data: st.DataObject) -> None:
    packet = bytearray(encode(WHOLE, data.draw(st.sampled_from([1, 2, 3]))))
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    _, pipeline = opened(bytes(packet[: data.draw(st.integers(0, len(packet)))]))
    assert all(ledger.difference == 0 for ledger in pipeline.ledgers())


def test_a_batch_of_everything() -> None:
    """Messages of a batch share a buffer, but for the compressed one; each has what its packet had."""
    long = SIP + b"x" * 30_000
    v6 = replace(WHOLE, source=bytes(15) + b"\1", destination=bytes(15) + b"\2", payload=SIP + b"six")
    packets = [
        encode(replace(WHOLE, payload=SIP + b"one")),
        encode(replace(WHOLE, payload=long, compressed=True)),
        encode(replace(WHOLE, payload=b"{}", protocol_type=5)),
        encode(WHOLE)[:-1],
        encode(v6),
        encode(replace(WHOLE, payload=SIP + b"two"), 2),
    ]
    traced, pipeline = opened(*packets)
    *sip, rtcp = [one.message for one in traced]
    assert [one.raw for one in sip] == [SIP + b"one", long, SIP + b"six", SIP + b"two"]
    assert [one.datagram.source for one in sip] == [HOME, HOME, v6.source, HOME]
    assert [one.datagram.destination for one in sip] == [AWAY, AWAY, v6.destination, AWAY]
    assert (rtcp.raw, rtcp.datagram.source, rtcp.datagram.destination) == (b"{}", HOME, AWAY)
    assert rejected(pipeline) == {"total_length": 1}
    assert fit(traced, 1 << 40)[1] < 4 * len(long)
