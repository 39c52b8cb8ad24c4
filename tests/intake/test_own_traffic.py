"""Our own packets are not traced again, and messages to our sockets are traced once."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import pytest
from carriages import ip_packet, udp
from faults.interfaces import Namespace, wires
from sqlalchemy import NullPool, create_engine
from wrappings import V4, frame

from benchmarks import servers
from capture_agent.config import Capture
from capture_agent.config.targets import SqlTarget
from capture_agent.history.stored_calls import listing
from capture_agent.intake.own_traffic import OwnTraffic
from capture_agent.net.own_sockets import OwnSockets, SocketSnapshot
from capture_agent.pipeline import Pipeline
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import Frames
from capture_agent.sinks.sql.database import parse_url
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sources.live import LiveInterface
from capture_agent.sources.own_filter import attached

PATIENCE = 60
live = [
    pytest.mark.skipif(os.geteuid() != 0, reason="live capture needs root"),
    pytest.mark.skipif(which("ip") is None, reason="no ip: apt install iproute2"),
]


def options(n: int, size: int = 0) -> bytes:
    return (
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>\r\n"
        b"Call-ID: <%d>\r\nCSeq: 1 OPTIONS\r\nContent-Length: %d\r\n\r\n" % (n, n, size)
    ) + b"x" * size


class Collector:
    """Keeps what it receives; over TCP each connection ends after one message, so that the next needs another."""

    def __init__(self, inside: Namespace, transport: str) -> None:
        kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
        self.socket = inside.run(lambda: socket.socket(socket.AF_INET, kind))
        self.socket.bind(("127.0.0.1", 0))
        self.data = b""
        if transport == "tcp":
            self.socket.listen()
        self.socket.settimeout(0.1)
        self.port = self.socket.getsockname()[1]
        self._transport = transport
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError):
                if self._transport == "udp":
                    self.data += self.socket.recv(65536)
                    continue
                connection, _ = self.socket.accept()
                connection.settimeout(PATIENCE)
                self.data += connection.recv(65536)
                connection.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        self.socket.close()

    @property
    def calls(self) -> list[int]:
        return [int(n) for n in re.findall(rb"Call-ID: <(\d+)>", self.data)]


@contextmanager
def host() -> Iterator[Namespace]:
    with wires(()) as (here, _):
        yield here


def until(true: object, seconds: float = PATIENCE) -> None:
    give_up = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < give_up
        time.sleep(0.02)


@contextmanager
def agent(inside: Namespace, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`capture-agent run` with these arguments, once it captures."""
    command = inside.command(sys.executable, "-m", "capture_agent", "run", *words)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert "capturing" in process.stderr.readline()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("interface", "bpf"), [("lo", ""), ("any", ""), pytest.param("lo", "not vlan 7 or udp or tcp", id="moved offsets")]
)
@pytest.mark.parametrize("kind", ["sip:udp", "sip:tcp", "hep:udp", "hep:tcp"])
@pytest.mark.parametrize("live", [pytest.param((), marks=live, id="")])
def test_each_message_makes_one_copy(tmp_path: Path, live: object, kind: str, bpf: str, interface: str) -> None:
    scheme, transport = kind.split(":")
    with ExitStack() as stack:
        here = stack.enter_context(host())
        collector = Collector(here, transport)
        stack.callback(collector.close)
        target = {
            "sip": f"sip:127.0.0.1:{collector.port};transport={transport}",
            "hep": f"hep{'+tcp' * (transport == 'tcp')}:127.0.0.1:{collector.port}",
        }[scheme]
        words = ["-i", interface, f"--{scheme}", target, "--control", str(tmp_path / "c"), "--filter", bpf]
        process = stack.enter_context(agent(here, *words))
        sender, phone = (stack.enter_context(here.udp()) for _ in range(2))
        for n in range(4):
            sender.sendto(options(n), phone.getsockname())
            until(lambda n=n: n in collector.calls)
        time.sleep(0.5)  # what would go round would come now
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=PATIENCE)
    assert sorted(collector.calls) == [0, 1, 2, 3]
    assert "messages: 4 seen, 4 traced" in text and "does not balance" not in text


