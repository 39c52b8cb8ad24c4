"""LiveInterface on loopback and on a veth pair: every packet once, with its time, and the losses.

Everything happens in network namespaces that the test makes, without other traffic.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import which
from threading import Thread
from typing import TypeVar

import pytest
from carriages import ip_packet, udp
from encapsulations import build, names
from source_samples import unprivileged
from wrappings import V4, frame

from capture_agent.app.capturing import capture_filter
from capture_agent.config import Capture, load
from capture_agent.pipeline import Pipeline
from capture_agent.records.frames import FRAME_ROW, FRAME_TIME_NS, FRAME_WIRE_LENGTH, Frames
from capture_agent.sources.interface_list import list_interfaces, local_addresses
from capture_agent.sources.live import LiveInterface
from capture_agent.sources.source import SourceError

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="live capture needs root"),
    pytest.mark.skipif(which("ip") is None, reason="no ip: apt install iproute2"),
]

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
PATIENCE = 30
HERE, THERE, PORT = "192.0.2.1", "192.0.2.2", 5060


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Host:
    """A network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, action: Callable[[], T]) -> T:
        """The result of the action inside. Sockets that it opens stay there; setns(2) affects only one thread."""
        results: list[T] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                with Path("/run/netns", self.name).open() as file:
                    if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                results.append(action())
            except BaseException as error:
                errors.append(error)

        thread = Thread(target=inside)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def capture(
        self, name: str = "veth", bpf: str | Callable[[int], str] = f"udp port {PORT}", **options: int
    ) -> LiveInterface:
        return self.run(lambda: LiveInterface(name, bpf=bpf, **options))  # type: ignore[arg-type]

    def sender(self, address: str) -> socket.socket:
        def bind() -> socket.socket:
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.bind((address, PORT))
            return sender

        return self.run(bind)


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two namespaces and a veth pair between them; loopback is up in the first."""
    mark = f"casrc{os.getpid()}"
    here, there = Host(f"{mark}a"), Host(f"{mark}b")
    try:
        for host in (here, there):
            ip("netns", "add", host.name)
        ip("link", "add", "veth", "netns", here.name, "type", "veth", "peer", "name", "veth", "netns", there.name)
        for host, address in ((here, HERE), (there, THERE)):
            ip("-n", host.name, "addr", "add", f"{address}/24", "dev", "veth")
            ip("-n", host.name, "link", "set", "veth", "up")
        ip("-n", here.name, "link", "set", "lo", "up")
        yield here, there
    finally:
        for host in (here, there):
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True, check=False)


class Captured:
    """Frames as they come, until there are enough or none has come for a while."""

    def __init__(self, source: LiveInterface) -> None:
        self.batches: Iterator[Frames] = source.batches()
        self.frames: list[bytes] = []
        self.times: list[int] = []
        self.wire_lengths: list[int] = []
        self.link_type = -1

    def take(self, count: int) -> Captured:
        give_up = time.monotonic() + PATIENCE
        idle = 0
        while time.monotonic() < give_up and idle < 3:
            frames = next(self.batches)
            # After the last expected frame, wait for silence: a duplicate would come now.
            idle = idle + 1 if not len(frames) and len(self.frames) >= count else 0
            assert not len(frames) or frames.first_number == len(self.frames) + 1
            for n in range(len(frames)):
                self.frames.append(frames.frame(n))
                self.times.append(frames.index[n * FRAME_ROW + FRAME_TIME_NS])
                self.wire_lengths.append(frames.index[n * FRAME_ROW + FRAME_WIRE_LENGTH])
            self.link_type = frames.interfaces[0].link_type
        return self

    @property
    def payloads(self) -> list[bytes]:
        start = {1: 42, 113: 44}[self.link_type]
        return [frame[start:] for frame in self.frames]


def test_both_ways_over_veth(hosts: tuple[Host, Host]) -> None:
    here, there = hosts
    wanted = [b"packet %d " % n * (n + 1) for n in range(60)]
    with here.capture() as source, here.sender(HERE) as ours, there.sender(THERE) as theirs:
        before = time.time_ns() // 1000 * 1000
        for n, payload in enumerate(wanted):
            sender, to = ((ours, THERE), (theirs, HERE))[n % 2]
            sender.sendto(payload, (to, PORT))
        captured = Captured(source).take(len(wanted))
        after = time.time_ns()
        assert captured.payloads == wanted
        assert captured.wire_lengths == [len(frame) for frame in captured.frames]
        assert before <= min(captured.times) and max(captured.times) <= after
        assert source.dropped() == {"kernel": 0, "interface": 0}


def test_loopback_gives_each_packet_once(hosts: tuple[Host, Host]) -> None:
    """Both directions of `lo` carry the same packet; libpcap leaves out the outgoing one."""
    here, _ = hosts
    wanted = [b"packet %d" % n for n in range(50)]
    with here.capture("lo") as source, here.sender("127.0.0.1") as sender:
        for payload in wanted:
            sender.sendto(payload, ("127.0.0.1", PORT))
        assert Captured(source).take(len(wanted)).payloads == wanted


def test_any_is_cooked(hosts: tuple[Host, Host]) -> None:
    here, there = hosts
    with here.capture("any") as source, here.sender("127.0.0.1") as local, there.sender(THERE) as theirs:
        local.sendto(b"on loopback", ("127.0.0.1", PORT))
        theirs.sendto(b"from outside", (HERE, PORT))
        captured = Captured(source).take(2)
        assert captured.link_type == 113
        assert sorted(captured.payloads) == [b"from outside", b"on loopback"]


def test_long_packets_are_whole(hosts: tuple[Host, Host]) -> None:
    here, _ = hosts
    with here.capture("lo") as source, here.sender("127.0.0.1") as sender:
        sender.sendto(b"x" * 65_507, ("127.0.0.1", PORT))
        captured = Captured(source).take(1)
        assert captured.payloads == [b"x" * 65_507]


def test_snapshot_length(hosts: tuple[Host, Host]) -> None:
    here, _ = hosts
    with here.capture("lo", snapshot_length=100) as source, here.sender("127.0.0.1") as sender:
        sender.sendto(b"x" * 500, ("127.0.0.1", PORT))
        captured = Captured(source).take(1)
        assert [len(frame) for frame in captured.frames] == [100]
        assert captured.wire_lengths == [100]  # libpcap does not report the length on the wire in a batch


def test_filter(hosts: tuple[Host, Host]) -> None:
    here, _ = hosts
    with here.capture("lo", bpf="udp dst port 5062") as source, here.sender("127.0.0.1") as sender:
        for port in (5060, 5061, 5062, 5063):
            sender.sendto(b"to %d" % port, ("127.0.0.1", port))
        assert Captured(source).take(1).payloads == [b"to 5062"]


@pytest.mark.parametrize("interface", ["veth", "any"])
def test_a_list_of_ports_keeps_every_encapsulation(hosts: tuple[Host, Host], interface: str) -> None:
    """By the kernel, which keeps VLAN tags apart from the frame: nothing on these ports is lost, the rest is not seen."""
    here, there = hosts
    wanted = [
        name for depth in (0, 1) for name in names(depth, ("udp", "udp-fragmented")) if name.startswith("ethernet/")
    ]
    cases = [build(name) for name in wanted]
    capture = load(overrides={"capture": {"ports": ["5060"], "esp_null": True}}).capture
    pipeline = Pipeline(Capture(esp_null=True))
    other = frame(
        V4, ip_packet(4, 17, udp(4, 4000, b"INVITE sip:a@b SIP/2.0\r\n\r\n").replace(b"\x13\xc4", b"\x0f\xa2", 1))
    )

    def inject() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
            link.bind(("veth", 0))
            for each in [one for case in cases for one in case.frames] + [other] * 9:
                link.send(b"\xff" * 6 + each[6:])  # for everybody: a card that is not promiscuous takes it

    with here.capture(interface, bpf=partial(capture_filter, capture)) as source:
        there.run(inject)
        found = [message for batch in pipeline.read(until_idle(source)) for message in batch]
    lost = [case.name for case in cases if not {*case.messages} <= {message.raw for message in found}]
    assert lost == []
    assert {message.datagram.destination_port for message in found} == {PORT}


def until_idle(source: LiveInterface) -> Iterator[Frames]:
    idle = 0
    for frames in source.batches():
        yield frames
        idle = 0 if len(frames) else idle + 1
        if idle == 3:
            return


def test_what_does_not_fit_is_counted(hosts: tuple[Host, Host]) -> None:
    here, there = hosts
    sent = 6000
    with here.capture(buffer_mib=1) as source, there.sender(THERE) as sender:
        for _ in range(sent):
            sender.sendto(bytes(1000), (HERE, PORT))
        dropped = source.dropped()["kernel"]
        assert dropped > 0
        assert len(Captured(source).take(sent - dropped).frames) + source.dropped()["kernel"] == sent
    assert source.dropped()["kernel"] >= dropped  # also when it is closed


def test_quiet_interface_gives_empty_batches(hosts: tuple[Host, Host]) -> None:
    here, _ = hosts
    with here.capture() as source:
        batches = source.batches()
        assert [len(next(batches)) for _ in range(3)] == [0, 0, 0]


def test_close_by_another_thread_ends_the_batches(hosts: tuple[Host, Host]) -> None:
    here, _ = hosts
    source = here.capture()
    reader = Thread(target=lambda: list(source.batches()))
    reader.start()
    source.dropped()
    source.close()
    source.close()
    reader.join(PATIENCE)
    assert not reader.is_alive()


def test_interface_goes_down(hosts: tuple[Host, Host]) -> None:
    here, there = hosts
    with here.capture() as source, there.sender(THERE) as sender:
        captured = Captured(source)
        sender.sendto(b"last words", (HERE, PORT))
        assert captured.take(1).payloads == [b"last words"]
        ip("-n", here.name, "link", "set", "veth", "down")
        with pytest.raises(SourceError, match="^veth: the interface went down$") as caught:
            captured.take(2)
        assert not caught.value.usage


@pytest.mark.parametrize(
    ("name", "bpf", "text"),
    [
        pytest.param("none0", "", "none0: no such interface, expected one of ", id="no such interface"),
        pytest.param("lo", "udp prot 5060", "lo: filter 'udp prot 5060': can't parse filter", id="filter"),
        pytest.param("lo", "udp\0", "lo: filter 'udp\\x00': ", id="filter with a NUL"),
        pytest.param("lo\0", "", "lo\0: ", id="name with a NUL"),
    ],
)
def test_what_cannot_be_opened(hosts: tuple[Host, Host], name: str, bpf: str, text: str) -> None:
    with pytest.raises(SourceError) as caught:
        hosts[0].capture(name, bpf=bpf)
    assert caught.value.usage
    assert str(caught.value).startswith(text) and "\n" not in str(caught.value)


def test_interface_that_is_down(hosts: tuple[Host, Host]) -> None:
    ip("-n", hosts[0].name, "link", "set", "veth", "down")
    with pytest.raises(SourceError, match="^veth: the interface is down$") as caught:
        hosts[0].capture()
    assert caught.value.usage


def test_no_permission() -> None:
    prepare = "from capture_agent.sources.live import LiveInterface as open_it; path = 'lo'"
    assert unprivileged(prepare) == ("True lo: no permission to capture: run as root, or give the process CAP_NET_RAW")


def test_interfaces_of_a_namespace(hosts: tuple[Host, Host]) -> None:
    found = {interface.name: interface for interface in hosts[0].run(list_interfaces)}
    assert found["veth"].kind == "Ethernet" and found["veth"].up
    assert HERE in map(str, found["veth"].addresses)
    assert HERE in map(str, hosts[0].run(local_addresses))
