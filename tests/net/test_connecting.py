"""The source of sinks: exactly that address and port, over UDP and TCP, IPv4 and IPv6; and its errors."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from free_ports import free_port
from sink_samples import numbered, traced

from capture_agent.config.targets import HepTarget, SipTarget
from capture_agent.net import connecting
from capture_agent.net.connecting import address_of, endpoints
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.hep.hep_sink import HepSink
from capture_agent.sinks.sip.sip_duplicate import SipDuplicateSink

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def listener(kind: socket.SocketKind, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    server = socket.socket(family, kind)
    server.bind((LOOPBACK[family], 0))
    if kind == socket.SOCK_STREAM:
        server.listen()
    server.settimeout(10)
    return server


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("source", "want"),
    [
        ("127.0.0.77", ("127.0.0.77", None)),
        ("127.0.0.77:{}", ("127.0.0.77", "port")),
        ("lo", ("127.0.0.1", None)),
        ("lo:{}", ("127.0.0.1", "port")),
        ("::1", ("::1", None)),
        ("[::1]:{}", ("::1", "port")),
    ],
)
def test_it_is_really_sent_from_there(kind: socket.SocketKind, source: str, want: tuple[str, str | None]) -> None:
    family = socket.AF_INET6 if ":" in want[0] else socket.AF_INET
    port = free_port()
    transport = "udp" if kind == socket.SOCK_DGRAM else "tcp"
    with listener(kind, family) as server:
        host, there = server.getsockname()[:2]
        sink = SipDuplicateSink(SipTarget(host, there, transport, source=source.format(port)))  # type: ignore[arg-type]
        for _ in range(2):  # again from the same port, though the connection before is in TIME_WAIT
            sink.send([traced(numbered(1))])
            if kind == socket.SOCK_DGRAM:
                _, peer = server.recvfrom(65535)
            else:
                connection, peer = server.accept()
                connection.close()
            sink.close()
            assert peer[0] == want[0]
            assert want[1] is None or peer[1] == port


def test_an_interface_s_ipv6_address() -> None:
    assert address_of("lo", socket.AF_INET6) == "::1"


def test_an_address_that_is_valid_everywhere_comes_before_a_link_local_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "if_inet6"
    file.write_text(
        "fe800000000000000000000000000001 01 40 20 80       lo\n20010db8000000000000000000000001 01 40 00 80       lo\n"
    )
    monkeypatch.setattr(connecting, "IPV6_ADDRESSES", file)
    assert address_of("lo", socket.AF_INET6) == "2001:db8::1"
    file.write_text(file.read_text().splitlines(keepends=True)[0])
    assert address_of("lo", socket.AF_INET6) == "fe80::1%1"
    file.write_text("")
    with pytest.raises(OSError, match="source lo: it has no IPv6 address"):
        address_of("lo", socket.AF_INET6)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("source", "want"),
    [
        ("192.0.2.99", "source 192.0.2.99: not an address of this host"),
        ("127.0.0.1:{taken}", "source 127.0.0.1:{taken}: the port is in use"),
        ("::1", "source ::1: 127.0.0.1 has no IPv6 address"),
        ("nosuchif0", "source nosuchif0: no such interface"),
    ],
)
def test_what_cannot_be_sent_from(transport: str, source: str, want: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with listener(kind) as server, listener(kind) as other:
        taken = other.getsockname()[1]
        target = HepTarget(
            "127.0.0.1", server.getsockname()[1], transport, source=source.format(taken=taken)  # type: ignore[arg-type]
        )  # fmt: skip
        sink = HepSink(target)
        with pytest.raises(SinkError) as caught:
            sink.open()
        assert str(caught.value).lower() == f"{target}: {want.format(taken=taken)}".lower()


def test_endpoints() -> None:
    with (
        listener(socket.SOCK_DGRAM, socket.AF_INET6) as server,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one,
    ):
        one.connect(server.getsockname())
        here, there = endpoints(one)
        assert here == (bytes(15) + b"\1", one.getsockname()[1])
        assert there == (bytes(15) + b"\1", server.getsockname()[1])