@pytest.mark.parametrize("transport", [pytest.param(transport, marks=live) for transport in ("udp", "tcp")])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_messages_to_our_listener_are_traced_once(tmp_path: Path, transport: str, address: str) -> None:
    with ExitStack() as stack:
        here = stack.enter_context(host())
        collector = Collector(here, "udp")
        stack.callback(collector.close)
        words = [
            "-i", "lo", "--sip", f"sip:127.0.0.1:{collector.port}",
            "--listen", f"sip:{address}:5888;transport={transport}", "--control", str(tmp_path / "c"),
        ]  # fmt: skip
        process = stack.enter_context(agent(here, *words))
        kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
        sender = stack.enter_context(here.run(lambda: socket.socket(socket.AF_INET, kind)))
        sender.connect(("127.0.0.1", 5888))
        for n in range(4):
            sender.send(options(n))
        until(lambda: len(collector.calls) >= 4)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=PATIENCE)
    assert collector.calls == [0, 1, 2, 3]
    assert "messages: 4 seen, 4 traced" in text and "does not balance" not in text


HERE, THERE = ip_address("192.0.2.1").packed, ip_address("192.0.2.2").packed


class Fixed:
    def __init__(self, *flows: tuple[int, bytes, int, bytes, int], places: tuple[tuple[int, bytes, int], ...] = ()):
        ports = bytearray(65536)
        for port in [flow[2] for flow in flows] + [place[2] for place in places]:
            ports[port] = 1
        both = {*flows, *((protocol, d, dp, s, sp) for protocol, s, sp, d, dp in flows)}
        self.known = SocketSnapshot(frozenset(both), frozenset(places), bytes(ports))


def datagram(protocol: int, source: bytes, source_port: int, destination: bytes, destination_port: int) -> Datagram:
    return Datagram(source + destination, 8, 8, 0, 4, source_port, destination_port, protocol=protocol)


FLOW = (17, HERE, 40000, THERE, 5060)


@pytest.mark.parametrize(
    ("packet", "own"),
    [
        pytest.param(FLOW, True, id="what we send"),
        pytest.param((17, THERE, 5060, HERE, 40000), True, id="what we are answered"),
        pytest.param((6, *FLOW[1:]), False, id="another protocol"),
        pytest.param((17, HERE, 40001, THERE, 5060), False, id="another port of ours"),
        pytest.param((17, HERE, 5060, THERE, 40000), False, id="ports changed over"),
        pytest.param((17, THERE, 40000, HERE, 5060), False, id="addresses changed over"),
        pytest.param((6, THERE, 1234, HERE, 5888), True, id="to a listener"),
        pytest.param((6, HERE, 5888, THERE, 1234), True, id="from a listener"),
        pytest.param((6, THERE, 5888, HERE, 1234), False, id="that port of somebody else"),
    ],
)
def test_own_by_addresses_and_ports(packet: tuple[int, bytes, int, bytes, int], own: bool) -> None:
    stage = OwnTraffic(Fixed(FLOW, places=((6, HERE, 5888),)))
    other = datagram(17, HERE, 5060, THERE, 5060)
    one = datagram(*packet)
    assert stage.others([other, one, other]) == ([other, other] if own else [other, one, other])
    assert stage.left_out == own


@pytest.mark.parametrize("wrap", [False, True], ids=["the race before the new filter", "a tag within the frame"])
def test_what_the_kernel_cannot_tell_and_the_books_balance(wrap: bool) -> None:
    plain = frame(V4, ip_packet(4, 17, udp(4, 20000, options(1))))
    frames = Frames.of([plain[:12] + b"\x81\0\0\7" + plain[12:] if wrap else plain, plain])
    (first, _) = [message.datagram for message in Pipeline().messages(frames)]
    flow = (17, first.source, first.source_port, first.destination, first.destination_port)
    pipeline = Pipeline(Capture(), own=OwnTraffic(Fixed(flow)))
    assert pipeline.messages(frames) == []
    ledger = pipeline.ledgers()[0]
    assert (str(ledger), ledger.difference) == ("frames: 2 seen, 0 carried, 2 own", 0)


def test_sockets_are_found_whoever_has_opened_them() -> None:
    sockets = OwnSockets()
    sockets.wanted = True
    sockets.addresses = lambda: [ip_address("192.0.2.1")]
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as every,
    ):
        every.bind(("0.0.0.0", 0))
        sockets.look()
        here, there = client.getsockname()[1], server.getsockname()[1]
        local = ip_address("127.0.0.1").packed
        assert (6, local, there) in sockets.known.places
        assert (17, ip_address("192.0.2.1").packed, every.getsockname()[1]) in sockets.known.places
        assert {(6, local, here, local, there), (6, local, there, local, here)} <= sockets.known.flows
        before = sockets.known
        sockets.look()
        assert sockets.known is before
    sockets.look()
    assert (6, local, here, local, there) in sockets.known.flows  # its last packets may still come
    assert (6, local, there) not in sockets.known.places


