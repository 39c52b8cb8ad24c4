"""Writes golden.json: HEP packets built byte by byte, without the package under test.

    python tests/hep/make_golden.py

Each entry: the packet as hex, the fields it must decode to (bytes as hex, marked by "hex:"), its version, the
chunk order to encode with, and `direction`: "both", or "decode" for what we read but would write differently.
"""

import gzip
import json
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

INVITE = (
    b"INVITE sip:bob@192.0.2.20:5060 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.10:5070;branch=z9hG4bK-golden-1\r\n"
    b"From: <sip:alice@example.org>;tag=a1\r\nTo: <sip:bob@example.org>\r\n"
    b"Call-ID: golden-1@example.org\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
BINARY = bytes(range(256)) * 3
V4 = socket.inet_aton("192.0.2.10"), socket.inet_aton("192.0.2.20")
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::10"),
    socket.inet_pton(socket.AF_INET6, "fd00:0:0:1::ab"),
)
SECONDS, MICROSECONDS = 1_700_000_000, 123_456


def chunk(kind: int, data: bytes, vendor: int = 0) -> bytes:
    return struct.pack("!HHH", vendor, kind, 6 + len(data)) + data


def hep3(*chunks: bytes, magic: bytes = b"HEP3") -> bytes:
    body = b"".join(chunks)
    return magic + struct.pack("!H", 6 + len(body)) + body


def head(protocol: int = 17, v6: bool = False) -> list[bytes]:
    family, addresses, kinds = (10, V6, (5, 6)) if v6 else (2, V4, (3, 4))
    return [
        chunk(1, bytes([family])),
        chunk(2, bytes([protocol])),
        chunk(kinds[0], addresses[0]),
        chunk(kinds[1], addresses[1]),
    ]


PORTS = [chunk(7, struct.pack("!H", 5070)), chunk(8, struct.pack("!H", 5060))]
TIMES = [chunk(9, struct.pack("!I", SECONDS)), chunk(10, struct.pack("!I", MICROSECONDS))]


def agent(kind: int = 1, capture_id: int = 2001) -> list[bytes]:
    return [chunk(11, bytes([kind])), chunk(12, struct.pack("!I", capture_id))]


def hep12(version: int, v6: bool = False, capture_id: int = 234, payload: bytes = INVITE) -> bytes:
    family, header_length, (source, destination) = (10, 40, V6) if v6 else (2, 16, V4)
    data = struct.pack("!BBBBHH", version, header_length, family, 17, 5070, 5060) + source + destination
    if version == 2:
        data += struct.pack("<IIH", SECONDS, MICROSECONDS, capture_id) + b"\0\0"
    return data + payload


def fields(v6: bool = False, **more: Any) -> dict[str, Any]:
    source, destination = V6 if v6 else V4
    common = {"source": source, "destination": destination, "source_port": 5070, "destination_port": 5060}
    return {**common, "protocol": 17, "family": 10 if v6 else 2, "payload": INVITE, **more}


def timed(v6: bool = False, **more: Any) -> dict[str, Any]:
    return fields(v6, seconds=SECONDS, microseconds=MICROSECONDS, **more)


def sip(v6: bool = False, **more: Any) -> dict[str, Any]:
    return timed(v6, **{"protocol_type": 1, "capture_id": 2001, **more})


def log(v6: bool = False, **more: Any) -> dict[str, Any]:
    return sip(v6, **{"protocol_type": 100, "payload": b"a log line", **more})


PLAIN = [*head(), *PORTS, *TIMES, *agent()]
LOG = [*head(), *PORTS[::-1], *TIMES, *agent(100)]
LOG6 = [*head(v6=True), *PORTS[::-1], *TIMES, *agent(100)]
SIP_TEXT = chunk(15, INVITE)
LOG_TEXT = chunk(15, b"a log line")

