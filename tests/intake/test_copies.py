"""Copies of a packet are dropped, retransmissions never are."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, Packet
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.config import Capture, Config, load
from capture_agent.intake.copies import CopyFilter
from capture_agent.packet.outer_headers import identification, way
from capture_agent.pipeline import Pipeline
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import Frames
from capture_agent.sip.scan import scan

MILLISECOND = 1_000_000
INVITE = b"INVITE sip:b@h SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
BYE = INVITE.replace(b"INVITE", b"BYE")
SERVER, CLIENT = "02:00:00:00:00:01", "02:00:00:00:00:02"


def packet(
    number: int = 0,
    ttl: int = 64,
    vlan: int = 0,
    hop: str = SERVER,
    sip: bytes = INVITE,
    port: int = 5060,
    six: bool = False,
) -> Packet:
    """A packet as sent and seen. `number`: IPv4's identification."""
    ip = (
        IPv6(src="::1", dst="::2", hlim=ttl)
        if six
        else IP(src="192.0.2.1", dst="192.0.2.2", id=number, flags="DF", ttl=ttl)
    )
    link = Ether(src=CLIENT, dst=hop)
    return (link / Dot1Q(vlan=vlan) if vlan else link) / ip / UDP(sport=port, dport=5060) / sip


def pipeline_of(seen: list[tuple[float, Packet]], copies_ms: int = 20) -> Pipeline:
    """The outcome of packets at these milliseconds."""
    pipeline = Pipeline(Capture(drop_copies=copies_ms > 0, copies_within_ms=copies_ms))
    pipeline.process(Frames.of([bytes(one) for _, one in seen], 1, [round(time * MILLISECOND) for time, _ in seen]))
    pipeline.close()
    assert [ledger for ledger in pipeline.ledgers() if ledger.difference] == []
    return pipeline


HERE, VLAN, HOP, OTHER = packet(), packet(vlan=5), packet(ttl=63), packet(hop="02:00:00:00:00:09")
COUNTED = {"number": 7}


@pytest.mark.parametrize(
    ("seen", "traced"),
    [
        pytest.param([(0, packet(7)), (0.01, packet(7))], 1, id="same identification, same way"),
        pytest.param([(0, packet(7)), (0.01, packet(7, vlan=5)), (3, packet(7, ttl=63))], 1, id="same one, three ways"),
        pytest.param([(0, packet(7)), (0.01, packet(8))], 2, id="another identification: sent again, however soon"),
        pytest.param([(0, packet(7)), (0.01, packet(8, vlan=5))], 2, id="another identification, another way"),
        pytest.param([(0, packet(7)), (0.01, packet(0, vlan=5))], 2, id="one has an identification"),
        pytest.param([(0, packet(7)), (500, packet(7))], 2, id="after T1, by a sender with one identification"),
        pytest.param([(0, packet(7)), (20, packet(7))], 1, id="just within the window"),
        pytest.param([(0, packet(7)), (20.001, packet(7))], 2, id="just behind it"),
        pytest.param([(5, packet(7)), (0, packet(7))], 1, id="captured by two threads: not in the order of time"),
        pytest.param([(0, HERE), (0.01, HERE)], 2, id="no identification, same way: in doubt both"),
        pytest.param([(0, HERE), (0.01, VLAN)], 1, id="in a VLAN as well"),
        pytest.param([(0, HERE), (0.01, HOP)], 1, id="behind a router"),
        pytest.param([(0, HERE), (0.01, OTHER)], 1, id="for another host on the link"),
        pytest.param([(0, HERE), (0.01, VLAN), (0.02, HOP), (0.03, OTHER)], 1, id="four ways"),
        pytest.param([(0, HERE), (0.01, VLAN), (500, HERE), (500.01, VLAN)], 2, id="sent again, on two ways"),
        pytest.param([(0, HERE), (0.01, VLAN), (2, HERE), (2.01, VLAN)], 2, id="sent again at once, on two ways"),
        pytest.param([(0, HERE), (2, HERE), (2.01, VLAN), (2.02, VLAN)], 2, id="the copies later, both behind the second"),
        pytest.param([(0, HERE), (0.01, VLAN), (0.02, VLAN), (0.03, HERE)], 2, id="the other way is quicker the second time"),
        pytest.param([(0, HERE), (30, VLAN)], 2, id="behind the window"),
        pytest.param([(0, packet(six=True)), (0.01, packet(six=True))], 2, id="IPv6, same way"),
        pytest.param([(0, packet(six=True)), (0.01, packet(six=True, vlan=5))], 1, id="IPv6, in a VLAN"),
        pytest.param([(0, HERE), (0.01, packet(vlan=5, sip=BYE))], 2, id="other bytes"),
        pytest.param([(0, HERE), (0.01, packet(vlan=5, port=5062))], 2, id="another port"),
        pytest.param([(0, packet(7)), (0.01, packet(7, sip=BYE))], 2, id="same identification, other bytes"),
    ],
)  # fmt: skip
def test_copies(seen: list[tuple[float, Packet]], traced: int) -> None:
    pipeline = pipeline_of(seen)
    ledger = next(ledger for ledger in pipeline.ledgers() if ledger.name == "messages")
    assert ledger.outcomes == {"traced": traced, "not_traced": 0, "duplicate": len(seen) - traced}


