"""Captures of peers that try to escape a trace, or to get others into it, traced by rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_samples import captured, sip

from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.config import Legs as LegsSettings
from capture_agent.config import load
from capture_agent.config.matchers import parse_header
from capture_agent.policy.legs import LONGEST, LegTable, is_placeholder
from capture_agent.records.traced import Trace
from capture_agent.sources.capture_file import CaptureFile

INPUTS = Path(__file__).parents[1] / "faults" / "inputs"


def test_a_call_of_2100_ends_no_looking_back() -> None:
    rule = {"method": "INVITE", "status": ["4xx", "5xx", "6xx"], "trace": "dialog", "lookback": 180}
    agent = Agent(load(overrides={"rule": [rule]}), lossless=True)
    replay(agent, [INPUTS / "lookback_future.pcap"])
    books = {ledger.name: ledger for ledger in agent.close().ledgers}
    assert books["messages"].outcomes["traced"] == 402  # the one of 2100 has failed, too
    assert books["messages"].difference == 0


NAMES = ["", " ", "null", "<null>", "(null)", '"null"', "NULL", "nil", "<nil>", "none", "None", "undefined", "-", "--", "0",
         "00000000-0000-0000-0000-000000000000", '""', "<>", "( none )", "[null]", "N/A", "'none'"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_placeholders_for_ids_link_no_legs(name: str) -> None:
    legs = LegTable(LegsSettings(call_id_in=(parse_header("X-CID"),)))
    ids = [
        legs.with_id(captured(sip("INVITE", call_id=call_id, X_CID=name)), Trace()).correlation_id
        for call_id in ("one", "two")
    ]
    assert ids == [b"one", b"two"]


@pytest.mark.parametrize("name", ["nullify", "1", "none@host", "-1", "abc-0", "x" * 100])
def test_what_is_an_id(name: str) -> None:
    assert not is_placeholder(name.encode())


def test_unset_variables_tie_no_calls_on_the_wire() -> None:
    agent = Agent(load(overrides={"legs": {"call_id_in": ["X-CID"]}}), lossless=True)
    ids = set()
    with CaptureFile(INPUTS / "legs_null.null.pcap") as capture:
        for messages in agent.pipeline.read(capture.batches()):
            ids |= {(one.message.sip.call_id, one.trace.correlation_id) for one in agent.pipeline.trace(messages)}
    agent.close()
    assert all(call_id == correlation_id for call_id, correlation_id in ids)
    assert len(ids) > 1


def test_long_call_ids_are_not_kept_whole() -> None:
    legs = LegTable(LegsSettings(call_id_in=(parse_header("X-CID"),)))
    for n in range(10):
        legs.with_id(captured(sip("INVITE", call_id=f"{n}" + "x" * 60_000)), Trace())
    assert legs.remembered == 10
    assert all(len(key) <= LONGEST for key in legs._legs)
