"""Rules, lookback and legs over damaged messages with random addresses, after a correlator."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from random import Random

from capture_agent.config import load
from capture_agent.correlate.correlator import Correlator
from capture_agent.policy.policy import Policy
from capture_agent.policy.settings import Settings
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.lookup import address, addresses, header_values, user_of
from capture_agent.sip.scan import scan

SINKS = '[[hep]]\nuri = "hep:192.0.2.1"\n[[sql]]\nurl = "sqlite:///x.db"\nname = "table"\n'
MANY = (Path(__file__).parents[2] / "benchmarks/rules.toml").read_text()
LOOKBACK = """
[trace]
lookback_messages = 5
match = "all"
dialog_acks = false
local_failure_acks = false
[[rule]]
status = ["4xx", "5xx", "6xx"]
trace = "dialog"
lookback = 1
[[rule]]
method = "BYE"
trace = "transaction"
lookback = 3600
users = ["{header:Contact}", "{pai_user}{to_uri}", "{source}{destination}"]
correlation_id = "{from_user}{request_user}{header:via}"
sinks = "table"
[legs]
call_id_in = ["Via", "X-CID"]
id_in = ["P-Charging-Vector", "Session-ID", "Contact"]
remembered = 100
"""
SAMPLES = "\n".join(
    f'[[rule]]\n{matcher} = "{text}"\nsample = 0.9'
    for matcher, text in (
        ("from_uri", "*a*b*"), ("to_uri", "/[0-9]+$/"), ("pai_user", "*"), ("header", "Subject: *x"), ("header", "l"),
    )
)  # fmt: skip
NETWORKS = """
[[rule]]
address = ["0.0.0.0/1", "172.16.0.0/12", "10.0.0.0/31", "ff00::/9", "2001:db8::/127", "::/0"]
trace = "none"
[[rule]]
source = ["192.0.2.1", "[::1]:5060", "0.0.0.0/0"]
"""


def policy(toml: str) -> Policy:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(f"{toml}\n{SINKS}")
        file.flush()
        return Policy(settings=Settings.of(load(Path(file.name))))


class RulesRun:
    def __init__(self) -> None:
        self._policies = [policy(toml) for toml in (MANY, LOOKBACK, SAMPLES, NETWORKS)]
        self._correlator = Correlator()
        self._given = [0] * len(self._policies)

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        sip = scan(data, 0, len(data))
        if sip is None:
            return
        size = draw.choice((4, 16))
        at = draw.choice((-1, -size, -(2**62), 0, len(data), len(data) - 2 * size, 2**62, *accumulate([size] * 4)))
        time_ns = draw.randrange(2**40)
        datagram = Datagram(data, 0, len(data), at, size, 5060, draw.randrange(65536), time_ns)
        which = draw.randrange(len(self._policies))
        judge = self._policies[which]
        judge.on = draw.random() < 0.9
        messages = [CapturedMessage(datagram, sip) for _ in range(2)]
        self._correlator.observe(messages)
        before = judge.traced + judge.not_traced + judge.waiting + judge.crowded_out
        with suppress(ValueError):  # an address of no bytes
            judge.decide(messages)
            assert judge.traced + judge.not_traced + judge.waiting + judge.crowded_out == before + 2
        self._correlator.note_growth(judge.take_grown())
        for name in (b"via", b"contact", b"x"):
            for value in header_values(sip, name, draw.choice((b"", b"v", b"m"))):
                for uri in (address(value), *addresses(value)):
                    assert uri in value
                    assert user_of(uri) in uri
