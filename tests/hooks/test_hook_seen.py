"""What hooks and conditions read of a message."""

from __future__ import annotations

from typing import Any

import pytest
from hook_samples import BARE, REGISTER, REPLY, TIME_NS, WIRED, captured

from capture_agent.hooks import Message, SeenMessage
from capture_agent.records.captured import Direction
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.records.traced import Trace


def seen(raw: bytes = REGISTER, **more: Any) -> SeenMessage:
    return SeenMessage(captured(raw, **more), Direction.IN)


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
]


@pytest.mark.parametrize(("name", "request_", "reply", "bare"), READ, ids=[row[0] for row in READ])
def test_reading(name: str, request_: object, reply: object, bare: object) -> None:
    assert [getattr(seen(raw), name) for raw in (REGISTER, REPLY, BARE)] == [request_, reply, bare]


def test_headers() -> None:
    one = seen()
    assert one.header("VIA") == one.header("v") == "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"
    assert one.header_values("v") == [one.header("via"), "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK0"]
    assert (one.header("x-odd"), one.header("x-none"), one.header_values("x-none")) == ("\\xff", None, [])
    assert [name for name, _ in one.headers] == [
        "via", "via", "from", "to", "call-id", "cseq", "x-odd", "content-length"
    ]  # fmt: skip


def test_addresses_of_ipv6_and_where_it_was_seen() -> None:
    one = seen(source="2001:db8::1", destination="::1", **WIRED)
    assert (one.source, one.destination, one.vlan, one.interface) == ("2001:db8::1", "::1", 7, "eth1")
    assert repr(one) == "<Message REGISTER 'call-1@192.0.2.1' tcp 2001:db8::1:5062 > ::1:5060>"


def test_what_it_belongs_to() -> None:
    one = captured()
    one.dialog = Dialog(b"call-1", b"f1", b"INVITE")
    one.transaction = Transaction(b"INVITE", 7, b"f\xff")
    one.retransmission = True
    shown = SeenMessage(one, Direction.OUT)
    assert (shown.direction, shown.retransmission) == ("out", True)
    assert repr(shown.dialog) == "Dialog(method='INVITE', call_id='call-1', caller_tag='f1')"
    assert repr(shown.transaction) == "Transaction(method='INVITE', cseq=7, from_tag='f\\\\xff')"
    assert shown.dialog is not None
    assert not shown.dialog.traced
    one.dialog.traces = (Trace(),)
    assert shown.dialog.traced
    assert shown.transaction is not None
    assert not shown.transaction.traced
    # Hooks keep things by dialog.
    assert {shown.dialog: 1}[SeenMessage(one, Direction.IN).dialog] == 1  # type: ignore[index]


def test_a_condition_can_decide_nothing() -> None:
    verbs = {name for name in vars(Message) if not name.startswith("_")}
    assert verbs >= {"drop", "trace", "decisions"}
    assert not [name for name in verbs if hasattr(seen(), name)]
