"""SIP with session descriptions, and RTCP, as frames of raw IP."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from capture_agent.records.frames import Frames

RAW_IP = 101
A, B = ("192.0.2.1", 4000), ("192.0.2.2", 5000)
SIP_A, SIP_B = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
START_NS = 1_700_000_000_000_000_000

BLOCK = struct.pack(">IB3sIIII", 0x22222222, 25, b"\xff\xff\xfe", 70_000, 160, 0x11112222, 65_536)
SENDER = struct.pack(">IIIII", 3_900_000_000, 0x80000000, 160_000, 1000, 160_000)
CNAME = b"\x01\x0aalice@host"
METRICS = struct.pack(
    ">IBBBBHHHHBBBBBBBBBxHHH",
    0x22222222, 1, 2, 3, 4, 500, 600, 70, 80, 235, 200, 55, 16, 90, 127, 41, 40, 0x30, 60, 120, 240,
)  # fmt: skip


def rtcp(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0x80 | count, kind, len(body) // 4) + body


def padded(text: bytes) -> bytes:
    return text + bytes(4 - len(text) % 4)


SSRC = struct.pack(">I", 0x11111111)
SR = rtcp(200, 1, SSRC + SENDER + BLOCK)
RR = rtcp(201, 1, SSRC + BLOCK)
SDES = rtcp(202, 1, SSRC + padded(CNAME))
BYE = rtcp(203, 1, SSRC)
XR = rtcp(207, 0, SSRC + b"\x07\x00\x00\x08" + METRICS)
FEEDBACK = rtcp(206, 1, SSRC + SSRC)


def sdp(host: str, port: int, *lines: str, profile: str = "RTP/AVP") -> bytes:
    family = ip_address(host).version
    head = ["v=0", f"o=- 1 1 IN IP{family} {host}", "s=-", f"c=IN IP{family} {host}", "t=0 0"]
    return "\r\n".join([*head, f"m=audio {port} {profile} 0", *lines, ""]).encode()


def sip(start: str, cseq: str, body: bytes = b"", call_id: str = "call-1") -> bytes:
    head = [
        start, "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", "From: <sip:alice@h>;tag=1", "To: <sip:bob@h>;tag=2",
        f"Call-ID: {call_id}", f"CSeq: {cseq}", "Content-Type: application/sdp", f"Content-Length: {len(body)}", "", "",
    ]  # fmt: skip
    return "\r\n".join(head).encode() + body


def invite(body: bytes, call_id: str = "call-1") -> bytes:
    return sip("INVITE sip:bob@h SIP/2.0", "1 INVITE", body, call_id)


def answer(status: int, body: bytes = b"", call_id: str = "call-1") -> bytes:
    return sip(f"SIP/2.0 {status} Said", "1 INVITE", body, call_id)


def bye(call_id: str = "call-1") -> bytes:
    return sip("BYE sip:bob@h SIP/2.0", "2 BYE", call_id=call_id)


def packet(source: tuple[str, int], destination: tuple[str, int], payload: bytes) -> bytes:
    udp = struct.pack(">HHHH", source[1], destination[1], 8 + len(payload), 0) + payload
    ends = ip_address(source[0]).packed + ip_address(destination[0]).packed
    if len(ends) == 32:
        return struct.pack(">IHBB", 0x60000000, len(udp), 17, 64) + ends + udp
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + ends + udp


def frames(packets: list[bytes], seconds: list[float] | None = None) -> Frames:
    """A tenth of a second apart, or at these seconds."""
    times = seconds if seconds is not None else [n / 10 for n in range(len(packets))]
    return Frames.of(packets, RAW_IP, [START_NS + int(1e9 * at) for at in times])
