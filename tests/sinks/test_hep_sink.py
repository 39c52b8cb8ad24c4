"""HEP to a collector: every packet once and whole, whatever happens to the connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from encapsulations import build
from free_ports import free_port
from sink_samples import TIME_NS, Receiver, TcpReceiver, UdpReceiver, batch_of, eventually, numbered, traced

from capture_agent.config.targets import HepTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.pipeline import Pipeline
from capture_agent.records.frames import Frames
from capture_agent.records.traced import Trace
from capture_agent.sinks.hep.hep_sink import HepSink
from capture_agent.sinks.sink import handled
from hep import StreamDecoder, decode


@contextmanager
def receiver(folder: Path) -> Iterator[Receiver]:
    with closing(UdpReceiver()) as udp:
        uri = f"hep:127.0.0.1:{udp.port}"
        yield Receiver(f'uri = "{uri}"', uri, lambda: [decode(datagram).payload for datagram in udp.received()])


def payloads(stream: bytes) -> list[bytes]:
    """The payloads of all complete packets of a connection."""
    return [packet.payload for packet in StreamDecoder().feed(bytes(stream))]


def messages_of(receiver: TcpReceiver) -> list[bytes]:
    return [payload for stream in receiver.streams for payload in payloads(stream)]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_over_udp(udp: UdpReceiver, version: int) -> None:
    sink = HepSink(HepTarget("127.0.0.1", udp.port, version=version, capture_id=7))  # type: ignore[arg-type]
    sink.send(batch_of(50))
    packets = [decode(datagram) for datagram in udp.received()]
    assert [packet.payload for packet in packets] == [numbered(n) for n in range(50)]
    assert (packets[0].source, packets[0].source_port) == (bytes([192, 0, 2, 1]), 5060)
    assert (packets[0].destination, packets[0].destination_port) == (bytes([192, 0, 2, 2]), 5070)
    if version > 1:
        assert (packets[0].seconds, packets[0].microseconds) == divmod(TIME_NS // 1000, 1_000_000)
        assert packets[0].capture_id == 7
    assert (sink.sent, handled(sink)) == (50, 50)
    sink.close()


@pytest.mark.parametrize(
    ("transport", "protocol"),
    [("udp", 17), ("tcp", 6), ("sctp", 132), ("tls", 22), ("ws", 22), ("wss", 22)],
)
def test_protocol_numbers_are_those_of_siptrace(udp: UdpReceiver, transport: str, protocol: int) -> None:
    sink = HepSink(HepTarget("127.0.0.1", udp.port))
    sink.send([traced(numbered(1), transport=transport)])
    assert [decode(datagram).protocol for datagram in udp.received()] == [protocol]
    sink.close()


@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize(
    ("name", "vlan"),
    [("ethernet/ipv4/udp", None), ("ethernet/vlan/ipv6/tcp-in-body", 100), ("ethernet/qinq/ipv4/udp", 4094)],
)
def test_the_innermost_vlan(udp: UdpReceiver, name: str, vlan: int | None, wanted: bool) -> None:
    """If there is one and it is configured: siptrace sends none."""
    case, pipeline = build(name), Pipeline()
    sink = HepSink(HepTarget("127.0.0.1", udp.port, vlan=wanted))
    sink.send(pipeline.process(Frames.of(case.frames)))
    packets = [decode(datagram) for datagram in udp.received()]
    assert [packet.payload for packet in packets] == case.messages
    assert {packet.vlan for packet in packets} == {vlan if wanted else None}
    sink.close()


def test_correlation_ids(udp: UdpReceiver) -> None:
    sink = HepSink(HepTarget("127.0.0.1", udp.port))
    sink.send([traced(numbered(n), trace=Trace(correlation_id=value)) for n, value in enumerate((b"", b"c-1", b""))])
    assert [decode(datagram).correlation_id for datagram in udp.received()] == [None, b"c-1", None]
    sink.close()


@pytest.mark.parametrize("size", [65_535 - 99 - 6, 65_535 - 99 - 5])
def test_a_correlation_id_that_is_too_long(tcp: TcpReceiver, size: int) -> None:
    long = traced(numbered(1), trace=Trace(correlation_id=b"x" * (size - len(numbered(1)))))
    sink = HepSink(HepTarget("127.0.0.1", tcp.port, transport="tcp"))
    sink.send([long, traced(numbered(2))])
    sink.close()
    assert (sink.sent, sink.rejected) == ((2, {}) if size == 65_535 - 99 - 6 else (1, {"oversize": 1}))


def test_key_and_node_name(udp: UdpReceiver) -> None:
    sink = HepSink(HepTarget("127.0.0.1", udp.port, auth_key="secret", node_name="edge-1"))
    sink.send(batch_of(1))
    packet = decode(udp.received()[0])
    assert (packet.auth_key, packet.agent_name) == (b"secret", b"edge-1")
    assert sink.name == f"hep:127.0.0.1:{udp.port}"
    sink.close()


@pytest.mark.parametrize(
    ("size", "version", "goes"),
    [
        pytest.param(65_507 - 99, 3, True, id="just a datagram"),
        pytest.param(65_507 - 98, 3, False, id="longer than a datagram"),
        pytest.param(65_535 - 98, 3, False, id="longer than HEP3"),
        pytest.param(65_507 - 16, 1, True, id="HEP1"),
        pytest.param(65_507 - 15, 1, False, id="HEP1, too long"),
    ],
)
def test_too_long_messages_are_counted_and_never_cut(udp: UdpReceiver, size: int, version: int, goes: bool) -> None:
    long = numbered(2, size=1)
    long += b"x" * (size - len(long))
    sink = HepSink(HepTarget("127.0.0.1", udp.port, version=version))  # type: ignore[arg-type]
    sink.send([traced(numbered(1)), traced(long), traced(numbered(3))])
    got = [decode(datagram).payload for datagram in udp.received()]
    assert got == [numbered(1), *([long] if goes else []), numbered(3)]
    assert sink.rejected == ({} if goes else {"oversize": 1})
    assert handled(sink) == 3
    sink.close()


def test_over_tcp_packets_stand_back_to_back(tcp: TcpReceiver) -> None:
    sink = HepSink(HepTarget("127.0.0.1", tcp.port, transport="tcp"))
    sink.send(batch_of(2000, size=500))
    sink.send(batch_of(10, first=2000))
    sink.close()
    eventually(lambda: sum(map(len, tcp.streams)) > 0 and tcp.streams[0].endswith(numbered(2009)))
    assert [len(tcp.streams), sink.sent] == [1, 2010]
    assert messages_of(tcp) == [numbered(n, 500) for n in range(2000)] + [numbered(n) for n in range(2000, 2010)]


def test_a_message_too_long_for_hep_does_not_stop_the_stream(tcp: TcpReceiver) -> None:
    sink = HepSink(HepTarget("127.0.0.1", tcp.port, transport="tcp"))
    sink.send([traced(numbered(1)), traced(numbered(2, size=65_500)), traced(numbered(3))])
    sink.close()
    eventually(lambda: messages_of(tcp) == [numbered(1), numbered(3)])
    assert (sink.sent, sink.rejected) == (2, {"oversize": 1})


@pytest.mark.parametrize("limit", [1, 5, 150_000, 1_000_003])
def test_a_torn_connection_continues_with_a_whole_packet(tcp: TcpReceiver, limit: int) -> None:
    tcp.limits.append(limit)
    sink = HepSink(HepTarget("127.0.0.1", tcp.port, transport="tcp"))
    sink.open()
    for first in range(0, 4000, 500):
        sink.send(batch_of(500, first, size=1000))
    sink.close()
    eventually(lambda: len(tcp.streams) == 2 and tcp.streams[1].endswith(numbered(3999, 1000)))
    assert (sink.sent, handled(sink)) == (4000, 4000)
    before = payloads(tcp.streams[0])
    assert before == [numbered(n, 1000) for n in range(len(before))]
    # The first connection had not held for a second: whatever it was given goes out once more, and nothing is missing.
    assert payloads(tcp.streams[1]) == [numbered(n, 1000) for n in range(4000)]


def test_a_collector_that_restarts_between_batches_loses_nothing() -> None:
    first = TcpReceiver()
    sink = HepSink(HepTarget("127.0.0.1", first.port, transport="tcp"))
    sink.send(batch_of(3))
    eventually(lambda: len(messages_of(first)) == 3)
    first.close()
    with pytest.raises(SinkError, match=rf"^hep\+tcp:127.0.0.1:{first.port}: connection refused$"):
        sink.send(batch_of(3, first=3))
    assert handled(sink) == 3
    second = TcpReceiver(first.port)
    sink.send(batch_of(3, first=3))
    eventually(lambda: messages_of(second) == [numbered(n) for n in range(3, 6)])
    assert handled(sink) == 6
    sink.close()
    assert sink.sent == 6
    second.close()


@pytest.mark.parametrize(
    ("host", "transport", "want"),
    [
        ("127.0.0.1", "tcp", "connection refused"),
        ("127.0.0.1", "tls", "connection refused"),
        ("no-such-host.invalid", "tcp", "the host name is not known"),
        ("no-such-host.invalid", "udp", "the host name is not known"),
    ],
)
def test_what_cannot_be_reached_is_one_clear_line(host: str, transport: str, want: str) -> None:
    port = free_port()
    kind = "hep" if transport == "udp" else f"hep+{transport}"
    sink = HepSink(HepTarget(host, port, transport=transport))  # type: ignore[arg-type]
    with pytest.raises(SinkError) as caught:
        sink.open()
    assert str(caught.value) == f"{kind}:{host}:{port}: {want}"


def test_a_refused_datagram_is_counted_and_nothing_fails() -> None:
    sink = HepSink(HepTarget("127.0.0.1", free_port()))
    sink.send(batch_of(100))
    # Each ICMP error reports an earlier datagram; nothing reports the last one.
    assert sink.lost["refused"] > 0
    assert handled(sink) == 100
    sink.close()


@pytest.mark.parametrize("version", [1, 2])
def test_hep_1_and_2_have_no_length_field_for_a_stream(version: int) -> None:
    with pytest.raises(ValueError, match=f"HEP {version} has no length field"):
        HepTarget("127.0.0.1", transport="tcp", version=version)  # type: ignore[arg-type]


def test_over_tls(tls: TcpReceiver, certificate: Path) -> None:
    sink = HepSink(HepTarget("127.0.0.1", tls.port, transport="tls", tls_ca=str(certificate)))
    for first in range(0, 3000, 1000):
        sink.send(batch_of(1000, first, size=300))
    sink.close()
    eventually(lambda: tls.streams[0].endswith(numbered(2999, 300)))
    assert (len(tls.streams), len(messages_of(tls)), sink.sent) == (1, 3000, 3000)


def test_tls_checks_the_certificate(tls: TcpReceiver) -> None:
    sink = HepSink(HepTarget("127.0.0.1", tls.port, transport="tls"))
    with pytest.raises(SinkError, match=r"its certificate is not accepted: self-signed certificate$"):
        sink.open()
    sink.close()


def test_tls_is_checked_unless_disabled(tls: TcpReceiver) -> None:
    sink = HepSink(HepTarget("127.0.0.1", tls.port, transport="tls", tls_verify=False))
    sink.send(batch_of(1))
    sink.close()
    eventually(lambda: messages_of(tls) == [numbered(0)])


def test_a_certificate_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="tls_ca: .*missing.pem: not a file of certificates"):
        HepSink(HepTarget("127.0.0.1", 1, transport="tls", tls_ca=str(tmp_path / "missing.pem")))
