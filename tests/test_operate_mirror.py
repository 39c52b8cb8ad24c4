"""docs/operate/mirror.md: its configurations, with the demo's calls mirrored twice, and in tunnels."""

from __future__ import annotations

import re
import sqlite3
import struct
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from capture_agent.cli import main

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import capture_files  # noqa: E402

pytestmark = pytest.mark.once
PORT, TUNNEL = re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs/operate/mirror.md").read_text(), re.M | re.S)
MESSAGES = 59


def as_it_is(frame: bytes) -> bytes:
    return frame


def in_ipv4(protocol: int, payload: bytes) -> bytes:
    """From the switch to the agent's host."""
    header = struct.pack("!BBHHHBBH4B4B", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, 10, 9, 0, 1, 10, 9, 0, 5)
    return bytes(12) + b"\x08\x00" + header + payload


def vxlan(frame: bytes) -> bytes:
    payload = b"\x08\0\0\0\0\0\x2a\0" + frame
    return in_ipv4(17, struct.pack("!4H", 50_000, 4789, 8 + len(payload), 0) + payload)


def erspan_2(frame: bytes) -> bytes:
    return in_ipv4(47, struct.pack("!HHI", 0x1000, 0x88BE, 7) + struct.pack("!HHI", 0x1000 | 20, 5, 1) + frame)


def mirrored(folder: Path, wrap: Callable[[bytes], bytes], times: int) -> Path:
    """The demo's frames, each so many times, 20 microseconds apart."""
    demo = capture_files.read(ROOT / "pcaps/demo.pcap")
    packets = [
        capture_files.Packet(packet.time_ns + n * 20_000, wrap(packet.frame))
        for packet in demo.packets
        for n in range(times)
    ]
    capture_files.write(folder / "mirrored.pcap", capture_files.Capture(demo.link_type, packets), nano=True)
    return folder / "mirrored.pcap"


@pytest.mark.parametrize(
    ("toml", "wrap", "times"),
    [
        pytest.param(PORT, as_it_is, 2, id="a mirror port, both directions of both ports"),
        pytest.param(TUNNEL, vxlan, 1, id="VXLAN"),
        pytest.param(TUNNEL, erspan_2, 1, id="ERSPAN II"),
    ],
)
def test_each_message_once_with_its_direction(
    tmp_path: Path, sqlite_url: str, toml: str, wrap: Callable[[bytes], bytes], times: int
) -> None:
    table = f'[[sql]]\nurl = "{sqlite_url}"\n'
    (tmp_path / "agent.toml").write_text(toml.partition("[[hep]]")[0] + table)
    assert main(["db", "create", "--config", str(tmp_path / "agent.toml")]) == 0
    assert main(["replay", "--config", str(tmp_path / "agent.toml"), str(mirrored(tmp_path, wrap, times))]) == 0
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        rows = connection.execute("SELECT direction, fromip, toip FROM sip_trace").fetchall()
    assert len(rows) == MESSAGES
    assert [row for row in rows if row[0] != ("in" if ":192.0.2.10:" in row[2] else "out")] == []
    assert {row[0] for row in rows} == {"in", "out"}
