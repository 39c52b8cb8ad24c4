"""Damaged captures: every frame before the damage, then one line that says what is wrong and where."""

from __future__ import annotations

import gzip
import os
import re
import tracemalloc
import zlib
from itertools import accumulate
from pathlib import Path
from struct import pack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from source_samples import (
    PACKETS,
    T0,
    Packet,
    block,
    enhanced,
    interface,
    pcap,
    pcap_header,
    pcap_record,
    pcapng,
    read,
    same,
    section,
    simple,
    statistics,
    unprivileged,
)

from capture_agent.sources.capture_file import CaptureFile
from capture_agent.sources.source import SourceError

ORDERS = pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])

# How many frames are whole where each piece of a file ends.
PCAP_PIECES = [(pcap_header(), 0), *((pcap_record(packet), 1) for packet in PACKETS)]
PCAPNG_PIECES = [
    (section(), 0),
    (interface(), 0),
    *((enhanced(packet), 1) for packet in PACKETS),
    (statistics(0, kernel=1), 0),
    (section(), 0),
    (interface(), 0),
    (enhanced(PACKETS[0]), 1),
]


def offset_in(error: SourceError) -> int:
    found = re.search(r"\(byte (\d+)(?: of the decompressed data)?\)$", str(error))
    assert found is not None, str(error)
    return int(found[1])


@pytest.mark.parametrize("pieces", [PCAP_PIECES, PCAPNG_PIECES], ids=["pcap", "pcapng"])
def test_cut_at_every_byte(tmp_path: Path, pieces: list[tuple[bytes, int]]) -> None:
    data = b"".join(piece for piece, _ in pieces)
    ends = list(accumulate(len(piece) for piece, _ in pieces))
    counts = list(accumulate(count for _, count in pieces))
    path = tmp_path / "cut"
    path.write_bytes(data)
    whole, error = read(path)
    assert error is None
    for size in range(4, len(data)):
        path.write_bytes(data[:size])
        found, error = read(path)
        done = [n for n, end in enumerate(ends) if end <= size]
        last = ends[done[-1]] if done else 0
        assert same(found, whole[: counts[done[-1]] if done else 0]), size
        if size == last:
            assert error is None, size
        else:
            assert error is not None and not error.usage, size
            assert offset_in(error) == last
            assert str(error).startswith(f"{path}: the file ends inside ")


@pytest.mark.parametrize("build", [pcap, pcapng], ids=["pcap", "pcapng"])
def test_gzip_cut_at_every_byte(tmp_path: Path, build: object) -> None:
    data = build(PACKETS)  # type: ignore[operator]
    packed = gzip.compress(data)
    path = tmp_path / "plain"
    for size in range(2, len(packed)):
        there = zlib.decompressobj(31).decompress(packed[:size])
        path.write_bytes(there)
        wanted, _ = read(path) if there else ([], None)
        path.write_bytes(packed[:size])
        found, error = read(path)
        assert same(found, wanted), size
        assert error is not None and not error.usage
        assert str(error) == f"{path}: the gzip data is cut short (byte {len(there)} of the decompressed data)"


@pytest.mark.parametrize(
    ("damage", "text", "frames"),
    [
        pytest.param(lambda z: z[:-8] + bytes(4) + z[-4:], "is damaged (incorrect data check)", 3, id="check sum"),
        pytest.param(lambda z: z[:-4] + bytes(4), "is damaged (incorrect length check)", 3, id="length"),
        pytest.param(lambda z: z + b"more", "is followed by something else", 3, id="something behind it"),
        pytest.param(lambda z: z + b"\x1f\x8bmore", "is damaged (unknown compression method)", 3, id="another member"),
        pytest.param(lambda z: z[:10] + b"\xff" + z[11:], "is damaged (invalid block type)", 0, id="first block"),
    ],
)
def test_gzip_damaged(tmp_path: Path, damage: object, text: str, frames: int) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(damage(gzip.compress(pcap(PACKETS))))  # type: ignore[operator]
    found, error = read(path)
    assert same(found, PACKETS[:frames])
    assert error is not None and not error.usage
    at = len(pcap(PACKETS)) if frames else 0
    assert str(error) == f"{path}: the gzip data {text} (byte {at} of the decompressed data)"


