"""`decode --format jsonl` against tshark's truth, message by message, over all captures that this version can read.

It cannot yet read SIP in TCP, SCTP, IP fragments and tunnels: such messages are left out here by how the truth says
they travelled. Every other difference is listed by name.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FIELDS = [
    "src", "dst", "sport", "dport", "transport", "method", "status", "call_id", "cseq", "cseq_method", "from_tag",
    "to_tag", "via_branch", "content_length", "sip_len", "sha256",
]  # fmt: skip

# Link layers and what may stand between them and UDP, as the truth names them.
READABLE = {"sll", "sll2", "raw", "null", "loop", "vlan", "ip", "ipv6", "udp"}

NOT_A_CAPTURE = {"pkts__cool.pcap"}  # little-endian records behind a big-endian header: libpcap refuses it as well

# tshark stops where a header is broken, and ends text at a NUL byte: the fields behind are missing in its truth.
FUZZED = "nDPI__fuzz-2006-06-26-2594.pcap"
DIFFERENT_FIELDS: dict[tuple[str, int], set[str]] = {
    # The topmost Via has no branch; tshark shows the next one's.
    ("goffinet__voip-extension.pcap", 607): {"via_branch"},
    ("goffinet__voip-extension.pcap", 608): {"via_branch"},
    # "Content-Length: " something that is no number is 0 for tshark, and null for us.
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
# tshark takes them for something else than SIP; their first line is SIP's.
SURPLUS = {(FUZZED, frame) for frame in (108, 180, 181, 225, 274, 346, 348, 441, 560)}


def decoded(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "capture_agent", "decode", "--format", "jsonl", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )


def by_frame(messages: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    frames = {message["frame"]: message for message in messages}
    assert len(frames) == len(messages), "one UDP datagram is one message"
    return frames


def readable(message: dict[str, Any]) -> bool:
    return (
        message["kind"] == "message"
        and set(message["path"].split("/")) <= READABLE
        and message["path"].count("ip") == 1
        and not message.get("ip_fragments", 0)
    )


FOLDER = Path(__file__).resolve().parents[2] / "shared" / "captures" / "files"
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.name not in NOT_A_CAPTURE) if FOLDER.is_dir() else []


@pytest.mark.parametrize("name", NAMES)
def test_every_capture(shared: Path, name: str) -> None:
    compare(name, FOLDER / name, shared / "captures" / "truth" / f"{name}.jsonl")


def compare(name: str, capture: Path, truth: Path) -> None:
    run = decoded(capture)
    assert run.returncode == 0, run.stderr
    ours = by_frame([json.loads(line) for line in run.stdout.splitlines()])
    theirs = by_frame([message for message in map(json.loads, truth.read_text().splitlines()) if readable(message)])
    assert {(name, frame) for frame in theirs.keys() - ours.keys()} == {key for key in MISSING if key[0] == name}
    assert {(name, frame) for frame in ours.keys() - theirs.keys()} == {key for key in SURPLUS if key[0] == name}
    for frame in theirs.keys() & ours.keys():
        message, true = ours[frame], theirs[frame]
        assert same_time(message["time"], true["time"]), frame
        different = {field for field in FIELDS if message[field] != true.get(field)}
        assert different == DIFFERENT_FIELDS.get((name, frame), set()), (frame, message, true)


def same_time(ours: str, theirs: str) -> bool:
    """Ours has as many decimals as the capture, theirs always nine."""
    decimals = len(ours.partition(".")[2])
    return decimals in (6, 9) and ours.ljust(len(ours) + 9 - decimals, "0") == theirs


@pytest.mark.parametrize("name", sorted(NOT_A_CAPTURE))
def test_what_is_no_capture(shared: Path, name: str) -> None:
    run = decoded(shared / "captures" / "files" / name)
    assert run.returncode in (1, 2)
    assert run.stdout == ""
    assert name in run.stderr.splitlines()[0]
