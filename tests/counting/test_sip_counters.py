"""Requests, responses and retransmissions by label, and sides by address."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from correlate.correlate_samples import message
from counting_samples import played
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.config import Correlate, Metrics
from capture_agent.config.endpoints import AUTO, LocalAddress, parse_local
from capture_agent.counting.networks import NONE, Networks
from capture_agent.counting.sides import Sides
from capture_agent.counting.sip_counters import SipCounters
from capture_agent.counting.stage import Counting
from capture_agent.pipeline import Pipeline
from capture_agent.policy.direction import LocalSide
from capture_agent.policy.policy import Policy
from capture_agent.records.captured import CapturedMessage, Direction, Origin
from capture_agent.records.datagram import Datagram
from capture_agent.sip.scan import scan

OPTIONS = b"OPTIONS sip:b SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n"


def samples(counting: Counting, name: str) -> dict[str, int]:
    found = counting.snapshot()[f"capture_agent_sip_{name}_total"]
    return {" ".join(labels): value for labels, value in found.items() if isinstance(value, int)}


def seen(
    source: str, destination: str, text: bytes = OPTIONS, ports: tuple[int, int] = (5060, 5060)
) -> CapturedMessage:
    addresses = ip_address(source).packed + ip_address(destination).packed
    data = addresses + text
    sip = scan(data, len(addresses), len(data))
    assert sip is not None
    return CapturedMessage(Datagram(data, len(addresses), len(data), 0, len(addresses) // 2, *ports), sip)


def test_messages() -> None:
    counting = played(
        ["0 A>P INVITE", "0.5 A>P INVITE", "1 P>A 180 t=b", "2 P>A 999 t=b", "3 A>P WINK", "4 A>P UPDATE t=b"]
    )
    assert samples(counting, "requests") == {
        "INVITE udp in callers": 2, "other udp in callers": 1, "UPDATE udp in callers": 1,
    }  # fmt: skip
    assert samples(counting, "responses") == {"INVITE 180 udp out callers": 1, "INVITE other udp out callers": 1}
    assert samples(counting, "retransmissions") == {"INVITE callers": 1}


def test_statuses_are_bounded() -> None:
    counting = Counting()
    for method in range(40):
        for status in range(100, 700):
            text = b"SIP/2.0 %d x\r\nCSeq: 1 %s\r\n\r\n" % (status, [b"BYE", b"INFO"][method % 2])
            for host in ("192.0.2.1", "192.0.2.2"):
                counting.observe([seen(host, "192.0.2.3", text)])
    responses = samples(counting, "responses")
    assert len(responses) == 1200
    assert set(responses.values()) == {40}


def test_too_many_series(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = SipCounters(Sides([], {f"p{n}": [f"10.0.{n}.0/24"] for n in range(30)}))
    for n in range(30):
        for status in range(100, 700):
            counters.count(seen(f"10.0.{n}.1", "192.0.2.3", b"SIP/2.0 %d x\r\nCSeq: 1 BYE\r\n\r\n" % status))
    found = dict(counters.responses())
    assert sum(found.values()) == 30 * 600
    assert len(found) <= 16384 + 30
    assert found["BYE", "other", "udp", "in", "p29"] > 0


NETWORKS = {"a": ["192.0.2.0/25"], "b": ["192.0.2.0/24", "2001:db8::/32"]}
PEERS = [
    ("192.0.2.5", "a"), ("192.0.2.200", "b"), ("198.51.100.1", "other"), ("2001:db8::1", "b"), ("2001:db9::1", "other"),
    ("::ffff:192.0.2.5", "a"), ("::ffff:192.0.2.200", "b"),
]  # fmt: skip


@pytest.mark.parametrize(("address", "wanted"), PEERS)
def test_peers(address: str, wanted: str) -> None:
    sides = Sides([], NETWORKS)
    other = "2001:db8:ffff::" if ":" in address else "203.0.113.1"
    for _ in range(2):
        assert sides.labels(sides.side(seen(address, "2001:dead::" if ":" in address else other))) == ("in", wanted)


def test_peers_change_and_keep_their_numbers() -> None:
    counting = Counting({"a": ["192.0.2.0/24"]})
    counting.observe([seen("192.0.2.1", "203.0.113.1")])
    counting.change_peers({"b": ["192.0.2.0/24"]})
    counting.observe([seen("192.0.2.1", "203.0.113.1")])
    assert samples(counting, "requests") == {"OPTIONS udp in a": 1, "OPTIONS udp in b": 1}


ORIGINS = [(Direction.OUT, ("out", "b")), (Direction.IN, ("in", "a")), (None, ("in", "a"))]


@pytest.mark.parametrize(("direction", "wanted"), ORIGINS)
def test_what_the_origin_says(direction: Direction | None, wanted: tuple[str, str]) -> None:
    sides = Sides([], NETWORKS)
    one = seen("192.0.2.5", "192.0.2.200")
    assert sides.labels(sides.side(CapturedMessage(one.datagram, one.sip, Origin(direction)))) == wanted


LOCALS = ["192.0.2.1", "192.0.2.2:5060", "192.0.2.128/25", "2001:db8::1", "[2001:db8::2]:5061", "2001:db8:1::/48"]
ADDRESSES4 = [f"192.0.2.{n}" for n in (1, 2, 3, 127, 128, 255)]
ADDRESSES6 = ["2001:db8::1", "2001:db8::2", "2001:db8:1::9", "2001:db8:2::9", "::ffff:192.0.2.1"]


def locals_of(texts: list[str]) -> list[LocalAddress]:
    return [one for one in map(parse_local, texts) if one != AUTO]


@given(st.lists(st.sampled_from(LOCALS)), st.sampled_from([ADDRESSES4, ADDRESSES6]), st.data())
def test_the_direction_is_that_of_policy(texts: list[str], some: list[str], data: st.DataObject) -> None:
    source, destination = data.draw(st.sampled_from(some)), data.draw(st.sampled_from(some))
    ports = data.draw(st.sampled_from([(5060, 5061), (5061, 5060), (5060, 5060)]))
    local = locals_of(texts)
    side = LocalSide(local)
    one = seen(source, destination, ports=ports).datagram
    out = not side.holds(one.destination, ports[1]) and side.holds(one.source, ports[0])
    sides = Sides(local)
    for _ in range(2):
        assert sides.side(seen(source, destination, ports=ports)) == out


def test_a_datagram_without_addresses() -> None:
    sip = scan(OPTIONS, 0, len(OPTIONS))
    assert sip is not None
    for at, size in ((0, 0), (1 << 62, 4), (len(OPTIONS), 4)):
        counting = Counting(calls=True)
        counting.observe([CapturedMessage(Datagram(OPTIONS, 0, len(OPTIONS), at, size, 0, 0), sip)])
        assert samples(counting, "requests") == {"OPTIONS udp in other": 1}


def test_transports() -> None:
    counting = Counting()
    for transport in ("udp", "tcp", "".join(["t", "ls"]), "ws", "wss", "sctp", "pigeon"):
        one = message("0 A>P BYE t=b")
        datagram = Datagram(one.datagram.data, 8, one.datagram.end, 0, 4, 1, 2, transport=transport)
        counting.observe([CapturedMessage(datagram, one.sip)])
    assert [name.split()[1] for name in samples(counting, "requests")] == [
        "udp",
        "tcp",
        "tls",
        "sctp",
        "ws",
        "wss",
        "other",
    ]


def test_a_reload_changes_peers_and_local_addresses() -> None:
    """Counts stay with the names that they were counted under."""
    one, other = ip_network("192.0.2.1"), ip_network("192.0.2.9")
    pipeline = Pipeline(metrics=Metrics(sip=True, peers={"first": (one,)}))
    counting = pipeline.counting
    assert counting is not None
    counting.observe([seen("192.0.2.1", "192.0.2.9")])
    pipeline.change(Policy(), None, Correlate(), Metrics(sip=True, peers={"second": (one,)}))
    counting.observe([seen("192.0.2.1", "192.0.2.9")])
    pipeline.know_local([LocalAddress(one)])
    pipeline.change(pipeline.policy, None, Correlate(), Metrics(sip=True, peers={"third": (other,)}))
    pipeline.know_local([LocalAddress(one)])
    counting.observe([seen("192.0.2.1", "192.0.2.9")])
    assert samples(counting, "requests") == {
        "OPTIONS udp in first": 1, "OPTIONS udp in second": 1, "OPTIONS udp out third": 1,
    }  # fmt: skip


OVERLAPPING = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3", "0.0.0.0/0", "255.255.255.255", "10.128.0.0/9",
               "::/0", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::5", "ffff::/16"]  # fmt: skip
INSIDE = ["0.0.0.0", "10.0.255.255", "10.1.0.0", "10.1.2.3", "10.1.2.4", "10.255.0.1", "11.0.0.0", "255.255.255.255",
          "::", "2001:db8::1", "2001:db8:1::5", "2001:db8:1:ffff::", "2001:db9::", "ffff::1"]  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from(OVERLAPPING), st.sampled_from([0, 0, 0, 5060])), max_size=9),
    st.sampled_from(INSIDE),
    st.sampled_from([5060, 5061]),
)
def test_the_first_network_that_fits_counts(entries: list[tuple[str, int]], text: str, port: int) -> None:
    address = ip_address(text)
    numbered = [(ip_network(network), one, number) for number, (network, one) in enumerate(entries)]
    fits = (number for network, one, number in numbered if address in network and one in (0, port))
    assert Networks(numbered).number(address.packed, port) == next(fits, NONE)


@pytest.mark.parametrize("texts", [["192.0.2.1"], ["192.0.2.1:5060"], ["192.0.2.0/25"], []])
def test_policy_takes_the_direction_that_counting_has_found(texts: list[str]) -> None:
    pairs = [("192.0.2.1", "192.0.2.200"), ("192.0.2.200", "192.0.2.1"), ("192.0.2.200", "192.0.2.201")]
    policy = Policy(locals_of(texts))
    alone = [one.direction for one in policy.decide([seen(*pair) for pair in pairs])]
    messages = [seen(*pair) for pair in pairs]
    Counting(local=locals_of(texts)).observe(messages)
    assert [one.found_direction for one in messages] == ([1 + (one == "out") for one in alone] if texts else [0] * 3)
    assert [one.direction for one in policy.decide(messages)] == alone
