"""TLS in capture files, with the keys beside them or in them: the same plaintext that tshark finds."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

sys.path.append(str(Path(__file__).parents[1] / "streams"))

from stream_samples import request, response
from tls_samples import Ends, dialogue

pytestmark = pytest.mark.once

TEXTS = [request(1, b"v=0\r\n" * 20), response(1), request(2, b"x" * 3000), response(2, b"y" * 9_000)]
CLIENT, SERVER = ("192.0.2.1", 40000), ("192.0.2.2", 5061)


@pytest.fixture(params=["1.2", "1.3"])
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with call.pcap and keys."""
    ends = Ends(ssl.TLSVersion.TLSv1_2 if request.param == "1.2" else ssl.TLSVersion.TLSv1_3)
    dialogue(ends, TEXTS)
    at = {True: 1001, False: 5001}
    packets = [packet(True, 1000, "S"), packet(False, 5000, "SA")]
    for by_client, data in ends.written:
        for start in range(0, len(data), 1400):
            piece = data[start : start + 1400]
            packets.append(packet(by_client, at[by_client], "PA", piece))
            at[by_client] += len(piece)
    for number, one in enumerate(packets):
        one.time = 1_700_000_000 + number / 1000
    wrpcap(str(tmp_path / "call.pcap"), packets)
    shutil.copy(ends.log, tmp_path / "keys")
    return tmp_path


def packet(by_client: bool, sequence: int, flags: str, data: bytes = b"") -> Ether:
    (source, sport), (destination, dport) = (CLIENT, SERVER) if by_client else (SERVER, CLIENT)
    return (
        Ether()
        / IP(src=source, dst=destination)
        / TCP(sport=sport, dport=dport, seq=sequence, ack=1, flags=flags)
        / data
    )


def decoded(*words: str | Path) -> tuple[list[dict[str, Any]], str]:
    """The messages, and what was said on standard error."""
    command = [sys.executable, "-m", "capture_agent", "decode", "--format", "jsonl", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_with_a_key_log_and_as_tshark_has_it(recorded: Path) -> None:
    messages, _ = decoded("--key-log", recorded / "keys", recorded / "call.pcap")
    assert [one["transport"] for one in messages] == ["tls"] * 4
    tshark = ["tshark", "-r", str(recorded / "call.pcap"), "-o", f"tls.keylog_file:{recorded / 'keys'}", "-Y", "sip"]
    seen = subprocess.run(
        [*tshark, "-d", "tls.port==5061,sip", "-T", "fields", "-e", "frame.number"],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout.split()  # fmt: skip
    assert [str(one["frame"]) for one in messages] == seen


def test_with_the_keys_in_the_file(recorded: Path) -> None:
    keyed = recorded / "keyed.pcapng"
    editcap = ["editcap", "--inject-secrets", f"tls,{recorded / 'keys'}", str(recorded / "call.pcap"), str(keyed)]
    subprocess.run(editcap, check=True, timeout=60)
    messages, _ = decoded(keyed)
    assert messages == decoded("--key-log", recorded / "keys", recorded / "call.pcap")[0]
    assert len(messages) == len(TEXTS)


def test_without_keys_nothing_comes_out(recorded: Path) -> None:
    messages, said = decoded(recorded / "call.pcap")
    assert messages == []
    assert "0 messages" in said


def test_a_key_log_that_is_not_there(recorded: Path) -> None:
    command = [sys.executable, "-m", "capture_agent", "decode", "--key-log", "nowhere", str(recorded / "call.pcap")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (2, "capture-agent: decode: nowhere: no such file or directory\n")