def test_off_by_default() -> None:
    seen = [(0, packet(7)), (0.01, packet(7))]
    assert pipeline_of(seen, copies_ms=0).policy.traced == 2
    assert Config().capture.copies_ms == 0
    assert load(overrides={"capture": {"drop_copies": True, "copies_within_ms": 5}}).capture.copies_ms == 5


class Sent(NamedTuple):
    """A message as sent, and how much later it came each way."""

    at_ms: float
    delays_ms: list[float]


WAYS = [{"vlan": 0}, {"vlan": 5}, {"ttl": 63}, {"hop": "02:00:00:00:00:09"}]
DELAYS = st.lists(st.floats(0, 4), min_size=1, max_size=len(WAYS))


@given(st.lists(st.tuples(st.floats(0, 1000), DELAYS), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_no_transmission_is_dropped(history: list[tuple[float, list[float]]], counted: bool, all_ways: bool) -> None:
    """Whatever was sent, at any time and by any ways: as many messages as were sent, or more."""
    sends = [Sent(at, delays if not all_ways else (delays * 4)[:4]) for at, delays in history]
    seen = [
        (sent.at_ms + delay, packet(n + 1 if counted else 0, **WAYS[way_number]))  # type: ignore[arg-type]
        for n, sent in enumerate(sends)
        for way_number, delay in enumerate(sent.delays_ms)
    ]
    seen.sort(key=lambda one: one[0])
    traced = pipeline_of(seen).policy.traced
    # Delays of 4 ms keep what one way shows within the window of 20 ms of all others.
    assert traced >= len(sends)
    if counted or (all_ways and len(sends) == 1):
        assert traced == len(sends)


def test_tcp_is_numbered(shared: Path) -> None:
    """A capture on `any` with each segment several times: reassembly has already taken each byte once."""
    capture = shared / "captures" / "files" / "open5gs__volte.pcapng"
    books = {}
    for copies in (False, True):
        agent = Agent(load(overrides={"capture": {"drop_copies": copies}}), lossless=True)
        replay(agent, [capture])
        books[copies] = {ledger.name: ledger for ledger in agent.close().ledgers}
    assert books[False]["segments"] == books[True]["segments"]
    assert books[True]["messages"].outcomes == {"traced": 27, "not_traced": 0, "duplicate": 10}


def test_each_round_of_a_replay_starts_anew(tmp_path: Path) -> None:
    from scapy.utils import wrpcap

    wrpcap(str(tmp_path / "one.pcap"), [packet(7), packet(7, vlan=5)])
    agent = Agent(load(overrides={"capture": {"drop_copies": True}}), lossless=True)
    replay(agent, [tmp_path / "one.pcap"] * 3)
    agent.close()
    (ledger,) = (ledger for ledger in agent.pipeline.ledgers() if ledger.name == "messages")
    assert (agent.pipeline.policy.traced, ledger.outcomes["duplicate"]) == (3, 3)


def message(n: int, time_ns: int) -> CapturedMessage:
    data = bytes((192, 0, 2, 1, 192, 0, 2, 2)) + INVITE + b"%d" % n
    datagram = Datagram(data, 8, len(data), 0, 4, 5060, 5060, time_ns)
    sip = scan(data, 8, len(data))
    assert sip is not None
    return CapturedMessage(datagram, sip)


def test_the_table_is_bounded_and_counts_what_gives_way() -> None:
    duplicates = CopyFilter(20 * MILLISECOND, lambda _: 1, lambda _: None, limit=10)
    assert len(duplicates.kept([message(n, 0) for n in range(25)])) == 25
    assert (len(duplicates), duplicates.forgotten) == (10, 15)
    assert duplicates.kept([message(24, 0)]) == []
    assert len(duplicates.kept([message(0, 0)])) == 1


def test_the_ways_of_a_message_are_bounded() -> None:
    """A message that always comes a new way is kept: it is in doubt."""
    ways = iter(range(100))
    duplicates = CopyFilter(20 * MILLISECOND, lambda _: 0, lambda _: next(ways))
    assert len(duplicates.kept([message(1, 0) for _ in range(100)])) == 1 + 100 - duplicates.limit_ways
    assert duplicates.most_ways == duplicates.limit_ways


def test_old_entries_expire_whatever_the_clock_does() -> None:
    duplicates = CopyFilter(20 * MILLISECOND, lambda _: 1, lambda _: None)
    for time_ns in (0, 2 * 10**9, 10**18, 0, -(10**18)):
        duplicates.kept([message(1, time_ns), message(2, time_ns)])
        assert len(duplicates) == 2
    assert (duplicates.dropped, duplicates.forgotten) == (0, 0)


def test_memory() -> None:
    """As many as are remembered, each by two ways, with the largest table."""
    duplicates = CopyFilter(20 * MILLISECOND, identification, way)
    frames = [bytes(packet(vlan=5, sip=INVITE + b"%08d" % n)) for n in range(2000)]
    tracemalloc.start()
    try:
        pipeline = Pipeline(Capture(drop_copies=True))
        pipeline.copies = duplicates
        for first in range(0, 2000, 500):
            pipeline.messages(Frames.of(frames[first : first + 500], 1))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(duplicates) == 2000
    assert size * duplicates.limit / 2000 < 64 * 2**20


def test_no_order_of_packets_breaks_the_balance() -> None:
    draw = random.Random(5)
    packets = [packet(number, sip=sip, **one) for number in (0, 7) for sip in (INVITE, BYE) for one in WAYS]  # type: ignore[arg-type]
    pipeline_of([(draw.randrange(100), draw.choice(packets)) for _ in range(1000)])
