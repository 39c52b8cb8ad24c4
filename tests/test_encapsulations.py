"""The generator of cases is right: tshark and the tables of tunnels find in its frames what it claims."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from itertools import islice
from pathlib import Path

import pytest
from carriages import ADDRESSES, CARRIAGES, EARLY, FAMILIES, LATE, carry, messages
from encapsulations import Case, build, names
from tunnel_walk import TCP, UDP, packets

pytestmark = pytest.mark.once

TSHARK_OPTIONS = [
    *("-o", "esp.enable_null_encryption_decode_heuristic:TRUE", "-o", "tcp.reassemble_out_of_order:TRUE"),
    *("-d", "udp.port==4754,gre", "-d", "udp.port==7932,hp_erm", "-d", "udp.port==8472,vxlan"),
]
UNKNOWN_TO_TSHARK = {166}  # link types

# tshark does not look for the next message where a stream has a gap; and where the compact form of Content-Length
# announces a body that another segment brings, it does not wait for it.
STREAMS_THAT_TSHARK_LOSES = {"tcp-mid-stream", "tcp-with-a-loss", "tcp-in-body"}


def call_id(message: bytes) -> str:
    found = re.search(rb"Call-ID: (\S+)", message)
    assert found
    return found[1].decode()


def block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))


def write_pcapng(path: Path, frames: list[tuple[int, bytes]]) -> None:
    """Frames of any link types: an interface for each."""
    link_types = sorted({link_type for link_type, _ in frames})
    with path.open("wb") as file:
        file.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        for link_type in link_types:
            file.write(block(1, struct.pack("<HHI", link_type, 0, 0)))
        for n, (link_type, frame) in enumerate(frames):
            head = struct.pack("<IIIII", link_types.index(link_type), 0, n, len(frame), len(frame))
            file.write(block(6, head + frame))


def call_ids(path: Path) -> list[list[str]]:
    """The Call-IDs of each frame, found by tshark."""
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("no tshark")
    done = subprocess.run(
        [tshark, "-r", str(path), *TSHARK_OPTIONS, "-T", "fields", "-e", "sip.Call-ID"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [[one for one in line.split(",") if one] for line in done.stdout.splitlines()]


def small_cases() -> list[Case]:
    """All link layers, all tunnels, all tunnels in all link layers, and some of the many pairs."""
    wanted = [*names(0, ("udp",)), *names(1, ("udp",)), *islice(names(2, ("udp",)), 0, None, 131)]
    return [case for case in map(build, wanted) if case.link_type not in UNKNOWN_TO_TSHARK]


def test_tshark_reads_every_encapsulation(tmp_path: Path) -> None:
    cases = small_cases()
    path = tmp_path / "encapsulations.pcapng"
    write_pcapng(path, [(case.link_type, case.frames[0]) for case in cases])
    found = call_ids(path)
    assert len(found) == len(cases)
    assert [case.name for case, ids in zip(cases, found, strict=True) if ids != [call_id(case.messages[0])]] == []


def test_tshark_reads_every_carriage(tmp_path: Path) -> None:
    cases = [build(f"raw/ipv{family}/{carriage}") for family in FAMILIES for carriage in CARRIAGES]
    path = tmp_path / "carriages.pcapng"
    write_pcapng(path, [(case.link_type, frame) for case in cases for frame in case.frames])
    found = {one for ids in call_ids(path) for one in ids}
    for case in cases:
        if case.name.split("/")[-1] not in STREAMS_THAT_TSHARK_LOSES:
            assert {call_id(message) for message in case.messages} <= found, case.name


@pytest.mark.parametrize(("depth", "every"), [(0, 1), (1, 1), (2, 29)])
def test_the_tables_read_every_encapsulation(depth: int, every: int) -> None:
    wrong = []
    for name in islice(names(depth, ("udp",)), 0, None, every):
        case = build(name)
        inside = list(packets(case.frames[0], case.link_type))
        if not inside or inside[-1][0] != UDP or inside[-1][1][8:] != case.messages[0]:
            wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize("carriage", [carriage for carriage in CARRIAGES if carriage.startswith("tcp")])
@pytest.mark.parametrize("family", FAMILIES)
def test_streams_hold_what_is_expected_of_them(family: int, carriage: str) -> None:
    """Segments placed by offset, whatever their order: the messages without a gap are the expected ones."""
    given = messages(f"{carriage}-ipv{family}", 6)
    carried = carry(family, carriage)
    first = LATE if carriage in ("tcp-two-and-a-half", "tcp-reordered") else EARLY
    stream = bytearray(sum(map(len, given)))
    for packet in carried.packets:
        [(protocol, segment)] = packets(packet, 101)
        assert protocol == TCP
        at = struct.unpack_from(">I", segment, 4)[0] - first & 0xFFFFFFFF
        if segment[20:]:
            stream[at : at + len(segment) - 20] = segment[20:]
    assert [message for message in given if message in stream] == carried.messages


def test_cases_are_complete() -> None:
    every = list(names())
    assert len(every) == len(set(every))
    assert {name.split("/")[-1] for name in every} == set(CARRIAGES)
    case = build("ethernet/vlan/gtp-u/ipv6/udp-fragmented")
    assert len(case.frames) > 2 * len(case.messages)
    assert (case.source, case.destination, case.link_type) == (*ADDRESSES[6], 1)
    assert not case.needs_esp
    assert build("raw/esp-tunnel/ipv4/udp").needs_esp
    with pytest.raises(ValueError, match="cannot carry"):
        build("raw/vlan/ipv4/udp")