def test_gzip_damaged_in_the_middle_yields_everything_before(tmp_path: Path) -> None:
    packets = [Packet(os.urandom(1000), T0 + n * 1000) for n in range(400)]
    # Stored blocks have a length and its complement: one of them is broken, after more than one chunk.
    packed = bytearray(gzip.compress(pcap(packets), 0))
    at = 10
    while at < 300_000:
        at += 5 + int.from_bytes(packed[at + 1 : at + 3], "little")
    packed[at + 1] ^= 1
    path = tmp_path / "damaged"
    path.write_bytes(packed)
    found, error = read(path)
    assert error is not None and "invalid stored block lengths" in str(error)
    assert len(found) == (offset_in(error) - 24) // 1016 > 250
    assert same(found, packets[: len(found)])


@ORDERS
@pytest.mark.parametrize(
    ("record", "text"),
    [
        pytest.param((262145, 262145), "a packet record claims 262145 captured bytes, more than 262144", id="too long"),
        pytest.param((0xFFFFFFFF, 60), "a packet record claims 4294967295 captured bytes", id="as long as can be"),
        pytest.param((0x3C000000, 60), "the record seems to be", id="in the other byte order"),
    ],
)
def test_pcap_record_damaged(tmp_path: Path, order: str, record: tuple[int, int], text: str) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(pcap(PACKETS, order) + pack(order + "IIII", 0, 0, *record) + bytes(100_000))
    found, error = read(path)
    assert same(found, PACKETS)
    assert error is not None and not error.usage
    assert text in str(error)
    assert offset_in(error) == len(pcap(PACKETS))


BLOCK_DAMAGE = {
    "length not a multiple of 4": (pack("<II", 6, 33) + bytes(40), "a block claims a length of 33 bytes"),
    "length too small": (pack("<II", 6, 8) + bytes(40), "a block claims a length of 8 bytes"),
    "length too large": (pack("<II", 6, 2**24 + 4) + bytes(40), "a block claims a length of 16777220 bytes, more than"),
    "two lengths": (
        block(9, b"")[:-4] + pack("<I", 16),
        "the two lengths of a block differ, the one at its end is 16 bytes",
    ),
    "packet block too small": (block(6, bytes(16)), "a block claims a length of 28 bytes"),
    "simple packet block too small": (block(3, b""), "a block claims a length of 12 bytes"),
    "packet longer than its block": (block(6, pack("<IIIII", 0, 0, 0, 5, 5) + b"1234"), "claims 5 captured bytes"),
    "simple packet longer than its block": (block(3, pack("<I", 9) + b"1234"), "claims 9 captured bytes"),
    "interface not described": (enhanced(Packet(b"x"), interface_id=1), "a packet of interface 1, which the section"),
    "none described in a new section": (section() + simple(Packet(b"x")), "a packet of interface 0, which"),
    "byte order": (block(0x0A0D0D0A, pack("<IHHq", 0x1234, 1, 0, -1)), "the byte-order magic 0x00001234"),
    "section too small": (block(0x0A0D0D0A, pack("<I", 0x1A2B3C4D)), "a section header of 16 bytes"),
    "section version": (section(major=2), "unknown pcapng version 2.0"),
    "interface too small": (block(1, b"abcd"), "an interface description of 16 bytes"),
    "binary resolution": (interface(resolution=0xC0), "an interface whose time resolution is 2^-64 s"),
    "decimal resolution": (interface(resolution=20), "an interface whose time resolution is 10^-20 s"),
    "statistics too small": (block(5, bytes(8)), "interface statistics of 20 bytes"),
}


@pytest.mark.parametrize(("damaged", "text"), BLOCK_DAMAGE.values(), ids=BLOCK_DAMAGE.keys())
def test_pcapng_block_damaged(tmp_path: Path, damaged: bytes, text: str) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(pcapng(PACKETS) + damaged)
    found, error = read(path)
    assert same(found, PACKETS)
    assert error is not None and not error.usage
    assert text in str(error)
    assert "\n" not in str(error)
    assert offset_in(error) == len(pcapng(PACKETS)) + (len(section()) if damaged.startswith(section()) and
                                                       len(damaged) > len(section()) else 0)  # fmt: skip


