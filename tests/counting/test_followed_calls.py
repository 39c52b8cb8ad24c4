"""What counts as a call, and what becomes of it: each rule by a flow and its counting."""

from __future__ import annotations

import pytest
from counting_samples import balance, by_side, counted, new_counting, played
from hypothesis import given, settings
from hypothesis import strategies as st

CALL = ["0 A>P INVITE", "0.1 P>A 100", "1 P>A 180 t=b", "5 P>A 200 t=b", "5.1 A>P ACK t=b"]
PROXIED = [
    "0 A>P INVITE", "0.1 P>A 100", "0.1 P>B INVITE via=P,A", "1 B>P 180 t=b via=P,A", "1 P>A 180 t=b",
    "5 B>P 200 t=b via=P,A", "5 P>A 200 t=b", "5.1 A>P ACK t=b cseq=1", "5.1 P>B ACK t=b cseq=1 via=P,A",
]  # fmt: skip
BYE = ["65 A>P BYE cseq=2 t=b", "65.5 P>A 200 cseq=2 of=BYE t=b"]
PROXIED_BYE = [
    "65 A>P BYE cseq=2 t=b", "65.1 P>B BYE cseq=2 t=b via=P,A", "65.4 B>P 200 cseq=2 of=BYE t=b via=P,A",
    "65.5 P>A 200 cseq=2 of=BYE t=b",
]  # fmt: skip


def later(*seconds: int) -> list[str]:
    """Time goes on, up to then: messages that belong to none of the calls. One alone would not be trusted (clock.py)."""
    return [f"{one} A>P MESSAGE call=later cseq={one}" for second in seconds for one in (second, second + 11)]


