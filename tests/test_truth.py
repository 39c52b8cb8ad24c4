"""`decode --format jsonl` compared with tshark, message by message, over all captures, whatever carries the SIP.

Each difference is listed by name.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

FIELDS = [
    "src", "dst", "sport", "dport", "transport", "method", "status", "call_id", "cseq", "cseq_method", "from_tag",
    "to_tag", "via_branch", "content_length", "sip_len", "sha256",
]  # fmt: skip

NOT_A_CAPTURE = {"pkts__cool.pcap"}  # little-endian records after a big-endian header: libpcap refuses it as well

# tshark stops at a broken header, and ends text at a NUL byte: its truth lacks the fields after it.
FUZZED = "nDPI__fuzz-2006-06-26-2594.pcap"
DIFFERENT_FIELDS: dict[tuple[str, int], set[str]] = {
    # The topmost Via has no branch; tshark shows the next one's.
    ("goffinet__voip-extension.pcap", 607): {"via_branch"},
    ("goffinet__voip-extension.pcap", 608): {"via_branch"},
    # A Content-Length that is not a number is 0 for tshark, and null for us.
    ("zeek__invalid-content-length.pcap", 1): {"content_length"},
    ("zeek__invalid-content-length.pcap", 2): {"content_length"},
    (FUZZED, 539): {"content_length"},
    (FUZZED, 621): {"content_length"},
    # A NUL byte or another control character in the value.
    (FUZZED, 107): {"via_branch"},
    (FUZZED, 121): {"call_id", "via_branch"},
    (FUZZED, 182): {"call_id"},
    (FUZZED, 442): {"to_tag"},
    (FUZZED, 550): {"cseq", "to_tag"},
    # CSeq: "%s\\0 REGISTER", "CANCEL\\r\\v...", "/EGIS" and 100 bytes of 0xaa.
    (FUZZED, 155): {"cseq", "cseq_method"},
    (FUZZED, 266): {"cseq_method"},
    (FUZZED, 527): {"cseq_method"},
    # Behind a header without a colon tshark reads on no more.
    (FUZZED, 252): {"via_branch"},
    (FUZZED, 640): {"via_branch"},
}
MISSING = {
    (FUZZED, 247): "no line ends its first line",
    (FUZZED, 253): "the length in its UDP header is larger than its packet",
    (FUZZED, 603): "the length in its UDP header is larger than its packet",
}
# tshark takes them for another protocol; their first line is SIP's.
SURPLUS = {(FUZZED, frame) for frame in (108, 180, 181, 225, 274, 346, 348, 441, 560)} | {
    # A web server that answers "SIP/2.0 200 ok".
    ("suricata-verify__http-evader-486.pcap", 5),
}
# Captured on "any": each packet several times, in a tunnel and outside. We take the fragments of a copy for what they
# are, and tshark what TCP sent again: so sets are compared, not counts.
COPIES = ("open5gs__ipsec_reg.pcapng", "open5gs__ipsec_to_nonipsec_call.pcapng", "open5gs__volte.pcapng")
# With --drop-copies each comes once; but one was sent three times, 0.46 s and 1 s apart.
SENT_AGAIN = {("open5gs__ipsec_to_nonipsec_call.pcapng", "10.4.128.21", "INVITE"): 3}
# A mirror of two ports of a switch: a quarter of its frames occur twice within 1.5 ms, with the same identification.
COPIES_ELSEWHERE = {"nDPI__FAX-Call-t38-CA-TDM-SIP-FB-1.pcap": 23}
COPIED = ["src", "dst", "call_id", "cseq", "cseq_method", "method", "status", "via_branch"]


def decoded(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "capture_agent", "decode", "--format", "jsonl", *options, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )


def messages_of(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def truth_of(path: Path) -> list[dict[str, Any]]:
    return [message for message in map(json.loads, path.read_text().splitlines()) if message["kind"] == "message"]


def by_place(messages: list[dict[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    """By frame, and by number within the frame: a TCP segment may complete several."""
    seen: Counter[int] = Counter()
    places = {}
    for message in messages:
        seen[message["frame"]] += 1
        places[message["frame"], seen[message["frame"]]] = message
    return places


FOLDER = Path(__file__).resolve().parents[2] / "shared" / "captures" / "files"
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.name not in NOT_A_CAPTURE) if FOLDER.is_dir() else []


@pytest.mark.parametrize("name", NAMES)
def test_every_capture(shared: Path, name: str) -> None:
    compare(name, FOLDER / name, shared / "captures" / "truth" / f"{name}.jsonl")


def compare(name: str, capture: Path, truth: Path) -> None:
    found, true = messages_of(decoded(capture)), truth_of(truth)
    if name in COPIES:
        assert as_set(found) == as_set(true)
        return
    ours, theirs = by_place(found), by_place(true)
    assert {(name, frame) for frame, _ in theirs.keys() - ours.keys()} == {key for key in MISSING if key[0] == name}
    assert {(name, frame) for frame, _ in ours.keys() - theirs.keys()} == {key for key in SURPLUS if key[0] == name}
    for place in theirs.keys() & ours.keys():
        frame, number = place
        message, expected = ours[place], theirs[place]
        assert same_time(message["time"], expected["time"], number), place
        different = {field for field in FIELDS if message[field] != expected.get(field)}
        assert different == DIFFERENT_FIELDS.get((name, frame), set()), (place, message, expected)


def as_set(messages: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {tuple(message.get(field) for field in COPIED) for message in messages}


@pytest.mark.parametrize("name", [name for name in COPIES if name != "open5gs__volte.pcapng"])
def test_esp_without_encryption(shared: Path, name: str) -> None:
    found = messages_of(decoded(FOLDER / name, "--esp-null"))
    assert as_set(found) == as_set(truth_of(shared / "captures" / "truth" / f"{name}.esp-null.jsonl"))


@pytest.mark.parametrize("name", COPIES)
def test_without_copies(shared: Path, name: str) -> None:
    """Each message as often as it was sent: once, except one of them."""
    found = messages_of(decoded(FOLDER / name, "--drop-copies"))
    assert as_set(found) == as_set(truth_of(shared / "captures" / "truth" / f"{name}.jsonl"))
    sent: Counter[tuple[Any, ...]] = Counter()
    for message in found:
        sent[(name, message["src"], message["method"], *(message[field] for field in COPIED))] += 1
    assert {key[:3]: count for key, count in sent.items() if count > 1} == {
        key: count for key, count in SENT_AGAIN.items() if key[0] == name
    }


@pytest.mark.parametrize("name", [name for name in NAMES if name not in COPIES])
def test_nowhere_else_are_copies(shared: Path, name: str) -> None:
    """--drop-copies drops nothing from a capture without copies, whatever was retransmitted in it."""
    plain, filtered = messages_of(decoded(FOLDER / name)), messages_of(decoded(FOLDER / name, "--drop-copies"))
    assert len(plain) - len(filtered) == COPIES_ELSEWHERE.get(name, 0)
    assert {message["sha256"] for message in plain} == {message["sha256"] for message in filtered}


def same_time(ours: str, theirs: str, number: int) -> bool:
    """Ours has as many decimals as the capture, theirs always nine. Several in a segment are 1 us apart."""
    decimals = len(ours.partition(".")[2])
    later = Decimal(number - 1) / 1_000_000
    return decimals in (6, 9) and Decimal(ours) == Decimal(theirs) + later


@pytest.mark.parametrize("name", sorted(NOT_A_CAPTURE))
def test_files_that_are_not_captures(shared: Path, name: str) -> None:
    run = decoded(shared / "captures" / "files" / name)
    assert run.returncode in (1, 2)
    assert run.stdout == ""
    assert name in run.stderr.splitlines()[0]
