"""Every container that CaptureFile reads: bytes in, frames out."""

from __future__ import annotations

import gzip
import subprocess
from fractions import Fraction
from pathlib import Path
from shutil import which

import pytest
from source_samples import (
    NANO_PACKETS,
    PACKETS,
    SECOND,
    T0,
    Packet,
    block,
    enhanced,
    interface,
    obsolete,
    packets_of,
    pcap,
    pcap_header,
    pcap_record,
    pcapng,
    same,
    section,
    simple,
    statistics,
)

from capture_agent.records.frames import Interface
from capture_agent.sources.capture_file import BATCH, CaptureFile

CAPTURES = Path(__file__).resolve().parents[2].parent / "shared" / "captures" / "files"
ORDERS = pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])


def save(folder: Path, data: bytes) -> Path:
    path = folder / "capture"
    path.write_bytes(data)
    return path


def check(folder: Path, data: bytes, wanted: list[Packet]) -> CaptureFile:
    with CaptureFile(save(folder, data)) as source:
        assert same(packets_of(source), wanted)
    return source


@ORDERS
def test_pcap_microseconds(tmp_path: Path, order: str) -> None:
    source = check(tmp_path, pcap(PACKETS, order), PACKETS)
    assert source._format is not None
    assert source._format.interfaces == [Interface("", 1, 6)]
    assert source.dropped() == {}


@ORDERS
def test_pcap_nanoseconds(tmp_path: Path, order: str) -> None:
    source = check(tmp_path, pcap(NANO_PACKETS, order, unit=1), NANO_PACKETS)
    assert source._format is not None
    assert source._format.interfaces == [Interface("", 1, 9)]


@ORDERS
def test_pcap_of_kuznetsov(tmp_path: Path, order: str) -> None:
    records = b"".join(pcap_record(packet, order, extra=b"\1\0\0\0\x08\0\4\0") for packet in PACKETS)
    check(tmp_path, pcap_header(order, 0xA1B2CD34) + records, PACKETS)


@pytest.mark.parametrize(
    ("network", "link_type"),
    [
        pytest.param(1, 1, id="Ethernet"),
        pytest.param(0x1400_0001, 1, id="with a frame check sequence"),
        pytest.param(276, 276, id="cooked v2, which pcapy has no name for"),
        pytest.param(12, 101, id="raw IP as a DLT"),
        pytest.param(14, 101, id="raw IP as OpenBSD's DLT"),
    ],
)
def test_link_type(tmp_path: Path, network: int, link_type: int) -> None:
    with CaptureFile(save(tmp_path, pcap_header(network=network) + pcap_record(PACKETS[0]))) as source:
        (frames,) = source.batches()
    assert frames.interfaces[0].link_type == link_type


@pytest.mark.parametrize(
    ("minor", "lengths"),
    [
        pytest.param(2, (1500, 4), id="before 2.3 the wire's length comes first"),
        pytest.param(3, (1500, 4), id="2.3 with the old order"),
        pytest.param(3, (4, 1500), id="2.3 with the new order"),
        pytest.param(4, (4, 1500), id="2.4"),
    ],
)
def test_order_of_lengths(tmp_path: Path, minor: int, lengths: tuple[int, int]) -> None:
    record = pcap_record(Packet(b"abcd"))
    record = record[:8] + b"".join(length.to_bytes(4, "little") for length in lengths) + record[16:]
    check(tmp_path, pcap_header(minor=minor) + record, [Packet(b"abcd", wire=1500)])


@ORDERS
def test_pcapng(tmp_path: Path, order: str) -> None:
    check(tmp_path, pcapng(PACKETS, order), PACKETS)


@ORDERS
def test_pcapng_older_and_simple_packets(tmp_path: Path, order: str) -> None:
    data = section(order) + interface(order=order, snapshot=4)
    data += simple(Packet(b"1234"), order)
    data += obsolete(Packet(b"old", T0), order)
    data += simple(Packet(b"abcd", wire=9), order)
    wanted = [Packet(b"1234", 0), Packet(b"old", T0), Packet(b"abcd", T0, wire=9)]
    check(tmp_path, data, wanted)


@ORDERS
def test_pcapng_skips_other_blocks(tmp_path: Path, order: str) -> None:
    strangers = block(4, b"names", order) + block(0x0BAD, bytes(100), order) + block(0x8000_0001, b"", order)
    data = section(order) + strangers + interface(order=order) + strangers + enhanced(PACKETS[0], order) + strangers
    check(tmp_path, data, PACKETS[:1])


def test_pcapng_sections_and_interfaces(tmp_path: Path) -> None:
    data = section("<") + interface(1, "<", b"eth0") + interface(113, "<", b"any", resolution=9)
    data += enhanced(Packet(b"a", interface=1), "<", ticks=T0 + 7) + enhanced(Packet(b"b"), "<")
    data += interface(101, "<", b"tun0") + enhanced(Packet(b"c", interface=2), "<")
    # The numbers of a section's interfaces begin anew, those of Frames.interfaces do not; one is there already.
    data += section(">") + interface(101, ">", b"tun1") + interface(1, ">", b"eth0")
    data += enhanced(Packet(b"d"), ">", interface_id=0) + enhanced(Packet(b"e"), ">", interface_id=1)
    wanted = [
        Packet(b"a", T0 + 7, interface=1),
        Packet(b"b"),
        Packet(b"c", interface=2),
        Packet(b"d", interface=3),
        Packet(b"e", interface=0),
    ]
    source = check(tmp_path, data, wanted)
    assert source._format is not None
    assert source._format.interfaces == [
        Interface("eth0", 1, 6),
        Interface("any", 113, 9),
        Interface("tun0", 101, 6),
        Interface("tun1", 101, 6),
    ]


