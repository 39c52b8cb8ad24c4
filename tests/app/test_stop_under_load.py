"""A stop while the pipeline is behind: each packet that the kernel passed is in the books, each error in the status."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from shutil import which

import pytest
from faults.interfaces import wires

from capture_agent.app.agent import Agent
from capture_agent.app.extensions import Extensions, NamedHook
from capture_agent.config import load
from capture_agent.config.uris import ListenAddress
from capture_agent.sources.live import LiveInterface
from capture_agent.sources.sip_listener import open_listener
from capture_agent.sources.source import Source, SourceError

live = [
    pytest.mark.skipif(os.geteuid() != 0, reason="live capture needs root"),
    pytest.mark.skipif(which("ip") is None, reason="no ip: apt install iproute2"),
]
SENT = 30_000  # to each interface: more than the merge and the ordering hold
MESSAGE = (
    b"OPTIONS sip:a@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nFrom: <sip:b@example.org>;tag=1\r\n"
    b"To: <sip:a@example.org>\r\nCall-ID: one\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def slow_agent() -> Agent:
    settings = load(overrides={"hep": [{"uri": "hep:127.0.0.1:9"}], "queue": {"drain_seconds": 0}})
    hook = NamedHook("slow", lambda message: time.sleep(0.001))
    return Agent(settings, lossless=False, extensions=Extensions(hooks=(hook,)))


def drained(agent: Agent, sources: Sequence[Source]) -> Exception | None:
    try:
        agent.drain(sources)
    except SourceError as error:
        return error
    return None


@pytest.mark.parametrize("deleted", [False, True], ids=["all stay", "one is deleted"])
@pytest.mark.parametrize("count", [pytest.param(count, marks=live) for count in (1, 2)])
def test_each_packet_and_each_error(count: int, deleted: bool, caplog: pytest.LogCaptureFixture) -> None:
    names = ("eth1", "eth2")[:count]
    agent = slow_agent()
    with wires(names) as (here, there):
        sources = here.run(lambda: [LiveInterface(name, bpf="udp port 5060") for name in names])
        raised: list[Exception | None] = []
        reader = threading.Thread(target=lambda: raised.append(drained(agent, sources)))
        reader.start()
        for network in ("192.0.2", "198.51.100")[:count]:
            with there.udp(f"{network}.2", 5060) as sender:
                for _ in range(SENT):
                    sender.sendto(MESSAGE, (f"{network}.1", 5060))
        if deleted:
            here.vanish(names[0])
        agent.stop.set()
        reader.join(120)
        books = agent.close()
    frames = books.ledgers[0]
    assert frames.seen == count * SENT
    assert frames.difference == 0
    assert frames.lost["unread"] > 0
    assert frames.outcomes["carried"] + sum(frames.lost.values()) == count * SENT
    errors = [str(error) for error in [*agent.gone, *raised] if error is not None]
    assert [error.partition(":")[0] for error in errors] == (["eth1"] if deleted else [])
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert sum("(unread)" in line for line in lines) >= 1


@pytest.mark.parametrize("count", [pytest.param(count, marks=live) for count in (1, 2)])
def test_a_stop_reads_earlier_data_and_nothing_later(count: int) -> None:
    names = ("eth1", "eth2")[:count]
    agent = Agent(load(overrides={"hep": [{"uri": "hep:127.0.0.1:9"}]}), lossless=False)
    with wires(names) as (here, there):
        sources = here.run(lambda: [LiveInterface(name, bpf="udp port 5060") for name in names])
        with there.udp("192.0.2.2", 5060) as sender:
            for _ in range(100):
                sender.sendto(MESSAGE, ("192.0.2.1", 5060))
            agent.stop.set()
            assert drained(agent, sources) is None
            for _ in range(100):
                sender.sendto(MESSAGE, ("192.0.2.1", 5060))
        books = agent.close()
    assert (books.ledgers[0].outcomes["carried"], sum(books.ledgers[0].lost.values())) == (100, 0)


def test_unread_datagrams() -> None:
    source = open_listener(ListenAddress("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(1000):
            sender.sendto(MESSAGE, ("127.0.0.1", source.port))
    source.close()
    assert sum(source.dropped().values()) == 1000
    assert source.dropped()["unread"] > 0
