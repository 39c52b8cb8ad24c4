"""Packets made around data from a socket: the decoder returns the data."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.packet.decoder import PacketDecoder
from capture_agent.records.datagram import Datagram
from capture_agent.records.frame_building import ACK, LONGEST_SEGMENT, Batches, Ends, tcp, udp

PORTS = st.integers(1, 65535)
ADDRESSES = st.tuples(st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4)) | st.tuples(
    st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16)
)
ENDS = st.builds(lambda pair, a, b: Ends(pair[0], a, pair[1], b), ADDRESSES, PORTS, PORTS)


def decoded(*packets: bytes) -> list[Datagram]:
    batches = Batches("test")
    for n, packet in enumerate(packets):
        batches.add(packet, n)
    return PacketDecoder().decode(batches.take())


def ends_of(datagram: Datagram) -> Ends:
    return Ends(datagram.source, datagram.source_port, datagram.destination, datagram.destination_port)


@given(ENDS, st.binary(max_size=300).map(lambda data: b"SIP" + data))
def test_udp(ends: Ends, payload: bytes) -> None:
    (datagram,) = decoded(udp(ends, payload))
    assert (ends_of(datagram), datagram.payload, datagram.transport) == (ends, payload, "udp")


@given(ENDS, st.integers(0, 1 << 40), st.binary(max_size=300))
def test_tcp(ends: Ends, sequence: int, payload: bytes) -> None:
    (datagram,) = decoded(tcp(ends, sequence, ACK, payload))
    assert (ends_of(datagram), datagram.payload, datagram.transport) == (ends, payload, "tcp")
    assert (datagram.sequence, datagram.flags, datagram.missing) == (sequence % (1 << 32), ACK, 0)


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_the_longest(address: str) -> None:
    host = ip_address(address).packed
    ends = Ends(host, 1, host, 2)
    longest = 65_507 if len(host) == 4 else 65_527
    segment, datagram = decoded(tcp(ends, 0, ACK, b"x" * LONGEST_SEGMENT), udp(ends, b"x" * longest))
    assert (len(segment.payload), len(datagram.payload)) == (LONGEST_SEGMENT, longest)


def test_batches() -> None:
    batches = Batches("sip:192.0.2.1:5060")
    assert batches.take().count == 0
    batches.add(b"one", 1)
    batches.add(b"three", 2)
    assert len(batches) == 2
    first = batches.take()
    batches.add(b"two", 3)
    second = batches.take()
    assert [first.frame(0), first.frame(1), second.frame(0)] == [b"one", b"three", b"two"]
    assert (first.first_number, second.first_number, len(batches)) == (1, 3, 0)
    assert [interface.name for interface in second.interfaces] == ["sip:192.0.2.1:5060"]
