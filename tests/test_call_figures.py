"""The figures of calls through a real Kamailio, between SIPp phones (tools/sip_lab.py), beside SIPp's own statistics.

Each call is seen on both hops of the proxy. What is counted must be what SIPp says that it has done, to the call.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from capture_agent.config import Capture, Metrics
from capture_agent.config.endpoints import AUTO, parse_local
from capture_agent.histogram import Distribution
from capture_agent.metrics.sip_families import SIP_FAMILIES
from capture_agent.pipeline import Pipeline
from capture_agent.policy.policy import Policy
from capture_agent.sources.capture_file import CaptureFile

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import sipp_scenarios as steps
from record_demo import bound, configuration
from sip_lab import CALLEES, CALLER, COLLECTOR, PROXY, Lab, lab, wait_for

PROGRAMS = ("curl", "ip", "tcpdump", "kamailio", "sipp")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in PROGRAMS), reason=f"not all there: {', '.join(PROGRAMS)}"
    ),
]
RATE = 100  # calls begin in a second
PEERS = {"callers": ("198.51.100.0/24",), "callees": ("203.0.113.0/24",)}
SIDE = ("in", "callers")
DOOR = "127.0.0.1:9096"
Sample = tuple[str, dict[str, str], int]
LABELS = {family.name: family.labels for family in SIP_FAMILIES}
SENT = re.compile(r"\d+_([A-Z]+)_(?:Sent|Retrans)")  # columns of SIPp's counts

# Of walter's calls the proxy wants credentials, and of nobody's it knows nothing.
CHALLENGE = """
    if (is_method("INVITE") && $rU == "walter") {
        if (!pv_proxy_authenticate("sip.example.com", "wonderland", "0")) {
            proxy_challenge("sip.example.com", "0");
            exit;
        }
        consume_credentials();
    }
    if (is_method("INVITE|SUBSCRIBE")) record_route();"""
CREDENTIALS = "[authentication username=alice password=wonderland]\nContent-Type: application/sdp\n"


def challenged_caller(cseq: int = 2) -> list[str]:
    """`cseq` is that of the INVITE with credentials: 1 again, for phones that do not count on."""
    sdp = steps.SDP.replace("[user]", "alice")
    call = steps.caller("walter", talk=200)
    first = steps.send(steps.request("INVITE", "walter", 1, "Content-Type: application/sdp\n", sdp))
    again = steps.send(steps.request("INVITE", "walter", cseq, CREDENTIALS, sdp))
    later = [
        one.replace("CSeq: 2 BYE", f"CSeq: {cseq + 1} BYE").replace("CSeq: 1 ACK", f"CSeq: {cseq} ACK")
        for one in call[1:]
    ]
    refused = [
        steps.receive("407", attributes='auth="true"'),
        steps.send(steps.ack_of_failure("walter"), retrans=False),
    ]
    return [first, *refused, again, *later]


def unknown_caller() -> list[str]:
    sdp = steps.SDP.replace("[user]", "alice")
    first = steps.send(steps.request("INVITE", "nobody", 1, "Content-Type: application/sdp\n", sdp))
    return [first, steps.receive("404"), steps.send(steps.ack_of_failure("nobody"), retrans=False)]


@dataclass(frozen=True)
class Part:
    """Calls of one kind: what they count as, who answers at which callee, how many of a thousand there are."""

    outcome: str
    callees: dict[int, str]
    share: int
    scenario: list[str] = field(default_factory=list)  # in place of that of sipp_scenarios


MIX = {
    "call": Part("answered", {0: "call-callee"}, 250),
    "challenged": Part("answered", {0: "call-callee"}, 150, challenged_caller()),
    "uncounted": Part("answered", {0: "call-callee"}, 50, challenged_caller(1)),
    "busy": Part("failed 486", {2: "busy-callee"}, 150),
    "unknown": Part("failed 404", {}, 100, unknown_caller()),
    "cancel": Part("cancelled", {1: "cancel-callee"}, 150),
    "fork": Part("answered", {0: "call-callee", 1: "cancel-callee"}, 100),
    "reinvite": Part("answered", {0: "reinvite-callee"}, 100),
    "slow": Part("answered", {4: "slow-callee"}, 50),  # INVITE and 200 are repeated; over TCP only the 200
}


@dataclass
class Said:
    """What SIPp's statistics say of all callers."""

    outcomes: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)  # by method, those sent again included


@dataclass
class Counted:
    """What an agent has counted. `durations`: how many, by histogram."""

    outcomes: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    durations: Counter[str] = field(default_factory=Counter)


def of_last_line(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))[-1]


def write_scenarios(folder: Path) -> dict[str, Path]:
    paths = steps.write(folder)
    for name, part in MIX.items():
        if part.scenario:
            paths[f"{name}-caller"] = folder / f"{name}-caller.xml"
            body = "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', f'<scenario name="{name}">', *part.scenario])
            paths[f"{name}-caller"].write_text(f"{body}\n</scenario>\n")
    return paths


def play(net: Lab, paths: dict[str, Path], name: str, calls: int, options: list[str], said: Said) -> None:
    many = ["-m", str(calls), "-timeout", "60s", *options]
    processes = []
    for place, callee in MIX[name].callees.items():
        processes.append(net.sipp("callees", CALLEES[place], paths[callee], *many))
        wait_for(lambda place=place: bound(net, CALLEES[place]), f"SIPp at {CALLEES[place]}")  # type: ignore[misc]
    counts = ["-trace_stat", "-stf", f"{name}.csv", "-trace_counts", "-fd", "1", "-r", str(RATE), "-l", "1000"]
    caller = net.sipp("callers", CALLER, paths[f"{name}-caller"], *many, *counts)
    for process in (caller, *processes):
        assert process.wait(90) == 0, net.logs()
    row = of_last_line(net.folder / f"{name}.csv")
    assert row["FailedCall(C)"] == "0"
    said.outcomes["attempts"] += int(row["TotalCallCreated"])
    said.outcomes[MIX[name].outcome] += int(row["SuccessfulCall(C)"])
    (counts_file,) = net.folder.glob(f"{name}-caller_*_counts.csv")
    for column, value in of_last_line(counts_file).items():
        found = SENT.fullmatch(column or "")
        if found:
            said.requests[found[1]] += int(value)