FLOWS = {
    "it has begun": (["0 A>P INVITE"], "attempts 1, setup 1"),
    "it rings": (CALL[:3], "attempts 1, setup 1, early 1, srd successful 1s"),
    "100 is no ringing": (CALL[:2], "attempts 1, setup 1"),
    "answered": (CALL, "attempts 1, answered 1, active 1, srd successful 1s, answer 5s"),
    "answered at once": (
        ["0 A>P INVITE", "2 P>A 200 t=b"],
        "attempts 1, answered 1, active 1, srd successful 2s, answer 2s",
    ),
    "answered and ended": (
        [*CALL, *BYE],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s, sdd 0.5s",
    ),
    "ended by the callee": (
        [*CALL, "65 P>A BYE cseq=9 f=b t=a", "65.5 A>P 200 cseq=9 of=BYE f=b t=a"],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s, sdd 0.5s",
    ),
    "through a proxy: each hop is seen, the nearest one counts": (
        [*PROXIED, *PROXIED_BYE],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s, sdd 0.5s",
    ),
    "retransmitted": (
        ["0 A>P INVITE", "0.5 A>P INVITE", "1 P>A 180 t=b", "2 P>A 180 t=b", "5 P>A 200 t=b", "5.5 P>A 200 t=b"],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 5s",
    ),
    "challenged by a proxy": (
        ["0 A>P INVITE", "0.1 P>A 407 t=x", "0.1 A>P ACK t=x failed=1", "1 A>P INVITE cseq=2", "4 P>A 180 cseq=2 t=b",
         "5 P>A 200 cseq=2 t=b"],
        "attempts 1, answered 1, active 1, srd successful 3s, answer 5s",
    ),
    "challenged by the callee, through a proxy": (
        ["0 A>P INVITE", "0 P>B INVITE via=P,A", "0.1 B>P 401 t=x via=P,A", "0.1 P>A 401 t=x", "1 A>P INVITE cseq=2",
         "1 P>B INVITE cseq=2 via=P,A", "2 B>P 486 cseq=2 t=y via=P,A", "2 P>A 486 cseq=2 t=y"],
        "attempts 1, failed 486 1, srd failed 1s",
    ),
    "challenged, and not tried again": (
        ["0 A>P INVITE", "0.1 P>A 407 t=x", *later(40)],
        "attempts 1, failed 407 1",
    ),
    "challenged, not decided yet": (["0 A>P INVITE", "0.1 P>A 401 t=x", *later(31)], "attempts 1, setup 1"),
    "challenged twice": (
        ["0 A>P INVITE", "0.1 P>A 407 t=x", "1 A>P INVITE cseq=2", "1.1 P>A 401 cseq=2 t=y", "2 A>P INVITE cseq=3",
         "3 P>A 200 cseq=3 t=b"],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 3s",
    ),
    "redirected on the same Call-ID": (
        ["0 A>P INVITE", "0.1 P>A 302 t=x", "1 A>Q INVITE cseq=2 uri=sip:c", "2 Q>A 200 cseq=2 t=c"],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 2s",
    ),
    "redirected, with another From tag": (
        ["0 A>P INVITE", "0.1 P>A 302 t=x", "1 A>Q INVITE f=z uri=sip:c", "2 Q>A 200 f=z t=c"],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 2s",
    ),
    "redirected, and nobody follows": (["0 A>P INVITE", "0.1 P>A 302 t=x", *later(40)], "attempts 1, failed 302 1"),
    "busy": (
        ["0 A>P INVITE", "1 P>A 486 t=b", "1 A>P ACK t=b failed=1"],
        "attempts 1, failed 486 1, srd failed 1s",
    ),
    "busy after it rang: the delay is that of the ringing": (
        [*CALL[:3], "5 P>A 486 t=b"],
        "attempts 1, failed 486 1, srd successful 1s",
    ),
    "nobody there, says the proxy; the gateway never answers": (
        ["0 A>P INVITE", "0 P>B INVITE via=P,A", "30 P>A 408 t=x"],
        "attempts 1, failed 408 1, srd failed 30s",
    ),
    "cancelled": (
        [*CALL[:3], "2 A>P CANCEL", "2 P>A 200 of=CANCEL", "2.1 P>A 487 t=b", "2.1 A>P ACK t=b failed=1"],
        "attempts 1, cancelled 1, srd successful 1s",
    ),
    "cancelled through a proxy": (
        [*PROXIED[:5], "2 A>P CANCEL", "2 P>A 200 of=CANCEL", "2 P>B CANCEL via=P", "2.1 B>P 487 t=b via=P,A",
         "2.1 P>A 487 t=b"],
        "attempts 1, cancelled 1, srd successful 1s",
    ),
    "cancelled too late": (
        [*CALL[:3], "2 A>P CANCEL", "2.1 P>A 200 t=b"],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 2.1s",
    ),
    "cancelled, and no final response": (
        [*CALL[:3], "2 A>P CANCEL", *later(80)],
        "attempts 1, cancelled 1, srd successful 1s",
    ),
    "a proxy gives up: it cancels, the caller does not": (
        [*PROXIED[:5], "100 P>B CANCEL via=P", "100 P>A 408 t=x", "100.1 B>P 487 t=b via=P,A"],
        "attempts 1, failed 408 1, srd successful 1s",
    ),
    "487 though nobody has cancelled": ([*CALL[:3], "2 P>A 487 t=b"], "attempts 1, cancelled 1, srd successful 1s"),
    "abandoned": (["0 A>P INVITE", *later(70)], "attempts 1, abandoned 1"),
    "abandoned while it rang": ([*CALL[:3], *later(250)], "attempts 1, abandoned 1, srd successful 1s"),
    "it rings for long": ([*CALL[:3], "200 P>A 180 t=b h=X:1", *later(400)], "attempts 1, setup 1, early 1, srd successful 1s"),
    "forked in parallel: one answers": (
        ["0 A>P INVITE", "0 P>B INVITE via=P,A branch=p1", "0 P>C INVITE via=P,A branch=p2",
         "1 B>P 180 t=b via=P,A branch=p1", "1 P>A 180 t=b", "1.5 C>P 180 t=c via=P,A branch=p2", "1.5 P>A 180 t=c",
         "4 B>P 486 t=b via=P,A branch=p1", "5 C>P 200 t=c via=P,A branch=p2", "5 P>A 200 t=c"],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 5s",
    ),
    "forked in parallel, of which only the branches are seen": (
        ["0 P>B INVITE branch=p1", "0 P>C INVITE branch=p2", "1 B>P 486 t=b branch=p1", "5 C>P 200 t=c branch=p2"],
        "attempts 1, answered 1, active 1, srd successful 5s, answer 5s",
    ),
    "forked, all refuse: 6xx counts, then the lowest class": (
        ["0 P>B INVITE branch=p1", "0 P>C INVITE branch=p2", "0 P>C INVITE branch=p3", "1 B>P 503 t=b branch=p1",
         "2 C>P 603 t=c branch=p2", "3 C>P 404 t=d branch=p3"],
        "attempts 1, failed 603 1, srd failed 3s",
    ),
    "forked, all refuse: the lowest class": (
        ["0 P>B INVITE branch=p1", "0 P>C INVITE branch=p2", "1 B>P 503 t=b branch=p1", "2 C>P 486 t=c branch=p2"],
        "attempts 1, failed 486 1, srd failed 2s",
    ),
    "forked one after the other, of which only the branches are seen: it goes on": (
        ["0 P>B INVITE branch=p1", "1 B>P 486 t=b branch=p1", "1.1 P>C INVITE branch=p2", "5 C>P 200 t=c branch=p2"],
        "attempts 1, answered 1, failed 486 1, resumed 1, active 1, srd failed 1s, srd successful 5s, answer 5s",
    ),
    "forked one after the other beside the proxy": (
        ["0 A>P INVITE", "0 P>B INVITE via=P,A branch=p1", "1 B>P 486 t=b via=P,A branch=p1",
         "1.1 P>C INVITE via=P,A branch=p2", "5 C>P 200 t=c via=P,A branch=p2", "5 P>A 200 t=c"],
        "attempts 1, answered 1, active 1, srd successful 5s, answer 5s",
    ),
    "two answer, and both are ended": (
        ["0 A>P INVITE", "1 P>A 200 t=b", "2 P>A 200 t=c", "10 A>P BYE cseq=2 t=b", "10 P>A 200 cseq=2 of=BYE t=b",
         "21 A>P BYE cseq=3 t=c", "21 P>A 200 cseq=3 of=BYE t=c"],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 1s, duration 20s, sdd 0s",
    ),
    "two answer, and one is ended": (
        ["0 A>P INVITE", "1 P>A 200 t=b", "2 P>A 200 t=c", "10 A>P BYE cseq=2 t=b", "10 P>A 200 cseq=2 of=BYE t=b"],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 1s",
    ),
    "re-INVITEd by either": (
        [*CALL, "10 A>P INVITE cseq=2 t=b", "10 P>A 200 cseq=2 t=b", "20 P>A INVITE cseq=7 f=b t=a",
         "20 A>P 488 cseq=7 f=b t=a"],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 5s",
    ),
    "the BYE is challenged": (
        [*CALL, "60 A>P BYE cseq=2 t=b", "60 P>A 407 cseq=2 of=BYE t=b", "65 A>P BYE cseq=3 t=b",
         "65.5 P>A 200 cseq=3 of=BYE t=b"],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s, sdd 0.5s",
    ),
    "the other side does not know the call any more": (
        [*CALL, "65 A>P BYE cseq=2 t=b", "65.5 P>A 481 cseq=2 of=BYE t=b"],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s",
    ),
    "nobody answers the BYE": (
        [*CALL, "65 A>P BYE cseq=2 t=b", *later(100)],
        "attempts 1, answered 1, ended unanswered_bye 1, srd successful 1s, answer 5s, duration 60s",
    ),
    "a BYE with a tag of nobody": (
        [*CALL, "65 A>P BYE cseq=2 t=forged", "65.5 P>A 200 cseq=2 of=BYE t=forged"],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 5s",
    ),
    "a forged BYE, and the real one": (
        [*CALL, "30 A>P BYE cseq=9 t=forged", "30.5 P>A 481 cseq=9 of=BYE t=forged", *BYE],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s, sdd 0.5s",
    ),
    "no BYE is seen": (
        [*CALL, *later(*range(1000, 16000, 1000))],
        "attempts 1, answered 1, ended unseen 1, srd successful 1s, answer 5s",
    ),
    "a refresh keeps it": (
        [*CALL, *later(*range(1000, 14000, 1000)), "14000 A>P UPDATE cseq=2 t=b", *later(15000)],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 5s",
    ),
    "the next call has the same Call-ID": (
        [*CALL, *BYE, "70 A>P INVITE cseq=5", "71 P>A 486 cseq=5 t=c"],
        "attempts 2, answered 1, failed 486 1, ended bye 1, srd failed 1s, srd successful 1s, answer 5s, duration 60s, sdd 0.5s",
    ),
    "the next call has the same Call-ID, and another From tag": (
        ["0 A>P INVITE", "1 P>A 486 t=b", "9 A>P INVITE f=z"],
        "attempts 2, failed 486 1, setup 1, srd failed 1s",
    ),
    "tried again after it was refused for good": (
        ["0 A>P INVITE", "1 P>A 503 t=b", "2 A>P INVITE cseq=2", "4 P>A 200 cseq=2 t=b"],
        "attempts 1, answered 1, failed 503 1, resumed 1, active 1, srd failed 1s, srd successful 2s, answer 4s",
    ),
    "a server between that keeps the Call-ID": (
        ["0 A>P INVITE", "0 P>B INVITE f=p via=P", "1 B>P 180 f=p t=b via=P", "1 P>A 180 t=x",
         "5 B>P 200 f=p t=b via=P", "5 P>A 200 t=x", "65 B>P BYE cseq=1 f=b t=p via=B", "65 P>B 200 of=BYE f=b t=p via=B",
         "65 P>A BYE cseq=1 f=x t=a", "65.5 A>P 200 of=BYE f=x t=a"],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s, sdd 0.5s",
    ),
    "the farther hop is captured first": (
        ["0 P>B INVITE via=P,A", "0 A>P INVITE", "1 B>P 486 t=b via=P,A", "1 P>A 486 t=b"],
        "attempts 1, failed 486 1, srd failed 1s",
    ),
    "the nearest hop's answer is lost": (
        [*PROXIED[:6], "65 A>P BYE cseq=2 t=b", "65.5 P>A 200 cseq=2 of=BYE t=b"],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s, sdd 0.5s",
    ),
    "the nearest hop's answer is lost, and nothing comes": (
        [*PROXIED[:6], *later(60)],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 5s",
    ),
    "its INVITE was not captured": (CALL[1:] + BYE, ""),
    "no Call-ID": (["0 A>P INVITE call="], "attempts 1, setup 1"),
    "peers of RFC 2543, without branches and To tags": (
        ["0 A>P INVITE branch=", "1 P>A 180 branch=", "5 P>A 200 branch=", "65 A>P BYE cseq=2 branch=",
         "65.5 P>A 200 cseq=2 of=BYE branch="],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s, sdd 0.5s",
    ),
    "two answer, and both are ended at once": (
        ["0 A>P INVITE", "1 P>A 200 t=b", "1.1 P>A 200 t=c", "10 A>P BYE cseq=2 t=b branch=b",
         "10.1 A>P BYE cseq=2 t=c branch=c", "10.2 P>A 200 cseq=2 of=BYE t=b branch=b",
         "10.3 P>A 200 cseq=2 of=BYE t=c branch=c"],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 1s, duration 9.1s, sdd 0.2s",
    ),
    "two answer, and nobody answers the BYE to one": (
        ["0 A>P INVITE", "1 P>A 200 t=b", "1.1 P>A 200 t=c", "10 A>P BYE cseq=2 t=c", *later(50)],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 1s",
    ),
    "two answer on two branches, and the proxy ends one": (
        ["0 A>P INVITE", "0 P>B INVITE via=P,A branch=p1", "0 P>C INVITE via=P,A branch=p2",
         "1 B>P 200 t=b via=P,A branch=p1", "1 P>A 200 t=b", "1 C>P 200 t=c via=P,A branch=p2",
         "1.1 P>C BYE cseq=2 t=c via=P", "1.2 C>P 200 cseq=2 of=BYE t=c via=P", *BYE],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 1s, duration 64s, sdd 0.5s",
    ),
    "both hang up: the first BYE ends it, the first answer shows it": (
        [*CALL, "65 A>P BYE cseq=2 t=b", "65.1 P>A BYE cseq=9 f=b t=a", "65.3 A>P 200 cseq=9 of=BYE f=b t=a",
         "65.5 P>A 200 cseq=2 of=BYE t=b"],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s, sdd 0.2s",
    ),
    "both hang up, and do not know the call any more": (
        [*CALL, "65 A>P BYE cseq=2 t=b", "65.1 P>A BYE cseq=2 f=b t=a", "65.3 A>P 481 cseq=2 of=BYE f=b t=a",
         "65.5 P>A 481 cseq=2 of=BYE t=b"],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s",
    ),
    "both hang up, and one is answered": (
        [*CALL, "65 A>P BYE cseq=2 t=b", "65.1 P>A BYE cseq=9 f=b t=a", "65.3 A>P 200 cseq=9 of=BYE f=b t=a", *later(100)],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s, sdd 0.2s",
    ),
    "the BYE timed out": (
        [*CALL, "65 A>P BYE cseq=2 t=b", "96 P>A 408 cseq=2 of=BYE t=b"],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s",
    ),
    "the nearest hop's answer to the BYE is lost": (
        [*PROXIED, *PROXIED_BYE[:3], *later(100)],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s",
    ),
    "a BYE with a tag of nobody, which nobody answers": (
        [*CALL, "65 A>P BYE cseq=2 t=forged h=Reason:Q.850;cause=16", *later(100)],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 5s",
    ),
    "hung up while it rang": (
        [*CALL[:3], "2 A>P BYE cseq=2 t=b", "2.1 P>A 200 cseq=2 of=BYE t=b", "2.2 P>A 487 t=b"],
        "attempts 1, cancelled 1, srd successful 1s",
    ),
    "the next call has the same Call-ID, and nobody has answered the BYE": (
        [*CALL, "65 A>P BYE cseq=2 t=b", "70 A>P INVITE cseq=5", "71 P>A 486 cseq=5 t=c"],
        "attempts 2, answered 1, failed 486 1, ended unanswered_bye 1, srd failed 1s, srd successful 1s, answer 5s, duration 60s",
    ),
    "the proxy has answered the CANCEL; what the callee answers is not for the caller": (
        [*PROXIED[:5], "2 A>P CANCEL", "2 P>A 200 of=CANCEL", "2 P>A 487 t=x", "2 P>B CANCEL via=P",
         "2.05 B>P 200 t=b via=P,A", "2.1 P>B BYE t=b cseq=2 via=P", "2.2 B>P 200 of=BYE cseq=2 t=b via=P"],
        "attempts 1, cancelled 1, srd successful 1s",
    ),
    "cancelled, and another branch answers after all": (
        [*CALL[:3], "2 A>P CANCEL", "2.1 P>A 487 t=b", "2.2 P>A 200 t=c", "2.3 A>P BYE cseq=2 t=c",
         "2.4 P>A 200 cseq=2 of=BYE t=c"],
        "attempts 1, answered 1, cancelled 1, resumed 1, ended bye 1, srd successful 1s, answer 2.2s, duration 0.1s, sdd 0.1s",
    ),
    "the CANCEL came to nothing": (
        [*CALL[:3], "2 A>P CANCEL", "2 P>A 481 of=CANCEL", "6 P>A 200 t=b"],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 6s",
    ),
    "cancelled, and refused for another reason": (
        [*CALL[:3], "2 A>P CANCEL h=Reason:Q.850;cause=16", "2 P>A 200 of=CANCEL", "2.1 P>A 486 t=b"],
        "attempts 1, failed 486 1, srd successful 1s",
    ),
    "cancelled before anything came": (
        ["0 A>P INVITE", "2 A>P CANCEL", "2 P>A 200 of=CANCEL", "2.1 P>A 487 t=b"],
        "attempts 1, cancelled 1, srd failed 2.1s",
    ),
    "challenged, and the CSeq does not count on": (
        ["0 A>P INVITE branch=1", "0.1 P>A 407 t=x branch=1", "1 A>P INVITE branch=2", "3 P>A 200 t=y branch=2"],
        "attempts 1, answered 1, active 1, srd successful 2s, answer 3s",
    ),
    "challenged, and the CSeq does not count on: refused": (
        ["0 A>P INVITE branch=1", "0.1 P>A 407 t=x branch=1", "1 A>P INVITE branch=2", "3 P>A 486 t=y branch=2"],
        "attempts 1, failed 486 1, srd failed 2s",
    ),
    "challenged by proxy and callee, and refused for good": (
        ["0 A>P INVITE", "0.1 P>A 401 t=x", "1 A>P INVITE cseq=2", "1.1 P>A 407 cseq=2 t=y", "2 A>P INVITE cseq=3",
         "2.1 P>A 407 cseq=3 t=z", "3 A>P INVITE cseq=4", "5 P>A 403 cseq=4 t=b"],
        "attempts 1, failed 403 1, srd failed 2s",
    ),
    "redirected by the first target, of which only the far side is seen": (
        ["0 P>B INVITE branch=p1", "1 B>P 302 t=b branch=p1", "1.1 P>C INVITE branch=p2", "2 C>P 486 t=c branch=p2"],
        "attempts 1, failed 486 1, srd failed 2s",
    ),
    "early media, reliable, with a new offer": (
        ["0 A>P INVITE", "0.1 P>A 100", "1 P>A 183 t=b", "1.1 A>P PRACK cseq=2 t=b", "1.2 P>A 200 cseq=2 of=PRACK t=b",
         "2 P>A 180 t=b", "2.1 A>P UPDATE cseq=3 t=b", "2.2 P>A 200 cseq=3 of=UPDATE t=b", "5 P>A 200 t=b"],
        "attempts 1, answered 1, active 1, srd successful 1s, answer 5s",
    ),
    "199 is no ringing": (
        ["0 A>P INVITE", "1 P>A 199 t=b", "3 P>A 180 t=c"],
        "attempts 1, setup 1, early 1, srd successful 3s",
    ),
    "100, and nothing else": ([*CALL[:2], *later(250)], "attempts 1, abandoned 1"),
    "refused for good by all": ([*CALL[:3], "4 P>A 603 t=b"], "attempts 1, failed 603 1, srd successful 1s"),
    "answered after it was abandoned": (
        ["0 A>P INVITE", *later(70), "90 P>A 200 t=b"],
        "attempts 1, answered 1, abandoned 1, resumed 1, active 1, srd successful 90s, answer 90s",
    ),
    "the ACK is missing": (
        ["0 A>P INVITE", "1 P>A 200 t=b", "32 P>A BYE cseq=1 f=b t=a", "32.5 A>P 200 cseq=1 of=BYE f=b t=a"],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 1s, duration 31s, sdd 0.5s",
    ),
    "both re-INVITE at once, and again": (
        [*CALL, "10 A>P INVITE cseq=2 t=b", "10 P>A INVITE cseq=1 f=b t=a", "10.1 P>A 491 cseq=2 t=b",
         "10.1 A>P 491 cseq=1 f=b t=a", "12 A>P INVITE cseq=3 t=b", "12.1 P>A 200 cseq=3 t=b", *BYE],
        "attempts 1, answered 1, ended bye 1, srd successful 1s, answer 5s, duration 60s, sdd 0.5s",
    ),
    "it comes to the proxy again": (
        ["0 A>P INVITE", "0 P>P INVITE via=P,A branch=s1 uri=sip:c", "0 P>B INVITE via=P,P,A branch=s2",
         "3 B>P 486 t=b via=P,P,A branch=s2", "3 P>P 486 t=b via=P,A branch=s1", "3 P>A 486 t=b"],
        "attempts 1, failed 486 1, srd failed 3s",
    ),
    "a proxy that hides the hop before it": (
        ["0 A>P INVITE", "0 P>B INVITE via=P", "1 B>P 180 t=b via=P", "1 P>A 180 t=b", "3 B>P 486 t=b via=P", "3.1 P>A 486 t=b"],
        "attempts 1, failed 486 1, srd successful 1s",
    ),
    "another call takes its place": (
        [*CALL, "9 C>P INVITE call=2 f=c h=Replaces:1@example.com;to-tag=b;from-tag=a", "9 P>C 200 call=2 f=c t=b",
         "9 P>A BYE cseq=1 f=b t=a", "9.5 A>P 200 cseq=1 of=BYE f=b t=a"],
        "attempts 2, answered 2, ended bye 1, active 1, srd successful 1s, answer 5s, duration 4s, sdd 0.5s",
    ),
    "OPTIONS of both sides inside it": (
        [*CALL, "10 A>P OPTIONS cseq=2 t=b", "10 P>A OPTIONS cseq=2 f=b t=a", "10.5 P>A 200 cseq=2 of=OPTIONS t=b",
         "10.5 A>P 200 cseq=2 of=OPTIONS f=b t=a"],
        "attempts 1, answered 1, active 1, options 2, srd successful 1s, answer 5s, rtt 1s",
    ),
    "the cause of another branch": (
        ["0 P>B INVITE branch=p1", "0 P>C INVITE branch=p2", "1 B>P 486 t=b branch=p1 h=Reason:Q.850;cause=17",
         "2 C>P 603 t=c branch=p2"],
        "attempts 1, failed 603 1, srd failed 2s",
    ),
    "causes in a row": (
        ["0 A>P INVITE", '1 P>A 480 t=b h=Reason:Q.850;cause=0,_Q.850;text="a,b;cause=1";cause=18,_Q.850;cause=3'],
        "attempts 1, failed 480 1, cause failed 18 1, srd failed 1s",
    ),
    "causes in several headers": (
        ["0 A>P INVITE", "1 P>A 480 t=b h=Reason:SIP;cause=480|REASON_:Q.850;cause=999|reason:q.850;Cause_=_34"],
        "attempts 1, failed 480 1, cause failed 34 1, srd failed 1s",
    ),
    "a cause in the response": (
        ["0 A>P INVITE", '1 P>A 480 t=b h=Reason:_Q.850;cause=19;text="no_answer"'],
        "attempts 1, failed 480 1, cause failed 19 1, srd failed 1s",
    ),
    "a cause in the CANCEL": (
        [*CALL[:3], "2 A>P CANCEL h=Reason:SIP;cause=200,Q.850;cause=26", "2.1 P>A 487 t=b"],
        "attempts 1, cancelled 1, cause cancelled 26 1, srd successful 1s",
    ),
    "a cause in the BYE": (
        [*CALL, "65 A>P BYE cseq=2 t=b h=Reason:q.850_;cause=16", "65.5 P>A 200 cseq=2 of=BYE t=b"],
        "attempts 1, answered 1, ended bye 1, cause ended 16 1, srd successful 1s, answer 5s, duration 60s, sdd 0.5s",
    ),
    "causes of nothing": (
        ["0 A>P INVITE", '1 P>A 480 t=b h=Reason:SIP;text="Q.850;cause=3"|Reason:Q.850;cause=999'],
        "attempts 1, failed 480 1, srd failed 1s",
    ),
}  # fmt: skip


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "in one batch"])
@pytest.mark.parametrize("name", FLOWS)
def test_flows(name: str, at_once: bool) -> None:
    lines, wanted = FLOWS[name]
    counting = played(lines, at_once=at_once)
    assert counted(counting, times=True) == wanted
    balance(counting)


