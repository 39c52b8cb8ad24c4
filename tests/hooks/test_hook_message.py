"""What hooks read of a message, and what its verbs do."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hook_samples import DEFAULTS, REGISTER, SINKS, captured, message

from capture_agent.hooks import Decision, HookError, Message
from capture_agent.records.captured import Direction
from capture_agent.records.traced import Trace


def decided(one: Message) -> list[tuple[Any, ...]]:
    return [(d.sinks, d.users, d.table, d.correlation_id, d.rule) for d in one.decisions]


BOTH = ("homer", "calls")
PLAIN = (BOTH, (), "", "", "everything")


@pytest.mark.parametrize(
    ("traces", "verbs", "want"),
    [
        pytest.param([DEFAULTS], [], [PLAIN], id="nothing said"),
        pytest.param([DEFAULTS], [("drop",)], [], id="drop"),
        pytest.param([DEFAULTS], [("drop",), ("trace", "spare")], [], id="drop is final"),
        pytest.param([], [("trace",)], [(BOTH, (), "", "", "me")], id="to the default sinks"),
        pytest.param([], [("trace", "spare", "homer")], [(("homer", "spare"), (), "", "", "me")], id="to some"),
        pytest.param([DEFAULTS], [("trace", "spare")], [(("spare",), (), "", "", "me"), PLAIN], id="one more"),
        pytest.param(
            [DEFAULTS],
            [("trace", "calls", {"users": ["a", "b", "a"], "table": "t", "correlation_id": "c"})],
            [(("calls",), ("a", "b"), "t", "c", "me"), (("homer",), (), "", "", "everything")],
            id="a sink gets it once, as the hook says",
        ),
        pytest.param([DEFAULTS], [("trace",)], [(BOTH, (), "", "", "me")], id="nothing is left of the rule's"),
        pytest.param(
            [Trace(0b001), Trace(0b100, b"x", ("u",), "t", rule="r")],
            [("set_users", "bob"), ("set_table", "other"), ("set_correlation_id", "\xe9")],
            [(("homer",), ("bob",), "other", "\xe9", ""), (("calls",), ("bob",), "other", "\xe9", "r")],
            id="every trace is changed",
        ),
        pytest.param(
            [Trace(0b100, b"x", ("u",), "t", rule="r")],
            [("set_users", []), ("set_table", ""), ("set_correlation_id", "")],
            [(("calls",), (), "", "", "r")],
            id="unset",
        ),
        pytest.param([], [("set_users", "bob")], [], id="what is not traced stays so"),
    ],
)
def test_verbs(traces: list[Trace], verbs: list[tuple[Any, ...]], want: list[tuple[Any, ...]]) -> None:
    one = message(REGISTER, *traces)
    for verb, *arguments in verbs:
        options = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
        getattr(one, verb)(*arguments, **options)
    assert decided(one) == want
    assert one.traced is bool(want)


def test_the_traces_of_rules_are_shared_and_stay_as_they_are() -> None:
    shared = Trace(0b101, b"c", ("u",), "t", False, rule="r")
    one = message(REGISTER, shared)
    one.set_users("bob")
    assert (shared.users, shared.correlation_id, shared.table, shared.plain_row) == (("u",), b"c", "t", False)
    assert decided(one) == [(BOTH, ("bob",), "t", "c", "r")]


@pytest.mark.parametrize(
    ("verb", "error"),
    [
        (lambda m: m.trace("homr"), "sink 'homr': no such sink, configured are: 'homer', 'spare', 'calls'"),
        (lambda m: m.trace(7), "sink 7: no such sink, configured are: 'homer', 'spare', 'calls'"),
        (lambda m: m.trace(mode="d"), "mode 'd': expected 'message', 'transaction' or 'dialog'"),
        (lambda m: m.trace(users=7), "users 7: expected text, or several texts"),
        (lambda m: m.set_users([None]), "user None: expected text"),
        (lambda m: m.set_table("a b"), "table 'a b': expected letters, digits and underscores, at most 32"),
        (lambda m: m.set_correlation_id(b"x"), "correlation_id b'x': expected text"),
        (lambda m: m.hlog(7), "text 7: expected text"),
        (lambda m: m.trace_msg("", "udp:1.2.3.4", "udp:1.2.3.4"), "message: expected 1 to 60000 bytes, or text"),
        (
            lambda m: m.trace_msg(b"x", "1.2.3.4:5", "udp:1.2.3.4"),
            "source '1.2.3.4:5': expected PROTO:IP:PORT (protocol '1.2.3.4', expected udp, tcp, tls, sctp, ws, wss, any)",
        ),
        (
            lambda m: m.trace_msg(b"x", "udp:1.2.3.4", "udp:[::1]:5060"),
            "source and destination: one address is IPv4 and the other IPv6",
        ),
        (lambda m: m.hlog("x", 7), "correlation_id 7: expected text"),
    ],
)
def test_wrong_values(verb: Any, error: str) -> None:
    one = message(REGISTER, DEFAULTS)
    with pytest.raises(HookError) as raised:
        verb(one)
    assert str(raised.value) == error
    assert decided(one) == [PLAIN]


def test_a_kept_message_stays_readable() -> None:
    kept = [message(REGISTER.replace(b"call-1", b"call-%d" % n)) for n in range(1000)]
    gc.collect()
    assert [one.call_id for one in kept] == [f"call-{n}@192.0.2.1" for n in range(1000)]


def test_nobody_has_sinks_without_names() -> None:
    one = Message(captured(), Direction.IN)
    with pytest.raises(HookError, match="configured are: none"):
        one.trace("homer")
    one.trace()
    assert one.decisions == (Decision((), (), "", "", ""),)
    assert SINKS.named(0b111) == ("homer", "spare", "calls")
