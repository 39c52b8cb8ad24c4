"""Which messages are traced, and their direction."""

from ipaddress import ip_address

import pytest

from capture_agent.config.endpoints import LocalAddress, parse_local
from capture_agent.policy import direction
from capture_agent.policy.direction import LocalSide
from capture_agent.policy.policy import Policy
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.sip.scan import scan

SIP = b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"


def message(source: str, destination: str) -> CapturedMessage:
    """From `ADDRESS PORT` to `ADDRESS PORT`."""
    (source, source_port), (destination, destination_port) = source.split(), destination.split()
    addresses = ip_address(source).packed + ip_address(destination).packed
    data = addresses + SIP
    sip = scan(data, len(addresses), len(data))
    assert sip is not None
    datagram = Datagram(
        data, len(addresses), len(data), 0, len(addresses) // 2, int(source_port), int(destination_port)
    )
    return CapturedMessage(datagram, sip)


def local(*texts: str) -> list[LocalAddress]:
    return [address for address in map(parse_local, texts) if isinstance(address, LocalAddress)]


@pytest.mark.parametrize(
    ("addresses", "source", "destination", "want"),
    [
        (["192.0.2.1"], "198.51.100.7 5062", "192.0.2.1 5060", "in"),
        (["192.0.2.1"], "192.0.2.1 5060", "198.51.100.7 5062", "out"),
        (["192.0.2.1"], "192.0.2.1 5060", "192.0.2.1 5070", "in"),
        (["192.0.2.1"], "198.51.100.7 5062", "198.51.100.8 5060", "in"),
        ([], "198.51.100.7 5062", "198.51.100.8 5060", "in"),
        (["192.0.2.0/24"], "192.0.2.200 5060", "198.51.100.7 5062", "out"),
        (["192.0.2.0/24"], "198.51.100.7 5062", "192.0.2.200 5060", "in"),
        (["192.0.2.1:5060"], "192.0.2.1 5060", "192.0.2.1 5070", "out"),
        (["192.0.2.1:5060"], "192.0.2.1 5070", "192.0.2.1 5060", "in"),
        (["[::1]:5060"], "::1 5060", "::1 5080", "out"),
        (["[::1]:5060"], "::1 5070", "::1 5060", "in"),
        (["2001:db8::1", "192.0.2.0/24"], "2001:db8::1 5060", "2001:db8::2 5060", "out"),
        (["192.0.2.1"], "2001:db8::1 5060", "2001:db8::2 5060", "in"),
        (["::/0"], "192.0.2.1 5060", "198.51.100.7 5062", "in"),
    ],
)
def test_direction(addresses: list[str], source: str, destination: str, want: str) -> None:
    policy = Policy(local(*addresses))
    for _ in range(2):  # the second time it remembers
        [traced] = policy.decide([message(source, destination)])
        assert traced.direction == Direction(want)


def test_it_counts_what_it_decides() -> None:
    policy = Policy()
    messages = [message("192.0.2.1 1", "192.0.2.2 2")] * 3
    assert [traced.message for traced in policy.decide(messages)] == messages
    policy.on = False
    assert policy.decide(messages) == []
    assert (policy.traced, policy.not_traced) == (3, 3)


def test_what_it_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direction, "MEMORY", 4)
    side = LocalSide(local("192.0.2.0/24"))
    for n in range(20):
        assert side.holds(ip_address(f"192.0.2.{n}").packed, 5060)
        assert not side.holds(ip_address(f"198.51.100.{n}").packed, 5060)
        assert len(side._known) <= 4
