"""Correlation: transactions, dialogs, retransmissions, and their bounds."""

from __future__ import annotations

import gc
from itertools import pairwise
from random import Random

import pytest
from correlate_samples import FORMS, HOSTS, Names, captured, message, play, told
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.config import Correlate
from capture_agent.correlate.correlator import Correlator
from capture_agent.records.dialog import DialogState, TransactionState

# Each message, with its transaction and dialog.
FLOWS = {
    "a call, from the caller's side": [
        ("0 A>P INVITE", "T1 D1"),
        ("0.1 P>A 100", "T1 D1"),
        ("1 P>A 180 t=b", "T1 D1"),
        ("2 P>A 200 t=b", "T1 D1"),
        ("2.1 A>P ACK t=b uri=sip:b@30", "T2 D1"),
        ("9 P>A BYE f=b t=a", "T3 D1"),
        ("9.1 A>P 200 f=b t=a of=BYE", "T3 D1"),
    ],
    "a call through a proxy, both sides": [
        ("0 A>P INVITE", "T1 D1"),
        ("0.1 P>B INVITE via=P,A", "T1 D1"),
        ("0.2 B>P 180 t=b via=P,A", "T1 D1"),
        ("0.3 P>A 180 t=b via=A", "T1 D1"),
        ("1 B>P 200 t=b via=P,A", "T1 D1"),
        ("1.1 P>A 200 t=b", "T1 D1"),
        ("1.2 A>P ACK t=b uri=sip:b@30", "T2 D1"),
        ("1.3 P>B ACK t=b uri=sip:b@30 via=P,A", "T2 D1"),
        ("5 A>P BYE cseq=2 t=b", "T3 D1"),
        ("5.1 P>B BYE cseq=2 t=b via=P,A", "T3 D1"),
        ("5.2 B>P 200 cseq=2 of=BYE t=b via=P,A", "T3 D1"),
        ("5.3 P>A 200 cseq=2 of=BYE t=b", "T3 D1"),
    ],
    "refused: the ACK goes with the INVITE": [
        ("0 A>P INVITE", "T1 D1"),
        ("0.1 P>A 486 t=b", "T1 D1"),
        ("0.2 A>P ACK t=b failed=1", "T1 D1"),
    ],
    "refused, the response was missed: the ACK tells by its Via": [
        ("0 A>P INVITE", "T1 D1"),
        ("0.2 A>P ACK t=b failed=1", "T1 D1"),
    ],
    "refused, by an ACK that was written anew": [
        ("0 A>P INVITE", "T1 D1"),
        ("0.1 P>A 486 t=b", "T1 D1"),
        ("0.2 A>P ACK t=b uri=sip:other", "T1 D1"),
    ],
    "challenged: the second INVITE is a transaction of its own in the same dialog": [
        ("0 A>P INVITE", "T1 D1"),
        ("0.1 P>A 407 t=p", "T1 D1"),
        ("0.2 A>P ACK t=p failed=1", "T1 D1"),
        ("0.3 A>P INVITE cseq=2", "T2 D1"),
        ("1 P>A 200 cseq=2 t=b", "T2 D1"),
    ],
    "cancelled": [
        ("0 A>P INVITE", "T1 D1"),
        ("1 P>A 180 t=b", "T1 D1"),
        ("2 A>P CANCEL", "T1 D1"),
        ("2.1 P>A 200 of=CANCEL t=b", "T1 D1"),
        ("2.2 P>A 487 t=b", "T1 D1"),
        ("2.3 A>P ACK t=b failed=1", "T1 D1"),
    ],
    "a CANCEL whose INVITE was missed": [
        ("2 A>P CANCEL", "T1 -"),
        ("2.1 P>A 200 of=CANCEL t=b", "T1 -"),
        ("2.2 P>A 487 t=b", "T2 -"),
    ],
    "a fork: several branches and To tags": [
        ("0 A>P INVITE", "T1 D1"),
        ("0.1 P>B INVITE via=P,A branch=z9hG4bK-b", "T1 D1"),
        ("0.1 P>C INVITE via=P,A branch=z9hG4bK-c", "T1 D1"),
        ("1 B>P 180 via=P,A branch=z9hG4bK-b t=b", "T1 D1"),
        ("1 C>P 180 via=P,A branch=z9hG4bK-c t=c", "T1 D1"),
        ("2 C>P 200 via=P,A branch=z9hG4bK-c t=c", "T1 D1"),
        ("2 P>A 200 t=c", "T1 D1"),
        ("2.1 P>B CANCEL via=P branch=z9hG4bK-b", "T1 D1"),
        ("2.2 B>P 200 of=CANCEL via=P branch=z9hG4bK-b t=b", "T1 D1"),
        ("2.3 A>P ACK t=c uri=sip:c@31", "T2 D1"),
        ("2.4 B>P 487 via=P,A branch=z9hG4bK-b t=b", "T1 D1"),
        ("2.5 P>B ACK via=P branch=z9hG4bK-b t=b", "T1 D1"),
    ],
    "retransmissions": [
        ("0 A>P INVITE", "T1 D1"),
        ("0.5 A>P INVITE", "T1 D1 again"),
        ("0.6 P>B INVITE via=P,A", "T1 D1"),
        ("1.1 P>B INVITE via=P,A", "T1 D1 again"),
        ("1.2 B>P 180 via=P,A t=b", "T1 D1"),
        ("1.3 P>A 180 t=b", "T1 D1"),
        ("1.4 P>A 180 t=c", "T1 D1"),
        ("1.5 P>A 180 t=b h=RSeq:_1", "T1 D1"),
        ("2 P>A 200 t=b", "T1 D1"),
        ("2.5 P>A 200 t=b", "T1 D1 again"),
        ("2.6 A>P ACK t=b uri=sip:b@30", "T2 D1"),
        ("2.7 A>P ACK t=b uri=sip:b@30", "T2 D1 again"),
    ],
    "a re-INVITE, UPDATE and INFO from both sides": [
        ("0 A>P INVITE", "T1 D1"),
        ("1 P>A 200 t=b", "T1 D1"),
        ("2 A>P INVITE cseq=2 t=b", "T2 D1"),
        ("3 P>A 200 cseq=2 t=b", "T2 D1"),
        ("4 P>A UPDATE f=b t=a", "T3 D1"),
        ("5 A>P 200 of=UPDATE f=b t=a", "T3 D1"),
        ("6 A>P INFO cseq=3 t=b", "T4 D1"),
        ("7 P>A INVITE cseq=2 f=b t=a", "T5 D1"),
    ],
    "REGISTER with a challenge is no dialog": [
        ("0 A>P REGISTER", "T1 -"),
        ("0.1 P>A 401 of=REGISTER t=p", "T1 -"),
        ("0.2 A>P REGISTER cseq=2", "T2 -"),
        ("0.3 P>A 200 of=REGISTER cseq=2 t=p", "T2 -"),
    ],
    "SUBSCRIBE, NOTIFY before the response": [
        ("0 A>P SUBSCRIBE", "T1 D1"),
        ("0.1 P>A NOTIFY f=b t=a h=Subscription-State:active", "T2 D1"),
        ("0.2 A>P 200 of=NOTIFY f=b t=a", "T2 D1"),
        ("0.3 P>A 200 of=SUBSCRIBE t=b", "T1 D1"),
        ("9 A>P SUBSCRIBE cseq=2 t=b", "T3 D1"),
    ],
    "REFER in a call and its NOTIFY": [
        ("0 A>P INVITE", "T1 D1"),
        ("1 P>A 200 t=b", "T1 D1"),
        ("2 P>A REFER f=b t=a", "T2 D1"),
        ("2.1 A>P 202 of=REFER f=b t=a", "T2 D1"),
        ("2.2 A>P NOTIFY cseq=2 t=b h=Subscription-State:terminated", "T3 D1"),
        ("3 P>A BYE cseq=2 f=b t=a", "T4 D1"),
    ],
    "REFER outside of a call": [
        ("0 A>P REFER", "T1 D1"),
        ("0.1 P>A 202 of=REFER t=b", "T1 D1"),
        ("0.2 P>A NOTIFY f=b t=a", "T2 D1"),
    ],
    "joined in the middle by a request": [
        ("0 P>A INFO f=b t=a cseq=7", "T1 D1"),
        ("0.1 A>P 200 of=INFO f=b t=a cseq=7", "T1 D1"),
        ("1 A>P BYE f=a t=b cseq=3", "T2 D1"),
    ],
    "joined in the middle by a response": [
        ("0 P>A 180 t=b", "T1 D1"),
        ("1 P>A 200 t=b", "T1 D1"),
        ("2 A>P ACK t=b", "T2 D1"),
        ("3 A>P BYE cseq=2 t=b", "T3 D1"),
    ],
    "responses that show no dialog": [
        ("0 P>A 486 t=b", "T1 -"),
        ("0 P>A 200 of=BYE cseq=2 t=b", "T2 -"),
        ("0 P>A 200 of=OPTIONS cseq=3 t=b", "T3 -"),
    ],
    "two calls of one Call-ID, as a B2BUA has them": [
        ("0 A>P INVITE f=a", "T1 D1"),
        ("0.1 P>B INVITE f=p", "T2 D2"),
        ("1 B>P 200 f=p t=b", "T2 D2"),
        ("1.1 P>A 200 f=a t=q", "T1 D1"),
        ("2 B>P BYE f=b t=p", "T3 D2"),
        ("2.1 P>A BYE f=q t=a", "T4 D1"),
    ],
    "RFC 2543: no branch, no tags": [
        ("0 A>P INVITE f= branch=", "T1 D1"),
        ("0.1 A>P INVITE f= branch=", "T1 D1 again"),
        ("1 P>A 200 f= t=b branch=", "T1 D1"),
        ("1.1 A>P ACK f= t=b branch= uri=sip:b@30", "T2 D1"),
        ("2 P>A BYE f=b t= branch=", "T3 D1"),
    ],
    "one branch for everything: CSeq tells them apart": [
        ("0 A>P INVITE branch=1", "T1 D1"),
        ("1 P>A 200 t=b branch=1", "T1 D1"),
        ("2 A>P BYE cseq=2 t=b branch=1", "T2 D1"),
        ("2.1 P>A 200 of=BYE cseq=2 t=b branch=1", "T2 D1"),
    ],
    "methods that nobody knows": [
        ("0 A>P MAGIC", "T1 -"),
        ("0 A>P TRICK", "T2 -"),
        ("0.1 P>A 200 of=TRICK", "T2 -"),
        ("0.2 A>P MAGIC t=b cseq=2", "T3 D1"),
    ],
    "another Call-ID is another call": [
        ("0 A>P INVITE call=1", "T1 D1"),
        ("0 A>P INVITE call=2", "T2 D2"),
        ("1 P>A BYE call=1 f=b t=a", "T3 D1"),
    ],
}


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_what_belongs_together(flow: list[tuple[str, str]]) -> None:
    assert told([line for line, _ in flow]) == [want for _, want in flow]