RESOLUTIONS = [*range(20), *(0x80 | shift for shift in range(64))]


@pytest.mark.parametrize("resolution", RESOLUTIONS, ids=[f"{r:#x}" for r in RESOLUTIONS])
def test_pcapng_resolution(tmp_path: Path, resolution: int) -> None:
    """Compared exactly with fractions; a time beyond 32 bits of seconds is clamped."""
    per_second = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    now = 1_700_000_000 * per_second
    all_ticks = [0, 1, now, now + per_second - 1, now + per_second // 3, 2**64 - 1]
    all_ticks = [ticks for ticks in all_ticks if ticks < 2**64]
    data = section() + interface(resolution=resolution)
    data += b"".join(enhanced(Packet(b"x"), ticks=ticks) for ticks in all_ticks)
    latest = (2**32 - 1) * SECOND + SECOND - 1
    wanted = [Packet(b"x", min(int(Fraction(ticks, per_second) * SECOND), latest)) for ticks in all_ticks]
    source = check(tmp_path, data, wanted)
    assert source._format is not None
    assert source._format.interfaces[0].time_decimals == (6 if per_second <= 10**6 else 9)


@pytest.mark.parametrize(
    ("offset", "time_ns"),
    [
        pytest.param(3600, T0 + 3600 * SECOND, id="later"),
        pytest.param(-3600, T0 - 3600 * SECOND, id="earlier"),
        pytest.param(-(2**63), 0, id="before the epoch"),
        pytest.param(2**63 - 1, 2**32 * SECOND - 1, id="too late"),
    ],
)
@ORDERS
def test_pcapng_time_offset(tmp_path: Path, order: str, offset: int, time_ns: int) -> None:
    data = section(order) + interface(order=order, offset=offset) + enhanced(Packet(b"x"), order)
    check(tmp_path, data, [Packet(b"x", time_ns)])


@ORDERS
def test_pcapng_drop_counts(tmp_path: Path, order: str) -> None:
    data = section(order) + interface(order=order) * 2
    data += (
        statistics(0, order, kernel=5) + statistics(0, order, kernel=7, interface=1) + statistics(1, order, kernel=10)
    )
    data += statistics(9, order, kernel=1000)  # of an interface that is not there
    data += section(order) + interface(order=order) + statistics(0, order, kernel=100)
    assert check(tmp_path, data, []).dropped() == {"kernel": 117, "interface": 1}


@pytest.mark.parametrize("build", [pcap, pcapng], ids=["pcap", "pcapng"])
def test_gzip(tmp_path: Path, build: object) -> None:
    data = build(PACKETS)  # type: ignore[operator]
    half = len(data) // 2
    check(tmp_path, gzip.compress(data), PACKETS)
    check(tmp_path, gzip.compress(data[:half]) + gzip.compress(data[half:]), PACKETS)
    check(tmp_path, gzip.compress(data[:half]) + gzip.compress(b"") + gzip.compress(data[half:]) + bytes(512), PACKETS)


@pytest.mark.parametrize("build", [pcap, pcapng], ids=["pcap", "pcapng"])
@pytest.mark.parametrize("size", [0, 1, 700, 262_144])
def test_more_than_one_chunk_and_batch(tmp_path: Path, build: object, size: int) -> None:
    count = 3 * BATCH if size < 1000 else 5
    packets = [Packet(n.to_bytes(4, "big") * (size // 4) + b"x" * (size % 4), T0 + n * 1000) for n in range(count)]
    data = build(packets)  # type: ignore[operator]
    check(tmp_path, data, packets)
    check(tmp_path, gzip.compress(data, 1), packets)
    with CaptureFile(save(tmp_path, data)) as source:
        assert all(0 < len(frames) <= BATCH for frames in source.batches())


def test_pcap_without_packets(tmp_path: Path) -> None:
    check(tmp_path, pcap([]), [])


def test_what_scapy_writes(tmp_path: Path) -> None:
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.utils import PcapNgWriter, wrpcap

    packets = [Ether() / IP(dst="192.0.2.1") / UDP() / bytes([n] * n) for n in range(50)]
    for n, packet in enumerate(packets):
        packet.time = 1_700_000_000 + n
    wanted = [Packet(bytes(packet), 1_700_000_000 * SECOND + n * SECOND) for n, packet in enumerate(packets)]
    wrpcap(str(tmp_path / "capture"), packets)
    check(tmp_path, (tmp_path / "capture").read_bytes(), wanted)
    writer = PcapNgWriter(str(tmp_path / "ng"))
    for packet in packets:
        writer.write(packet)
    writer.close()
    check(tmp_path, (tmp_path / "ng").read_bytes(), wanted)


def recorded() -> list[Path]:
    """All captures, except one that mixes byte orders, which tshark refuses as we do."""
    return sorted(set(CAPTURES.iterdir()) - {CAPTURES / "pkts__cool.pcap"}) if CAPTURES.is_dir() else []


@pytest.mark.skipif(not recorded(), reason="the recorded captures are not there")
@pytest.mark.skipif(which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("path", recorded(), ids=[path.name for path in recorded()])
def test_recorded_captures_as_tshark_reads_them(path: Path) -> None:
    """Number, lengths and times, of every frame. tshark shows the same nine decimals for all files."""
    fields = [word for name in ("time_epoch", "cap_len", "len") for word in ("-e", f"frame.{name}")]
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", *fields]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    with CaptureFile(path) as source:
        found = packets_of(source)
    lines = [(f"{p.time_ns // SECOND}.{p.time_ns % SECOND:09}", len(p.data), p.wire_length) for p in found]
    wanted = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines == [(time, int(captured), int(wire)) for time, captured, wire in wanted]