def recorded(folder: Path, calls: int, options: list[str], names: list[str]) -> tuple[Said, Counted]:
    """Into any.pcap, what the proxy's machine has seen; and what an agent there has counted, by a scrape."""
    said = Said()
    text = configuration().replace('\n    if (is_method("INVITE|SUBSCRIBE")) record_route();', CHALLENGE)
    text = text.replace('case "frank":', 'case "walter": $var(phone) = "30"; break;\n        case "frank":')
    with lab(folder) as net:
        net.kamailio(text)
        paths = write_scenarios(folder)
        capture = net.capture("any", "any.pcap", "port 5060", ["-B", "65536"])
        agent = beside(net)
        for name in names:
            play(net, paths, name, max(1, MIX[name].share * calls // 1000), options, said)
        wait_for(lambda: settled(folder / "any.pcap"), "the last packets")
        net.stop(capture)
        deadline = time.monotonic() + 20
        while (scrape := counted(scraped(net))) != wanted(said) and time.monotonic() < deadline:
            time.sleep(0.5)
        net.stop(agent)
    return said, scrape


def beside(net: Lab) -> subprocess.Popen[bytes]:
    """An agent in the proxy's namespace, capturing when this returns."""
    peers = "".join(f"{name} = {list(networks)}\n" for name, networks in PEERS.items())
    (net.folder / "agent.toml").write_text(
        f"[capture]\ninterfaces = ['access', 'core']\nlocal = ['{PROXY}']\n[http]\nlisten = '{DOOR}'\n"
        f"[[hep]]\nuri = 'hep:{COLLECTOR}:9060'\n[metrics]\ncalls = true\n[metrics.peers]\n{peers}"
    )
    command = [sys.executable, "-m", "capture_agent", "run", "--config", "agent.toml"]
    agent = net.start("proxy", *command, log="agent")
    wait_for(lambda: b"capturing on" in (net.folder / "agent.log").read_bytes(), "the agent")
    return agent


def settled(path: Path) -> bool:
    """Nothing was written for a while."""
    size = path.stat().st_size
    time.sleep(0.5)
    return path.stat().st_size == size


def replayed(path: Path) -> Iterator[Sample]:
    local = parse_local(PROXY)
    assert local != AUTO
    pipeline = Pipeline(Capture(), Policy([local]), metrics=Metrics(calls=True, peers=PEERS))
    with CaptureFile(path) as capture:
        for messages in pipeline.read(capture.batches()):
            pipeline.trace(messages)
    assert pipeline.counting is not None
    for metric, samples in pipeline.counting.snapshot().items():
        for labels, value in samples.items():
            named = dict(zip(LABELS[metric], labels, strict=True))
            if isinstance(value, Distribution):
                yield f"{metric}_count", named, value.count
            else:
                yield metric, named, int(value)


def scraped(net: Lab) -> Iterator[Sample]:
    command = ["ip", "netns", "exec", net.names["proxy"], "curl", "-s", f"http://{DOOR}/metrics"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, int(sample.value)


def counted(samples: Iterable[Sample]) -> Counted:
    """Of the calls that came in from the callers: outcomes, requests by method, histograms by name."""
    found = Counted()
    for metric, named, value in samples:
        name = metric.removeprefix("capture_agent_").removesuffix("_total")
        beside = (named.get("direction"), named.get("peer")) == SIDE
        if name == "sip_requests" and beside:
            found.requests[named["method"]] += value
        elif name.startswith(("call", "session")) and value and not name.endswith(("_bucket", "_sum", "_created")):
            assert beside
            if name.endswith("_count"):
                found.durations[name.removesuffix("_count")] += value
            else:
                last = [named[one] for one in ("status", "how") if one in named]
                found.outcomes[" ".join([name.removeprefix("calls_").removeprefix("call_"), *last])] += value
    return found


def wanted(said: Said) -> Counted:
    answered = said.outcomes["answered"]
    # Of each call that rang or was refused there is a delay; those that were cancelled had rung.
    durations = {
        "session_request_delay_seconds": said.outcomes["attempts"],
        "call_answer_seconds": answered,
        "call_duration_seconds": answered,
        "session_disconnect_delay_seconds": answered,
    }
    return Counted(said.outcomes + Counter({"ended bye": answered}), said.requests, Counter(durations))


def check(folder: Path, calls: int, options: list[str], names: list[str]) -> None:
    said, scrape = recorded(folder, calls, options, names)
    assert scrape == wanted(said)
    assert counted(replayed(folder / "any.pcap")) == wanted(said)


def over_tcp() -> Iterator[str]:
    return (name for name in MIX if name != "slow")


@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["udp", "tcp"])
def test_some_calls(tmp_path: Path, transport: str) -> None:
    check(tmp_path, 40, ["-t", transport], list(MIX if transport == "u1" else over_tcp()))


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["udp", "tcp"])
def test_a_thousand_calls(tmp_path: Path, transport: str) -> None:
    check(tmp_path, 1000, ["-t", transport], list(MIX if transport == "u1" else over_tcp()))
