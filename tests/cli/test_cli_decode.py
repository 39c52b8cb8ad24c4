"""capture-agent decode: its output for captures made here."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_samples import CALL, INVITE, OTHER, Packet, capture_agent, on_terminal, pcap, sip

FIELDS = [
    *("frame", "time", "src", "dst", "sport", "dport", "transport", "method", "status", "call_id", "cseq"),
    *("cseq_method", "from_tag", "to_tag", "via_branch", "content_length", "sip_len", "sha256"),
]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    file = tmp_path / "calls.pcap"
    file.write_bytes(pcap([*CALL, *OTHER]))
    return file


def test_jsonl(capture: Path) -> None:
    ended = capture_agent("decode", capture, "--format", "jsonl")
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert [list(message) for message in found] == [FIELDS] * 12
    assert found[0] == {
        "frame": 1,
        "time": "1700000000.000000",
        "src": "10.0.0.1",
        "dst": "10.0.0.2",
        "sport": 5060,
        "dport": 5060,
        "transport": "udp",
        "method": "INVITE",
        "status": None,
        "call_id": "a@b",
        "cseq": 1,
        "cseq_method": "INVITE",
        "from_tag": "f1",
        "to_tag": None,
        "via_branch": "z9hG4bK1",
        "content_length": 30,
        "sip_len": len(INVITE),
        "sha256": hashlib.sha256(INVITE).hexdigest(),
    }
    assert (found[3]["method"], found[3]["status"], found[3]["time"]) == (None, 180, "1700000000.700000")
    assert ended.err == "13 frames, 12 messages, 1 rejected (rtp 1)\n"
    assert ended.status == 0


def test_jsonl_of_malformed_messages(tmp_path: Path) -> None:
    file = tmp_path / "odd.pcap"
    odd = sip("SIP/2.0 200 OK", call_id="\udcff\x1b[31m\u202e", cseq="x INVITE").replace(b"Length: 0", b"Length: x")
    file.write_bytes(pcap([Packet(0, "10.0.0.1", "10.0.0.2", odd)]))
    ended = capture_agent("decode", file, "--format", "jsonl")
    found = json.loads(ended.out)
    assert found["call_id"] == "\ufffd\x1b[31m\u202e"
    assert (found["cseq"], found["content_length"]) == (None, None)
    assert ended.out.isascii()
    assert ended.out.rstrip("\n").isprintable()
    assert ended.err == "1 frames, 1 messages, 0 rejected, malformed (bad_content_length 1, bad_cseq 1)\n"


def test_several_files_are_distinguished(capture: Path) -> None:
    ended = capture_agent("decode", "calls.pcap", "calls.pcap", "--format", "jsonl", folder=capture.parent)
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert [(message["file"], message["frame"]) for message in found][11:13] == [("calls.pcap", 12), ("calls.pcap", 1)]
    assert ended.err == "26 frames, 24 messages, 2 rejected (rtp 2)\n"


def test_table(capture: Path) -> None:
    capture.write_bytes(pcap(CALL[:2] + CALL[6:7]))
    assert capture_agent("decode", capture).out.splitlines() == [
        "frame  time (UTC)                  source                 destination            proto  message"
        "    CSeq          Call-ID",
        "    1  2023-11-14 22:13:20.000000  10.0.0.1:5060          10.0.0.2:5060          udp    INVITE "
        "    1 INVITE      a@b",
        "    2  2023-11-14 22:13:20.001000  10.0.0.2:5060          10.0.0.3:5060          udp    INVITE "
        "    1 INVITE      a@b",
        "    3  2023-11-14 22:13:23.251000  10.0.0.2:5060          10.0.0.1:5060          udp    200    "
        "    1 INVITE      a@b",
    ]


@pytest.mark.parametrize("form", ["table", "jsonl"])
def test_nothing_obeys(tmp_path: Path, form: str) -> None:
    file = tmp_path / "evil.pcap"
    evil = sip("INVITE sip:b SIP/2.0", call_id="\x1b[31m[bold]\u202e\x9b2J", sender="\x1b]0;x\x07")
    file.write_bytes(pcap([Packet(0, "10.0.0.1", "10.0.0.2", evil)]))
    out = capture_agent("decode", file, "--format", form).out
    assert all(line.isprintable() for line in out.splitlines())
    assert "[bold]" in out


def test_damage_in_the_middle(capture: Path) -> None:
    capture.write_bytes(capture.read_bytes()[:-5])
    ended = capture_agent("decode", capture, "--format", "jsonl")
    assert len(ended.out.splitlines()) == 12
    assert ended.status == 1
    problem, books = ended.err.splitlines()
    assert problem.startswith(f"capture-agent: decode: {capture}: ")
    assert books == "12 frames, 12 messages, 0 rejected"


def test_standard_input(capture: Path) -> None:
    command = [sys.executable, "-m", "capture_agent", "decode", "-", "--format", "jsonl"]
    ended = subprocess.run(command, input=capture.read_bytes(), capture_output=True, check=True)
    assert len(ended.stdout.splitlines()) == 12


def test_a_reader_that_has_enough(tmp_path: Path) -> None:
    file = tmp_path / "long.pcap"
    file.write_bytes(pcap(CALL * 500))
    command = [sys.executable, "-m", "capture_agent", "decode", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as decode:
        assert decode.stdout is not None and decode.stderr is not None
        decode.stdout.readline()
        decode.stdout.close()
        assert decode.stderr.read() == b""
        assert decode.wait() == 0


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_nothing_obeys_on_a_terminal(tmp_path: Path, columns: int) -> None:
    file = tmp_path / "evil.pcap"
    evil = sip("INVITE sip:b SIP/2.0", call_id="\x1b[31m[bold]\u202e")
    file.write_bytes(pcap([Packet(0, "10.0.0.1", "10.0.0.2", evil)]))
    shown = on_terminal(columns, "decode", file)
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown
    folded = "".join(shown.split())
    assert r"\x1b[31m" in folded
    assert "[bold]" in folded
    assert columns == 60 or max(map(len, shown.splitlines())) <= columns
