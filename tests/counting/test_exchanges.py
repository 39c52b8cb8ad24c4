"""Registrations and OPTIONS: each rule by a flow and its figures."""

from __future__ import annotations

import pytest
from counting_samples import by_side, counted, new_counting, played
from test_followed_calls import later

from capture_agent.sip.contacts import longest

REGISTER = "0 A>P REGISTER h=Contact:<sip:a@192.0.2.20>|Expires:60"
ACCEPTED = "0.5 P>A 200 of=REGISTER t=r h=Contact:<sip:a@192.0.2.20>;expires=60"

FLOWS = {
    "accepted": ([REGISTER, ACCEPTED], "registrations 1, accepted 1, registered 1, rrd 0.5s"),
    "challenged": (
        [REGISTER, "0.1 P>A 401 of=REGISTER t=r", "1 A>P REGISTER cseq=2 h=Contact:<sip:a@h>",
         "1.5 P>A 200 cseq=2 of=REGISTER t=r h=Contact:<sip:a@h>;expires=60"],
        "registrations 1, accepted 1, registered 1, rrd 0.5s",
    ),
    "challenged, and not tried again": (
        [REGISTER, "0.1 P>A 401 of=REGISTER t=r", *later(40)],
        "registrations 1, refused 401 1",
    ),
    "refused": ([REGISTER, "0.1 P>A 403 of=REGISTER t=r"], "registrations 1, refused 403 1"),
    "the time was too brief": (
        [REGISTER, "0.1 P>A 423 of=REGISTER t=r", "1 A>P REGISTER cseq=2", "1.5 P>A 403 cseq=2 of=REGISTER t=r"],
        "registrations 1, refused 403 1",
    ),
    "unanswered": ([REGISTER, *later(40)], "registrations 1, unanswered 1"),
    "through a proxy": (
        [REGISTER, "0 P>B REGISTER via=P,A h=Contact:<sip:a@h>", "0.4 B>P 200 of=REGISTER t=r via=P,A", ACCEPTED],
        "registrations 1, accepted 1, registered 1, rrd 0.5s",
    ),
    "refreshed": (
        [REGISTER, ACCEPTED, "30 A>P REGISTER cseq=2", "30 P>A 200 cseq=2 of=REGISTER t=r h=Contact:<sip:a@h>;expires=60",
         *later(70)],
        "registrations 2, accepted 2, registered 1, rrd 0.5s",
    ),
    "expired": ([REGISTER, ACCEPTED, *later(65)], "registrations 1, accepted 1, rrd 0.5s"),
    "removed": (
        [REGISTER, ACCEPTED, "9 A>P REGISTER cseq=2 h=Contact:*|Expires:0", "9 P>A 200 cseq=2 of=REGISTER t=r"],
        "registrations 2, accepted 2, rrd 0.5s",
    ),
    "one of two contacts is removed": (
        [REGISTER, ACCEPTED, "9 A>P REGISTER cseq=2 h=Contact:<sip:x@h>;expires=0",
         "9 P>A 200 cseq=2 of=REGISTER t=r h=Contact:<sip:a@h>;expires=51"],
        "registrations 2, accepted 2, registered 1, rrd 0.5s",
    ),
    "a registrar that lists no contacts": (
        [REGISTER, "0.5 P>A 200 of=REGISTER t=r"],
        "registrations 1, accepted 1, registered 1, rrd 0.5s",
    ),
    "a question": (
        ["0 A>P REGISTER", "0.5 P>A 200 of=REGISTER t=r"],
        "registrations 1, accepted 1, rrd 0.5s",
    ),
    "challenged, and the CSeq does not count on": (
        ["0 A>P REGISTER branch=1 h=Contact:<sip:a@h>", "0.1 P>A 401 of=REGISTER t=r branch=1",
         "1 A>P REGISTER branch=2 h=Contact:<sip:a@h>",
         "1.5 P>A 200 of=REGISTER t=r branch=2 h=Contact:<sip:a@h>;expires=60"],
        "registrations 1, accepted 1, registered 1, rrd 0.5s",
    ),
    "the time was too brief, and is longer": (
        [REGISTER, "0.1 P>A 423 of=REGISTER t=r h=Min-Expires:300", "1 A>P REGISTER cseq=2 h=Contact:<sip:a@h>|Expires:300",
         "1.5 P>A 200 cseq=2 of=REGISTER t=r h=m:<sip:a@h>|Expires:300", *later(70)],
        "registrations 1, accepted 1, registered 1, rrd 0.5s",
    ),
    "several contacts: the parameter, or else the header": (
        ["0 A>P REGISTER h=Contact:<sip:a@h>;expires=20,_<sip:b@h>|Expires:40", "0 P>A 200 of=REGISTER t=r", *later(25)],
        "registrations 1, accepted 1, registered 1, rrd 0s",
    ),
    "several contacts: all have expired": (
        ["0 A>P REGISTER h=Contact:<sip:a@h>;expires=20,_<sip:b@h>|Expires:40", "0 P>A 200 of=REGISTER t=r", *later(45)],
        "registrations 1, accepted 1, rrd 0s",
    ),
    "removed with Expires alone": (
        [REGISTER, ACCEPTED, "9 A>P REGISTER cseq=2 h=Contact:<sip:a@192.0.2.20>|Expires:0", "9 P>A 200 cseq=2 of=REGISTER t=r"],
        "registrations 2, accepted 2, rrd 0.5s",
    ),
    "removed, and the registrar says so": (
        [REGISTER, ACCEPTED, "9 A>P REGISTER cseq=2 h=Contact:<sip:a@192.0.2.20>;expires=0",
         "9 P>A 200 cseq=2 of=REGISTER t=r h=Contact:<sip:a@192.0.2.20>;expires=0"],
        "registrations 2, accepted 2, rrd 0.5s",
    ),
    "a question, and there is a binding": (
        ["0 A>P REGISTER", "0.5 P>A 200 of=REGISTER t=r h=Contact:<sip:a@h>;expires=60"],
        "registrations 1, accepted 1, registered 1, rrd 0.5s",
    ),
    "OPTIONS of a client that does not count on": (
        ["0 A>P OPTIONS branch=1", "0.5 P>A 200 of=OPTIONS t=o branch=1", "9 A>P OPTIONS branch=2",
         "9.5 P>A 200 of=OPTIONS t=o branch=2"],
        "options 2, rtt 1s",
    ),
    "OPTIONS through a proxy": (
        ["0 A>P OPTIONS", "0 P>B OPTIONS via=P,A", "0.4 B>P 200 of=OPTIONS t=o via=P,A", "0.5 P>A 200 of=OPTIONS t=o"],
        "options 1, rtt 0.5s",
    ),
    "OPTIONS": (["0 A>P OPTIONS", "0.5 P>A 200 of=OPTIONS t=o"], "options 1, rtt 0.5s"),
    "OPTIONS that are refused were answered": (["0 A>P OPTIONS", "0.5 P>A 405 of=OPTIONS t=o"], "options 1, rtt 0.5s"),
    "OPTIONS that nobody answers": (["0 A>P OPTIONS", *later(40)], "options 1, silent 1"),
    "OPTIONS again and again": (
        ["0 A>P OPTIONS", "1 P>A 200 of=OPTIONS t=o", "9 A>P OPTIONS cseq=2", "11 P>A 200 cseq=2 of=OPTIONS t=o"],
        "options 2, rtt 3s",
    ),
}  # fmt: skip


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "in one batch"])
@pytest.mark.parametrize("name", FLOWS)
def test_flows(name: str, at_once: bool) -> None:
    lines, wanted = FLOWS[name]
    counting = played(lines, at_once=at_once)
    assert counted(counting, times=True) == wanted
    assert all(ledger.difference == 0 for ledger in counting.ledgers())


