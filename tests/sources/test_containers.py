"""The compiled walkers and their plain twins give equal results for complete and damaged bytes."""

from __future__ import annotations

from array import array
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_samples import PACKETS, enhanced, interface, obsolete, pcap, section, simple
from test_capture_damage import EDITS, edited

from capture_agent.records.frames import FRAME_ROW
from capture_agent.sources import containers

LIMIT = 20


def plain_twin() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "capture_agent" / "sources" / "containers.py"
    spec = spec_from_file_location("plain_containers", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLAIN = plain_twin()


def walk(walker: Any, data: bytes, at: int, limit: int = LIMIT) -> tuple[object, ...]:
    index = array("q", bytes(8 * FRAME_ROW * LIMIT))
    count = walker.walk(data, at, index, limit)
    return count, index.tolist(), walker.stopped.name, walker.at, walker.value, bool(walker.big_endian)


CLOCKS = [0, 0, -1, 1000, 1, 0, 0, 5, 40, 1, 1, -(10**18)]
BLOCKS = [
    interface() + b"".join(enhanced(packet) for packet in PACKETS) + simple(PACKETS[0]) + obsolete(PACKETS[1]),
    b"".join(enhanced(packet, interface_id=1) for packet in PACKETS) + section(">") + enhanced(PACKETS[0], ">"),
]


@settings(max_examples=300)
@given(order=st.sampled_from("<>"), header=st.sampled_from([16, 24]), minor=st.integers(2, 4), edits=EDITS)
def test_pcap_walkers_agree(order: str, header: int, minor: int, edits: list[tuple[str, int, bytes]]) -> None:
    data = edited(pcap(PACKETS, order)[24:], edits)
    arguments = (order == ">", 1000, header, minor)
    assert walk(containers.PcapWalker(*arguments), data, 0) == walk(PLAIN.PcapWalker(*arguments), data, 0)


@settings(max_examples=300)
@given(blocks=st.sampled_from(BLOCKS), edits=EDITS)
def test_pcapng_walkers_agree(blocks: bytes, edits: list[tuple[str, int, bytes]]) -> None:
    data = edited(blocks, edits)
    ours, twin = containers.PcapngWalker(), PLAIN.PcapngWalker()
    for walker in (ours, twin):
        walker.clocks.extend(CLOCKS)
    at = 0
    for _ in range(10):
        found = walk(ours, data, at)
        assert found == walk(twin, data, at)
        if ours.stopped is not containers.Stop.BLOCK:
            break
        at = ours.at + ours.value


def test_walk_stops_where_the_index_is_full() -> None:
    data = pcap(PACKETS)
    walker = containers.PcapWalker(False, 1000, 16, 4)
    index = array("q", bytes(8 * FRAME_ROW))
    assert walker.walk(data, 24, index, 1) == 1
    assert walker.stopped is containers.Stop.FULL
    assert index[0] == 24 + 16
    assert walker.walk(data, walker.at, index, 1) == 1


@pytest.mark.parametrize("count", [0, 1, 3])
def test_live_batch(count: int) -> None:
    meta = array("I", [v for n in range(count) for v in (0xFFFFFFFF, 999_999, n * 10, 10)]).tobytes()
    index = array("q", bytes(8 * FRAME_ROW * count))
    assert containers.index_live_batch(meta, 10 * count, index) == count
    time_ns = 0xFFFFFFFF * 10**9 + 999_999_000
    assert index.tolist() == [v for n in range(count) for v in (n * 10, 10, 10, time_ns, 0)]


def test_live_batch_outside_of_its_bytes() -> None:
    index = array("q", bytes(8 * FRAME_ROW))
    with pytest.raises(ValueError, match="outside of its batch"):
        containers.index_live_batch(array("I", [0, 0, 1, 10]).tobytes(), 10, index)