def test_options_that_are_damaged_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "odd"
    idb = block(1, pack("<HHI", 1, 0, 0) + pack("<HH", 9, 2) + bytes(4) + pack("<HH", 2, 999))
    path.write_bytes(section() + idb + enhanced(PACKETS[0]))
    found, error = read(path)
    assert error is None
    assert same(found, PACKETS[:1])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        pytest.param(lambda path: None, "no such file or directory", id="missing"),
        pytest.param(Path.mkdir, "is a directory", id="directory"),
        pytest.param(Path.touch, "the file is empty", id="empty"),
        pytest.param(lambda path: path.write_bytes(b"ab"), "not a capture file: it begins with 61 62", id="two bytes"),
        pytest.param(lambda path: path.write_bytes(b"INVITE sip:x SIP/2.0\r\n" * 9), "not a capture file", id="text"),
        pytest.param(lambda path: path.write_bytes(b"\n\r\r\n" * 20), "not a capture file", id="empty lines"),
        pytest.param(
            lambda path: path.write_bytes(gzip.compress(b"text" * 9)), "not a capture file", id="gzip of text"
        ),
        pytest.param(lambda path: path.write_bytes(pcap_header(major=1)), "unknown pcap version 1.4", id="version"),
    ],
)
def test_files_that_are_not_captures(tmp_path: Path, make: object, text: str) -> None:
    path = tmp_path / "no-capture"
    make(path)  # type: ignore[operator]
    with pytest.raises(SourceError) as caught:
        CaptureFile(path)
    assert caught.value.usage
    assert str(caught.value).startswith(f"{path}: ") and text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(pcap(PACKETS))
    path.chmod(0)
    done = unprivileged(f"from capture_agent.sources.capture_file import CaptureFile as open_it; path = {str(path)!r}")
    assert done == f"True {path}: permission denied"


def test_name_with_a_nul() -> None:
    with pytest.raises(SourceError) as caught:
        CaptureFile("a\0b")
    assert caught.value.usage


def test_recorded_file_of_two_byte_orders(shared: Path) -> None:
    path = shared / "captures" / "files" / "pkts__cool.pcap"
    found, error = read(path)
    assert found == []
    assert str(error) == (
        f"{path}: a packet record claims 587333632 captured bytes, more than 262144"
        " (the file header is big-endian, the record seems to be little-endian) (byte 24)"
    )


SEEDS = [
    pcap(PACKETS),
    pcap(PACKETS, ">", unit=1),
    b"".join(piece for piece, _ in PCAPNG_PIECES),
    pcapng(PACKETS, ">") + section("<") + interface(resolution=0x94, offset=9) + simple(PACKETS[0]),
    gzip.compress(pcap(PACKETS)),
    gzip.compress(pcapng(PACKETS)[:200]) + gzip.compress(pcapng(PACKETS)[200:]),
]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "delete"]),
        st.integers(0, 600),
        st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff"])),
    ),
    min_size=1,
    max_size=6,
)


def edited(data: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    for what, place, value in edits:
        at = place % (len(data) + 1)
        behind = at if what == "insert" else at + len(value)
        data = data[:at] + (b"" if what == "delete" else value) + data[behind:]
    return data


@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.sampled_from(SEEDS), edits=EDITS)
def test_any_damage_ends_in_frames_or_one_line(
    tmp_path: Path, seed: bytes, edits: list[tuple[str, int, bytes]]
) -> None:
    path = tmp_path / "edited"
    path.write_bytes(edited(seed, edits))
    found, error = read(path)
    for packet in found:
        assert 0 <= packet.time_ns < 2**32 * 10**9
        assert len(packet.data) <= len(seed) * 1100
    if error is not None:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


@pytest.mark.parametrize("claimed", [262144, 16 * 1024 * 1024])
def test_what_a_header_claims_is_not_believed(tmp_path: Path, claimed: int) -> None:
    path = tmp_path / "large"
    header = pack("<IIII", 0, 0, claimed, claimed) if claimed == 262144 else pack("<II", 6, claimed)
    path.write_bytes((pcap([]) if claimed == 262144 else pcapng([])) + header + bytes(1000))
    tracemalloc.start()
    found, error = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == []
    assert error is not None and "the file ends inside a" in str(error)
    assert peak < claimed + 2_000_000
