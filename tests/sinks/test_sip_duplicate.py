"""The messages unchanged, or with siptrace's headers: its recorded behaviour, cases 12, 50, 51 and 83."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from free_ports import free_port
from sink_samples import Receiver, TcpReceiver, UdpReceiver, batch_of, eventually, numbered, traced

from capture_agent.config.targets import SipTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.sink import handled
from capture_agent.sinks.sip.sip_duplicate import SipDuplicateSink
from capture_agent.sinks.sip.x_headers_added import with_x_headers

ODD = b"\r\nOPTIONS sip:x SIP/2.0\nf: a\n\n\0\xff\n"


@contextmanager
def receiver(folder: Path) -> Iterator[Receiver]:
    with closing(UdpReceiver()) as udp:
        uri = f"sip:127.0.0.1:{udp.port}"
        yield Receiver(f'uri = "{uri}"', uri, udp.received)


def test_one_datagram_each_over_udp(udp: UdpReceiver) -> None:
    sink = SipDuplicateSink(SipTarget("127.0.0.1", udp.port))
    sink.send([*batch_of(600), traced(ODD)])
    assert udp.received() == [*(numbered(n) for n in range(600)), ODD]
    assert (sink.name, sink.sent) == (f"sip:127.0.0.1:{udp.port}", 601)
    sink.close()


def test_back_to_back_over_tcp(tcp: TcpReceiver) -> None:
    sink = SipDuplicateSink(SipTarget("127.0.0.1", tcp.port, "tcp"))
    sink.send([*batch_of(600), traced(ODD), traced(numbered(600, size=100_000))])
    sink.close()
    want = b"".join(numbered(n) for n in range(600)) + numbered(600, size=100_000)
    eventually(lambda: sum(map(len, tcp.streams)) == len(want))
    assert (tcp.streams, sink.sent, sink.rejected) == ([want], 601, {"no_header_end": 1})


@pytest.mark.parametrize(("size", "goes"), [(65_507, True), (65_508, False)])
def test_too_long_for_a_datagram(udp: UdpReceiver, size: int, goes: bool) -> None:
    long = numbered(1) + b"x" * (size - len(numbered(1)))
    sink = SipDuplicateSink(SipTarget("127.0.0.1", udp.port))
    sink.send([traced(numbered(0)), traced(long), traced(numbered(2))])
    assert udp.received() == [numbered(0), *([long] if goes else []), numbered(2)]
    assert (sink.rejected, handled(sink)) == ({} if goes else {"oversize": 1}, 3)
    sink.close()


def test_over_tls(tls: TcpReceiver, certificate: Path) -> None:
    sink = SipDuplicateSink(SipTarget("127.0.0.1", tls.port, "tls", tls_ca=str(certificate)))
    sink.send(batch_of(300))
    sink.close()
    eventually(lambda: tls.streams and tls.streams[0] == b"".join(numbered(n) for n in range(300)))


def test_tls_checks_the_certificate(tls: TcpReceiver) -> None:
    sink = SipDuplicateSink(SipTarget("127.0.0.1", tls.port, "tls"))
    with pytest.raises(SinkError, match=r"^sip:.*: its certificate is not accepted: self-signed certificate$"):
        sink.open()


def test_x_headers(udp: UdpReceiver) -> None:
    sink = SipDuplicateSink(SipTarget("127.0.0.1", udp.port, x_headers=True))
    endless = traced(b"OPTIONS sip:x SIP/2.0\r\nf: a")
    batch = [traced(numbered(0)), endless, *batch_of(600, 1)]
    sink.send(batch)
    assert udp.received() == [
        with_x_headers(message.message, message.direction) for message in batch if message is not endless
    ]
    assert (sink.sent, sink.rejected) == (601, {"no_header_end": 1})
    assert batch[0].message.raw == numbered(0)  # the other sinks' message is as it was
    sink.close()


def test_refused() -> None:
    port = free_port()
    sink = SipDuplicateSink(SipTarget("127.0.0.1", port, "tcp"))
    with pytest.raises(SinkError, match=rf"^sip:127.0.0.1:{port};transport=tcp: connection refused$"):
        sink.send(batch_of(1))