CALLING, PROCEEDING, ACCEPTED, COMPLETED, CONFIRMED, TRYING, ANSWERED = TransactionState
FORK = ["0 A>P INVITE", "0 P>B INVITE via=P,A branch=z9hG4bK-b", "0 P>C INVITE via=P,A branch=z9hG4bK-c"]
B_BUSY, C_BUSY = (f"1 {x.upper()}>P 486 via=P,A branch=z9hG4bK-{x} t={x}" for x in "bc")
CALL = ["0 A>P INVITE", "1 P>A 200 t=b"]
BYE = "2 A>P BYE cseq=2 t=b"
SUBSCRIBED = ["0 A>P SUBSCRIBE", "0 P>A 200 of=SUBSCRIBE t=b"]
TERMINATED = "0 P>A NOTIFY f=b t=a h=Subscription-State:_terminated;reason=timeout"
CONFIRMED_DIALOG = DialogState.CONFIRMED

STATES = {
    "called": (["0 A>P INVITE"], CALLING, DialogState.EARLY),
    "rings": (["0 A>P INVITE", "1 P>A 180 t=b"], PROCEEDING, DialogState.EARLY),
    "answered": (["0 A>P INVITE", "1 P>A 200 t=b"], ACCEPTED, DialogState.CONFIRMED),
    "a 180 behind the 200": (["0 A>P INVITE", "1 P>A 200 t=b", "2 P>A 180 t=b"], ACCEPTED, DialogState.CONFIRMED),
    "busy": (["0 A>P INVITE", "1 P>A 486 t=b"], COMPLETED, DialogState.ENDED),
    "busy, acknowledged": (["0 A>P INVITE", "1 P>A 486", "1 A>P ACK t=b failed=1"], CONFIRMED, DialogState.ENDED),
    "one branch of a fork is busy": ([*FORK, B_BUSY], CALLING, DialogState.EARLY),
    "and the other one": ([*FORK, B_BUSY, C_BUSY], CALLING, DialogState.EARLY),
    "and so the caller's": ([*FORK, B_BUSY, C_BUSY, "2 P>A 486 t=b"], COMPLETED, DialogState.ENDED),
    "seen on the callees' side alone": ([*FORK[1:], B_BUSY, C_BUSY], COMPLETED, DialogState.ENDED),
    "a failure that comes twice counts once": ([*FORK[1:], B_BUSY, B_BUSY], CALLING, DialogState.EARLY),
    "the next target": ([FORK[1], B_BUSY, FORK[2]], CALLING, DialogState.EARLY),
    "the next target answers": (
        [FORK[1], B_BUSY, FORK[2], "2 C>P 200 via=P,A branch=z9hG4bK-c t=c"], ACCEPTED, DialogState.CONFIRMED,
    ),
    "a challenge and its answer": (
        ["0 A>P INVITE", "0 P>A 407 t=p", "1 A>P INVITE cseq=2"], CALLING, DialogState.EARLY,
    ),
    "hung up": ([*CALL, BYE, "2 P>A 200 of=BYE cseq=2 t=b"], ANSWERED, DialogState.ENDED),
    "a BYE without an answer": ([*CALL, BYE], TRYING, DialogState.CONFIRMED),
    **{
        f"a BYE is refused with {status}": ([*CALL, BYE, f"2 P>A {status} of=BYE cseq=2 t=b"], ANSWERED, CONFIRMED_DIALOG)
        for status in (302, 401, 407, 408, 481, 500, 503, 603)
    },
    "a BYE is answered 100": ([*CALL, BYE, "2 P>A 100 of=BYE cseq=2 t=b"], TRYING, CONFIRMED_DIALOG),
    "refused, and sent again with credentials": (
        [*CALL, BYE, "2 P>A 407 of=BYE cseq=2 t=b", "3 A>P BYE cseq=3 t=b", "3 P>A 200 of=BYE cseq=3 t=b"],
        ANSWERED, DialogState.ENDED,
    ),
    "a BYE with tags of no callee": (
        [*CALL, "2 A>P BYE cseq=2 t=x", "2 P>A 200 of=BYE cseq=2 t=x"], ANSWERED, CONFIRMED_DIALOG,
    ),
    "a BYE from no callee": (
        [*CALL, "2 P>A BYE cseq=2 f=x t=a", "2 A>P 200 of=BYE cseq=2 f=x t=a"], ANSWERED, CONFIRMED_DIALOG,
    ),
    "a BYE before an answer: the INVITE's own response decides": (
        ["0 A>P INVITE", "1 P>A 180 t=b", BYE, "2 P>A 200 of=BYE cseq=2 t=b"], ANSWERED, DialogState.EARLY,
    ),
    "hung up by a peer of RFC 2543": (
        [*CALL, "2 A>P BYE cseq=2 t=", "2 P>A 200 of=BYE cseq=2 t="], ANSWERED, DialogState.ENDED,
    ),
    "the 2xx of a fork whose request was missed": (
        [*FORK[1:2], B_BUSY, "2 C>P 200 via=P,A branch=z9hG4bK-c t=c"], ACCEPTED, CONFIRMED_DIALOG,
    ),
    "a re-INVITE succeeds after all": (
        [*CALL, BYE, "2 P>A 200 of=BYE cseq=2 t=b", "3 A>P INVITE cseq=4 t=b", "3 P>A 200 cseq=4 t=b"],
        ACCEPTED, CONFIRMED_DIALOG,
    ),
    "a CANCEL, accepted, ends nothing": (
        ["0 A>P INVITE", "1 A>P CANCEL", "1 P>A 200 of=CANCEL"], CALLING, DialogState.EARLY,
    ),
    "nor does one that came too late": (
        [*CALL, "2 A>P CANCEL", "2 P>A 481 of=CANCEL"], ACCEPTED, CONFIRMED_DIALOG,
    ),
    "two callees answered, one is let go": (
        [*CALL, "1 P>A 200 t=c", "2 A>P BYE cseq=2 t=c", "2 P>A 200 of=BYE cseq=2 t=c"], ANSWERED, CONFIRMED_DIALOG,
    ),
    "both hung up": (
        [
            *CALL, "1 P>A 200 t=c", "2 A>P BYE cseq=2 t=c", "2 P>A 200 of=BYE cseq=2 t=c",
            "3 P>A BYE f=b t=a", "3 A>P 200 of=BYE f=b t=a",
        ],
        ANSWERED, DialogState.ENDED,
    ),
    "a re-INVITE fails": (
        ["0 A>P INVITE", "1 P>A 200 t=b", "2 A>P INVITE cseq=2 t=b", "2 P>A 488 cseq=2 t=b"],
        COMPLETED, DialogState.CONFIRMED,
    ),
    "the other side says that it knows of no dialog": (
        [*CALL, "2 A>P INFO cseq=2 t=b", "2 P>A 481 of=INFO cseq=2 t=b"], ANSWERED, CONFIRMED_DIALOG,
    ),
    "a status that is none": (["0 A>P INVITE", "1 P>A 99 t=b"], CALLING, DialogState.EARLY),
    "subscribed": (["0 A>P SUBSCRIBE", "0 P>A 200 of=SUBSCRIBE t=b"], ANSWERED, DialogState.CONFIRMED),
    "notified": (["0 A>P SUBSCRIBE", "0 P>A NOTIFY f=b t=a"], TRYING, DialogState.CONFIRMED),
    "the subscription ends": (
        ["0 A>P SUBSCRIBE", TERMINATED, "0 A>P 200 of=NOTIFY f=b t=a"], ANSWERED, DialogState.ENDED,
    ),
    "the end of a subscription is not answered": (["0 A>P SUBSCRIBE", TERMINATED], TRYING, CONFIRMED_DIALOG),
    "nor is it when that is refused": (
        ["0 A>P SUBSCRIBE", TERMINATED, "0 A>P 401 of=NOTIFY f=b t=a"], ANSWERED, CONFIRMED_DIALOG,
    ),
    "unsubscribed": (
        [*SUBSCRIBED, "1 A>P SUBSCRIBE cseq=2 t=b h=Expires:_0", "1 P>A 200 of=SUBSCRIBE cseq=2 t=b"],
        ANSWERED, DialogState.ENDED,
    ),
    "unsubscribed, but refused": (
        [*SUBSCRIBED, "1 A>P SUBSCRIBE cseq=2 t=b h=Expires:_0", "1 P>A 407 of=SUBSCRIBE cseq=2 t=b"],
        ANSWERED, CONFIRMED_DIALOG,
    ),
    "asked once for a state": (
        ["0 A>P SUBSCRIBE h=Expires:_0", "0 P>A 200 of=SUBSCRIBE t=b"], ANSWERED, DialogState.ENDED,
    ),
    "subscribed anew": (
        ["0 A>P SUBSCRIBE", "0 P>A 200 of=SUBSCRIBE t=b", "1 A>P SUBSCRIBE cseq=2 t=b h=Expires:_05"],
        TRYING, DialogState.CONFIRMED,
    ),
    "a transfer's NOTIFY does not end the call": (
        ["0 A>P INVITE", "1 P>A 200 t=b", "2 A>P NOTIFY cseq=2 t=b h=Subscription-State:terminated"],
        TRYING, DialogState.CONFIRMED,
    ),
    "joined by a request": (["0 A>P INFO t=b"], TRYING, DialogState.CONFIRMED),
    "joined by an ACK, perhaps for a failure": (["0 A>P ACK t=b"], TRYING, DialogState.EARLY),
    "joined by a BYE": (["0 A>P BYE t=b", "0 P>A 200 of=BYE t=b"], ANSWERED, DialogState.ENDED),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "transaction", "dialog"), STATES.values(), ids=STATES)
