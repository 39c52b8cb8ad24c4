"""Hooks after the rules: messages held back, switched off, linked by legs, or left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import CLIENT, SERVER, Calls, captured, settings, shown, sip

from capture_agent.hooks import Message
from capture_agent.hooks.guard import Guard, Limits
from capture_agent.hooks.verb_values import SinkNames
from capture_agent.policy.hooks import Hooks
from capture_agent.policy.policy import Policy
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.kinds import LogEvent
from capture_agent.records.traced import TracedMessage

Hook = Callable[[Message], object]

SINKS = SinkNames(dict(enumerate(["homer", "carrier", "table"])), defaults=0b001, collectors=0b001)
WAYS = {"in": (CLIENT, SERVER), "out": (SERVER, CLIENT)}
CALL = [
    ("INVITE", "1 INVITE", "", "in"),
    ("SIP/2.0 180 Ringing", "1 INVITE", "b", "out"),
    ("SIP/2.0 486 Busy Here", "1 INVITE", "b", "out"),
    ("ACK", "1 ACK", "b", "in"),
]
LOOKS_BACK = '[[rule]]\nstatus = "486"\ntrace = "dialog"\nlookback = 9\n'


def call(rows: Iterable[tuple[str, str, str, str]] = CALL, **headers: str) -> list[CapturedMessage]:
    calls = Calls()
    return [
        calls.observe(captured(sip(first, cseq, tag, **headers), *WAYS[way]), own=rows is not CALL and first == "ACK")
        for first, cseq, tag, way in rows
    ]


def policy(toml: str, *functions: Hook) -> Policy:
    guards = [Guard(f"hook {n}", function, Limits(), "") for n, function in enumerate(functions, 1)]
    loaded = settings(toml)
    hooks = Hooks(guards, SINKS, loaded.trace.dialog_acks)
    return Policy(settings=loaded, hooks=hooks)


def on(status: int, act: Hook) -> Hook:
    return lambda message: act(message) if message.status == status else None


def drop(message: Message) -> None:
    message.drop()


def to_carrier(message: Message) -> None:
    message.trace("carrier")


def dialog_to_carrier(message: Message) -> None:
    message.trace("carrier", mode="dialog")


def raises(message: Message) -> None:
    message.trace("carrier", mode="dialog")
    raise KeyError


INVITE_1, RINGING_1, BUSY_1, ACK_1 = "INVITE 1", "180 1", "486 1", "ACK 1"


@pytest.mark.parametrize(
    ("toml", "hook", "want"),
    [
        pytest.param("", lambda m: None, [INVITE_1, RINGING_1, BUSY_1, ACK_1], id="no rule: everything"),
        pytest.param("", on(180, drop), [INVITE_1, BUSY_1, ACK_1], id="dropped"),
        pytest.param(LOOKS_BACK, lambda m: None, [INVITE_1, RINGING_1, BUSY_1, ACK_1], id="held back"),
        pytest.param(LOOKS_BACK, on(180, drop), [INVITE_1, BUSY_1, ACK_1], id="what is dropped is not held back"),
        pytest.param(LOOKS_BACK, on(486, drop), [INVITE_1, RINGING_1, ACK_1], id="the one that decides is dropped: the rest is not"),
        pytest.param(LOOKS_BACK, on(180, to_carrier), ["180 2", INVITE_1, RINGING_1, BUSY_1, ACK_1], id="what a hook traces is sent at once, and to others later"),
        pytest.param(LOOKS_BACK, on(180, dialog_to_carrier), ["180 2", INVITE_1, RINGING_1, "486 2", BUSY_1, "ACK 2", ACK_1], id="beside the rules"),
        pytest.param(LOOKS_BACK, on(180, lambda m: m.trace()), [RINGING_1, INVITE_1, BUSY_1, ACK_1], id="no sink gets it twice"),
        pytest.param(LOOKS_BACK.replace("486", "404"), on(180, to_carrier), ["180 2"], id="no rule decides"),
        pytest.param(LOOKS_BACK, raises, [INVITE_1, RINGING_1, BUSY_1, ACK_1], id="one that fails"),
        pytest.param('[trace]\non = false', to_carrier, [], id="off"),
        pytest.param('[trace]\non = false\n[[rule]]\nusers = "bob"', to_carrier, [INVITE_1, RINGING_1, BUSY_1, ACK_1], id="off, but for traced users"),
        pytest.param('[[rule]]\nmethod = "BYE"', on(486, to_carrier), ["486 2"], id="what no rule traces"),
    ],
)  # fmt: skip
def test_what_is_traced(toml: str, hook: Hook, want: list[str]) -> None:
    one = policy(toml, hook)
    assert one.settings.follows_calls
    messages = call()
    assert shown(one.decide(messages)) == want
    assert one.traced + one.not_traced + one.waiting == len(messages)
    traced = {line.split()[0] for line in want}
    one.close()
    assert (one.traced, one.not_traced, one.waiting) == (len(traced), len(messages) - len(traced), 0)


ACKS = [
    ("INVITE", "1 INVITE", "", "in"),
    ("SIP/2.0 200 OK", "1 INVITE", "b", "out"),
    ("ACK", "1 ACK", "b", "in"),
    ("BYE", "2 BYE", "b", "in"),
]


REINVITE = [
    *ACKS[:3],
    ("INVITE", "2 INVITE", "b", "in"),
    ("SIP/2.0 200 OK", "2 INVITE", "b", "out"),
    ("ACK", "2 ACK", "b", "in"),
    ("BYE", "3 BYE", "b", "in"),
]


@pytest.mark.parametrize(
    ("toml", "rows", "want"),
    [
        ("", ACKS, ["INVITE 2", "200 2", "ACK 2", "BYE 2"]),
        ("dialog_acks = false", ACKS, ["INVITE 2", "200 2", "BYE 2"]),
        ("dialog_acks = false", REINVITE, ["INVITE 2", "200 2", "INVITE 2", "200 2", "ACK 2", "BYE 2"]),
        ("dialog_acks = false", CALL, ["INVITE 2", "180 2", "486 2", "ACK 2"]),
        ("local_failure_acks = false", ACKS, ["INVITE 2", "200 2", "ACK 2", "BYE 2"]),
        ("local_failure_acks = false", CALL, ["INVITE 2", "180 2", "486 2"]),
    ],
)
def test_acks_left_out_of_traces_that_hooks_started(
    toml: str, rows: list[tuple[str, str, str, str]], want: list[str]
) -> None:
    """As for rules. A hook may still trace such an ACK explicitly."""
    rule = f'[trace]\n{toml}\n[[rule]]\nmethod = "OPTIONS"\n'

    def starts(message: Message) -> None:
        if message.is_request and message.method == "INVITE":
            dialog_to_carrier(message)

    def as_real(messages: list[CapturedMessage]) -> list[CapturedMessage]:
        for message in messages:
            if message.sip.method == b"ACK" and rows is ACKS:
                assert message.transaction is not None
                assert message.transaction.method == b"ACK"
        return messages

    assert shown(policy(rule, starts).decide(as_real(call(rows)))) == want
    last = policy(rule, starts, lambda m: to_carrier(m) if m.method == "ACK" else None).decide(call(rows))
    assert "ACK 2" in shown(last)


LEGS = '[[rule]]\nmethod = "OPTIONS"\n[legs]\ncall_id_in = "X-CID"\n'
RULES = '[legs]\ncall_id_in = "X-CID"\n'


def ids(traced: list[TracedMessage]) -> list[tuple[int, bytes]]:
    return [(one.sinks, one.trace.correlation_id) for one in traced]


@pytest.mark.parametrize(
    ("toml", "hook", "want"),
    [
        pytest.param(RULES, lambda m: None, [(1, b"other")], id="of a rule"),
        pytest.param(LEGS, to_carrier, [(2, b"other")], id="of a hook"),
        pytest.param(RULES, to_carrier, [(2, b"other"), (1, b"other")], id="of both"),
        pytest.param(LEGS, lambda m: m.trace(correlation_id="mine"), [(1, b"mine")], id="one of its own"),
        pytest.param(RULES, lambda m: m.set_correlation_id("mine"), [(1, b"mine")], id="one that is set"),
        pytest.param(RULES, lambda m: m.set_correlation_id(""), [(1, b"")], id="none"),
        pytest.param(LEGS, lambda m: (to_carrier(m), m.set_correlation_id("")), [(2, b"")], id="none, of a hook"),
    ],
)
def test_ids_of_legs(toml: str, hook: Hook, want: list[tuple[int, bytes]]) -> None:
    one = policy(toml, hook)
    for message in call(CALL[:1] * 20, x_cid="other"):
        assert ids(one.decide([message])) == want


def test_hooks_see_the_ids_of_legs() -> None:
    seen: list[list[str]] = []
    policy(RULES, lambda m: seen.append([d.correlation_id for d in m.decisions])).decide(call(x_cid="other")[:1])
    assert seen == [["other"]]


def test_a_hook_that_wanted_no_id_and_then_failed_has_not_been_there() -> None:
    def fails(message: Message) -> None:
        message.set_correlation_id("")
        raise KeyError

    assert ids(policy(RULES, fails).decide(call(x_cid="other")[:1])) == [(1, b"other")]


def test_log_lines_follow_the_messages_of_their_batch() -> None:
    one = policy("", lambda m: m.hlog(f"saw {m.method}"), on(180, drop))
    traced = one.decide(call())
    assert [(isinstance(t.message, LogEvent), t.message.raw[:8], t.sinks) for t in traced[3:]] == 3 * [
        (True, b"saw INVI", 1)
    ] + [(True, b"saw ACK", 1)]
    assert {t.trace.correlation_id for t in traced[3:]} == {b"c1"}
    assert (one.traced, one.not_traced) == (3, 1)


@given(
    st.lists(st.tuples(st.sampled_from(["INVITE", "180", "486", "BYE"]), st.sampled_from("abc")), max_size=40),
    st.lists(st.sampled_from(["", "drop", "trace", "dialog", "raise"]), min_size=1, max_size=7),
)
def test_the_books_balance_whatever_hooks_do(rows: list[tuple[str, str]], acts: list[str]) -> None:
    """Each message is traced, not traced, or waiting; and all traced messages come out."""
    verbs: dict[str, Hook] = {
        "": lambda m: None,
        "drop": drop,
        "trace": to_carrier,
        "dialog": dialog_to_carrier,
        "raise": raises,
    }
    turn = 0

    def hook(message: Message) -> None:
        nonlocal turn
        turn += 1
        verbs[acts[turn % len(acts)]](message)

    calls = Calls()
    messages = []
    for number, (word, call_id) in enumerate(rows):
        first = f"SIP/2.0 {word} X" if word.isdigit() else word
        raw = sip(first, "2 BYE" if word == "BYE" else "1 INVITE", "" if word == "INVITE" else "b", call_id)
        messages.append(calls.observe(captured(raw, time=number / 10)))
    one = policy(LOOKS_BACK.replace("dialog", "transaction"), hook)
    out = [traced for message in messages for traced in one.decide([message])]
    assert one.traced + one.not_traced + one.waiting == len(messages)
    one.close()
    assert (one.waiting, one.traced + one.not_traced) == (0, len(messages))
    assert len({t.message.time_ns for t in out}) == one.traced
    assert len({(t.message.time_ns, t.sinks) for t in out}) == len(out)  # to no sink twice
    assert one.hooks is not None
    assert all(ledger.difference == 0 for ledger in one.hooks.ledgers())
