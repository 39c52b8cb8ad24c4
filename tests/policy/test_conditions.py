"""Conditions of rules: samples of whole calls, and values that a peer has made to slow us down."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import captured, policy, sip

from capture_agent.policy import facts
from capture_agent.policy.conditions import place_of
from capture_agent.sip.lookup import header_values
from capture_agent.sip.message import SipMessage


def call_ids(count: int) -> list[str]:
    return [f"{n:x}-{n * 7919 % 1000}@198.51.100.{n % 256}" for n in range(count)]


@pytest.mark.parametrize("part", [0.0, 0.05, 0.5, 1.0])
def test_the_part_that_is_sampled(part: float) -> None:
    judge = policy(f"[[rule]]\nsample = {part}")
    traced = judge.decide([captured(sip("OPTIONS", call_id=call_id)) for call_id in call_ids(4000)])
    assert abs(len(traced) / 4000 - part) <= 0.02 * (0 < part < 1)


def test_whole_calls_are_sampled() -> None:
    judge = policy("[[rule]]\nsample = 0.3")
    wanted = {
        one.message.sip.call_id for one in judge.decide([captured(sip("INVITE", call_id=c)) for c in call_ids(50)])
    }
    later = policy("[[rule]]\nsample = 0.3").decide(
        [captured(sip(first, "1 BYE", "b", c)) for c in call_ids(50) for first in ("BYE", "SIP/2.0 200 OK")]
    )
    assert 5 < len(wanted) < 25
    assert [one.message.sip.call_id for one in later] == [
        c.encode() for c in call_ids(50) if c.encode() in wanted for _ in range(2)
    ]


def test_a_smaller_sample_is_part_of_a_larger_one() -> None:
    messages = [captured(sip("OPTIONS", call_id=call_id)) for call_id in call_ids(500)]
    small, large = (
        {one.message.sip.call_id for one in policy(f"[[rule]]\nsample = {part}").decide(messages)}
        for part in (0.1, 0.4)
    )
    assert small < large


def test_the_place_of_a_call_never_changes() -> None:
    """All hosts, now and later, sample the same calls."""
    assert [place_of(text) for text in (b"", b"a", b"1-2@192.0.2.1")] == [0, 3320656311, 1433449804]


@given(st.binary(max_size=50))
def test_places_are_numbers_of_32_bits(call_id: bytes) -> None:
    assert 0 <= place_of(call_id) < 1 << 32


HOSTILE = [
    pytest.param(r"from_user = '/^(a+)+$/'", "a" * 4000 + "!", id="exponential"),
    pytest.param(r"from_user = '/^(a|a)*$/'", "a" * 4000 + "!", id="alternatives"),
    pytest.param(r"from_user = '/.*a.*a.*a.*b/'", "a" * 4000, id="the fourth power"),
    pytest.param(r"from_user = '*a*a*a*a*a*a*b'", "a" * 4000, id="stars"),
]


@pytest.mark.parametrize(("rule", "user"), HOSTILE)
def test_no_value_takes_long(rule: str, user: str) -> None:
    """With backtracking these took from minutes to the age of the universe."""
    judge = policy(f"[[rule]]\n{rule}")
    assert judge.decide([captured(sip("INVITE", from_=f"<sip:{user}@h>"))] * 50) == []


def work(action: object, *arguments: object) -> int:
    """Lines of Python that an action executes: steadier than time. The compiled build has none to count."""
    lines = 0

    def count(frame: object, event: str, argument: object) -> object:
        nonlocal lines
        lines += event == "line"
        return count

    sys.settrace(count)  # type: ignore[arg-type]
    try:
        action(*arguments)  # type: ignore[operator]
    finally:
        sys.settrace(None)
    return lines


def test_a_header_is_looked_up_once_for_all_rules(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(message: SipMessage, name: bytes, compact: bytes) -> list[bytes]:
        asked.append(name)
        return header_values(message, name, compact)

    monkeypatch.setattr(facts, "header_values", counted)
    rules = [f'[[rule]]\nheader = "X-A: {n + 5}"\n[[rule]]\nheader = ["X-A: 1", "X-B: /{n}/"]' for n in range(20)]
    judge = policy("\n".join(rules))
    assert judge.decide([captured(sip("INVITE", x_a="1"))] * 3) == []
    if build == "plain":  # in the compiled one nothing can be put in between
        assert asked == [b"x-a", b"x-b"] * 3


def test_an_index_leaves_few_rules() -> None:
    message = captured(sip("OPTIONS"))
    few, many = (
        policy("\n".join(f'[[rule]]\nmethod = "{method}"\nport = 9' for method in ["INVITE"] * rules))
        for rules in (1, 200)
    )
    assert work(many.decide, [message]) == work(few.decide, [message])