def test_states(lines: list[str], transaction: TransactionState, dialog: DialogState) -> None:
    last = play(lines)[-1]
    assert last.transaction is not None
    assert last.dialog is not None
    assert TransactionState(last.transaction.state) == transaction
    assert DialogState(last.dialog.state) == dialog


def test_what_is_known_of_a_fork() -> None:
    first, *_, last = play([*FORK, B_BUSY, "1 C>P 180 via=P,A branch=z9hG4bK-c t=c", "1 P>A 180 t=d"])
    assert last.transaction is not None and last.dialog is not None
    assert (last.transaction.method, last.transaction.cseq, last.transaction.from_tag) == (b"INVITE", 1, b"a")
    assert (last.transaction.branches, last.transaction.spiral) == (3, False)
    assert (last.dialog.caller_tag, last.dialog.callee_tags, last.dialog.method) == (b"a", (b"c", b"d"), b"INVITE")
    assert (last.dialog.joined, last.dialog.call_id, last.dialog is first.dialog) == (False, b"1@example.com", True)


SPIRALS = [
    (["0 A>P INVITE", "0 P>B INVITE via=P,A"], False),
    (FORK, False),
    (["0 A>P INVITE", "0 P>P INVITE via=P,A uri=sip:c"], True),
    (["0 A>P INVITE", "0 P>Q INVITE via=P,A", "0 Q>P INVITE via=Q,P,A"], True),
    (["0 A>P INVITE", "0 P>B INVITE via=P,Q,P,A"], True),
    (["0 A>P INVITE", "0 P>Q INVITE via=P,A", "0 Q>B INVITE via=Q,P,A"], False),
]


