"""Log events: HEP3 in the order of siptrace's hlog(), whatever the target."""

from __future__ import annotations

import pytest
from sink_samples import TIME_NS, TcpReceiver, UdpReceiver, eventually, numbered, traced

from capture_agent.config.targets import HepTarget
from capture_agent.events import log_event
from capture_agent.sinks.hep.hep_sink import HepSink
from capture_agent.sinks.sink import handled
from hep import ProtocolType, StreamDecoder, decode, version_of

LOOPBACK = bytes([127, 0, 0, 1])


def kinds(packet: bytes) -> list[int]:
    found, at = [], 6
    while at < len(packet):
        found.append(int.from_bytes(packet[at + 2 : at + 4], "big"))
        at += int.from_bytes(packet[at + 4 : at + 6], "big")
    return found


@pytest.mark.parametrize("version", [1, 2, 3])
def test_between_messages_of_any_version(udp: UdpReceiver, version: int) -> None:
    sink = HepSink(HepTarget("127.0.0.1", udp.port, version=version, capture_id=7, auth_key="k"))  # type: ignore[arg-type]
    sink.send([traced(numbered(1)), log_event(b"over", TIME_NS, b"c-1"), traced(numbered(2))])
    first, event, last = udp.received()
    assert [version_of(first), version_of(event), version_of(last)] == [version, 3, version]
    assert kinds(event) == [1, 2, 3, 4, 8, 7, 9, 10, 11, 12, 17, 14, 15]
    packet = decode(event)
    assert (packet.protocol, packet.protocol_type, packet.capture_id, packet.auth_key) == (
        17,
        ProtocolType.LOG,
        7,
        b"k",
    )
    assert (packet.source, packet.destination, packet.destination_port) == (LOOPBACK, LOOPBACK, udp.port)
    assert packet.source_port
    assert (packet.seconds, packet.microseconds) == divmod(TIME_NS // 1000, 1_000_000)
    assert (packet.correlation_id, packet.payload) == (b"c-1", b"over")
    assert (sink.sent, handled(sink)) == (3, 3)
    sink.close()


def test_over_tcp_it_says_tcp_and_a_chunk_without_an_id_is_there(tcp: TcpReceiver) -> None:
    sink = HepSink(HepTarget("127.0.0.1", tcp.port, transport="tcp", node_name="edge"))
    sink.send([log_event(b"x", TIME_NS), traced(numbered(1))])
    sink.close()
    eventually(lambda: tcp.streams and tcp.streams[0].endswith(numbered(1)))
    event, _ = StreamDecoder().feed(bytes(tcp.streams[0]))
    assert (event.protocol, event.correlation_id, event.agent_name) == (6, b"", b"edge")


def test_too_long(udp: UdpReceiver) -> None:
    sink = HepSink(HepTarget("127.0.0.1", udp.port))
    sink.send([log_event(b"x" * 65_500, TIME_NS), log_event(b"y", TIME_NS)])
    assert [decode(datagram).payload for datagram in udp.received()] == [b"y"]
    assert (sink.sent, sink.rejected) == (1, {"oversize": 1})
    sink.close()
