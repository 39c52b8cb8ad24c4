"""Recorded calls through the pipeline: a trace that a rule starts covers everything in it, with the same settings.

This includes messages that siptrace inside a server misses (docs/siptrace.md): relayed ACKs, retransmissions, BYEs that
the server creates itself, and messages that it forwards statelessly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from capture_agent.config import Config, load
from capture_agent.config.endpoints import parse_local
from capture_agent.pipeline import Pipeline
from capture_agent.policy.policy import Policy
from capture_agent.policy.settings import Settings
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.traced import TracedMessage
from capture_agent.sources.capture_file import CaptureFile

PROXY = ("192.0.2.10", "203.0.113.1", "2001:db8::10")
SINKS = """
[[hep]]
uri = "hep:10.0.0.1"
[[hep]]
name = "second"
uri = "hep:10.0.0.2"
default = false
[[sql]]
url = "sqlite:////tmp/trace.db"
"""


class Replayed:
    """All messages of a recording, and the traced ones."""

    def __init__(self, capture: Path, toml: str, folder: Path) -> None:
        (folder / "agent.toml").write_text(f"{toml}\n{SINKS}")
        self.config: Config = load(folder / "agent.toml")
        policy = Policy([parse_local(address) for address in PROXY], Settings.of(self.config))
        self.pipeline = Pipeline(policy=policy)
        self.messages: list[CapturedMessage] = []
        with CaptureFile(capture) as file:
            self.traced = list(chain.from_iterable(map(self._trace, self.pipeline.read(file.batches()))))
        policy.close()
        assert policy.traced + policy.not_traced == len(self.messages)

    def _trace(self, messages: list[CapturedMessage]) -> Iterator[TracedMessage]:
        self.messages += messages
        yield from self.pipeline.trace(messages)

    def calls(self, user: str) -> list[list[CapturedMessage]]:
        """The calls whose first request is to this user."""
        to = f":{user}@".encode()
        ids = dict.fromkeys(message.sip.call_id for message in self.messages if to in (message.sip.to_value or b""))
        return [[message for message in self.messages if message.sip.call_id == call_id] for call_id in ids]


def told(message: CapturedMessage) -> tuple[int, bytes]:
    """Copies of a message that was held back are told so too."""
    return message.time_ns, message.raw


@pytest.mark.parametrize(("toml", "acks"), [("", {b"1", b"2"}), ("[trace]\ndialog_acks = false\n", {b"2"})])
def test_acks_of_a_dialog(toml: str, acks: set[bytes], pcaps: Path, tmp_path: Path) -> None:
    """Without trace_dialog_ack the ACK that confirms the dialog is left out; a re-INVITE's is kept."""
    rule = f'{toml}[[rule]]\nmethod = "INVITE"\nkind = "initial"\nto_user = "bob"\ntrace = "dialog"'
    found = Replayed(pcaps / "calls.pcap", rule, tmp_path)
    calls = {m.sip.call_id for m in found.messages if m.sip.method == b"INVITE" and m.sip.cseq == 2}
    traced = [one.message.sip for one in found.traced if one.message.sip.call_id in calls]
    assert {b"%d" % sip.cseq for sip in traced if sip.method == b"ACK"} == acks


WHOLE = """
[[rule]]
method = "INVITE"
kind = "initial"
to_user = "{user}"
trace = "dialog"
sinks = ["second", "sqlite:////tmp/trace.db"]
users = ["{{from_user}}", "{{to_user}}"]
table = "calls_alt"
correlation_id = "{{call_id}}-abc"
"""
# What each recording has that siptrace would miss: messages that have come again, in all calls with that user, and the
# methods of requests that go out.
CALLS = [
    pytest.param("demo", "bob", 0, "INVITE ACK BYE", id="complete call"),
    pytest.param("demo", "carol", 0, "INVITE CANCEL ACK", id="CANCELled"),
    pytest.param("demo", "dave", 0, "INVITE ACK", id="rejected"),
    pytest.param("demo", "frank", 3, "INVITE ACK BYE", id="retransmitted"),
    pytest.param("calls", "bob", 0, "INVITE ACK BYE", id="re-INVITE and RFC 2543"),
    pytest.param("calls", "gina", 0, "INVITE CANCEL ACK BYE", id="forked"),
    pytest.param("calls", "sam", 0, "INVITE ACK BYE", id="spiralled"),
    pytest.param("calls-server", "stan", 0, "INVITE ACK BYE", id="sent on without state"),
    pytest.param("calls-server", "tim", 0, "INVITE ACK BYE", id="ended by the server"),
    pytest.param("calls-tcp", "gina", 0, "INVITE CANCEL ACK BYE", id="forked over TCP"),
    pytest.param("calls-tcp", "sam", 0, "INVITE ACK BYE", id="spiralled over TCP"),
    pytest.param("calls-ipv6", "frank", 3, "INVITE ACK BYE", id="retransmitted over IPv6"),
]


