"""Hooks decide last: in order, each after the earlier ones' decisions, without effect if it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.hooks import HookError, Message
from capture_agent.hooks.guard import Guard, Limits
from capture_agent.hooks.verb_values import SinkNames
from capture_agent.policy.hooks import Hooks, instead
from capture_agent.policy.policy import Policy
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.records.kinds import LogEvent
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sip.scan import scan

SIP = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: c\r\n\r\n"
SINKS = SinkNames(dict(enumerate(["a", "b", "c"])), defaults=0b011)
RULE = Trace(0b011, b"", ("rule",), rule="rule")

Hook = Callable[[Message], object]


def captured() -> CapturedMessage:
    data = bytes(8) + SIP
    sip = scan(data, 8, len(data))
    assert sip is not None
    return CapturedMessage(Datagram(data, 8, len(data), 0, 4, 5060, 5060), sip)


def hooks(*functions: Hook, **limits: Any) -> Hooks:
    return Hooks([Guard(f"hook {n}", f, Limits(**limits), "traced") for n, f in enumerate(functions, 1)], SINKS)


def outcome(*functions: Hook, message: CapturedMessage | None = None) -> list[tuple[int, tuple[str, ...], str]]:
    """Sinks, users and the author of each trace."""
    one = message or captured()
    decided = hooks(*functions).apply(one, Direction.IN, (TracedMessage(one, Direction.IN, RULE),))
    assert all(traced.message is one for traced in decided)
    return [(traced.sinks, traced.trace.users, traced.trace.rule) for traced in decided]


def test_what_a_rule_hides_stays_hidden() -> None:
    """Whatever a hook does: its own trace, or other users."""

    def traces_and_changes(message: Message) -> None:
        message.trace("c")
        message.set_users("bob")

    one = captured()
    hidden = TracedMessage(one, Direction.IN, Trace(0b011, masks=("users:hash", "sdes")))
    decided = hooks(traces_and_changes).apply(one, Direction.IN, (hidden,))
    assert [(traced.sinks, set(traced.trace.masks)) for traced in decided] == [
        (0b100, {"users:hash", "sdes"}), (0b011, {"users:hash", "sdes"}),
    ]  # fmt: skip


def raises(message: Message) -> None:
    raise KeyError


def drops(message: Message) -> None:
    message.drop()


def to_c(message: Message) -> None:
    message.trace("c", users="c", mode="dialog")


def drops_and_raises(message: Message) -> None:
    message.drop()
    message.trace("c", mode="dialog")
    message.set_users("nobody")
    message.hlog("x")
    raise KeyError


def catches(message: Message) -> None:
    with pytest.raises(HookError):
        message.trace("nowhere")


def lets_pass(message: Message) -> None:
    message.set_users("nobody")
    message.trace("nowhere")


AS_RULED = (0b011, ("rule",), "rule")


@pytest.mark.parametrize(
    ("functions", "want"),
    [
        pytest.param([], [AS_RULED], id="none"),
        pytest.param([lambda m: None], [AS_RULED], id="one that does nothing"),
        pytest.param([lambda m: False], [AS_RULED], id="what it returns says nothing"),
        pytest.param([drops], [], id="dropped"),
        pytest.param([drops, to_c], [], id="dropped is dropped"),
        pytest.param([raises, to_c], [(0b100, ("c",), "hook 2"), AS_RULED], id="the next one is called all the same"),
        pytest.param([drops_and_raises], [AS_RULED], id="half a hook is none"),
        pytest.param([to_c, drops_and_raises], [(0b100, ("c",), "hook 1"), AS_RULED], id="the one before stands"),
        pytest.param([catches], [AS_RULED], id="a wrong value that is caught"),
        pytest.param([lets_pass], [AS_RULED], id="a wrong value that is not"),
        pytest.param([to_c, lambda m: m.set_users("x")], [(0b100, ("x",), "hook 1"), (0b011, ("x",), "rule")], id="one on the other"),
        pytest.param([lambda m: m.trace(), lambda m: m.trace("a")], [(0b001, (), "hook 2"), (0b010, (), "hook 1")], id="the last one wins"),
    ],
)  # fmt: skip
def test_what_comes_out(functions: list[Hook], want: list[tuple[int, tuple[str, ...], str]]) -> None:
    assert outcome(*functions) == want


def test_none_sees_a_message_that_was_dropped() -> None:
    seen: list[Message] = []
    both = hooks(drops, seen.append)
    one = captured()
    assert both.apply(one, Direction.IN, ()) == ()
    assert seen == []
    assert [str(ledger) for ledger in both.ledgers()] == [
        "hook hook 1: 1 seen, 0 passed, 1 dropped",
        "hook hook 2: 0 seen, 0 passed, 0 dropped",
    ]


def test_one_that_is_switched_off_is_passed_by() -> None:
    one = captured()
    several = hooks(raises, to_c, failures=2)
    for _ in range(5):
        decided = several.apply(one, Direction.IN, (TracedMessage(one, Direction.IN, RULE),))
        assert [traced.sinks for traced in decided] == [0b100, 0b011]
    assert [guard.seen for guard in several.guards] == [2, 5]


def test_verbs_come_too_late_once_the_hook_has_returned() -> None:
    kept: list[Message] = []
    outcome(kept.append)
    for verb in (kept[0].drop, kept[0].trace, lambda: kept[0].set_users("a"), lambda: kept[0].hlog("x")):
        with pytest.raises(HookError, match="too late"):
            verb()
    assert kept[0].call_id == "c"


@pytest.mark.parametrize("mode", ["transaction", "dialog"])
def test_a_trace_holds_for_what_the_message_belongs_to(mode: str) -> None:
    one = captured()
    one.dialog = Dialog(b"c", b"t", b"INVITE")
    one.transaction = Transaction(b"INVITE", 1, b"t", one.dialog)
    before = Trace(0b110)
    getattr(one, mode).hooked = (before, Trace(0b001))
    started: list[bool] = []

    def starts(message: Message) -> None:
        for user in ("x", "y"):
            started.append(message.trace("a", "c", mode=mode, users=user))
        message.drop()

    assert outcome(starts, message=one) == []
    assert started == [True, True]
    traces = getattr(one, mode).hooked
    assert [(trace.sinks, trace.users) for trace in traces] == [(0b101, ("y",)), (0b110, ())]
    other = one.transaction if mode == "dialog" else one.dialog
    assert other.hooked == ()


def test_a_hook_that_fails_starts_nothing() -> None:
    one = captured()
    one.dialog = Dialog(b"c", b"t", b"INVITE")
    outcome(drops_and_raises, message=one)
    assert one.dialog.hooked == ()


def test_what_hooks_have_started_holds_over_what_rules_decide_later() -> None:
    one = captured()
    one.dialog = Dialog(b"c", b"t", b"INVITE")
    one.transaction = Transaction(b"INVITE", 1, b"t", one.dialog)
    outcome(lambda m: m.trace("b", "c", mode="dialog", users="d"), message=one)
    outcome(lambda m: m.trace("c", mode="transaction", users="t"), message=one)
    seen: list[tuple[str, ...]] = []
    want = [(0b100, ("t",), "hook 1"), (0b010, ("d",), "hook 1"), (0b001, ("rule",), "rule")]
    assert outcome(lambda m: seen.extend(d.sinks for d in m.decisions), message=one) == want
    assert seen == [("c",), ("b",), ("a",)]
    assert outcome(drops, message=one) == []
    other = captured()
    other.dialog = one.dialog
    assert outcome(message=other) == [(0b110, ("d",), "hook 1"), (0b001, ("rule",), "rule")]


def test_without_a_dialog_the_transaction_is_traced() -> None:
    one = captured()
    one.transaction = Transaction(b"REGISTER", 1, b"t")
    started: list[bool] = []
    outcome(lambda m: started.append(m.trace("c", mode="dialog")), message=one)
    assert started == [False]
    assert len(one.transaction.hooked) == 1


def test_without_either_the_message_alone_is_traced() -> None:
    started: list[bool] = []
    want = [(0b100, (), "hook 1"), AS_RULED]
    assert outcome(lambda m: started.append(m.trace("c", mode="dialog"))) == want
    assert started == [False]


@given(st.lists(st.integers(1, (1 << 64) - 1), max_size=200))
def test_traces_of_a_dialog_are_never_more_than_sinks(sinks: list[int]) -> None:
    traces: tuple[Any, ...] = ()
    winner: dict[int, Trace] = {}
    for bits in sinks:
        trace = Trace(bits)
        traces = instead(trace, traces)
        winner.update({bit: trace for bit in range(64) if bits >> bit & 1})
    assert len(traces) <= 64
    # Each sink gets it by the first trace that names it: the latest.
    for bit, trace in winner.items():
        assert next(t for t in traces if t.sinks >> bit & 1) is trace


def says(message: Message) -> None:
    message.hlog("by call")
    message.hlog("by id", "id")
    message.hlog("by none", "")
    message.trace_msg(SIP, "udp:192.0.2.1:5060", "tcp:192.0.2.2", "made")
    message.drop()


def test_uncaptured_messages_are_sent_also_from_a_dropped_message_and_not_counted() -> None:
    guards = [Guard(str(n), hook, Limits(), "") for n, hook in enumerate((drops_and_raises, says))]
    policy = Policy(hooks=Hooks(guards, SinkNames(dict(enumerate(["a", "b", "c"])), defaults=0b011, collectors=0b001)))
    traced = policy.decide([captured(), captured()])
    assert [(one.sinks, one.trace.correlation_id, one.message.raw, type(one.message)) for one in traced] == 2 * [
        (0b001, b"c", b"by call", LogEvent), (0b001, b"id", b"by id", LogEvent),
        (0b001, b"", b"by none", LogEvent), (0b001, b"made", SIP, CapturedMessage),
    ]  # fmt: skip
    made = traced[-1].message.datagram
    assert (made.source_text, made.source_port, made.transport) == ("192.0.2.1", 5060, "tcp")
    assert (policy.traced, policy.not_traced) == (0, 2)
    assert policy.hooks is not None
    assert policy.hooks.take_events() == []


def test_without_a_collector_it_is_not_kept() -> None:
    several = hooks(says)
    several.apply(captured(), Direction.IN, ())
    assert several.take_events() == []


def test_policy_counts_what_hooks_have_left() -> None:
    seen: list[str] = []

    def every_second(message: Message) -> None:
        seen.append(message.direction)
        if len(seen) % 2:
            message.drop()

    policy = Policy(hooks=hooks(every_second))
    assert len(policy.decide([captured() for _ in range(5)])) == 2
    assert (policy.traced, policy.not_traced) == (2, 3)
    policy.on = False
    assert policy.decide([captured()]) == []
    assert len(seen) == 5  # as in siptrace: hooks are not called for messages that are not traced anyway
