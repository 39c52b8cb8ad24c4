"""Several captures in one file, joined by `cat`, and compressed files."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from source_samples import PACKETS, T0, Packet, pcap, pcap_header, pcapng, read

from capture_agent.sources import compressed_file as compression

KINDS: dict[str, bytes] = {
    "pcap": pcap(PACKETS),
    "pcap, big endian": pcap(PACKETS, ">"),
    "pcapng": pcapng(PACKETS),
    "pcapng, big endian": pcapng(PACKETS, ">"),
    "no packets": pcap([]),
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "lz4": partial(lz4.frame.compress, content_checksum=True),
}
MANY = [Packet(os.urandom(700), T0 + n * 1000) for n in range(1800)]  # more than a block of bzip2, which has 900 kB


def seen(packets: list[Packet]) -> list[tuple[bytes, int]]:
    return [(packet.data, packet.time_ns) for packet in packets]


@pytest.mark.parametrize(("one", "other"), [*product(KINDS, KINDS)])
def test_joined(tmp_path: Path, one: str, other: str) -> None:
    path = tmp_path / "joined"
    path.write_bytes(KINDS[one] + KINDS[other] + KINDS[one])
    found, error = read(path)
    wanted = [packet for kind in (one, other, one) for packet in ([] if kind == "no packets" else PACKETS)]
    assert error is None
    assert seen(found) == seen(wanted)


def test_skippable_frames_as_pzstd_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "packed"
    frame = b"\x50\x2a\x4d\x18" + b"\4\0\0\0size" + zstandard.compress(pcap(PACKETS))
    path.write_bytes(frame + frame)
    found, error = read(path)
    assert error is None
    assert seen(found) == seen([*PACKETS, *PACKETS])


@pytest.mark.parametrize("size", range(1, 24))
def test_joined_and_cut_inside_the_second_header(tmp_path: Path, size: int) -> None:
    path = tmp_path / "joined"
    path.write_bytes(pcap(PACKETS) + pcap_header()[:size])
    found, error = read(path)
    assert seen(found) == seen(PACKETS)
    assert error is not None and "ends inside" in str(error) and not error.usage


def test_joined_and_damaged_after_the_second_header(tmp_path: Path) -> None:
    path = tmp_path / "joined"
    path.write_bytes(pcap(PACKETS) + pcap(PACKETS) + b"\xff" * 40)
    found, error = read(path)
    assert seen(found) == seen(2 * PACKETS)
    assert "claims 4294967295 captured bytes" in str(error)


def test_a_frame_of_no_bytes_at_the_time_of_a_magic_number_is_a_frame(tmp_path: Path) -> None:
    odd = Packet(b"", 0xA1B2C3D4 * 10**9 + 131_077_000)
    path = tmp_path / "odd"
    path.write_bytes(pcap([odd, *PACKETS]))
    found, error = read(path)
    assert error is None
    assert seen(found) == seen([odd, *PACKETS])


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_compressed(tmp_path: Path, name: str, kind: str) -> None:
    whole = {"pcap": pcap, "pcapng": pcapng}[kind](MANY)
    path = tmp_path / "packed"
    path.write_bytes(PACKERS[name](whole))
    found, error = read(path)
    assert error is None
    assert seen(found) == seen(MANY)


@pytest.mark.parametrize(("one", "other"), [*product(PACKERS, PACKERS)])
def test_compressed_and_joined(tmp_path: Path, one: str, other: str) -> None:
    path = tmp_path / "packed"
    path.write_bytes(PACKERS[one](pcap(PACKETS)) + bytes(8) + PACKERS[other](pcap(PACKETS)))
    found, error = read(path)
    assert error is None
    assert seen(found) == seen(2 * PACKETS)


@pytest.mark.parametrize("name", PACKERS)
def test_compressed_and_cut(tmp_path: Path, name: str) -> None:
    packed = PACKERS[name](pcap(MANY))
    path = tmp_path / "packed"
    for size in (len(packed) - 1, len(packed) // 2, 40):
        path.write_bytes(packed[:size])
        found, error = read(path)
        assert seen(found) == seen(MANY[: len(found)])
        assert error is not None and not error.usage
        assert f"the {name} data is cut short" in str(error) or "ends inside" in str(error)


@pytest.mark.parametrize("name", PACKERS)
def test_compressed_and_damaged_yields_everything_before(tmp_path: Path, name: str) -> None:
    packed = bytearray(PACKERS[name](pcap(MANY)))
    packed[len(packed) * 3 // 4] ^= 0xFF
    path = tmp_path / "packed"
    path.write_bytes(packed)
    found, error = read(path)
    assert error is not None and not error.usage
    # Where bytes are stored as they are, the packet with the wrong one comes out before the check sum says so.
    wrong = [one for one, other in zip(seen(found), seen(MANY), strict=False) if one != other]
    assert len(wrong) <= 1
    assert len(found) >= len(MANY) // 2


@given(name=st.sampled_from(sorted(PACKERS)), data=st.binary(max_size=300), at=st.integers(0, 400))
def test_any_compressed_bytes_end(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes, at: int) -> None:
    packed = PACKERS[name](pcap(PACKETS))
    path = tmp_path_factory.mktemp("packed") / "packed"
    path.write_bytes(packed[:at] + data)
    read(path)


@pytest.mark.memory
@pytest.mark.parametrize("name", PACKERS)
def test_a_bomb_takes_little_memory(tmp_path: Path, name: str) -> None:
    """256 MiB of zeros, which each format compresses well: the reader holds a piece at a time."""
    path = tmp_path / "bomb"
    piece = PACKERS[name](bytes(32 << 20))
    path.write_bytes(PACKERS[name](pcap(PACKETS)) + 8 * piece)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from capture_agent.sources.capture_file import CaptureFile\n"
        "with CaptureFile(sys.argv[1]) as source:\n"
        "    count = sum(len(frames) for frames in source.batches())\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(count, int(status.partition('VmHWM:')[2].split()[0]) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True)
    count, mib = map(int, done.stdout.split())
    assert count == len(PACKETS) + 8 * (32 << 20) // 16  # records of no bytes, of 1970
    assert mib < 150


def test_a_library_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "packed"
    path.write_bytes(zstandard.compress(pcap(PACKETS)))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    _, error = read(path)
    assert error is not None and error.usage
    assert "install zstandard (pip install 'capture-agent[compression]'), or unpack the file first" in str(error)


def test_magic_numbers_are_distinguished() -> None:
    magics = [each.magic for each in compression.FORMATS]
    assert not [one for one in magics for other in magics if one is not other and one.startswith(other)]