@pytest.mark.parametrize(("lines", "spiral"), SPIRALS)
def test_spirals(lines: list[str], spiral: bool) -> None:
    transaction = play(lines)[-1].transaction
    assert transaction is not None
    assert transaction.spiral is spiral


HOUR = 3600
# The seconds of silence that a transaction or dialog survives, and those that it does not.
LIVES = [
    pytest.param(["0 A>P OPTIONS"], "A>P OPTIONS", "T1 - again", 31.9, 32.1, id="a request"),
    pytest.param(["0 A>P INVITE"], "P>A 180 t=b", "T1 D1", 179, 181, id="INVITE without a response"),
    pytest.param(["0 A>P INVITE", "0 P>A 180 t=b"], "P>A 200 t=b", "T1 D1", 599, 601, id="it rings"),
    pytest.param(["0 A>P INVITE", "0 P>A 200 t=b"], "P>A 200 t=b", "T1 D1 again", 31.9, 32.1, id="answered"),
    pytest.param(["0 A>P INVITE", "0 P>A 486 t=b"], "A>P ACK t=b failed=1", "T1 D1", 31.9, 32.1, id="busy"),
    pytest.param(
        ["0 A>P INVITE", "0 P>A 200 t=b"], "A>P BYE t=b cseq=2", "T2 D1", 4 * HOUR - 1, 4 * HOUR + 1, id="a quiet call"
    ),
    pytest.param([*CALL, BYE, "2 P>A 200 of=BYE cseq=2 t=b"], "A>P INFO t=b cseq=3", "T3 D1", 33, 35, id="hung up"),
    pytest.param(
        [*CALL, BYE, "2 P>A 407 of=BYE cseq=2 t=b"],
        "A>P BYE t=b cseq=3",
        "T3 D1",
        4 * HOUR,
        4 * HOUR + 3,
        id="a BYE is refused",
    ),
]


