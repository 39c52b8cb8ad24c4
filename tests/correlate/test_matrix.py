"""Recorded calls: which messages are traced, as a table: matrix.txt.

Each recording goes through the pipeline, with a rule that matches what begins a call, a subscription or a registration
and traces it as message, transaction or dialog (m, t, d), and with the same as `[trace] mode` (M, T, D). The viewpoint
is the client side of the proxy, the server side, or both; a dash is a message that is not seen from there, a dot is one
that is not traced.

    python tests/correlate/test_matrix.py > tests/correlate/matrix.txt     after an intended change: review the diff
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from capture_agent.config import load
from capture_agent.config.endpoints import parse_local
from capture_agent.correlate.correlator import Correlator
from capture_agent.pipeline import Pipeline
from capture_agent.policy.policy import Policy
from capture_agent.policy.settings import Settings
from capture_agent.records.captured import CapturedMessage
from capture_agent.sources.capture_file import CaptureFile

PCAPS = Path(__file__).parents[2] / "pcaps"
TABLE = Path(__file__).with_name("matrix.txt")


@dataclass(frozen=True)
class Case:
    """A call of a recording: its first method, its callee, and its number among several."""

    user: str
    method: str = "INVITE"
    capture: str = "calls"
    old: bool = False  # a Via without a branch
    number: int = 0


CASES = {
    "complete call": Case("bob", capture="demo"),
    "CANCELled": Case("carol", capture="demo"),
    "rejected": Case("dave", capture="demo"),
    "retransmitted": Case("frank", capture="demo"),
    "REGISTER with challenge": Case("alice", "REGISTER", capture="demo"),
    "MESSAGE": Case("erin", "MESSAGE", capture="demo"),
    "re-INVITE, hung up by the callee": Case("bob"),
    "SUBSCRIBE and NOTIFY": Case("erin", "SUBSCRIBE"),
    "forked": Case("gina"),
    "spiralled": Case("sam"),
    "RFC 2543 branch": Case("bob", old=True),
    "sent on without state": Case("stan", capture="calls-server"),
    "ended by the server": Case("tim", capture="calls-server"),
}
NO_TCP = ("retransmitted", "RFC 2543 branch")
OTHERS = [
    (capture, name)
    for capture in ("calls-tcp", "calls-ipv6")
    for name, case in CASES.items()
    if case.capture != "calls-server" and not (capture == "calls-tcp" and name in NO_TCP)
]
PROXY = ("192.0.2.10", "203.0.113.1", "2001:db8::10")  # the second: of connections that it opens
NAMES = {"198.51.100.20": "caller", "2001:db8:1::20": "caller"} | dict.fromkeys(PROXY, "proxy")
NAMES |= {f"{net}{host}": f"callee{host}" for host in range(30, 35) for net in ("203.0.113.", "2001:db8:2::")}
VIEWS: dict[str, Callable[[str, str], bool]] = {
    "client side": lambda source, destination: "caller" in (source, destination),
    "server side": lambda source, destination: "caller" not in (source, destination),
    "both": lambda source, destination: True,
}
MODES = ("message", "transaction", "dialog")
BEGINNING = '[[rule]]\nmethod = ["INVITE", "SUBSCRIBE", "REGISTER", "MESSAGE"]\nkind = "initial"\n'
POLICIES = {mode[0]: f'{BEGINNING}trace = "{mode}"' for mode in MODES}
POLICIES |= {mode[0].upper(): f'[trace]\nmode = "{mode}"' for mode in MODES}


def pipeline(toml: str) -> Pipeline:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "agent.toml"
        file.write_text(f'{toml}\n[[hep]]\nuri = "hep:192.0.2.60"\n')
        settings = Settings.of(load(file))
    return Pipeline(policy=Policy([parse_local(address) for address in PROXY], settings))


def all_recorded(capture: str) -> list[CapturedMessage]:
    with CaptureFile(PCAPS / f"{capture}.pcap") as file:
        return [message for batch in Pipeline().read(file.batches()) for message in batch]


def recorded(case: Case) -> list[CapturedMessage]:
    """The messages of this one call."""
    messages = all_recorded(case.capture)
    begun = [
        message.sip.call_id
        for message in messages
        if message.sip.method == case.method.encode()
        and message.sip.to_tag is None
        and f":{case.user}@".encode() in (message.sip.to_value or b"")
        and (message.sip.via_branch is None) == case.old
    ]
    call_id = list(dict.fromkeys(begun))[case.number]
    return [message for message in messages if message.sip.call_id == call_id]


def over(capture: str, name: str) -> Case:
    """The same call in another recording with all calls."""
    case = CASES[name]
    return Case(case.user, case.method, capture, case.old, int(name.startswith("re-INVITE")))


def ends(message: CapturedMessage) -> tuple[str, str]:
    return NAMES[message.datagram.source_text], NAMES[message.datagram.destination_text]


def label(message: CapturedMessage) -> str:
    sip = message.sip
    of = (sip.cseq_method or b"").decode()
    what = of if sip.is_request else f"{sip.status} {of}"
    return f"{'>'.join(ends(message))} {what} {sip.cseq}"


def traced(messages: list[CapturedMessage], toml: str) -> list[bool]:
    """In batches of one, as with little traffic."""
    way = pipeline(toml)
    for message in messages:
        message.transaction = message.dialog = None
    return [bool(way.trace([message])) for message in messages]


def rows(case: Case) -> list[str]:
    messages = recorded(case)
    columns = []
    for sees in VIEWS.values():
        seen = [message for message in messages if sees(*ends(message))]
        marks = {letter: traced(seen, toml) for letter, toml in POLICIES.items()}
        found = dict.fromkeys(map(id, messages), "-")
        for n, message in enumerate(seen):
            letters = "".join(letter if mark[n] else "." for letter, mark in marks.items())
            found[id(message)] = f"{letters[:3]} {letters[3:]}"
        columns.append(found)
    return [
        f"{label(message):32}" + "".join(f"{column[id(message)]:>12}" for column in columns) for message in messages
    ]


def table(name: str) -> str:
    heading = f"{'':32}" + "".join(f"{view:>12}" for view in VIEWS)
    return "\n".join([f"== {name}", heading, *rows(CASES[name]), ""])


def wanted(name: str) -> str:
    return {part.split("\n", 1)[0]: part for part in TABLE.read_text().split("== ")}[name]


@pytest.mark.parametrize("name", CASES)
def test_matrix(name: str) -> None:
    assert table(name).strip() == "== " + wanted(name).strip()


@pytest.mark.parametrize(("capture", "name"), OTHERS)
def test_over_tcp_and_ipv6_it_is_the_same(capture: str, name: str) -> None:
    """The order of two messages may differ between recordings."""
    assert sorted(rows(over(capture, name))) == sorted(wanted(name).strip().split("\n")[2:])


def test_the_table_has_no_other_cases() -> None:
    assert [line[3:] for line in TABLE.read_text().splitlines() if line.startswith("==")] == list(CASES)


SEEN = {  # of the first transaction: branches, spiral, retransmissions in the call
    "complete call": (2, False, 0),
    "retransmitted": (2, False, 3),
    "forked": (3, False, 0),
    "spiralled": (3, True, 0),
    "RFC 2543 branch": (2, False, 0),
    "SUBSCRIBE and NOTIFY": (2, False, 0),
}


@pytest.mark.parametrize(("name", "want"), SEEN.items(), ids=SEEN)
def test_the_first_transaction_as_hooks_see_it(name: str, want: tuple[int, bool, int]) -> None:
    messages = recorded(CASES[name])
    Correlator().observe(messages)
    first = messages[0].transaction
    assert first is not None
    assert (first.branches, first.spiral, sum(message.retransmission for message in messages)) == want


if __name__ == "__main__":
    sys.stdout.write("\n".join(table(name) for name in CASES))