@pytest.mark.parametrize("name", FLOWS)
def test_messages_are_sent_again(name: str) -> None:
    """Each message twice: the figures are the same."""
    lines, wanted = FLOWS[name]
    counting = played([line for line in lines for _ in range(2)])
    assert counted(counting, times=True) == wanted
    balance(counting)


ENDS = {
    "in setup": (CALL[:1], "attempts 1, abandoned 1"),
    "ringing": (CALL[:3], "attempts 1, abandoned 1"),
    "challenged": (["0 A>P INVITE", "0.1 P>A 407 t=x"], "attempts 1, failed 407 1"),
    "answered": (CALL, "attempts 1, answered 1, ended unseen 1"),
    "with a BYE": ([*CALL, BYE[0]], "attempts 1, answered 1, ended unanswered_bye 1"),
    "with a BYE for nobody": ([*CALL, "65 A>P BYE cseq=2 t=x"], "attempts 1, answered 1, ended unseen 1"),
    "ended": ([*CALL, *BYE], "attempts 1, answered 1, ended bye 1"),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_capture_ends(name: str) -> None:
    lines, wanted = ENDS[name]
    counting = played(lines)
    counting.close()
    assert counted(counting) == wanted
    balance(counting)
    played(CALL, counting)  # the same capture again: other calls
    assert by_side(counting, "call_attempts_total") == {"in callers": 2}
    balance(counting)


WAYS = st.sampled_from(["A>P", "P>A", "P>B", "B>P", "P>C", "C>P"])
WHAT = st.sampled_from(
    [
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "UPDATE",
        "OPTIONS",
        "REGISTER",
        "100",
        "180",
        "199",
        "200",
        "302",
        "407",
        "486",
        "487",
        "603",
    ]
)
LINE = st.builds(
    "{} {} cseq={} of={} f={} t={} via={} branch={} h=Contact:<sip:a@h>|Reason:Q.850;cause={}".format,
    WAYS, WHAT, st.integers(1, 3), st.sampled_from(["INVITE", "BYE", "REGISTER", "OPTIONS"]), st.sampled_from(["", "a", "b", "c"]),
    st.sampled_from(["", "a", "b", "c"]), st.sampled_from(["A", "P", "P,A"]), st.sampled_from(["", "1", "2", "3"]),
    st.integers(0, 999),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 0.5, 20, 70]), LINE), max_size=60))
