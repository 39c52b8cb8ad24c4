"""Capture files with the frames as they were captured: the same bytes, time, length and link type."""

from __future__ import annotations

import struct
import subprocess
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from encapsulations import build, names
from sink_samples import INVITE, TIME_NS, captured, numbered

from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.config.load import load
from capture_agent.config.sections import Capture
from capture_agent.pipeline import Pipeline
from capture_agent.records.frame_building import Batches, Ends, udp
from capture_agent.records.frames import CapturedFrame, Frames, Interface
from capture_agent.sinks.files.capture_formats import Pcapng
from capture_agent.sinks.files.open_file import OpenFile
from capture_agent.sources.capture_file import CaptureFile

PCAPS = Path(__file__).parents[2] / "pcaps"
SECRET = b"e5940148540356b8009dab0655dff5ed"  # the response of the digest in demo.pcap
LOOKBACK = "[[rule]]\nkind = 'response'\ntrace = 'transaction'\nlookback = 3600\n"


class Packet(NamedTuple):
    time_ns: int
    wire: int
    data: bytes
    link_type: int


def packets(file: Path) -> list[Packet]:
    source = CaptureFile(str(file))
    found = []
    for frames in source.batches():
        for n in range(frames.count):
            _, _, wire, time_ns, interface = frames.index[5 * n : 5 * n + 5]
            found.append(Packet(time_ns, wire, frames.frame(n), frames.interfaces[interface].link_type))
    source.close()
    return found


def written(folder: Path, capture: Path, toml: str = "", options: str = "", name: str = "out.pcapng") -> Path:
    """What the agent writes of this capture."""
    config = folder / "agent.toml"
    config.write_text(f"{toml}\n[[pcap]]\nfile = '{folder}/{name}'\n{options}")
    agent = Agent(load(config, {}), lossless=True)
    replay(agent, [capture])
    assert agent.close().balanced
    return folder / name


