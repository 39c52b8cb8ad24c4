"""A party cannot escape the trace of its call: recorded calls, traced by rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from correlate_samples import message

from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.config import load
from capture_agent.correlate.correlator import Correlator
from capture_agent.pipeline import Pipeline
from capture_agent.policy.policy import Policy
from capture_agent.policy.settings import Settings

INPUTS = Path(__file__).parents[1] / "faults" / "inputs"
CALL = ["0 A>P INVITE", "1 P>A 200 t=b", "1 A>P ACK t=b"]
LATER = ["100 A>P INFO t=b cseq=8", "100 P>A 200 of=INFO t=b cseq=8"]
ATTEMPTS = [
    pytest.param(["2 A>P BYE t=b cseq=2"], id="BYE without an answer"),
    *(
        pytest.param(["2 A>P BYE t=b cseq=2", f"2 P>A {status} of=BYE t=b cseq=2"], id=f"BYE, {status}")
        for status in (401, 407, 408, 481, 500, 503)
    ),
    pytest.param(["2 A>P BYE t=x cseq=2", "2 P>A 481 of=BYE t=x cseq=2"], id="BYE with another tag, 481"),
    pytest.param(["2 A>P BYE t=x cseq=2", "2 P>A 200 of=BYE t=x cseq=2"], id="BYE with another tag, 200"),
    pytest.param(["2 A>P INFO t=b cseq=2", "2 P>A 481 of=INFO t=b cseq=2"], id="INFO, 481"),
    pytest.param(["2 A>P INVITE t=b cseq=2", "2 P>A 488 t=b cseq=2"], id="re-INVITE refused"),
    pytest.param(["2 A>P CANCEL", "2 P>A 481 of=CANCEL"], id="CANCEL too late"),
    pytest.param(["2 A>P NOTIFY t=b cseq=2 h=Subscription-State:terminated"], id="NOTIFY within the call"),
]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_trace_goes_on(attempt: list[str]) -> None:
    pipeline = Pipeline(policy=Policy(settings=Settings.of(load(overrides={"trace": {"mode": "dialog"}}))))
    traced = [pipeline.trace([message(line)]) for line in [*CALL, *attempt, *LATER]]
    assert [len(one) for one in traced[-2:]] == [1, 1]


def test_a_refused_bye_on_the_wire() -> None:
    agent = Agent(load(overrides={"trace": {"mode": "dialog"}}), lossless=True)
    replay(agent, [INPUTS / "refused_bye.407.pcap"])
    books = {ledger.name: ledger for ledger in agent.close().ledgers}
    assert books["messages"].outcomes == {"traced": 12, "not_traced": 0, "duplicate": 0}


def test_what_ends_in_good_order_is_forgotten_soon() -> None:
    correlator = Correlator()
    for line in [*CALL, "2 A>P BYE t=b cseq=2", "2 P>A 200 of=BYE t=b cseq=2"]:
        correlator.observe([message(line)])
    for second in (50, 100, 150):
        correlator.observe([message(f"{second} A>P OPTIONS call=x{second}")])
    assert correlator.table.dialogs.held == 0
