"""Lookback, legs, and copies, each with the input that costs most per byte of its bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest
from measuring import documented, held_mib, main

from capture_agent import config
from capture_agent.config.matchers import parse_header
from capture_agent.correlate.correlator import Correlator
from capture_agent.intake.copies import CopyFilter
from capture_agent.policy.legs import LegTable
from capture_agent.policy.lookback import Lookback
from capture_agent.policy.rules import CompiledRule
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.records.traced import Trace
from capture_agent.sip.scan import scan

MIB = 1 << 20
SINK = 1
CALLS_MIB = 64  # a sixteenth of the default: what is measured is in proportion


def message(raw: bytes, time_ns: int = 0, port: int = 5060) -> CapturedMessage:
    data = bytes(8) + raw
    sip = scan(data, 8, len(data))
    assert sip is not None
    return CapturedMessage(Datagram(data, 8, len(data), 0, 4, port, 5060, time_ns), sip)


def lookback_rule() -> CompiledRule:
    return CompiledRule("r", 2, (), bytes([1] * 9), b"", (), Trace(SINK), False, lookback_ns=3600 * 10**9)


def lookback(size: int = 0, each: bool = True) -> Lookback:
    """Messages of one size until the bound; each of a call of its own, with the longest texts."""
    trace = config.TraceSection()
    table = Lookback([lookback_rule()], trace.lookback_messages, trace.lookback_mib << 20)
    call = Dialog(b"c" * 255, b"a" * 128, b"INVITE"), None
    n = 0
    while not table.crowded_out and n < 2 * trace.lookback_messages:
        n += 1
        one = message(b"INVITE sip:b SIP/2.0\r\nCall-ID: %d\r\n\r\n" % n + bytes(size), n)
        one.dialog = Dialog(b"%0255d" % n, b"%0128d" % n, b"INVITE") if each else call[0]
        one.transaction = Transaction(b"INVITE", n, b"%0128d" % n, one.dialog)
        table.hold(one, Direction.IN)
    return table


def legs() -> LegTable:
    """As many shared ids as are remembered, then Call-IDs of 6,000 bytes with ids of the greatest length."""
    settings = replace(config.Legs(), call_id_in=(parse_header("X-CID"),), id_in=(parse_header("Session-ID"),))
    table = LegTable(settings)
    for n in range(settings.remembered // 2):
        ids = b"%032x;remote=%032x" % (2 * n + 1, 2 * n + 2)
        one = message(b"INVITE sip:b SIP/2.0\r\nCall-ID: %d\r\nSession-ID: %s\r\n\r\n" % (n, ids), n)
        table.with_id(one, Trace(SINK))
    for n in range(settings.remembered + 100):
        one = message(b"INVITE sip:b SIP/2.0\r\nCall-ID: %06000d\r\nX-CID: %0600d\r\n\r\n" % (n, n), n)
        table.with_id(one, Trace(SINK))
    return table


def copies() -> CopyFilter:
    """Each message by as many ways as fit, each through eight tunnels."""
    numbers = iter(range(1 << 40))

    def way(datagram: Datagram) -> Any:
        return datagram.vlan, next(numbers), ((bytes(16), bytes(16)),) * 8

    table = CopyFilter(10**9, lambda datagram: 0, way)
    for n in range(table.limit + 100):
        for _ in range(3):
            table.kept([message(b"OPTIONS sip:b SIP/2.0\r\nCall-ID: %d\r\n\r\n" % n, 1)])
    return table


def correlator(lines: Iterator[bytes]) -> Correlator:
    """Calls of these messages, until their bound in bytes."""
    table = Correlator(mib=CALLS_MIB)
    while not table.table.calls.evicted:
        table.observe([message(line) for line in islice(lines, 64)])
    return table


def forks() -> Correlator:
    """The most callees, with the longest tags, in dialogs with the longest Call-IDs."""
    invite = b"INVITE sip:b SIP/2.0\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\nFrom: <sip:a>;tag=%0128d\r\nTo: <sip:b>\r\n\r\n"
    ringing = (
        b"SIP/2.0 180 R\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\nFrom: <sip:a>;tag=%0128d\r\nTo: <sip:b>;tag=%0128d\r\n\r\n"
    )

    def lines() -> Iterator[bytes]:
        for n in count():
            call_id = b"%0255d" % (n // 16)
            yield invite % (call_id, n)
            for tag in range(8):
                yield ringing % (call_id, n, tag)

    return correlator(lines())


def branches() -> Correlator:
    """Transactions with as many branches and messages as are remembered, and long methods and tags."""
    text = b"%s sip:%d SIP/2.0\r\nCall-ID: %d\r\nCSeq: 1 %s\r\nFrom: <sip:a>;tag=%0128d\r\n\r\n"
    method = b"M" * 40
    return correlator(text % (method, n, n // 2080, method, n // 65) for n in count())


def small_calls() -> Correlator:
    """As many as possible, each with one message."""
    text = b"OPTIONS sip:b SIP/2.0\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\nFrom: <sip:a>\r\n\r\n"
    return correlator(text % n for n in count())


CASES = {
    "calls with forks": forks,
    "calls with branches": branches,
    "small calls": small_calls,
    "lookback": lookback,
    "legs": legs,
    "copies": copies,
}


@pytest.mark.parametrize("case", CASES)
def test_the_worst_input_holds_no_more_than_is_documented(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


@pytest.mark.parametrize("size", [0, 1000, 60_000])
def test_lookback_counts_what_it_holds(size: int) -> None:
    table = lookback(size)
    assert table.held_bytes <= config.TraceSection().lookback_mib << 20
    table.close()
    assert table.held_bytes == 0


if __name__ == "__main__":
    main(CASES)