@pytest.mark.parametrize("name", FLOWS)
def test_messages_are_sent_again(name: str) -> None:
    """Each message twice: the figures are the same."""
    lines, wanted = FLOWS[name]
    assert counted(played([line for line in lines for _ in range(2)]), times=True) == wanted


def test_direction_and_peer() -> None:
    counting = played([REGISTER, ACCEPTED], new_counting())
    assert by_side(counting, "registered") == {"in callers": 1}


def test_the_capture_ends() -> None:
    counting = played([REGISTER, ACCEPTED, "1 A>P REGISTER call=2", "2 A>P OPTIONS call=3"])
    counting.close()
    assert counted(counting) == "registrations 2, accepted 1, unanswered 1, options 1, silent 1"


CONTACTS = [
    pytest.param(b"<sip:a@h>;expires=60", 60, id="one"),
    pytest.param(b"<sip:a@h>;expires=60, <sip:b@h>;q=1;EXPIRES = 90", 90, id="the longest"),
    pytest.param(b"<sip:a@h>;expires=6, <sip:b@h>", 7, id="one without: that of the header"),
    pytest.param(b'"x;expires=5,\\" <" <sip:a@h;expires=6>;expires=3', 3, id="quoted, and in the URI"),
    pytest.param(b"*", 7, id="all"),
    pytest.param(b"", -1, id="none"),
    pytest.param(b" , ,", -1, id="commas"),
    pytest.param(b"sip:a@h;expires=99999999999999", 0xFFFFFFFF, id="too long"),
    pytest.param(b"sip:a@h;expires=", 7, id="empty"),
    pytest.param(b"sip:a@h;expires", 7, id="cut"),
    pytest.param(b"<sip:a@h;expires=60", 7, id="open"),
]


@pytest.mark.parametrize(("value", "wanted"), CONTACTS)
def test_contacts(value: bytes, wanted: int) -> None:
    assert longest(value, 0, len(value), 7) == wanted
