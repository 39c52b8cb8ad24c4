"""The tables of figures hold no more memory than docs/limits.md says."""

from __future__ import annotations

import pytest
from measuring import documented, held_mib, main

from capture_agent.counting.bindings import LIMIT as BINDINGS
from capture_agent.counting.bindings import Bindings
from capture_agent.counting.call_table import LIMIT as CALLS
from capture_agent.counting.exchanges import LIMIT as EXCHANGES
from capture_agent.counting.stage import Counting
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.scan import scan

SECOND = 1_000_000_000
HEADERS = "Via: SIP/2.0/UDP h;branch=z9hG4bK%d\r\nFrom: <sip:a>;tag=%d\r\nCall-ID: %d\r\n"


def seen(first: str, cseq: str, number: int, branch: int = 0, to: str = "<sip:b>") -> CapturedMessage:
    text = f"{first}\r\n{HEADERS % (branch or number, number, number)}To: {to}\r\nCSeq: {cseq}\r\n\r\n".encode()
    data = bytes(8) + text
    sip = scan(data, 8, len(data))
    assert sip is not None
    return CapturedMessage(Datagram(data, 8, len(data), 0, 4, 5060, 5060, SECOND * (1000 + number % 8)), sip)


def calls() -> Counting:
    """Each with as many branches as are remembered; half of them answered by several, and each of these hung up."""
    counting = Counting(calls=True)
    for number in range(1, CALLS + 1000):
        for branch in range(1, 9):
            counting.observe([seen("INVITE sip:b SIP/2.0", "1 INVITE", number, branch)])
        if number % 2:
            for leg in range(5):
                to = f"<sip:b>;tag={leg}"
                counting.observe([seen("SIP/2.0 200 OK", "1 INVITE", number, 1, to)])
            for leg in range(5):
                to = f"<sip:b>;tag={leg}"
                counting.observe([seen("BYE sip:b SIP/2.0", "2 BYE", number, leg + 1, to)])
    assert counting.calls is not None
    assert counting.calls.table.held == CALLS
    return counting


def exchanges() -> Counting:
    counting = Counting(calls=True)
    for number in range(1, EXCHANGES + 1000):
        counting.observe([seen("REGISTER sip:b SIP/2.0", "1 REGISTER", number)])
    assert counting.exchanges is not None
    assert counting.exchanges.held == EXCHANGES
    return counting


def bindings() -> Bindings:
    """Each is due at another second, twice."""
    table = Bindings()
    for number in range(BINDINGS + 1000):
        aor = number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF  # as a hash spreads them
        table.put(aor, number % 512, 1_000_000 + number, SECOND)
        table.put(aor, number % 512, 1_000 + number, SECOND)
    assert table.held == BINDINGS
    return table


def responses() -> Counting:
    """As many rows as there can be, with as many series."""
    named = {f"p{n}": [f"10.{n}.0.0/16"] for n in range(256)}
    counting = Counting(named)
    for n in range(256):
        for method in ("INVITE", "BYE", "INFO", "UPDATE", "PRACK", "OPTIONS", "REGISTER", "MESSAGE", "REFER"):
            for status in range(100, 164):
                one = seen(f"SIP/2.0 {status} x", f"1 {method}", status)
                data = bytes((10, n, 0, 1, 0, 0, 0, 0)) + one.datagram.data[8:]
                counting.observe([CapturedMessage(Datagram(data, 8, len(data), 0, 4, 1, 2), one.sip)])
    assert counting.counters.series >= 16384
    return counting


CASES = {
    "calls that are counted": calls,
    "registrations and OPTIONS that are counted": exchanges,
    "addresses-of-record": bindings,
    "counters of SIP messages": responses,
}


@pytest.mark.parametrize("case", CASES)
def test_the_worst_input_holds_no_more_than_is_documented(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
