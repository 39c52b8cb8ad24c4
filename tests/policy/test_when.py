"""Conditions in user code: evaluated last, once for each message, and ignored when they fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import CLIENT, SERVER, Calls, captured, settings, shown, sip

from capture_agent.hooks import SeenMessage
from capture_agent.hooks.guard import Guard, Limits
from capture_agent.policy.policy import Policy

Condition = Callable[[SeenMessage], object]

INVITE, BYE, OPTIONS = (captured(sip(method)) for method in ("INVITE", "BYE", "OPTIONS"))


class Shy:
    """Neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError


def policy(toml: str, failures: int = 0, **conditions: Condition) -> Policy:
    limits = Limits(failures=failures)
    guards = {name: Guard(name, function, limits, "", answers=True) for name, function in conditions.items()}
    return Policy(settings=replace(settings(toml), conditions=guards))


def is_invite(message: SeenMessage) -> bool:
    return message.method == "INVITE"


def fails(message: SeenMessage) -> bool:
    raise KeyError


RULE = '[[rule]]\nwhen = "one"\n'
TO_CARRIER = '[[rule]]\nsinks = "carrier"\n'


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        (lambda m: True, True),
        (lambda m: False, False),
        (lambda m: None, False),
        (lambda m: 7, True),
        (lambda m: "", False),
        (lambda m: m.header("from"), True),
        (lambda m: m.header("x-none"), False),
        (lambda m: Shy(), False),
        (fails, False),
        (lambda m: m.drop(), False),
        (is_invite, True),
        (lambda m: (m.source, m.source_port, m.direction) == ("198.51.100.7", 5062, "in"), True),
    ],
)
def test_what_it_says(condition: Condition, matches: bool) -> None:
    """If it does not hold, the next rule is evaluated."""
    assert shown(policy(RULE + TO_CARRIER, one=condition).decide([INVITE])) == ["INVITE 1" if matches else "INVITE 2"]


@pytest.mark.parametrize(
    ("toml", "asked"),
    [
        pytest.param(RULE, 3, id="alone"),
        pytest.param(RULE + RULE + RULE, 3, id="by several rules"),
        pytest.param('[[rule]]\nwhen = ["one", "one"]', 3, id="twice in a rule"),
        pytest.param('[[rule]]\nmethod = "BYE"\nwhen = "one"', 1, id="behind the method"),
        pytest.param('[[rule]]\nheader = "X-None"\nwhen = "one"', 0, id="behind the headers"),
        pytest.param('[[rule]]\nmethod = "BYE"\n' + RULE, 2, id="behind a rule"),
        pytest.param('[trace]\nmatch = "all"\n[[rule]]\nmethod = "BYE"\n' + RULE, 3, id="where all rules are asked"),
    ],
)
def test_it_is_asked_when_all_else_holds_and_once_for_each_message(toml: str, asked: int) -> None:
    seen: list[str] = []
    one = policy(toml, one=lambda message: seen.append(message.method))
    one.decide([INVITE, BYE, OPTIONS])
    assert len(seen) == asked


def test_one_of_several_is_enough() -> None:
    both = policy('[[rule]]\nwhen = ["one", "two"]', one=is_invite, two=lambda m: m.method == "BYE")
    assert shown(both.decide([INVITE, BYE, OPTIONS])) == ["INVITE 1", "BYE 1"]
    assert [str(ledger) for ledger in both.ledgers()][1:] == [
        "condition one: 3 seen, 1 true, 2 false",
        "condition two: 2 seen, 1 true, 1 false",
    ]


def test_one_that_fails_too_often_is_asked_no_more() -> None:
    one = policy(RULE + TO_CARRIER, failures=2, one=fails)
    assert shown(one.decide([INVITE] * 4 + [BYE] * 4)) == 4 * ["INVITE 2"] + 4 * ["BYE 2"]
    # The same message is one, however often it comes.
    assert [str(ledger) for ledger in one.ledgers()][1:] == [
        "condition one: 2 seen, 0 true, 0 false, 2 rejected (KeyError 2)"
    ]
    assert shown(one.decide([OPTIONS])) == ["OPTIONS 2"]


def test_a_slow_one_does_not_hold() -> None:
    now = iter(range(0, 1000, 10))
    limits = Limits(slow=5.0, clock=lambda: float(next(now)))
    guard = Guard("one", is_invite, limits, "", answers=True)
    one = Policy(settings=replace(settings(RULE + TO_CARRIER), conditions={"one": guard}))
    assert shown(one.decide([INVITE])) == ["INVITE 2"]
    assert guard.failed == {"slow": 1}


def test_it_knows_what_the_message_belongs_to_and_starts_a_trace() -> None:
    calls = Calls()
    messages = [
        calls.observe(captured(sip(first, cseq, tag), *way))
        for first, cseq, tag, way in [
            ("INVITE", "1 INVITE", "", (CLIENT, SERVER)),
            ("SIP/2.0 486 Busy Here", "1 INVITE", "b", (SERVER, CLIENT)),
            ("ACK", "1 ACK", "b", (CLIENT, SERVER)),
        ]
    ]
    toml = '[[rule]]\nkind = "response"\nwhen = "one"\ntrace = "transaction"\nlookback = 9\n'
    one = policy(toml, one=lambda m: m.transaction is not None and m.transaction.method == m.method)
    assert one.settings.follows_calls
    assert shown(one.decide(messages)) == ["INVITE 1", "486 1", "ACK 1"]
    assert (one.traced, one.not_traced, one.waiting) == (3, 0, 0)


@given(st.lists(st.sampled_from(["yes", "no", "fails"]), max_size=60), st.integers(0, 9))
def test_its_books_balance_and_no_message_is_lost(says: list[str], failures: int) -> None:
    turn = iter(says)

    def condition(message: SeenMessage) -> object:
        said = next(turn)
        return fails(message) if said == "fails" else said == "yes"

    one = policy(RULE, failures, one=condition)
    traced = one.decide([captured(sip("INVITE")) for _ in says])
    _, ledger = one.ledgers()
    assert ledger.difference == 0
    assert (ledger.outcomes["true"], one.not_traced) == (len(traced), len(says) - len(traced))
    assert not failures or ledger.rejected.total() <= failures