@pytest.mark.parametrize(("capture", "user", "repeated", "sent"), CALLS)
def test_a_dialog_trace_takes_in_all_of_the_call(
    pcaps: Path, tmp_path: Path, capture: str, user: str, repeated: int, sent: str
) -> None:
    replayed = Replayed(pcaps / f"{capture}.pcap", WHOLE.format(user=user), tmp_path)
    calls = replayed.calls(user)
    assert [one.message for one in replayed.traced] == sorted(
        chain.from_iterable(calls), key=lambda message: message.time_ns
    )
    for call in calls:
        (trace,) = {one.trace for one in replayed.traced if one.message in call}
        assert trace.correlation_id == (call[0].sip.call_id or b"") + b"-abc"
        assert (trace.users, trace.table) == (("alice", user), "calls_alt")
    second_and_table = 0b110
    assert {one.sinks for one in replayed.traced} == {second_and_table}
    assert sum(one.message.retransmission for one in replayed.traced) == repeated
    out = {one.message.sip.method for one in replayed.traced if one.direction is Direction.OUT}
    assert {method.decode() for method in out if method} == set(sent.split())


def test_byes_that_the_server_has_made(pcaps: Path, tmp_path: Path) -> None:
    """The server itself created them: two, with its own CSeq numbers."""
    replayed = Replayed(pcaps / "calls-server.pcap", WHOLE.format(user="tim"), tmp_path)
    byes = [one.message for one in replayed.traced if one.message.sip.method == b"BYE"]
    assert {message.datagram.source_text for message in byes} == {"192.0.2.10"}
    assert [message.sip.cseq for message in byes] == [1, 3]


TRANSACTION = """
[[rule]]
method = "INVITE"
kind = "initial"
to_user = "{user}"
trace = "transaction"
users = ["{{from_user}}"]
correlation_id = "{{call_id}}-t"
"""


@pytest.mark.parametrize(("capture", "user", "repeated", "sent"), CALLS)
def test_a_transaction_trace_takes_in_all_of_it(
    pcaps: Path, tmp_path: Path, capture: str, user: str, repeated: int, sent: str
) -> None:
    """All hops and forks of the INVITE, CANCEL, and ACKs for failures; but not for a 2xx (RFC 3261 17.1.1.3)."""
    replayed = Replayed(pcaps / f"{capture}.pcap", TRANSACTION.format(user=user), tmp_path)
    wanted = [
        message
        for call in replayed.calls(user)
        for message in call
        if message.sip.cseq == 1
        and message.sip.cseq_method in (b"INVITE", b"CANCEL", b"ACK")
        and not (message.sip.method == b"ACK" and answers_success(message, call))
    ]
    assert [one.message for one in replayed.traced] == sorted(wanted, key=lambda message: message.time_ns)
    assert len({one.trace for one in replayed.traced}) == len(replayed.calls(user))
    assert {one.trace.correlation_id for one in replayed.traced} == {
        (call[0].sip.call_id or b"") + b"-t" for call in replayed.calls(user)
    }


def answers_success(ack: CapturedMessage, call: list[CapturedMessage]) -> bool:
    """The callee that it goes to has sent a 2xx."""
    return any(
        message.sip.to_tag == ack.sip.to_tag and message.sip.status == 200 and message.sip.cseq_method == b"INVITE"
        for message in call
    )


LOOKBACK = (
    '[[rule]]\nmethod = "{method}"\nstatus = "{status}"\ntrace = "{trace}"\nlookback = 60\nusers = "{{from_user}}"'
)


@pytest.mark.parametrize(
    ("capture", "method", "status", "trace", "users"),
    [
        pytest.param("demo", "INVITE", "486", "dialog", "dave", id="busy"),
        pytest.param("demo", "INVITE", "4xx", "dialog", "carol dave", id="failed"),
        pytest.param("demo", "INVITE", "487", "transaction", "carol", id="CANCELled"),
        pytest.param("demo", "MESSAGE", "200", "transaction", "erin", id="MESSAGE"),
        pytest.param("demo", "INVITE", "2xx", "dialog", "bob frank", id="answered, and its retransmissions"),
        pytest.param("calls", "INVITE", "2xx", "dialog", "bob gina sam", id="forks, spirals and RFC 2543"),
        pytest.param("calls-server", "INVITE", "2xx", "dialog", "stan tim", id="the server's own"),
        pytest.param("calls-tcp", "INVITE", "4xx", "dialog", "carol dave gina", id="over TCP"),
        pytest.param("calls-ipv6", "INVITE", "180", "dialog", "bob carol frank gina sam", id="over IPv6"),
    ],
)
def test_a_rule_on_a_response_looks_back(
    pcaps: Path, tmp_path: Path, capture: str, method: str, status: str, trace: str, users: str
) -> None:
    """Whole calls are traced from their first message on, each once, with the response's rule."""
    toml = LOOKBACK.format(method=method, status=status, trace=trace)
    replayed = Replayed(pcaps / f"{capture}.pcap", toml, tmp_path)
    calls = [call for user in users.split() for call in replayed.calls(user) if call[0].sip.method == method.encode()]
    assert Counter(told(one.message) for one in replayed.traced) == Counter(map(told, chain.from_iterable(calls)))
    for call in calls:
        found = [one for one in replayed.traced if one.message.sip.call_id == call[0].sip.call_id]
        assert [told(one.message) for one in found] == list(map(told, call))
        assert len({one.trace for one in found}) == 1
        assert found[0].trace.users == ("alice",)