@pytest.mark.parametrize("interface", ["lo", "any"])
@pytest.mark.parametrize("host_address", [pytest.param(address, marks=live) for address in ("127.0.0.1", "::1")])
@pytest.mark.parametrize("bpf", ["", "udp portrange 7000-7100"])
def test_the_kernel_leaves_out_exactly_ours(interface: str, host_address: str, bpf: str) -> None:
    family = socket.AF_INET6 if ":" in host_address else socket.AF_INET

    def opened(port: int) -> socket.socket:
        one = socket.socket(family, socket.SOCK_DGRAM)
        one.bind((host_address, port))
        return one

    packed = ip_address(host_address).packed
    own = OwnSockets()
    own.known = Fixed((17, packed, 7001, packed, 7002), places=((17, packed, 7005),)).known
    with host() as here, ExitStack() as stack:
        ends = {port: stack.enter_context(here.run(lambda port=port: opened(port))) for port in range(7001, 7006)}
        source = here.run(lambda: LiveInterface(interface, bpf=bpf, own=own))
        stack.enter_context(source)
        batches = source.batches()
        next(batches)  # the filter is renewed
        if interface == "lo":
            assert len(attached(source._handle.getfd())) > 10
        sent = []
        for a, sender in ends.items():
            for b in ends:
                size = 3000 if (a, b) == (7003, 7004) else 10
                sender.sendto(b"%d>%d " % (a, b) + b"x" * size, (host_address, b))
                sent.append((a, b))
        pipeline = Pipeline()
        found = []
        for frames in batches:
            if not frames.count:
                break
            found += [(one.source_port, one.destination_port) for one in pipeline.packets.decode(frames)]
    left_out = {(7001, 7002), (7002, 7001)} | {pair for pair in sent if 7005 in pair}
    assert sorted(found) == sorted(pair for pair in sent if pair not in left_out)


def test_nobody_looks_where_nothing_is_captured() -> None:
    sockets = OwnSockets()
    with socket.create_server(("127.0.0.1", 0)):
        sockets.look()
    assert not sockets.known.places


@contextmanager
def database(inside: Namespace, kind: str, folder: Path) -> Iterator[str]:
    """A server that listens on the namespace's loopback, with an empty table: the URL."""
    install = {"postgresql": servers.install_postgresql, "mariadb": servers.install_mariadb}[kind]
    folder.chmod(0o755)
    installed = install(folder, 5999)
    process = subprocess.Popen(
        inside.command(*map(str, installed.command)),
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def prepare() -> None:
        servers.wait_for(installed, process, folder / "log")
        engine = create_engine(parse_url(f"{installed.url}/{'postgres' * (kind == 'postgresql')}"), poolclass=NullPool)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("CREATE DATABASE own")
        create_tables(f"{installed.url}/own")

    try:
        inside.run(prepare)
        yield f"{installed.url}/own"
    finally:
        servers.end(installed, process)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=live) for kind in ("postgresql", "mariadb")])
@pytest.mark.parametrize("bpf", ["", pytest.param("not vlan 7 or udp or tcp", id="moved offsets")])
def test_rows_on_their_way_to_a_database_are_our_own(kind: str, bpf: str) -> None:
    """They contain SIP, which must not be traced again."""
    with ExitStack() as stack:
        here = stack.enter_context(host())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix=f"capture-agent-{kind}-")))
        url = stack.enter_context(database(here, kind, folder))
        words = ["-i", "lo", "--db", url, "--control", str(folder / "c"), "--filter", bpf]
        process = stack.enter_context(agent(here, *words))
        sender, phone = (stack.enter_context(here.udp()) for _ in range(2))
        for n in range(40):
            sender.sendto(options(n), phone.getsockname())
            time.sleep(0.1)  # most in a transaction of their own, of six packets or more
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=PATIENCE)
        found = here.run(lambda: [call.call_id for call in listing(SqlTarget(url)).calls])
    assert sorted(found) == sorted(b"<%d>" % n for n in range(40))
    assert "messages: 40 seen, 40 traced" in text and "does not balance" not in text
    frames = re.search(r"frames: (\d+) seen, (\d+) carried(?:, (\d+) own)?", text)
    assert frames is not None
    seen, carried, own = (int(number or 0) for number in frames.groups())
    assert seen == carried + own
    assert carried < 40 + 60  # those of the login may have come before its connection was known
