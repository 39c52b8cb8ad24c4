"""Hosts and ports of session descriptions."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.media.media_addresses import announced, is_private, packed, placed

pytestmark = pytest.mark.once


@given(st.ip_addresses())
def test_addresses_are_those_of_the_library(address: IPv4Address | IPv6Address) -> None:
    usable = not (address.is_multicast or address.is_unspecified)
    assert packed(str(address).encode()) == (address.packed if usable else b"")


@pytest.mark.parametrize(
    "host",
    [b"", b"h", b"1.2.3", b"1.2.3.4.5", b"256.1.1.1", b"01.2.3.4", b"1.2.3.4 ", b"0.0.0.0", b"239.1.1.1", b"::", b"ff02::1",
     b"fe80::1%eth0", b"\xff", b"1.2.3.\xb2", b"1" * 9999],
)  # fmt: skip
def test_no_addresses(host: bytes) -> None:
    assert packed(host) == b""


@pytest.mark.parametrize("port", [b"", b"0", b"65536", b"-1", b"1 ", b"\xb2", b"9" * 5000])
def test_no_ports(port: bytes) -> None:
    assert placed(b"192.0.2.1", port) is None


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("10.0.0.1", True), ("11.0.0.1", False), ("172.16.0.1", True), ("172.31.9.9", True), ("172.32.0.1", False),
        ("192.168.1.1", True), ("192.169.1.1", False), ("100.64.0.1", True), ("100.128.0.1", False),
        ("fd00::1", True), ("2001:db8::1", False),
    ],
)  # fmt: skip
def test_private_ones(address: str, private: bool) -> None:
    assert is_private(ip_address(address).packed) == private


def test_the_work_is_bounded() -> None:
    line = b"a=candidate:1 1 UDP 1 192.0.2.%d 4000 typ host\n"
    many = b"c=IN IP4 192.0.2.1\n" + (b"m=audio 4000 RTP/AVP 0\n" + b"".join(line % n for n in range(50, 70))) * 3
    found = announced(many)
    assert [len(one.rtcp) for one in found] == [8, 8, 8]
    assert len(announced(b"c=IN IP4 192.0.2.1\n" + b"m=audio 4000 RTP/AVP 0\n" * 100_000)) == 16