@pytest.mark.parametrize(("before", "last", "want", "lives", "ends"), LIVES)
@pytest.mark.parametrize("traffic", [False, True], ids=["alone", "among others"])
def test_expiry(before: list[str], last: str, want: str, lives: float, ends: float, traffic: bool) -> None:
    """By packet time, whatever else happens."""
    for seconds, same in ((lives, True), (ends, False)):
        # A gap of more than an hour is taken for an odd time until others confirm it: so here others keep time.
        step = 1800 if seconds > HOUR else 20
        others = [f"{n * step} A>P OPTIONS call=other cseq={n}" for n in range(1, int(seconds / step) + 1)]
        lines = [*before, *(others if traffic or seconds > HOUR else []), f"{seconds} {last}"]
        found = play(lines)
        names = Names()
        labels = [names.told(one) for one in (*found[: len(before)], found[-1])]
        assert (labels[-1] == want) is same


def test_a_call_ends_when_it_is_old(age: int = 10 * HOUR) -> None:
    correlator = Correlator(age_seconds=age)
    keep_alives = [f"{n * 1000} A>P INFO t=b cseq={n + 2}" for n in range(1, 40)]
    messages = play(["0 A>P INVITE", "0 P>A 200 t=b", *keep_alives], correlator)
    dialogs = [one.dialog for one in messages]
    assert [one is dialogs[0] for one in dialogs] == [True] * 37 + [False] * 4
    assert [one.joined for one in dialogs if one is not None][-4:] == [True] * 4


