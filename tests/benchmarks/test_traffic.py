"""The generator makes what it claims: checked by the agent, and against the generator that others use."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import traffic
from benchmarks.captures import Capture
from benchmarks.dialogs import DIALOGS
from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.books import Ledger
from capture_agent.config import Config

pytestmark = pytest.mark.once
MESSAGES = 3000


def decoded(path: Path) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "capture_agent", "decode", "--format", "jsonl", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def kinds(messages: list[dict[str, object]]) -> Counter[str]:
    return Counter(str(message["method"] or message["status"]) for message in messages)


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    path = tmp_path_factory.mktemp("traffic") / "udp.pcap"
    traffic.write(path, MESSAGES)
    return decoded(path)


def test_every_message_is_whole(messages: list[dict[str, object]]) -> None:
    assert len(messages) == MESSAGES
    assert [message for message in messages if message.get("problems")] == []
    times = [float(str(message["time"])) for message in messages]
    assert times == sorted(times)


def test_the_dialogs_are_as_frequent_as_the_table_says(messages: list[dict[str, object]]) -> None:
    found = kinds(messages)
    first = {steps[0].first.split()[0]: weight for steps, weight in DIALOGS}
    total = sum(found[method] for method in first if method != "REGISTER") + found["REGISTER"] / 2
    for method, weight in first.items():
        dialogs = found[method] / 2 if method == "REGISTER" else found[method]
        assert dialogs / total * 100 == pytest.approx(weight, abs=5), method


def test_calls_end(messages: list[dict[str, object]]) -> None:
    invited = {message["call_id"] for message in messages if message["method"] == "INVITE"}
    ended = {message["call_id"] for message in messages if message["method"] == "BYE"}
    assert ended
    assert ended <= invited


def test_the_same_bytes_every_time_and_the_smaller_is_how_the_larger_begins(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("first", "second", "smaller")}
    traffic.write(files["first"], 500)
    traffic.write(files["second"], 500)
    traffic.write(files["smaller"], 100)
    first, second, smaller = (path.read_bytes() for path in files.values())
    assert first == second
    assert first.startswith(smaller)


def test_nine_rtp_packets_for_each_message(tmp_path: Path) -> None:
    path = tmp_path / "mixed"
    truth = traffic.write(path, 100, traffic.RTP_PER_SIP)
    assert (truth.packets, truth.sip) == (1000, 100) == (Capture(100, 9).packets, 100)
    agent = Agent(Config(), lossless=True)
    replay(agent, [path])
    books = agent.close()
    assert (books.balanced, books.problems) == (True, {})
    assert str(books.ledgers[1]).endswith("1000 seen, 100 traced, 0 not traced, 0 duplicate, 900 rejected (rtp 900)")


def books_of(path: Path) -> dict[str, Ledger]:
    agent = Agent(Config(), lossless=True)
    replay(agent, [path])
    books = agent.close()
    assert (books.balanced, books.problems) == (True, {})
    return {ledger.name: ledger for ledger in books.ledgers}


@pytest.mark.parametrize("carrier", ["tcp", "fragments", "tunnels"])
def test_other_carriers_bring_every_message(tmp_path: Path, carrier: str) -> None:
    truth = traffic.write(tmp_path / carrier, MESSAGES, carrier=carrier)
    books = books_of(tmp_path / carrier)
    assert truth.sip == MESSAGES
    assert books["messages"].outcomes == {"traced": MESSAGES, "not_traced": 0, "duplicate": 0}
    if carrier == "tunnels":
        assert truth.packets == Capture(MESSAGES, carrier=carrier).packets == MESSAGES
        datagrams = {message["src"] for message in decoded(tmp_path / carrier)}
        assert len(datagrams) > 100
    elif carrier == "fragments":
        assert truth.packets == books["frames"].seen == MESSAGES + books["frames"].outcomes["joined"]
        assert 0.3 < books["frames"].outcomes["joined"] / MESSAGES < 1
    else:
        segments = books["segments"]
        assert segments.seen == truth.packets
        assert not any(segments.rejected.values())
        assert segments.outcomes["retransmitted"] == segments.outcomes["waiting"] == 0


def test_tcp_has_several_messages_in_a_segment_and_messages_over_segments(tmp_path: Path) -> None:
    traffic.write(tmp_path / "tcp", MESSAGES, carrier="tcp")
    frames = Counter(message["frame"] for message in decoded(tmp_path / "tcp"))
    assert sum(count for count in frames.values() if count > 1) > 0.2 * MESSAGES
    delivered = books_of(tmp_path / "tcp")["segments"].outcomes["delivered"]
    assert delivered > 1.1 * len(frames)  # those that complete no message


def test_tls_brings_the_messages_of_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for carrier in ("tcp", "tls"):
        traffic.write(tmp_path / carrier, MESSAGES, carrier=carrier)
    assert decoded(tmp_path / "tls") == []
    monkeypatch.setenv("CAPTURE_AGENT_TLS__KEY_LOG", str(tmp_path / "tls.keys"))
    found = {carrier: decoded(tmp_path / carrier) for carrier in ("tcp", "tls")}
    assert {message["transport"] for message in found["tls"]} == {"tls"}
    bodies = {
        carrier: Counter((message["call_id"], message["cseq"], message["status"]) for message in messages)
        for carrier, messages in found.items()
    }
    assert bodies["tls"] == bodies["tcp"]
    assert bodies["tls"].total() == MESSAGES


def test_checksums_of_ip_are_right() -> None:
    frame = traffic.frame(True, bytes([198, 18, 0, 1]), bytes([203, 0, 113, 9]), 5060, 5060, b"x" * 333)
    words = [int.from_bytes(frame[at : at + 2], "big") for at in range(14, 34, 2)]
    total = sum(words)
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


def test_much_the_same_as_the_generator_that_others_measure_with(shared: Path, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    command = [sys.executable, str(shared / "bench" / "gen.py"), "udp", str(theirs), str(MESSAGES)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    truth = traffic.write(ours, MESSAGES)
    assert truth.sip_bytes / truth.sip == pytest.approx(told["avg_sip_bytes"], rel=0.05)
    their_kinds = kinds(decoded(theirs))
    our_kinds = kinds(decoded(ours))
    assert set(our_kinds) == set(their_kinds)
    for kind, count in their_kinds.items():
        assert our_kinds[kind] == pytest.approx(count, abs=0.05 * MESSAGES), kind
