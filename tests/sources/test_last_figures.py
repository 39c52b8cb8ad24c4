"""Losses before us are known after a source is closed, and if an interface is gone."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from shutil import which

import pytest
from faults.interfaces import wires

from capture_agent.config.uris import ListenAddress
from capture_agent.records.frames import Frames
from capture_agent.sources.kernel_counters import Growing
from capture_agent.sources.live import LiveInterface
from capture_agent.sources.packaged_source import PackagedSource
from capture_agent.sources.sip_listener import open_listener
from capture_agent.sources.source import SourceError

pytestmark = pytest.mark.once

live = [
    pytest.mark.skipif(os.geteuid() != 0, reason="live capture needs root"),
    pytest.mark.skipif(which("ip") is None, reason="no ip: apt install iproute2"),
]
SENT = 6000


@pytest.mark.parametrize(
    ("values", "total"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([0, 5, 5, 9], 9, id="it grows"),
        pytest.param([2**31 - 1, 2**32 - 2, 3], 2**32 + 3, id="it wraps"),
        pytest.param([2**31 - 1, -2, 3], 2**32 + 3, id="as pcapy has it, signed"),
        pytest.param([10, 4, 6], 12, id="it starts anew"),
    ],
)
def test_a_counter_of_32_bits(values: list[int], total: int) -> None:
    counter = Growing()
    for value in values:
        counter.feed(value)
    assert counter.total == total


@pytest.mark.parametrize("end", [pytest.param(end, marks=live) for end in ("closed", "down", "vanished")])
def test_an_interface_asked_for_the_first_time(end: str) -> None:
    with wires() as (here, there):
        source = here.run(lambda: LiveInterface("eth1", bpf="udp port 5060", buffer_mib=1))
        with there.udp("192.0.2.2", 5060) as sender:
            for _ in range(SENT):
                sender.sendto(bytes(1000), ("192.0.2.1", 5060))
        if end == "down":
            here.down("eth1")
        elif end == "vanished":
            here.vanish("eth1")
        seen = 0
        if end != "closed":
            with pytest.raises(SourceError):
                for frames in source.batches():
                    seen += frames.count
        source.close()
        lost = source.dropped()["kernel"]
        assert lost > 0
        assert end == "closed" or lost + seen == SENT
        assert source.dropped()["kernel"] == lost


def test_a_listener_whose_last_datagrams_were_lost() -> None:
    """The kernel reports losses with the next datagram, but none came."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    source = open_listener(ListenAddress("127.0.0.1", port), 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(SENT):
            sender.sendto(bytes(1000), ("127.0.0.1", port))
    seen = 0
    give_up = time.monotonic() + 30
    for frames in source.batches():
        seen += frames.count
        if not frames.count or time.monotonic() > give_up:
            break
    asked = source.dropped().get("kernel", 0)
    source.close()
    assert (source.dropped()["kernel"], asked) == (SENT - seen, SENT - seen)
    assert asked > 0


class Package:
    """Its figures are gone when it is closed."""

    name = "made up"
    lost: int | None = 7

    def batches(self) -> Iterator[Frames]:
        return iter(())

    def dropped(self) -> Mapping[str, int]:
        if self.lost is None:
            raise ValueError
        return {"kernel": self.lost}

    def close(self) -> None:
        self.lost = None


def test_a_source_of_a_package() -> None:
    source = PackagedSource(Package())
    source.close()
    assert source.dropped() == {"kernel": 7}
