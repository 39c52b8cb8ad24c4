"""Datagrams from one buffer: each once, whole, in order; the bounds are checked before anything goes out."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from itertools import accumulate

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sink_samples import UdpReceiver

from capture_agent.net.udp_batch import send_datagrams


@pytest.fixture
def sender(udp: UdpReceiver) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.connect(("127.0.0.1", udp.port))
        yield connection


@given(sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=20), data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_datagram_goes_out_once(
    sender: socket.socket, udp: UdpReceiver, sizes: list[int], data: st.DataObject
) -> None:
    parts = [bytes([n % 256]) * size for n, size in enumerate(sizes)]
    first = data.draw(st.integers(0, len(sizes)))
    assert send_datagrams(sender, b"".join(parts), list(accumulate(sizes)), first) == (len(sizes), 0)
    assert udp.received() == parts[first:]


@pytest.mark.parametrize(
    ("size", "ends", "first"),
    [
        pytest.param(3, [1, 4], 0, id="behind the buffer"),
        pytest.param(3, [2, 1], 0, id="backwards"),
        pytest.param(3, [-1], 0, id="before the buffer"),
        pytest.param(0, [1], 0, id="empty buffer"),
        pytest.param(3, [3], -1, id="negative number"),
    ],
)
def test_bounds_are_checked(sender: socket.socket, udp: UdpReceiver, size: int, ends: list[int], first: int) -> None:
    with pytest.raises(ValueError, match="datagram|first"):
        send_datagrams(sender, bytes(size), ends, first)
    assert udp.received() == []


def test_it_stops_at_an_error_and_says_where(sender: socket.socket, udp: UdpReceiver) -> None:
    buffer = bytes(10) + bytes(65535) + bytes(20)
    ends = [10, 10 + 65535, len(buffer)]
    assert send_datagrams(sender, buffer, ends) == (1, errno.EMSGSIZE)
    assert send_datagrams(sender, buffer, ends, 2) == (3, 0)
    assert [len(datagram) for datagram in udp.received()] == [10, 20]


def test_nothing_to_send(sender: socket.socket) -> None:
    assert send_datagrams(sender, b"", []) == (0, 0)
    assert send_datagrams(sender, b"abc", [1, 3], 3) == (2, 0)


def test_datagrams_of_no_bytes(sender: socket.socket, udp: UdpReceiver) -> None:
    assert send_datagrams(sender, b"", [0, 0]) == (2, 0)
    assert send_datagrams(sender, b"a", [0, 1, 1]) == (3, 0)
    assert udp.received() == [b"", b"", b"", b"a", b""]