def test_whatever_comes_the_figures_balance(steps: list[tuple[float, str]]) -> None:
    counting, now, lines = new_counting(), 0.0, ["0 A>P INVITE f=a branch=1"]
    for pause, line in steps:
        now += pause
        method = line.split()[1]
        lines.append(f"{now} {line if method.isdigit() else line.replace('of=', 'was=')}")
    played(lines, counting)
    balance(counting)
    counting.close()
    balance(counting)
    for gauge in ("calls_in_setup", "early_dialogs", "calls_active", "registered"):
        assert by_side(counting, gauge) == {}


SIDES = {
    "it comes from a caller": (PROXIED, {"in callers": 1}),
    "it goes to a callee": (["0 P>B INVITE", "1 B>P 200 t=b"], {"out callees": 1}),
    "the other is in no network": (["0 D>P INVITE", "1 P>D 200 t=b"], {"in other": 1}),
    "between strangers": (["0 D>A INVITE", "1 A>D 200 t=b"], {"in callers": 1}),
    "within the server": (["0 Q>P INVITE", "1 P>Q 200 t=b"], {"in other": 1}),
}


@pytest.mark.parametrize("name", SIDES)
def test_direction_and_peer(name: str) -> None:
    lines, wanted = SIDES[name]
    counting = played(lines)
    assert by_side(counting, "call_attempts_total") == wanted
    assert by_side(counting, "calls_answered_total") == wanted


def test_without_calls_nothing_is_followed() -> None:
    counting = played([*CALL, *BYE], new_counting(calls=False))
    assert counted(counting) == ""
    assert counting.ledgers() == []
