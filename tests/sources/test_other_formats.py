"""Files that are not captures are named, with advice."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from source_samples import read

from capture_agent.sources.compressed_file import unpacker_for
from capture_agent.sources.other_formats import OTHER_FORMATS

INPUTS = Path(__file__).parents[1] / "faults" / "inputs"

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("head", "words"),
    [pytest.param(magic + bytes(40), what, id=what) for magic, what, _ in OTHER_FORMATS]
    + [
        pytest.param((INPUTS / "sipdump_text.data").read_bytes(), '"mode", 4', id="sipdump"),
        pytest.param(b"0000   45 00 00 3c 1c 46 40 00\n", "text2pcap", id="hex dump"),
        pytest.param(bytes(range(128, 192)), "expected pcap or pcapng", id="anything"),
    ],
)
def test_named(tmp_path: Path, head: bytes, words: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(head) if unpacker_for(head) is not None else head)
    found, error = read(path)
    assert not found
    assert error is not None and error.usage
    assert words in str(error) and "not a capture file" in str(error)