def test_nothing_is_left_when_all_is_over() -> None:
    correlator = Correlator()
    lines = [line for flow in FLOWS.values() for line, _ in flow]
    for number, flow in enumerate(FLOWS.values()):
        play([f"{line} call={number}" if "call=" not in line else line for line, _ in flow], correlator)
    assert correlator.table.calls.held > len(FLOWS) - 2
    play([f"{1000 + n * 1800} A>P OPTIONS call=x{n}" for n in range(20)], correlator)
    held = correlator.table
    # The last one's time is in doubt until another comes.
    assert (held.calls.held, held.transactions.held, held.dialogs.held) == (2, 2, 0)
    assert [tally.evicted + tally.crowded_out for tally in (held.calls, held.transactions, held.dialogs)] == [0] * 3
    assert correlator.correlated == len(lines) + 20


def test_the_books_tell_what_became_of_all() -> None:
    correlator = Correlator.configured(Correlate(calls=6, idle_seconds=600, age_seconds=3600))
    play([line.format(n) for n in range(3) for line in ("0 A>P INVITE call={}", "1 P>A 200 t=b call={}")], correlator)
    play(["2 A>P INVITE call=0", *["2 A>P INVITE call=0"] * 2], correlator)
    play([f"{n * 100} A>P OPTIONS call=x{n}" for n in range(1, 9)], correlator)
    play([f"900 A>P OPTIONS call=y{n}" for n in range(9)], correlator)
    assert list(map(str, correlator.ledgers())) == [
        "correlation: 26 seen, 23 new, 3 retransmitted",
        "calls: 20 seen, 10 over, 6 held, 4 lost (evicted 4)",
        "transactions: 20 seen, 10 over, 6 held, 4 lost (evicted 4)",
        "dialogs: 3 seen, 3 over, 0 held",
    ]


def test_one_call_id_is_bounded() -> None:
    correlator = Correlator()
    play([f"0 A>P INFO cseq={n} t=b{n} f=a{n}" for n in range(1000)], correlator)
    held = correlator.table
    assert (held.calls.held, held.transactions.held, held.dialogs.held) == (1, 32, 16)
    assert (held.transactions.crowded_out, held.dialogs.crowded_out) == (1000 - 32, 1000 - 16)


def test_marks_and_tags_are_bounded() -> None:
    correlator = Correlator()
    responses = [f"0 P>A 183 t=b{n}" for n in range(1000)]
    messages = play(["0 A>P INVITE", *responses, *responses[:3], "0 P>A 183 t=b999"], correlator)
    assert [one.retransmission for one in messages[-4:]] == [True, True, True, False]
    assert correlator.unmarked == 1001 - 64 + 1
    assert messages[0].dialog is not None
    assert messages[0].dialog.callee_tags == tuple(b"b%d" % n for n in range(8))


def test_hops_are_bounded() -> None:
    messages = play([f"0 A>P INVITE uri=sip:b{n}" for n in range(200)])
    assert messages[0].transaction is not None
    assert messages[0].transaction.branches == 65


def test_calls_are_bounded_and_the_oldest_gives_way() -> None:
    correlator = Correlator(calls=10)
    play([f"0 A>P OPTIONS call={n}" for n in range(100)], correlator)
    assert (correlator.table.calls.held, correlator.table.calls.evicted) == (10, 90)
    again = play([f"0 A>P OPTIONS call={n}" for n in (99, 90, 0)], correlator)
    assert [one.retransmission for one in again] == [True, True, False]


def test_new_call_ids_evict_each_other() -> None:
    """Dialogs at rest outlast any number of requests without an answer."""
    correlator = Correlator(calls=100)
    lines = [line.format(n) for n in range(40) for line in ("0 A>P INVITE call={}", "0 P>A 200 t=b call={}")]
    play(lines, correlator)
    play(["40 A>P OPTIONS call=x"], correlator)
    play([f"41 A>P OPTIONS call=flood{n}" for n in range(1000)], correlator)
    byes = play([f"42 A>P BYE cseq=2 t=b call={n}" for n in range(40)], correlator)
    assert [one.dialog is not None and one.dialog.joined for one in byes] == [False] * 40


