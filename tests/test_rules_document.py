"""docs/rules.md: each of its configurations does what its text says, with a capture of calls through a proxy."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.cli import main
from capture_agent.config import Config, load
from capture_agent.config.endpoints import parse_local
from capture_agent.emission.emission import emission
from capture_agent.pipeline import Pipeline
from capture_agent.policy.policy import Policy
from capture_agent.policy.settings import Settings
from capture_agent.records.traced import TracedMessage
from capture_agent.sources.capture_file import CaptureFile

ROOT = Path(__file__).parents[1]
EXAMPLES = dict(
    re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```toml\n(.*?)^```", (ROOT / "docs/rules.md").read_text(), re.M | re.S)
)
CARRIER, FAILED, SAMPLED, OBSERVED, HIDDEN, LEGS, TO_TWO = (
    "One carrier to another Homer",
    "Only calls that fail, from their beginning",
    "Five percent of the most frequent messages",
    "A user under observation, into a table of their own",
    "Hiding content",
    "Legs of a B2BUA",
    "A sample to one Homer, every failed call complete to two",
)
DEMO = ROOT / "pcaps/demo.pcap"
MESSAGES = 59


def config(tmp_path: Path, name: str, **changes: str) -> Config:
    file = tmp_path / "agent.toml"
    toml = EXAMPLES[name]
    for old, new in changes.items():
        assert old in toml
        toml = toml.replace(old, new)
    file.write_text(toml)
    return load(file)


def traced_by(settings: Config) -> list[TracedMessage]:
    policy = Policy([parse_local("192.0.2.10")], Settings.of(settings))  # type: ignore[list-item]
    pipeline = Pipeline(policy=policy, emission=emission(settings))
    found = []
    with CaptureFile(DEMO) as file:
        for frames in file.batches():
            found += pipeline.process(frames)
    found += pipeline.close()
    assert pipeline.ledgers()[-1].difference == 0
    assert pipeline.intake.accepted == MESSAGES
    return found


def calls(traced: list[TracedMessage]) -> Counter[str]:
    """The number of messages by call: the Call-ID's second number."""
    return Counter((one.message.sip.call_id or b"").decode().partition("@")[0].partition("-")[2] for one in traced)


def test_every_example_is_tested() -> None:
    assert set(EXAMPLES) == {CARRIER, FAILED, SAMPLED, OBSERVED, HIDDEN, LEGS, TO_TWO}


def test_one_carrier(tmp_path: Path) -> None:
    traced = traced_by(config(tmp_path, CARRIER))
    assert len(traced) == MESSAGES
    [call] = set(calls([one for one in traced if one.sinks & 2]))
    of_it = [one for one in traced if call in (one.message.sip.call_id or b"").decode()]
    assert [one.sinks for one in of_it] == [1, 1] + [3] * 11
    assert [one.message.sip.start_line.split()[0] for one in of_it[:3]] == [b"INVITE", b"SIP/2.0", b"INVITE"]
    assert {one.sinks for one in traced if one not in of_it} == {1}


def test_calls_that_fail(tmp_path: Path) -> None:
    traced = traced_by(config(tmp_path, FAILED))
    assert calls(traced) == {"14812": 13, "14816": 7}  # cancelled, busy
    times = [one.message.time_ns for one in traced]
    assert times == sorted(times)
    first, *_ = traced
    assert first.message.sip.start_line.startswith(b"INVITE")


def test_a_sample(tmp_path: Path) -> None:
    others = MESSAGES - 2
    for part, want in (("0.05", others), ("1.0", MESSAGES), ("0.0", others)):
        assert len(traced_by(config(tmp_path, SAMPLED, **{"0.05": part}))) == want


def test_a_sample_to_one_and_every_failed_call_to_two(tmp_path: Path) -> None:
    """Whether or not the sample has a failed call, both get all of it, once."""
    got = {}
    for part in ("0.0", "1.0"):
        traced = traced_by(config(tmp_path, TO_TWO, **{"0.05": part}))
        for sink in (1, 2):
            got[part, sink] = sorted(one.message.datagram.frame for one in traced if one.sinks & sink)
            assert len(got[part, sink]) == len(set(got[part, sink]))
    assert got["0.0", 2] == got["1.0", 2] == got["0.0", 1] != []
    assert set(got["1.0", 1]) > set(got["0.0", 1])


def test_a_user(tmp_path: Path) -> None:
    """All the way into the table."""
    changes = {
        "hep+tcp:homer.example.net:9060": "hep:127.0.0.1:9",
        "+4930123*": "+49301234567",
        "sqlite:///trace.db": f"sqlite:///{tmp_path}/trace.db",
    }
    settings = config(tmp_path, OBSERVED, **changes)
    traced = [one for one in traced_by(settings) if one.sinks & 2]
    assert traced
    assert main(["db", "create", "--config", f"{tmp_path}/agent.toml"]) == 0
    agent = Agent(settings, lossless=True)
    replay(agent, [DEMO])
    assert agent.close().balanced
    with closing(sqlite3.connect(tmp_path / "trace.db")) as connection:
        rows = connection.execute("select traced_user, count(*) from observed_calls group by 1").fetchall()
        assert connection.execute("select count(*) from sip_trace").fetchone() == (0,)
    users = {user for one in traced for user in one.trace.users}
    assert dict(rows) == dict.fromkeys(["", *users], len(traced))
    assert "case-4711" in users


def test_something_hidden(tmp_path: Path) -> None:
    traced = traced_by(config(tmp_path, HIDDEN))
    assert len(traced) == MESSAGES
    bodies = {one.message.sip.start_line.split()[0]: one.message.raw.partition(b"\r\n\r\n")[2] for one in traced}
    assert set(bodies[b"MESSAGE"]) == set(b"*")
    assert b"v=0" in bodies[b"INVITE"]


def test_legs(tmp_path: Path) -> None:
    traced = traced_by(config(tmp_path, LEGS))
    assert len(traced) == MESSAGES
    assert all(one.trace.correlation_id == one.message.sip.call_id for one in traced)
