"""Recorded calls: which messages a trace takes in, as a table: matrix.txt.

A rule matches what begins a call, a subscription or a registration. With m it traces that message alone, with t its
transaction, with d its dialog. Each recording is looked at from the client side of the proxy, from the server side, and
from both; a dash stands for a message that is not seen from there, a dot for one that is not traced.

    python tests/correlate/test_matrix.py > tests/correlate/matrix.txt     after a wanted change: read the difference
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture_agent.correlate.correlator import Correlator
from capture_agent.pipeline import Pipeline
from capture_agent.records import CapturedMessage, Trace
from capture_agent.sources.capture_file import CaptureFile

PCAPS = Path(__file__).parents[2] / "pcaps"
TABLE = Path(__file__).with_name("matrix.txt")
CASES = {  # the capture, and the user that the first request names
    "complete call": ("demo.pcap", "bob"),
    "CANCELled": ("demo.pcap", "carol"),
    "rejected": ("demo.pcap", "dave"),
    "retransmitted": ("demo.pcap", "frank"),
    "REGISTER with challenge": ("demo.pcap", "alice"),
    "MESSAGE": ("demo.pcap", "erin"),
    "re-INVITE, hung up by the callee": ("calls.pcap", "bob"),
    "SUBSCRIBE and NOTIFY": ("calls.pcap", "erin"),
    "forked": ("calls.pcap", "gina"),
    "spiralled": ("calls.pcap", "sam"),
    "RFC 2543 branch": ("calls.pcap", "bob, without a branch"),
    "TCP": ("call-tcp.pcap", "bob"),
    "IPv6": ("call-ipv6.pcap", "bob"),
}
NAMES = {"198.51.100.20": "caller", "192.0.2.10": "proxy", "2001:db8:1::20": "caller", "2001:db8::10": "proxy"}
NAMES |= {f"203.0.113.{host}": f"callee{host}" for host in range(30, 35)}
VIEWS: dict[str, Callable[[str, str], bool]] = {
    "client side": lambda source, destination: "caller" in (source, destination),
    "server side": lambda source, destination: "caller" not in (source, destination),
    "both": lambda source, destination: True,
}
MODES = "mtd"
TRACE = (Trace(rule="test"),)


def recorded(capture: str, user: str) -> list[CapturedMessage]:
    """The messages of the one call with this user."""
    pipeline = Pipeline()
    with CaptureFile(PCAPS / capture) as file:
        messages = [message for batch in pipeline.read(file.batches()) for message in batch]
    user, _, old = user.partition(",")
    call_id = next(
        message.sip.call_id
        for message in messages
        if f":{user}@".encode() in (message.sip.to_value or b"") and (message.sip.via_branch is None) == bool(old)
    )
    return [message for message in messages if message.sip.call_id == call_id]


def ends(message: CapturedMessage) -> tuple[str, str]:
    return NAMES[message.datagram.source_text], NAMES[message.datagram.destination_text]


def label(message: CapturedMessage) -> str:
    sip = message.sip
    of = (sip.cseq_method or b"").decode()
    what = of if sip.is_request else f"{sip.status} {of}"
    return f"{'>'.join(ends(message))} {what} {sip.cseq}"


def traced(messages: list[CapturedMessage], mode: str) -> Iterator[bool]:
    """What policy does, in its shortest form."""
    correlator = Correlator()
    for message in messages:
        message.transaction = message.dialog = None
        correlator.observe([message])
        transaction, dialog = message.transaction, message.dialog
        if message.sip.method in (b"INVITE", b"SUBSCRIBE", b"REGISTER", b"MESSAGE") and message.sip.to_tag is None:
            if mode == "t" and transaction is not None:
                transaction.traces = TRACE
            if mode == "d" and dialog is not None:
                dialog.traces = TRACE
            yield mode in "mt" or dialog is not None
        else:
            yield bool(transaction and transaction.traces) or bool(dialog and dialog.traces)


def table(name: str) -> str:
    messages = recorded(*CASES[name])
    columns = []
    for sees in VIEWS.values():
        seen = [message for message in messages if sees(*ends(message))]
        marks = [list(traced(seen, mode)) for mode in MODES]
        found = dict.fromkeys(map(id, messages), "-")
        for n, message in enumerate(seen):
            found[id(message)] = "".join(mode for mode, mark in zip(MODES, marks, strict=True) if mark[n]) or "."
        columns.append(found)
    rows = [
        f"{label(message):32}" + "".join(f"{column[id(message)]:>12}" for column in columns) for message in messages
    ]
    heading = f"{'':32}" + "".join(f"{view:>12}" for view in VIEWS)
    return "\n".join([f"== {name}", heading, *rows, ""])


@pytest.mark.parametrize("name", CASES)
def test_matrix(name: str) -> None:
    wanted = {part.split("\n", 1)[0]: part for part in TABLE.read_text().split("== ")}
    assert table(name).strip() == "== " + wanted[name].strip()


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
def test_what_is_told_of_the_first_transaction(name: str, want: tuple[int, bool, int]) -> None:
    messages = recorded(*CASES[name])
    Correlator().observe(messages)
    first = messages[0].transaction
    assert first is not None
    assert (first.branches, first.spiral, sum(message.retransmission for message in messages)) == want


if __name__ == "__main__":
    sys.stdout.write("\n".join(table(name) for name in CASES))
