"""Batches are compressed with what is installed, and what was stored otherwise stays readable."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink_samples import batch_of
from test_spool import drained, opened, raw

from capture_agent.delivery.spool import batch_compression as compression
from capture_agent.delivery.spool import spool as spool_module
from capture_agent.delivery.spool.batch_compression import NotCompressed, compressed, decompressed

pytestmark = pytest.mark.once


@pytest.fixture
def without_zstd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "zstandard", None)


def test_without_the_library(tmp_path: Path, without_zstd: None) -> None:
    spool = opened(tmp_path / "s")
    spool.append(batch_of(100))
    assert spool.bytes < 10_000
    assert drained(spool) == raw(batch_of(100))


@pytest.mark.parametrize(
    "store", [pytest.param(lambda data: data, id="not compressed"), pytest.param(compressed, id="zstd")]
)
def test_what_was_stored_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: object) -> None:
    monkeypatch.setattr(spool_module, "compressed", store)
    spool = opened(tmp_path / "s")
    spool.append(batch_of(10))
    monkeypatch.undo()
    spool.append(batch_of(10, 10))
    assert drained(spool) == raw(batch_of(20))


def test_a_library_that_is_gone_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The messages wait until it is back."""
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)
    spool = opened(tmp_path / "s")
    spool.append(batch_of(10))
    with monkeypatch.context() as gone:
        gone.setattr(compression, "zstandard", None)
        change, row = spool.take()
        assert (change.lost.total(), row, spool.messages) == (0, None, 10)
        assert spool.failing == "compressed with zstd: install zstandard"
    assert drained(spool) == raw(batch_of(10))


@pytest.mark.parametrize("library", ["zstd", "zlib"])
def test_bytes_that_would_be_longer_than_any_batch(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    if library == "zlib":
        monkeypatch.setattr(compression, "zstandard", None)
    bomb = compressed(bytes(1 << 20))
    monkeypatch.setattr(compression, "MOST_BYTES", 1000)
    with pytest.raises(NotCompressed):
        decompressed(bomb)


@given(st.binary(max_size=200), st.sampled_from([b"", compression.ZSTD, b"x\x01"]))
def test_any_bytes_are_read_or_refused(data: bytes, head: bytes) -> None:
    with suppress(NotCompressed):
        assert isinstance(decompressed(head + data), bytes)


@given(st.binary(max_size=2000))
def test_it_comes_back(data: bytes) -> None:
    assert decompressed(compressed(data)) == data
