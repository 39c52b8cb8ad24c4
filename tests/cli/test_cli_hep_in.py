"""`decode` reads HEP in captures with --hep-in, and files with HEP packets back to back."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from capture_agent.cli.program import app
from capture_agent.records.frame_building import ACK, RAW_IP, SYN, Ends, tcp, udp
from hep import Packet, encode

SIP = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>\r\n"
    b"Call-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
ONE = Packet(
    source=b"\x0a\0\0\1", destination=b"\x0a\0\0\2", source_port=5060, destination_port=5080, protocol=6,
    seconds=1_700_000_000, microseconds=5, protocol_type=1, capture_id=7, payload=SIP % 0,
)  # fmt: skip
DUMP = b"".join(encode(replace(ONE, payload=SIP % n)) for n in range(1500))


def decoded(path: Path, *options: str) -> tuple[list[dict[str, object]], str, int]:
    result = CliRunner().invoke(app, ["decode", "--format", "jsonl", *options, str(path)])
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr, result.exit_code


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_a_dump(tmp_path: Path, packed: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "dump.hep"
    path.write_bytes(packed(DUMP))
    found, _, status = decoded(path)
    assert [one["call_id"] for one in found] == [str(n) for n in range(1500)]
    assert {one["time"] for one in found} == {"1700000000.000005"}
    assert {(one["src"], one["sport"], one["dst"], one["dport"], one["transport"]) for one in found} == {
        ("10.0.0.1", 5060, "10.0.0.2", 5080, "tcp")
    }
    assert status == 0


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        pytest.param(DUMP[:100], "the file ends inside a HEP packet, 100 of", id="cut"),
        pytest.param(b"HEP3\0", "the file ends inside a HEP packet, 5 of 6 bytes", id="cut header"),
        pytest.param(b"HEP3\0\3" + bytes(30), "not a HEP packet, or claims a length of 3 bytes", id="length"),
        pytest.param(b"INVITE sip:a@b SIP/2.0 and more", "not a HEP packet", id="other bytes"),
    ],
)
def test_a_damaged_dump(tmp_path: Path, tail: bytes, said: str) -> None:
    path = tmp_path / "dump.hep"
    path.write_bytes(encode(ONE) + tail)
    found, error, status = decoded(path)
    assert (len(found), status) == (1, 1)
    assert said in error


def test_a_short_dump(tmp_path: Path) -> None:
    path = tmp_path / "dump.hep"
    path.write_bytes(b"HEP3\0\x0c" + bytes(6))
    found, error, status = decoded(path)
    assert (found, status) == ([], 0)
    assert "chunk_length 1" in error


@pytest.mark.parametrize(
    ("options", "found"),
    [((), [("127.0.0.1", "2")]), (("--hep-in",), [("10.0.0.1", "1"), ("10.0.0.1", "2")])],
    ids=["SIP within any bytes of a stream", "opened"],
)
def test_hep_in_a_capture(tmp_path: Path, options: tuple[str, ...], found: list[tuple[str, str]]) -> None:
    ends = Ends(b"\x7f\0\0\1", 9000, b"\x7f\0\0\2", 9060)
    stream = encode(replace(ONE, payload=SIP % 2))
    packets = [udp(ends, encode(replace(ONE, payload=SIP % 1), 2)), tcp(ends, 0, SYN)]
    packets += [tcp(ends, 1, ACK, stream[:100]), tcp(ends, 101, ACK, stream[100:])]
    path = tmp_path / "wire.pcap"
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP)
    path.write_bytes(header + b"".join(struct.pack("<IIII", 1, 0, len(one), len(one)) + one for one in packets))
    got, _, status = decoded(path, *options)
    assert ([(one["src"], one["call_id"]) for one in got], status) == (found, 0)
