"""What hooks read of a message, and what the verbs make of it."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hook_samples import BARE, DEFAULTS, REGISTER, REPLY, SINKS, TIME_NS, WIRED, captured, message

from capture_agent.calls import Dialog, Transaction
from capture_agent.hooks import Decision, HookError, Message
from capture_agent.records import Direction, Trace

READ: list[tuple[str, object, object, object]] = [
    ("raw", REGISTER, REPLY, BARE),
    ("body", b"hi", b"", b""),
    ("is_request", True, False, True),
    ("method", "REGISTER", "INVITE", "OPTIONS"),
    ("uri", "sip:example.com", "", "sip:a"),
    ("uri_user", "", "", ""),
    ("status", 0, 486, 0),
    ("reason", "", "Busy Here", ""),
    ("call_id", "call-1@192.0.2.1", "call-2", ""),
    ("cseq", 7, 1, None),
    ("from_tag", "f1", "f1", ""),
    ("to_tag", "", "t1", ""),
    ("from_user", "alice", "alice", ""),
    ("to_user", "alice", "bob", ""),
    ("time_ns", TIME_NS, TIME_NS, TIME_NS),
    ("time", TIME_NS / 1e9, TIME_NS / 1e9, TIME_NS / 1e9),
    ("source", "192.0.2.1", "192.0.2.1", "192.0.2.1"),
    ("source_port", 5062, 5062, 5062),
    ("destination", "198.51.100.2", "198.51.100.2", "198.51.100.2"),
    ("destination_port", 5060, 5060, 5060),
    ("transport", "tcp", "tcp", "tcp"),
    ("vlan", None, None, None),
    ("interface", "", "", ""),
    ("direction", "in", "in", "in"),
    ("retransmission", False, False, False),
    ("transaction", None, None, None),
    ("dialog", None, None, None),
    ("traced", False, False, False),
    ("decisions", (), (), ()),
]


@pytest.mark.parametrize(("name", "request_", "reply", "bare"), READ, ids=[row[0] for row in READ])
def test_reading(name: str, request_: object, reply: object, bare: object) -> None:
    assert [getattr(message(raw), name) for raw in (REGISTER, REPLY, BARE)] == [request_, reply, bare]


def test_headers() -> None:
    one = message()
    assert one.header("VIA") == one.header("v") == "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"
    assert one.header_values("v") == [one.header("via"), "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK0"]
    assert (one.header("x-odd"), one.header("x-none"), one.header_values("x-none")) == ("\\xff", None, [])
    assert [name for name, _ in one.headers] == [
        "via", "via", "from", "to", "call-id", "cseq", "x-odd", "content-length"
    ]  # fmt: skip


def test_addresses_of_ipv6_and_where_it_was_seen() -> None:
    one = message(source="2001:db8::1", destination="::1", **WIRED)
    assert (one.source, one.destination, one.vlan, one.interface) == ("2001:db8::1", "::1", 7, "eth1")
    assert repr(one) == "<Message REGISTER 'call-1@192.0.2.1' tcp 2001:db8::1:5062 > ::1:5060>"


def test_what_it_belongs_to() -> None:
    one = captured()
    one.dialog = Dialog(b"call-1", b"f1", b"INVITE")
    one.transaction = Transaction(b"INVITE", 7, b"f\xff")
    one.retransmission = True
    seen = Message(one, Direction.OUT)
    assert (seen.direction, seen.retransmission) == ("out", True)
    assert repr(seen.dialog) == "Dialog(method='INVITE', call_id='call-1', caller_tag='f1')"
    assert repr(seen.transaction) == "Transaction(method='INVITE', cseq=7, from_tag='f\\\\xff')"
    assert seen.dialog is not None
    assert not seen.dialog.traced
    one.dialog.traces = (Trace(),)
    assert seen.dialog.traced
    assert seen.transaction is not None
    assert not seen.transaction.traced
    # Hooks keep things by dialog.
    assert {seen.dialog: 1}[Message(one, Direction.IN).dialog] == 1  # type: ignore[index]


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
        (lambda m: m.trace("homr"), "sink 'homr': there is no sink of this name, there are: 'homer', 'spare', 'calls'"),
        (lambda m: m.trace(7), "sink 7: there is no sink of this name, there are: 'homer', 'spare', 'calls'"),
        (lambda m: m.trace(mode="d"), "mode 'd': expected 'message', 'transaction' or 'dialog'"),
        (lambda m: m.trace(users=7), "users 7: expected text, or several texts"),
        (lambda m: m.set_users([None]), "user None: expected text"),
        (lambda m: m.set_table("a b"), "table 'a b': expected letters, digits and underscores, at most 32"),
        (lambda m: m.set_correlation_id(b"x"), "correlation_id b'x': expected text"),
        (lambda m: m.hlog(7), "text 7: expected text"),
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
    with pytest.raises(HookError, match="there are: none"):
        one.trace("homer")
    one.trace()
    assert one.decisions == (Decision((), (), "", "", ""),)
    assert SINKS.named(0b111) == ("homer", "spare", "calls")