def carriers(capture: Path) -> list[int]:
    """The numbers of the frames that carry SIP, by tshark: fragments too."""
    fields = ("frame.number", "ip.fragment", "ipv6.fragment")
    shown = [text for field in fields for text in ("-e", field)]
    found = subprocess.run(
        ["tshark", "-r", str(capture), "-Y", "sip && udp", "-T", "fields", *shown],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    numbers: list[int] = []
    for line in found.stdout.decode().splitlines():
        own, *fragments = line.split("\t")
        parts = ",".join(filter(None, fragments))
        numbers += [int(part) for part in parts.split(",")] if parts else [int(own)]
    return numbers


UDP_CAPTURES = [
    "call.pcap", "call.pcap.gz", "call.pcapng", "call-ipv6.pcap", "call-ipv6-options.pcap", "call-vlan.pcap",
    "call-qinq.pcap", "call-sll.pcap", "call-sll2.pcap", "call-raw.pcap", "call-null.pcap", "call-big-endian.pcap",
    "calls.pcap", "calls-ipv6.pcap", "snapped.pcap", "demo.pcap", "fragments.pcap",
]  # fmt: skip


@pytest.mark.parametrize("name", UDP_CAPTURES)
def test_the_same_frames(tmp_path: Path, name: str) -> None:
    capture = PCAPS / name
    before, back = packets(capture), packets(out := written(tmp_path, capture))
    want = [before[number - 1] for number in carriers(capture)]
    assert want
    assert sorted(back) == sorted(want)
    assert [one.message.raw for one in captured(out)] == [one.message.raw for one in captured(capture)]


@pytest.mark.parametrize("name", ["call.pcap", "call-qinq.pcap", "call-sll2.pcap", "calls-ipv6.pcap"])
def test_messages_held_back_keep_their_frames(tmp_path: Path, name: str) -> None:
    capture = PCAPS / name
    before, back = packets(capture), packets(written(tmp_path, capture, LOOKBACK))
    numbers = carriers(capture)
    assert before[numbers[0] - 1] in back  # a request, traced with its first answer
    assert set(back) <= {before[number - 1] for number in numbers}


def test_a_masked_message_is_rebuilt(tmp_path: Path) -> None:
    """The others stay as they were."""
    capture = PCAPS / "demo.pcap"
    back = packets(written(tmp_path, capture, "[privacy]\nmask = ['authorization']\n"))
    before = packets(capture)
    changed = [one for one in back if one not in before]
    assert changed
    assert all(b"****" in one.data for one in changed)
    assert len(back) - len(changed) > 0
    assert not any(SECRET in one.data for one in back)


@pytest.mark.parametrize("format", ["pcapng", "pcap"])
@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_link_types_in_one_file(tmp_path: Path, format: str, compress: str) -> None:
    """pcapng: an interface for each. pcap: rebuilt for that of the first message. Also when the file is continued."""
    wanted: list[bytes] = []
    suffix = {"none": "", "gzip": ".gz", "zstd": ".zst"}[compress]
    for name in ("call-sll.pcap", "call.pcap", "call-tcp.pcap", "call-ipv6.pcap"):
        out = written(tmp_path, PCAPS / name, "", f"format = '{format}'\ncompress = '{compress}'\n", "out")
        wanted += [one.message.raw for one in captured(PCAPS / name)]
    found = tmp_path / f"{out.name}{suffix}"
    assert [one.message.raw for one in captured(found)] == wanted
    assert {one.link_type for one in packets(found)} == ({1, 113} if format == "pcapng" else {113})


def test_packets_that_the_agent_has_made_are_no_captured_frames() -> None:
    """Those of the SIP listener: their checksums are zero."""
    batches = Batches("sip:127.0.0.1:5060")
    batches.add(udp(Ends(bytes(4), 5060, bytes(4), 5060), INVITE), TIME_NS)
    [message] = Pipeline().messages(batches.take())
    assert message.raw == INVITE
    assert message.datagram.captured_frames() == ()


@pytest.mark.parametrize("chunks", [1, 2])
def test_a_message_alone_in_its_sctp_packet_keeps_its_frame(chunks: int) -> None:
    data = [numbered(n) for n in range(chunks)]
    parts = [struct.pack("!BBHIHHI", 0, 3, 16 + len(one), n + 1, 0, n, 0) + one + bytes(-len(one) % 4)
             for n, one in enumerate(data)]  # fmt: skip
    sctp = struct.pack("!HHII", 5060, 5060, 7, 0) + b"".join(parts)
    frame = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(sctp), 0, 0, 64, 132, 0, bytes(4), bytes(4)) + sctp
    messages = Pipeline().messages(Frames.of([frame], 101))
    assert [one.raw for one in messages] == data
    found = [[one.data for one in message.datagram.captured_frames()] for message in messages]
    assert found == ([[frame]] if chunks == 1 else [[], []])


def in_a_capture(folder: Path, frames: list[bytes], link_type: int) -> Path:
    """A nanosecond more than a microsecond apart; a few bytes of padding are cut off each frame."""
    path = folder / "in.pcapng"
    file = OpenFile("", path, 0, 0, 1, 0, 0)
    with path.open("wb") as out:
        for n, frame in enumerate(frames):
            time_ns = 1_700_000_000_000_000_000 + n * 1_001
            out.writelines(Pcapng().records(CapturedFrame(frame, time_ns, n, Interface("eth0", link_type)), file))
    return path


def with_esp(file: Path) -> list[bytes]:
    source = CaptureFile(str(file))
    found = [one.raw for messages in Pipeline(Capture(esp_null=True)).read(source.batches()) for one in messages]
    source.close()
    return found


WANTED = [
    *names(0, ("udp",)), *islice(names(1, ("udp",)), 0, None, 19), *islice(names(1, ("udp-fragmented",)), 0, None, 97),
    *islice(names(2, ("udp",)), 0, None, 2503),
]  # fmt: skip


def test_every_encapsulation(tmp_path: Path) -> None:
    wrong = []
    for name in WANTED:
        case = build(name)
        capture = in_a_capture(tmp_path, case.frames, case.link_type)
        out = written(tmp_path, capture, "[capture]\nesp_null = true\n")
        back = packets(out)
        if with_esp(out) != case.messages or sorted(back) != sorted(packets(capture)):
            wrong.append(name)
        out.unlink()
    assert wrong == []
