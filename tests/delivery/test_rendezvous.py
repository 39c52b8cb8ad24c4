"""The choice of a group's member by hash: the same everywhere, even, and calls move only with their member."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink_samples import INVITE, not_sip, numbered, traced

from capture_agent.delivery.rendezvous import MemberChoice, best, hashed, score, share
from capture_agent.records.call_key import call_key
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.kinds import LogEvent, RtcpReport
from capture_agent.records.origin import Origin
from capture_agent.records.traced import Trace, TracedMessage

GROUP = 1 << 20
NAMES = st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=12, unique=True)
CALLS = st.lists(st.binary(max_size=60), min_size=1, max_size=60)


def among(names: list[str], seed: bytes = b"") -> MemberChoice:
    weights = [hashed(name.encode(), seed) for name in names]
    return MemberChoice(GROUP, 0, seed=seed, weights=weights, bits=[1 << n for n in range(len(names))])


def chosen(names: list[str], call: bytes, seed: bytes = b"") -> str:
    return names[best(hashed(call, seed), among(names, seed))]


@given(NAMES, CALLS, st.integers(0, 11))
def test_a_member_that_leaves_moves_its_own_calls_alone(names: list[str], calls: list[bytes], leaving: int) -> None:
    gone = names[leaving % len(names)]
    others = [name for name in names if name != gone]
    for call in calls:
        before = chosen(names, call)
        assert chosen(others, call) == before or before == gone


@given(NAMES, CALLS, st.randoms(use_true_random=False))
def test_the_order_of_the_members_does_not_matter(names: list[str], calls: list[bytes], random: object) -> None:
    other = list(names)
    random.shuffle(other)  # type: ignore[attr-defined]
    assert [chosen(names, call) for call in calls] == [chosen(other, call) for call in calls]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_the_score_is_splitmix64(call: int, member: int) -> None:
    mask = 2**64 - 1
    mixed = call ^ member
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & mask
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & mask
    assert score(call, member) == mixed ^ mixed >> 31


@given(st.binary(max_size=200), st.binary(max_size=64))
def test_the_hash_is_blake2b(text: bytes, seed: bytes) -> None:
    assert hashed(text, seed) == int.from_bytes(blake2b(text, digest_size=8, key=seed).digest(), "big")


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_the_shares_are_even(count: int) -> None:
    names = [f"homer-{n}" for n in range(count)]
    choice = among(names)
    shares = Counter(best(hashed(b"%d@10.0.0.1" % n, b""), choice) for n in range(40_000))
    assert len(shares) == count
    assert all(abs(share * count / 40_000 - 1) < 0.05 for share in shares.values())


def test_known_choices() -> None:
    """Agents of other versions choose alike: these must not change."""
    names = ["homer-a", "homer-b", "homer-c"]
    calls = [b"%d" % n for n in range(12)]
    assert "".join(chosen(names, call)[-1] for call in calls) == KNOWN
    assert "".join(chosen(names, call, b"seed")[-1] for call in calls) == KNOWN_WITH_SEED


KNOWN = "ccbacbcbbabb"
KNOWN_WITH_SEED = "cabbbbaaaaaa"


def relayed(raw: bytes, leg: bytes = b"") -> TracedMessage:
    """From another agent, which has named a leg."""
    found = traced(raw)
    assert isinstance(found.message, CapturedMessage)
    message = CapturedMessage(found.message.datagram, found.message.sip, origin=Origin(correlation_id=b"theirs"))
    return TracedMessage(message, found.direction, Trace(correlation_id=leg))


@pytest.mark.parametrize(
    ("message", "by_leg", "key"),
    [
        pytest.param(traced(INVITE), False, b"call-1", id="Call-ID"),
        pytest.param(traced(INVITE, trace=Trace(correlation_id=b"leg")), False, b"call-1", id="not the leg"),
        pytest.param(traced(INVITE, trace=Trace(correlation_id=b"leg")), True, b"leg", id="the leg"),
        pytest.param(traced(INVITE), True, b"call-1", id="no leg is known"),
        pytest.param(traced(INVITE.replace(b"Call-ID: call-1\r\n", b"")), False, b"", id="no Call-ID"),
        pytest.param(not_sip(RtcpReport, b"{}", Origin(correlation_id=b"c-1")), False, b"c-1", id="of a report"),
        pytest.param(relayed(INVITE), False, b"call-1", id="relayed"),
        pytest.param(relayed(INVITE), True, b"theirs", id="relayed, the leg of the sender"),
        pytest.param(relayed(INVITE, b"ours"), True, b"ours", id="relayed, a leg that is known here"),
        pytest.param(relayed(INVITE.replace(b"Call-ID: call-1\r\n", b"")), False, b"theirs", id="relayed, no Call-ID"),
        pytest.param(not_sip(LogEvent, b"text"), True, b"", id="a line of nobody"),
        pytest.param(not_sip(LogEvent, b"x", trace=Trace(correlation_id=b"c")), False, b"c", id="a line about a call"),
    ],
)
def test_what_is_hashed(message: TracedMessage, by_leg: bool, key: bytes) -> None:
    assert call_key(message, by_leg) == key


MIRROR = MemberChoice(1 << 21, 0b11)
PLAIN = traced(INVITE, trace=Trace(0b1))


@pytest.mark.parametrize(
    ("messages", "bits"),
    [
        pytest.param([PLAIN], [0b1], id="no group"),
        pytest.param([traced(INVITE, trace=Trace(1 << 21))], [0b11], id="mirror"),
        pytest.param([traced(INVITE, trace=Trace(1 << 21 | 0b101))], [0b111], id="mirror and sinks"),
        pytest.param(
            [PLAIN, TracedMessage(PLAIN.message, PLAIN.direction, Trace(1 << 21))], [0b1, 0b10],
            id="the same message by two rules",
        ),
        pytest.param([PLAIN, traced(INVITE, trace=Trace(1 << 21))], [0b1, 0b11], id="two messages alike"),
    ],
)  # fmt: skip
def test_who_gets_it(messages: list[TracedMessage], bits: list[int]) -> None:
    assert [found & 0xFFFF for found in share(messages, [MIRROR, among(["a", "b"])])] == bits


def test_every_message_of_a_call_goes_to_one_member() -> None:
    choice = among(["a", "b", "c", "d"])
    batch = [traced(numbered(n % 50, n), trace=Trace(GROUP)) for n in range(500)]
    places: dict[int, set[int]] = {}
    for n, bits in enumerate(share(batch, [choice])):
        places.setdefault(n % 50, set()).add(bits & 0xF)
    assert all(len(found) == 1 for found in places.values())
    assert len({place for found in places.values() for place in found}) == 4