MIB = 1 << 20
LONG = "x" * 100


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([f"0 A>P OPTIONS call={n}" for n in range(10_000)], id="calls"),
        pytest.param([f"0 A>P INFO cseq={n} t=b{n} f=a{n} call={n // 32}" for n in range(9000)], id="dialogs"),
        pytest.param([f"0 A>P {'M' * 30}{n} f={LONG}{n} call={n // 32}" for n in range(9000)], id="methods and tags"),
        pytest.param(
            [f"0 {way} t={LONG}{n} call={n // 9}" for n in range(12_000) for way in ("A>P INVITE", "P>A 183")],
            id="forks",
        ),
        pytest.param([f"0 A>P INVITE uri=sip:b{n} call={n // 60}" for n in range(45_000)], id="branches"),
    ],
)
def test_memory_is_bounded(lines: list[str]) -> None:
    """Whatever uses it; the oldest are evicted, new ones stay."""
    correlator = Correlator(mib=1)
    largest = 0
    for start in range(0, len(lines), 50):
        play(lines[start : start + 50], correlator)
        largest = max(largest, correlator.table.held_bytes)
    assert MIB - 30_000 < largest < MIB + 30_000
    assert correlator.table.calls.evicted > 0
    assert [ledger for ledger in correlator.ledgers() if ledger.difference] == []
    assert play(lines[-1:], correlator)[0].retransmission
    correlator.close()
    assert correlator.table.held_bytes == 0


def test_large_calls_evict_each_other() -> None:
    """Dialogs at rest outlast large calls, even if there are more dialogs."""
    correlator = Correlator(mib=1)
    begun = ("0 A>P INVITE call={}", "0 P>A 200 t=b call={}")
    play([line.format(n) for n in range(300) for line in begun], correlator)
    play(["40 A>P OPTIONS call=x"], correlator)
    play([f"41 A>P {'M' * 30}{n} f={LONG}{n} call=big{n // 32}" for n in range(9000)], correlator)
    assert correlator.table.calls.evicted > 100
    byes = play([f"42 A>P BYE cseq=2 t=b call={n}" for n in range(300)], correlator)
    assert [one.dialog is not None and one.dialog.joined for one in byes] == [False] * 300


def test_long_names_are_cut() -> None:
    """A Call-ID or tag of many kilobytes takes no more memory than one of 255, or 128."""
    long = "x" * 5000
    one = play([f"0 A>P {'M' * 500} call={long} f={long} t={long}"])[0]
    assert one.transaction is not None and one.dialog is not None
    sizes = len(one.dialog.call_id), len(one.transaction.from_tag), len(one.dialog.callee_tags[0])
    assert (*sizes, len(one.transaction.method)) == (255, 128, 128, 32)


@pytest.mark.parametrize(
    ("data", "counted"),
    [
        (b"OPTIONS sip:b SIP/2.0\r\n\r\n", "no_call_id"),
        (b"OPTIONS sip:b SIP/2.0\r\nCall-ID: x\r\n\r\n", "no_cseq"),
        (b"OPTIONS sip:b SIP/2.0\r\nCall-ID: x\r\nCSeq: many OPTIONS\r\n\r\n", "no_cseq"),
        (b"OPTIONS sip:b SIP/2.0\r\nCall-ID: x\r\nCSeq: 1\r\n\r\n", "no_cseq"),
        (b"OPTIONS sip:b SIP/2.0\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n", "correlated"),
        (b"SIP/2.0 200 OK\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n", "correlated"),
    ],
)
def test_what_cannot_be_correlated_is_counted(data: bytes, counted: str) -> None:
    correlator = Correlator()
    one = captured(data)
    correlator.observe([one])
    assert (one.transaction is not None) == (counted == "correlated")
    assert {name: getattr(correlator, name) for name in ("correlated", "no_call_id", "no_cseq")} == {
        name: int(name == counted) for name in ("correlated", "no_call_id", "no_cseq")
    }


def test_one_wrong_time_ends_nothing() -> None:
    correlator = Correlator()
    years = 20 * 365 * 86_400
    lines = ["0 A>P INVITE", "1 P>A 180 t=b", f"{years} A>P OPTIONS call=odd", f"-{years} A>P OPTIONS call=odd2"]
    assert told([*lines, "2 P>A 200 t=b"], correlator)[-1] == "T1 D1"
    assert (correlator.clock.odd, correlator.clock.jumps) == (2, 0)


def test_an_older_capture_after_a_newer_one() -> None:
    """The clock goes back with it, and the newer one's calls expire."""
    correlator = Correlator()
    play([f"100000 A>P INVITE call=new{n}" for n in range(20)], correlator)
    play([f"{n} A>P OPTIONS call=old{n}" for n in range(100)], correlator)
    assert correlator.clock.jumps == 1
    assert correlator.table.calls.over >= 20
    assert 30 < correlator.table.calls.held < 80