# Name, packet, fields; then version, order and direction where they are not 3, "sip" and "both".
PACKETS: list[tuple[Any, ...]] = [
    ("hep1 ipv4", hep12(1), fields(), 1),
    ("hep1 ipv6", hep12(1, v6=True), fields(v6=True), 1),
    ("hep1 without payload", hep12(1, payload=b""), fields(payload=b""), 1),
    ("hep2 ipv4", hep12(2), timed(capture_id=234), 2),
    ("hep2 ipv6", hep12(2, v6=True), timed(v6=True, capture_id=234), 2),
    ("hep2 capture id 4464", hep12(2, capture_id=4464), timed(capture_id=4464), 2),
    ("hep3 ipv4", hep3(*PLAIN, SIP_TEXT), sip()),
    ("hep3 ipv6", hep3(*head(v6=True), *PORTS, *TIMES, *agent(), SIP_TEXT), sip(v6=True)),
    ("hep3 tcp", hep3(*head(6), *PORTS, *TIMES, *agent(), SIP_TEXT), sip(protocol=6)),
    ("hep3 tls", hep3(*head(22), *PORTS, *TIMES, *agent(), SIP_TEXT), sip(protocol=22)),
    ("hep3 sctp", hep3(*head(132), *PORTS, *TIMES, *agent(), SIP_TEXT), sip(protocol=132)),
    (
        "hep3 largest numbers",
        hep3(
            chunk(1, b"\xff"),
            chunk(2, b"\xff"),
            *head()[2:],
            *(chunk(kind, b"\xff\xff") for kind in (7, 8)),
            *(chunk(kind, b"\xff\xff\xff\xff") for kind in (9, 10)),
            chunk(11, b"\xff"),
            chunk(12, b"\xff\xff\xff\xff"),
            SIP_TEXT,
        ),
        {
            **sip(family=255, protocol=255, protocol_type=255),
            **dict.fromkeys(("source_port", "destination_port"), 0xFFFF),
            **dict.fromkeys(("seconds", "microseconds", "capture_id"), 0xFFFFFFFF),
        },
    ),
    (
        "hep3 correlation id",
        hep3(*PLAIN, chunk(0x11, b"corr-1"), SIP_TEXT),
        sip(correlation_id=b"corr-1"),
    ),
    ("hep3 key", hep3(*PLAIN, chunk(0x0E, b"secret"), SIP_TEXT), sip(auth_key=b"secret")),
    (
        "hep3 correlation id and key",
        hep3(*PLAIN, chunk(0x11, b"corr-1"), chunk(0x0E, b"secret"), SIP_TEXT),
        sip(correlation_id=b"corr-1", auth_key=b"secret"),
    ),
    ("hep3 binary payload", hep3(*PLAIN, chunk(15, BINARY)), sip(payload=BINARY)),
    ("hep3 empty payload", hep3(*PLAIN, chunk(15, b"")), sip(payload=b"")),
    ("hep3 without payload", hep3(*PLAIN), sip(payload=None)),
    ("hep3 keep-alive only", hep3(chunk(0x0D, b"\0\x3c")), {"keep_alive": 60}),
    ("hep3 nothing", hep3(), {}),
    (
        "hlog",
        hep3(*LOG, chunk(0x11, b"corr-1"), chunk(0x0E, b"secret"), LOG_TEXT),
        log(correlation_id=b"corr-1", auth_key=b"secret"),
        3,
        "hlog",
    ),
    (
        "hlog with an empty correlation id",
        hep3(*LOG, chunk(0x11, b""), LOG_TEXT),
        log(correlation_id=b""),
        3,
        "hlog",
    ),
    ("hlog ipv6", hep3(*LOG6, chunk(0x11, b"c"), LOG_TEXT), log(v6=True, correlation_id=b"c"), 3, "hlog"),
    (
        "every generic chunk",
        hep3(
            *PLAIN,
            chunk(0x11, b"corr-1"),
            chunk(0x0E, b"secret"),
            chunk(0x0D, b"\0\x1e"),
            chunk(0x12, b"\0\x64"),
            chunk(0x13, b"node1"),
            chunk(0x14, bytes.fromhex("0000021122334455")),
            chunk(0x15, bytes.fromhex("000002aabbccddee")),
            chunk(0x16, b"\x08\x00"),
            chunk(0x17, b"\x18"),
            chunk(0x18, b"\xb8"),
            chunk(0x20, struct.pack("!H", 410)),
            chunk(0x21, struct.pack("!H", 93)),
            chunk(0x22, b"52.5,13.4"),
            chunk(0x23, struct.pack("!I", 7)),
            chunk(0x24, b"call"),
            chunk(0x25, b"a,b"),
            chunk(0x26, b"x;y"),
            chunk(0x27, b"\0\x02"),
            chunk(0x28, b"\0\x01"),
            chunk(0x29, b"group"),
            SIP_TEXT,
        ),
        sip(
            correlation_id=b"corr-1",
            auth_key=b"secret",
            keep_alive=30,
            vlan=100,
            agent_name=b"node1",
            source_mac=0x021122334455,
            destination_mac=0x02AABBCCDDEE,
            ethertype=0x0800,
            tcp_flags=0x18,
            tos=0xB8,
            mos=410,
            r_factor=93,
            geo_location=b"52.5,13.4",
            jitter=7,
            transaction_type=b"call",
            json_keys=b"a,b",
            tag_values=b"x;y",
            tag_type=2,
            event_type=1,
            group_id=b"group",
        ),
    ),
    (
        "unknown and vendor chunks",
        hep3(*PLAIN, chunk(0x2A, b"later"), chunk(1, b"\1", vendor=2), chunk(0x2A, b""), SIP_TEXT),
        sip(extra=[[0, 0x2A, b"later"], [2, 1, b"\1"], [0, 0x2A, b""]]),
    ),
    ("draft magic EEP1", hep3(*PLAIN, SIP_TEXT, magic=b"EEP1"), sip(), 3, "sip", "decode"),
    (
        "payload as zlib",
        hep3(*PLAIN, chunk(16, zlib.compress(INVITE))),
        sip(compressed=True),
        3,
        "sip",
        "decode",
    ),
    (
        "payload as gzip",
        hep3(*PLAIN, chunk(16, gzip.compress(INVITE, mtime=1))),
        sip(compressed=True),
        3,
        "sip",
        "decode",
    ),
    (
        "payload first, ports last",
        hep3(SIP_TEXT, *head(), *TIMES, *agent(), *PORTS),
        sip(),
        3,
        "sip",
        "decode",
    ),
]


def plain(value: Any) -> Any:
    """Bytes as text, everywhere."""
    if isinstance(value, bytes):
        return "hex:" + value.hex()
    return [plain(item) for item in value] if isinstance(value, list) else value


def entry(row: tuple[Any, ...]) -> dict[str, Any]:
    name, packet, wanted, version, order, direction = row + (3, "sip", "both")[len(row) - 3 :]
    facts = {"name": name, "version": version, "order": order, "direction": direction}
    return {**facts, "hex": packet.hex(), "fields": {key: plain(value) for key, value in wanted.items()}}


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(entry(row)) for row in PACKETS)
    (Path(__file__).parent / "golden.json").write_text(f"[\n{lines}\n]\n")
