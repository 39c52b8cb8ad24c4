"""Log events: HEP3 in the order of siptrace's hlog(), whatever the target; to no sink but HEP's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sink_samples import TIME_NS, TcpReceiver, UdpReceiver, eventually, numbered, traced

from capture_agent.config.targets import HepTarget, SipTarget, SqlTarget
from capture_agent.events import log_event
from capture_agent.records.traced import LOG_PAYLOAD, Trace
from capture_agent.sinks.hep.hep_sink import HepSink
from capture_agent.sinks.sink import handled
from capture_agent.sinks.sip.sip_duplicate import SipDuplicateSink
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink
from hep import StreamDecoder, decode, version_of

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
    assert (packet.protocol, packet.protocol_type, packet.capture_id, packet.auth_key) == (17, LOG_PAYLOAD, 7, b"k")
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


def test_with_addresses_of_its_own(udp: UdpReceiver) -> None:
    sink = HepSink(HepTarget("127.0.0.1", udp.port))
    sink.send(
        [traced(numbered(1), "2001:db8::1", "2001:db8::2", trace=Trace(payload_type=LOG_PAYLOAD), transport="tcp")]
    )
    packet = decode(udp.received()[0])
    assert [str(packet.source_address), str(packet.destination_address)] == ["2001:db8::1", "2001:db8::2"]
    assert (packet.source_port, packet.destination_port, packet.protocol) == (5060, 5070, 6)
    sink.close()


def test_too_long(udp: UdpReceiver) -> None:
    sink = HepSink(HepTarget("127.0.0.1", udp.port))
    sink.send([log_event(b"x" * 65_500, TIME_NS), log_event(b"y", TIME_NS)])
    assert [decode(datagram).payload for datagram in udp.received()] == [b"y"]
    assert (sink.sent, sink.rejected) == (1, {"oversize": 1})
    sink.close()


def table(url: str, port: int) -> SqlSink:
    create_tables(url)
    return SqlSink(SqlTarget(url))


def duplicates(url: str, port: int) -> SipDuplicateSink:
    return SipDuplicateSink(SipTarget("127.0.0.1", port))


@pytest.mark.parametrize("make", [table, duplicates])
def test_other_sinks_count_it_and_send_it_not(
    udp: UdpReceiver, sqlite_url: str, make: Callable[[str, int], SqlSink | SipDuplicateSink]
) -> None:
    sink = make(sqlite_url, udp.port)
    sink.send([traced(numbered(1)), log_event(numbered(2), TIME_NS), traced(numbered(3))])
    sink.close()
    assert (sink.sent, sink.rejected) == (2, {"not_sip": 1})
    assert udp.received() == ([numbered(1), numbered(3)] if make is duplicates else [])