def test_expiry_keeps_up_and_the_tables_shrink_again() -> None:
    """In steps: calls that make all tables grow several times over, end, and are removed with little later traffic."""
    correlator = Correlator()
    for step in range(3):
        at = step * 300
        lines = ("A>P INVITE", "P>A 200 t=b", "A>P ACK t=b", "A>P BYE t=b cseq=2", "P>A 200 of=BYE t=b cseq=2")
        correlator.observe([message(f"{at} {line} call={step}-{n}") for n in range(6000) for line in lines])
        held = correlator.table
        assert (held.calls.held, held.transactions.held, held.dialogs.held) == (6000, 18000, 6000)
        play([f"{at + 100 + n} A>P OPTIONS call=x{step}{n}" for n in range(20)], correlator)
        assert (held.calls.held, held.dialogs.held) == (20, 0)
    assert [tally.evicted + tally.crowded_out for tally in (held.calls, held.transactions, held.dialogs)] == [0] * 3
    play([f"1100 A>P OPTIONS call={step}-{n}" for step in range(3) for n in range(6000)][::500], correlator)
    assert correlator.retransmissions == 0


def test_calls_that_leave_their_queue_out_of_turn() -> None:
    """Calls at rest leave it in any order when something new begins in them; the others keep their place."""
    correlator = Correlator()
    numbers = list(range(1500))
    play([line.format(n) for n in numbers for line in ("0 A>P INVITE call={}", "0 P>A 200 t=b call={}")], correlator)
    play(["40 A>P OPTIONS call=x"], correlator)
    Random(1).shuffle(numbers)
    hung_up = ("41 A>P BYE t=b cseq=2 call={}", "41 P>A 200 of=BYE t=b cseq=2 call={}")
    play([line.format(n) for n in numbers[:1400] for line in hung_up], correlator)
    play([f"{second} A>P OPTIONS call=y" for second in (80, 120, 121, 121)], correlator)
    assert correlator.table.dialogs.held == 100
    byes = play([f"121 A>P BYE t=b cseq=2 call={n}" for n in sorted(numbers[1400:])], correlator)
    assert [one.dialog is not None and one.dialog.joined for one in byes] == [False] * 100


def test_nothing_refers_to_a_call_that_has_ended() -> None:
    """Queues link calls in cycles, which only they can cut; a message that is kept keeps only its own parts."""
    correlator = Correlator()
    kept = play([f"{n} A>P INVITE call={n}" for n in range(50)], correlator)
    correlator.close()
    assert (correlator.table.calls.held, correlator.table.transactions.held, correlator.table.dialogs.held) == (0, 0, 0)
    assert kept[0].transaction is not None
    play(["60 A>P INVITE call=1"], correlator)
    assert correlator.table.calls.held == 1
    del correlator
    gc.collect()


LINES = st.lists(
    st.sampled_from(
        [line for flow in FLOWS.values() for line, _ in flow if "call=" not in line] + [*FORK, B_BUSY, C_BUSY]
    ),
    max_size=12,
)


@given(st.lists(LINES, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_calls_do_not_disturb_each_other(calls: list[list[str]], random: object) -> None:
    """Concurrent calls change nothing in a call."""
    timed = [sorted((float(line.split()[0]), f"{line} call={n}") for line in lines) for n, lines in enumerate(calls)]
    alone = [told([line for _, line in one]) for one in timed]
    mixed = sorted((at, n, i) for n, one in enumerate(timed) for i, (at, _) in enumerate(one))
    messages = play([timed[n][i][1] for _, n, i in mixed])
    names = [Names() for _ in calls]
    among: list[list[str]] = [[] for _ in calls]
    for (_, n, _), one in zip(mixed, messages, strict=True):
        among[n].append(names[n].told(one))
    assert among == alone


@given(LINES, st.lists(st.integers(0, 12), max_size=3))
def test_batches_change_nothing(lines: list[str], cuts: list[int]) -> None:
    messages = [message(line) for line in lines]
    correlator = Correlator()
    for start, end in pairwise(sorted({0, len(lines), *(min(cut, len(lines)) for cut in cuts)})):
        correlator.observe(messages[start:end])
    names = Names()
    assert [names.told(one) for one in messages] == told(lines)


@st.composite
def hostile(draw: st.DrawFn) -> str:
    way = draw(st.sampled_from([f"{a}>{b}" for a in HOSTS for b in HOSTS]))
    what = draw(
        st.sampled_from([*FORMS, "ACK", "BYE", "NOTIFY", "INFO", "PRACK", "100", "180", "200", "407", "481", "600"])
    )
    at = draw(st.integers(0, 200) | st.integers(-(10**9), 10**9))
    tags = draw(st.sampled_from(["", "f=a t=b", "f=b t=a", "t=a", "f= t=", "f=b", "f=c t=a"]))
    return f"{at} {way} {what} {tags} cseq={draw(st.integers(0, 3))} call={draw(st.integers(0, 5))}"


@given(st.lists(hostile(), max_size=60))
def test_whatever_comes_the_books_balance_and_the_tables_are_bounded(lines: list[str]) -> None:
    correlator = Correlator(calls=3)
    for one in play(lines, correlator):
        assert one.transaction is not None
        assert one.dialog is one.transaction.dialog
    held = correlator.table
    assert [ledger for ledger in correlator.ledgers() if ledger.difference] == []
    assert held.calls.held <= 3
    correlator.close()
    assert (held.transactions.held, held.dialogs.held, held.held_bytes) == (0, 0, 0)
    assert [ledger for ledger in correlator.ledgers() if ledger.difference] == []
