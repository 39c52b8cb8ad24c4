"""How the sender of datagrams handles the kernel's results."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

import pytest
from free_ports import free_port
from sink_samples import UdpReceiver

from capture_agent.net import udp_sender as module
from capture_agent.net.sender import PacketTally
from capture_agent.net.sink_errors import SinkError
from capture_agent.net.udp_sender import UdpSender


def sender_with(monkeypatch: pytest.MonkeyPatch, port: int, answers: list[tuple[int, int]]) -> UdpSender:
    """A sender whose system calls report this many datagrams sent, and this error; then they send everything."""
    real = module.send_datagrams

    def fake(
        connection: socket.socket, buffer: bytes | bytearray | memoryview, ends: Sequence[int], first: int = 0
    ) -> tuple[int, int]:
        if not answers:
            return real(connection, buffer, ends, first)
        count, problem = answers.pop(0)
        if count:
            real(connection, buffer, ends[: first + count], first)
        return first + count, problem

    monkeypatch.setattr(module, "send_datagrams", fake)
    return UdpSender("hep:x", "127.0.0.1", port, PacketTally())


@pytest.mark.parametrize(
    ("answers", "got", "tally"),
    [
        pytest.param([], b"abcd", PacketTally(4), id="all went"),
        pytest.param([(0, errno.EAGAIN), (2, errno.EAGAIN)], b"abcd", PacketTally(4), id="no room for a while"),
        pytest.param([(1, errno.ENOBUFS), (1, errno.ENOMEM)], b"abcd", PacketTally(4), id="no memory for a while"),
    ],
)
def test_it_waits_for_room(
    monkeypatch: pytest.MonkeyPatch,
    udp: UdpReceiver,
    answers: list[tuple[int, int]],
    got: bytes,
    tally: PacketTally,
) -> None:
    sender = sender_with(monkeypatch, udp.port, answers)
    sender.send(b"abcd", [1, 2, 3, 4])
    assert (b"".join(udp.received()), sender._tally) == (got, tally)
    sender.close()


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, udp: UdpReceiver) -> None:
    monkeypatch.setattr(module, "PATIENCE_MS", 10)
    sender = sender_with(monkeypatch, udp.port, [(1, 0)] + [(0, errno.ENOBUFS)] * 1000)
    with pytest.raises(SinkError, match="^hep:x: no buffer space available$"):
        sender.send(b"abcd", [1, 2, 3, 4])
    assert sender._tally.sent == 1


def test_other_errors_end_the_socket_and_the_next_batch_opens_one(
    monkeypatch: pytest.MonkeyPatch, udp: UdpReceiver
) -> None:
    sender = sender_with(monkeypatch, udp.port, [(2, errno.ENETUNREACH), (0, errno.ENETUNREACH)])
    with pytest.raises(SinkError, match="^hep:x: network is unreachable$"):
        sender.send(b"abcd", [1, 2, 3, 4])
    sender.send(b"cd", [1, 2])
    assert (b"".join(udp.received()), sender._tally.sent) == (b"abcd", 4)
    sender.close()


def test_a_listener_that_returns_gets_later_messages() -> None:
    port = free_port()
    sender = UdpSender("hep:x", "127.0.0.1", port, PacketTally())
    sender.send(bytes(1000), range(1, 1001))
    sender.send(bytes(10), range(1, 11))
    sender.flush()
    # All but those whose refusal sendmmsg() has hidden, before the first one was seen.
    assert sender._tally.lost["refused"] >= 1000
    assert sender._tally.sent + sender._tally.lost["refused"] == 1010
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", port))
        listener.settimeout(5)
        sender.send(b"abc", [1, 2, 3])
        assert [listener.recv(10) for _ in range(3)] == [b"a", b"b", b"c"]
    sender.close()
