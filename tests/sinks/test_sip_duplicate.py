"""The messages as they were: recorded behaviour of siptrace, cases 12, 50 and 83."""

from __future__ import annotations

import pytest
from sink_samples import TcpReceiver, UdpReceiver, batch_of, eventually, numbered, traced

from capture_agent.config.targets import SipTarget
from capture_agent.sinks.sink import SinkError, handled
from capture_agent.sinks.sip_duplicate import SipDuplicateSink

ODD = b"\r\nOPTIONS sip:x SIP/2.0\nf: a\n\n\0\xff\n"


def test_one_datagram_each_over_udp(udp: UdpReceiver) -> None:
    sink = SipDuplicateSink(SipTarget("127.0.0.1", udp.port))
    sink.send([*batch_of(600), traced(ODD)])
    assert udp.received() == [*(numbered(n) for n in range(600)), ODD]
    assert (sink.name, sink.sent) == (f"sip:127.0.0.1:{udp.port}", 601)
    sink.close()


def test_back_to_back_over_tcp(tcp: TcpReceiver) -> None:
    sink = SipDuplicateSink(SipTarget("127.0.0.1", tcp.port, "tcp"))
    sink.send([*batch_of(600), traced(numbered(600, size=100_000)), traced(ODD)])
    sink.close()
    want = b"".join(numbered(n) for n in range(600)) + numbered(600, size=100_000) + ODD
    eventually(lambda: sum(map(len, tcp.streams)) == len(want))
    assert (tcp.streams, sink.sent) == ([want], 602)


@pytest.mark.parametrize(("size", "goes"), [(65_507, True), (65_508, False)])
def test_too_long_for_a_datagram(udp: UdpReceiver, size: int, goes: bool) -> None:
    long = numbered(1) + b"x" * (size - len(numbered(1)))
    sink = SipDuplicateSink(SipTarget("127.0.0.1", udp.port))
    sink.send([traced(numbered(0)), traced(long), traced(numbered(2))])
    assert udp.received() == [numbered(0), *([long] if goes else []), numbered(2)]
    assert (sink.rejected, handled(sink)) == ({} if goes else {"oversize": 1}, 3)
    sink.close()


def test_refused(free_port) -> None:  # type: ignore[no-untyped-def]
    port = free_port()
    sink = SipDuplicateSink(SipTarget("127.0.0.1", port, "tcp"))
    with pytest.raises(SinkError, match=rf"^sip:127.0.0.1:{port};transport=tcp: connection refused$"):
        sink.send(batch_of(1))
