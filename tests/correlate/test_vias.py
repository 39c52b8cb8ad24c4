"""The path of a request by its Via headers."""

from __future__ import annotations

import pytest
from correlate_samples import captured

from capture_agent.correlate.vias import is_spiral, via_stack

STACKS = [
    (b"Via: SIP/2.0/UDP a;branch=1", ["a:5060"]),
    (b"v: SIP/2.0/TCP A.example:5070;branch=1\r\nVia: SIP / 2.0 / UDP 192.0.2.1", ["a.example:5070", "192.0.2.1:5060"]),
    (b"Via: SIP/2.0/UDP a, SIP/2.0/UDP b:1 ,SIP/2.0/UDP [2001:DB8::1]:2;x", ["a:5060", "b:1", "[2001:db8::1]:2"]),
    (b"Via: SIP/2.0/UDP a;branch=1,\r\n SIP/2.0/UDP b", ["a:5060", "b:5060"]),
    (b"X-Via: SIP/2.0/UDP a", []),
    (b"Via: nonsense", []),
    (b"Via: SIP/2.0/UDP " + b"a," * 10, ["a:5060"]),
    (b"\r\n".join(b"Via: SIP/2.0/UDP h%d" % n for n in range(500)), [f"h{n}:5060" for n in range(70)]),
]


@pytest.mark.parametrize(("headers", "want"), STACKS)
def test_stacks(headers: bytes, want: list[str]) -> None:
    sip = captured(b"INVITE sip:b SIP/2.0\r\n" + headers + b"\r\nCSeq: 1 INVITE\r\n\r\nVia: SIP/2.0/UDP body\r\n").sip
    assert [f"{host.decode()}:{port.decode()}" for host, port in via_stack(sip)] == want


@pytest.mark.parametrize(
    ("vias", "spiral"),
    [
        (["192.0.2.11", "192.0.2.20"], False),
        (["192.0.2.11", "192.0.2.20", "192.0.2.11:5060"], True),
        (["192.0.2.11", "192.0.2.20", "192.0.2.11:5070"], False),
        (["192.0.2.11", "192.0.2.10", "192.0.2.20"], True),  # where it goes now
        (["192.0.2.11", "192.0.2.10:5070", "192.0.2.20"], False),
        ([], False),
    ],
)
def test_spirals(vias: list[str], spiral: bool) -> None:
    lines = "".join(f"Via: SIP/2.0/UDP {via};branch=x\r\n" for via in vias)
    one = captured(f"INVITE sip:b SIP/2.0\r\n{lines}\r\n".encode(), source=11, destination=10)
    assert is_spiral(one.sip, one.datagram) is spiral
