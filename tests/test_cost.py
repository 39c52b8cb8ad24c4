"""The cost of the worst packets and messages is linear in their bytes: twice as many take less than three times as long.

tests/packet/test_defrag.py, tests/streams/test_stream_cost.py and test_sctp.py do the same for fragments and streams.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from carriages import ip_packet, udp
from wrappings import MACS, TUNNELS, V4

from capture_agent.pipeline import Pipeline
from capture_agent.records.frames import Frames

UNIT = 15_000  # bytes of a frame; twice as many still fit into one
START = b"INVITE sip:a@b SIP/2.0\r\n"


def message(text: bytes) -> bytes:
    return MACS + b"\x08\x00" + ip_packet(4, 17, udp(4, 5070, text))


def filled(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece))


def headers(size: int) -> bytes:
    return message(START + filled(b"A: b\r\n", size) + b"\r\n")


def vias(size: int) -> bytes:
    return message(START + filled(b"v: SIP/2.0/UDP h;branch=z\r\nf: <sip:a>;tag=1\r\nl: 1\r\n", size) + b"\r\n")


def folded_lines(size: int) -> bytes:
    return message(START + b"Call-ID: a\r\nVia:" + filled(b"\r\n ", size) + b"x\r\n\r\n")


def folded_lengths(size: int) -> bytes:
    return message(START + filled(b"l:\r\n 1\r\n", size) + b"\r\n")


def parameters(size: int) -> bytes:
    return message(
        START + b"From: <sip:a>" + filled(b";a=b", size) + b";tag=1\r\nVia: " + filled(b";;", size // 2) + b"\r\n\r\n"
    )


def quotes(size: int) -> bytes:
    return message(START + b'From: "' + filled(b'\\"', size) + b"\r\nTo: " + filled(b"<", size // 2) + b"\r\n\r\n")


def an_endless_line(size: int) -> bytes:
    return message(b"INVITE sip:" + filled(b"a", size))


def line_ends(size: int) -> bytes:
    return message(filled(b"\r\n", size))


def spaces(size: int) -> bytes:
    return message(START + b"Via" + filled(b" ", size) + b": x\r\n\r\n")


def colons(size: int) -> bytes:
    return message(START + filled(b":\r\n", size) + b"\r\n")


def vlan_tags(size: int) -> bytes:
    return MACS + filled(b"\x81\x00\x00\x05", size) + b"\x08\x00" + ip_packet(4, 17, udp(4, 5070, START))


def mpls_labels(size: int) -> bytes:
    return MACS + b"\x88\x47" + filled(b"\x00\x00\x10\x40", size)


def extension_headers(size: int) -> bytes:
    return MACS + b"\x86\xdd" + ip_packet(6, 0, filled(bytes(8), size))


def nested(tunnel: str) -> Callable[[int], bytes]:
    def frame(size: int) -> bytes:
        kind, packet = V4, ip_packet(4, 17, udp(4, 5070, START))
        while len(packet) < size:
            wrapped = TUNNELS[tunnel](kind, packet)
            assert wrapped is not None
            kind, packet = wrapped
        return MACS + kind.to_bytes(2, "big") + packet

    return frame


CASES: dict[str, Callable[[int], bytes]] = {
    one.__name__: one
    for one in (
        headers, vias, folded_lines, folded_lengths, parameters, quotes, an_endless_line, line_ends, spaces, colons,
        vlan_tags, mpls_labels, extension_headers,
    )
} | {tunnel: nested(tunnel) for tunnel in ("ip", "gre", "vxlan", "geneve", "gtp-u", "l2tp", "tzsp", "etherip")}  # fmt: skip


def cost(frame: bytes, count: int) -> float:
    best = 1e9
    frames = Frames.of([frame] * count)
    for _ in range(5):
        pipeline = Pipeline()
        begun = time.process_time()
        pipeline.process(frames)
        best = min(best, time.process_time() - begun)
    return best


@pytest.mark.parametrize("name", CASES)
def test_twice_the_bytes_take_less_than_three_times_as_long(name: str) -> None:
    small, large = CASES[name](UNIT), CASES[name](2 * UNIT)
    assert len(large) > 1.8 * len(small)
    count = 20
    while cost(small, count) < 0.002:  # shorter times say nothing
        count *= 4
    for _ in range(10):  # a busy machine may disturb some; what grows with the square gives 4 each time
        ratio = cost(large, count) / cost(small, count)
        if ratio < 3:
            return
    pytest.fail(f"{ratio:.1f} times as long")
