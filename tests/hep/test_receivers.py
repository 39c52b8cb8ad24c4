"""Independent programs understand our packets: Kamailio's sipcapture, sngrep and hep-js."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hep_receivers import HepJs, Kamailio, Saved, Sngrep
from hep_samples import chunk, hep3, sip_packet

from hep import HLOG_ORDER, Chunk, Packet, decode, encode

pytestmark = pytest.mark.once

HEADERS = (
    "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-{id}\r\nMax-Forwards: 70\r\n"
    "From: <sip:alice@example.org>;tag=f-{id}\r\nTo: <sip:bob@example.org>{tag}\r\n"
    "Call-ID: {id}\r\nCSeq: 1 {method}\r\nContact: <sip:alice@192.0.2.1>\r\n"
)


def sip(call_id: str, method: str = "OPTIONS", body: bytes = b"", status: str = "") -> bytes:
    first = f"SIP/2.0 {status}" if status else f"{method} sip:bob@example.org SIP/2.0"
    headers = HEADERS.format(id=call_id, method=method, tag=";tag=t" if status else "")
    return f"{first}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


# Bodies that a careless receiver or encoder would cut or change.
BODIES = {
    "none": b"",
    "text": b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n",
    "utf-8": "\u00e9\u4e16\U0001f600".encode(),
    "2 KB": b"x" * 2_000,
    "8 KB": b"y" * 8_000,
}
METHODS = ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO"]


@pytest.fixture(scope="module")
def hep_js(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HepJs]:
    with HepJs.started(tmp_path_factory.mktemp("hep_js")) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    with Kamailio.started(tmp_path_factory.mktemp("kamailio")) as receiver:
        yield receiver


@pytest.fixture(scope="module", params=[None, "hush"], ids=["open", "with a key"])
def sngrep(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sngrep]:
    with Sngrep.started(tmp_path_factory.mktemp("sngrep"), key=request.param) as receiver:
        yield receiver


def js_fields(packet: Packet) -> dict[str, Any]:
    return {
        "protocolFamily": packet.ip_family,
        "protocol": packet.protocol,
        "srcIp": str(packet.source_address),
        "dstIp": str(packet.destination_address),
        "srcPort": packet.source_port,
        "dstPort": packet.destination_port,
        "timeSeconds": packet.seconds,
        "timeUseconds": packet.microseconds,
        "payloadType": packet.protocol_type,
        "captureId": packet.capture_id,
        "payload": (packet.payload or b"").decode(),
    }


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_hep_js_payloads(hep_js: HepJs, body: bytes) -> None:
    packet = sip_packet(sip("js", "MESSAGE", body))
    assert hep_js.decapsulated(encode(packet)) == js_fields(packet)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        pytest.param({"correlation_id": b"corr-1"}, {"correlation_id": "corr-1"}, id="correlation id"),
        pytest.param({"auth_key": b"hush"}, {"capturePass": "hush"}, id="key"),
        pytest.param({"agent_name": b"node1"}, {"hepNodeName": "node1"}, id="agent name"),
        pytest.param({"mos": 410}, {"mos": 410}, id="MOS"),
        pytest.param({"protocol": 6}, {"protocol": 6}, id="TCP"),
        pytest.param({"capture_id": 0xFFFFFFFF}, {"captureId": 0xFFFFFFFF}, id="capture id"),
        pytest.param({"seconds": 0xFFFFFFFF}, {"timeSeconds": 0xFFFFFFFF}, id="after 2038"),
        pytest.param({"vlan": 7, "extra": (Chunk(2, 0x99, b"x"),)}, {}, id="chunks it does not know"),
    ],
)
def test_hep_js_fields(hep_js: HepJs, changes: dict[str, Any], wanted: dict[str, Any]) -> None:
    packet = replace(sip_packet(), **changes)
    assert hep_js.decapsulated(encode(packet)) == {**js_fields(packet), **wanted}


def test_hep_js_hlog(hep_js: HepJs) -> None:
    packet = replace(sip_packet(b"a log line"), protocol_type=100, correlation_id=b"corr-1")
    wanted = {**js_fields(packet), "correlation_id": "corr-1"}
    assert hep_js.decapsulated(encode(packet, order=HLOG_ORDER)) == wanted


def test_hep_js_ipv6(hep_js: HepJs) -> None:
    packet = sip_packet(sip("js6"), v6=True)
    # hep-js has no place for IPv6 addresses.
    wanted = {name: value for name, value in js_fields(packet).items() if name not in ("srcIp", "dstIp")}
    assert hep_js.decapsulated(encode(packet)) == wanted


def with_a_port_before(packet: Packet) -> bytes:
    """The packet with another source port chunk before its own."""
    return hep3(chunk(7, b"\x11\x11"), encode(packet)[6:])


def test_hep_js_takes_the_last_of_two_chunks(hep_js: HepJs) -> None:
    data = with_a_port_before(sip_packet())
    assert hep_js.decapsulated(data)["srcPort"] == decode(data).source_port == 5060


KAMAILIO_PROTOCOLS = {17: 1, 6: 2}


def columns(packet: Packet, version: int) -> dict[str, Any]:
    wanted = {
        "source_ip": str(packet.source_address),
        "destination_ip": str(packet.destination_address),
        "source_port": packet.source_port,
        "destination_port": packet.destination_port,
        "family": packet.ip_family,
        "proto": KAMAILIO_PROTOCOLS[packet.protocol or 0],
        "msg": packet.payload,
    }
    if version > 1:
        wanted["micro_ts"] = (packet.seconds or 0) * 1_000_000 + (packet.microseconds or 0)
        wanted["node"] = f"node:{packet.capture_id}"
    return wanted


def chosen(row: sqlite3.Row, names: dict[str, Any]) -> dict[str, Any]:
    found = {name: row[name] for name in names}
    if isinstance(found.get("msg"), str):
        found["msg"] = found["msg"].encode()
    return found


@pytest.mark.parametrize("protocol", [17, 6], ids=["udp", "tcp"])
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_kamailio_versions(kamailio: Kamailio, version: int, v6: bool, protocol: int) -> None:
    call_id = f"kam-{version}-{v6}-{protocol}"
    packet = replace(sip_packet(sip(call_id, "INVITE", BODIES["text"]), v6=v6), protocol=protocol)
    kamailio.send(encode(packet, version))
    wanted = columns(packet, version)
    assert chosen(kamailio.stored("sip_capture", "callid", call_id), wanted) == wanted


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_kamailio_payloads(kamailio: Kamailio, body: bytes, version: int) -> None:
    call_id = f"kam-body-{len(body)}-{version}"
    packet = sip_packet(sip(call_id, "MESSAGE", body))
    kamailio.send(encode(packet, version))
    wanted = columns(packet, version)
    assert chosen(kamailio.stored("sip_capture", "callid", call_id), wanted) == wanted


@pytest.mark.parametrize("version", [1, 2, 3])
def test_kamailio_many_messages(kamailio: Kamailio, version: int) -> None:
    names = [f"kam-{n}-{version}" for n in range(60)]
    sent = {name: sip_packet(sip(name, METHODS[n % len(METHODS)])) for n, name in enumerate(names)}
    packets = iter(sent.items())
    # In turns: a socket's buffer holds about a hundred.
    while batch := [item for item, _ in zip(packets, range(20), strict=False)]:
        kamailio.send(*(encode(packet, version) for _, packet in batch))
        for call_id, packet in batch:
            wanted = columns(packet, version)
            assert chosen(kamailio.stored("sip_capture", "callid", call_id), wanted) == wanted


def test_kamailio_reply(kamailio: Kamailio) -> None:
    packet = sip_packet(sip("kam-reply", "INVITE", status="486 Busy Here"))
    kamailio.send(encode(packet))
    row = kamailio.stored("sip_capture", "callid", "kam-reply")
    assert (row["method"], row["reply_reason"], row["cseq"]) == ("486", "Busy Here", "1 INVITE")


@pytest.mark.parametrize(("correlation_id", "stored"), [(b"corr-1", "corr-1"), (None, "kam-corr-None")])
def test_kamailio_correlation_id_and_key(kamailio: Kamailio, correlation_id: bytes | None, stored: str) -> None:
    call_id = f"kam-corr-{correlation_id!r}"
    packet = replace(sip_packet(sip(call_id)), correlation_id=correlation_id, auth_key=b"hush")
    kamailio.send(encode(packet))
    row = kamailio.stored("sip_capture", "callid", call_id)
    # Without the chunk sipcapture takes the Call-ID.
    assert (row["correlation_id"], row["msg"]) == (stored, packet.payload)


def test_kamailio_every_chunk(kamailio: Kamailio) -> None:
    packet = replace(
        sip_packet(sip("kam-chunks")),
        keep_alive=30,
        vlan=7,
        agent_name=b"node1",
        source_mac=1,
        tcp_flags=0x18,
        mos=410,
        jitter=7,
        group_id=b"g",
        extra=(Chunk(2, 1, b"x"), Chunk(0, 0x99, b"y")),
    )
    kamailio.send(encode(packet))
    wanted = columns(packet, 3)
    assert chosen(kamailio.stored("sip_capture", "callid", "kam-chunks"), wanted) == wanted


def test_kamailio_hlog(kamailio: Kamailio) -> None:
    packet = replace(sip_packet(b"a log line"), protocol_type=100, correlation_id=b"kam-log")
    kamailio.send(encode(packet, order=HLOG_ORDER))
    wanted = columns(packet, 3)
    assert chosen(kamailio.stored("logs_capture", "correlation_id", "kam-log"), wanted) == wanted


def test_kamailio_capture_id_of_hep2(kamailio: Kamailio) -> None:
    kamailio.send(encode(replace(sip_packet(sip("kam-id")), capture_id=70_000), 2))
    assert kamailio.stored("sip_capture", "callid", "kam-id")["node"] == "node:4464"


def test_kamailio_takes_the_last_of_two_chunks(kamailio: Kamailio) -> None:
    kamailio.send(with_a_port_before(sip_packet(sip("kam-two"))))
    assert kamailio.stored("sip_capture", "callid", "kam-two")["source_port"] == 5060


def saved_as(packet: Packet) -> Saved:
    return Saved(
        str(packet.source_address),
        packet.source_port or 0,
        str(packet.destination_address),
        packet.destination_port or 0,
        packet.payload or b"",
    )


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_sngrep_payloads(sngrep: Sngrep, body: bytes) -> None:
    call_id = f"sn-{len(body)}"
    packet = replace(sip_packet(sip(call_id, "MESSAGE", body)), auth_key=b"hush")
    sngrep.send(encode(packet))
    assert sngrep.saved(call_id) == saved_as(packet)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"correlation_id": b"corr-1"}, id="correlation id"),
        pytest.param({"agent_name": b"node1", "vlan": 7, "mos": 410, "group_id": b"g"}, id="optional chunks"),
        pytest.param({"extra": (Chunk(2, 1, b"x"),)}, id="vendor's chunk"),
        pytest.param({"source": b"\xff\xfe\xfd\xfc", "source_port": 65_535}, id="other addresses"),
    ],
)
def test_sngrep_fields(sngrep: Sngrep, changes: dict[str, Any]) -> None:
    call_id = f"sn-{next(iter(changes))}"
    packet = replace(sip_packet(sip(call_id, "INVITE")), auth_key=b"hush", **changes)
    sngrep.send(encode(packet))
    assert sngrep.saved(call_id) == saved_as(packet)


def test_sngrep_many_messages(sngrep: Sngrep) -> None:
    packets = {f"sn-many-{n}": replace(sip_packet(sip(f"sn-many-{n}")), auth_key=b"hush") for n in range(40)}
    sngrep.send(*map(encode, packets.values()))
    for call_id, packet in packets.items():
        assert sngrep.saved(call_id) == saved_as(packet)


def test_sngrep_takes_the_last_of_two_chunks(sngrep: Sngrep) -> None:
    packet = replace(sip_packet(sip("sn-two", "INVITE")), auth_key=b"hush")
    sngrep.send(with_a_port_before(packet))
    assert sngrep.saved("sn-two") == saved_as(packet)


def test_sngrep_ipv6(sngrep: Sngrep) -> None:
    packet = replace(sip_packet(sip("sn-6", "INVITE"), v6=True), auth_key=b"hush")
    sngrep.send(encode(packet))
    # It takes the message, and saves it without its addresses.
    assert sngrep.saved("sn-6") == Saved("0.0.0.0", 5060, "0.0.0.0", 5080, packet.payload or b"")


def test_sngrep_checks_the_key(sngrep: Sngrep) -> None:
    wrong = replace(sip_packet(sip("sn-wrong", "INVITE")), auth_key=b"hash")
    right = replace(sip_packet(sip("sn-right", "INVITE")), auth_key=b"hush")
    sngrep.send(encode(wrong), encode(right))
    sngrep.saved("sn-right")
    taken = any(b"sn-wrong" in message.payload for message in sngrep.messages())
    assert taken == (sngrep.key is None)
