"""Pipes and standard input: read once, never waiting longer than one frame needs."""

from __future__ import annotations

import errno
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from source_samples import PACKETS, Packet, pcap, pcap_header, pcap_record, pcapng, read, same

from capture_agent.sources.capture_file import CaptureFile
from capture_agent.sources.source import SourceError

ROOT = Path(__file__).resolve().parents[2]
SHOW = """
import json, sys
from capture_agent.sources.capture_file import CaptureFile
from capture_agent.sources.source import SourceError
try:
    source = CaptureFile("-")
    for frames in source.batches():
        for n in range(len(frames)):
            print(json.dumps([frames.frame(n).hex(), frames.first_number + n]), flush=True)
except SourceError as error:
    sys.exit(f"{error.usage} {error}")
"""
PATIENCE = 60


@pytest.fixture
def shown() -> Iterator[subprocess.Popen[bytes]]:
    """A process that reads its standard input and prints each frame in one line."""
    command = [sys.executable, "-c", SHOW]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        yield process
        process.kill()


def lines_of(packets: list[Packet]) -> list[object]:
    return [[packet.data.hex(), n] for n, packet in enumerate(packets, 1)]


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("build", [pcap, pcapng], ids=["pcap", "pcapng"])
def test_standard_input(shown: subprocess.Popen[bytes], build: object, wrap: object) -> None:
    output, errors = shown.communicate(wrap(build(PACKETS)), timeout=PATIENCE)  # type: ignore[operator]
    assert errors == b""
    assert [json.loads(line) for line in output.splitlines()] == lines_of(PACKETS)


def test_standard_input_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(pcap(PACKETS))
    with path.open("rb") as file:
        done = subprocess.run([sys.executable, "-c", SHOW], cwd=ROOT, stdin=file, capture_output=True, check=True)
        assert [json.loads(line) for line in done.stdout.splitlines()] == lines_of(PACKETS)
        # What another program has read of it before is not ours.
        file.seek(0)
        file.read(1)
        os.lseek(file.fileno(), 4, os.SEEK_SET)
        done = subprocess.run([sys.executable, "-c", SHOW], cwd=ROOT, stdin=file, capture_output=True, check=False)
        assert done.stderr.startswith(b"True standard input: not a capture file: it begins with 02 00 04 00")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"", b"True standard input: the file is empty", id="empty"),
        pytest.param(pcap(PACKETS)[:-1], b"False standard input: the file ends inside a packet record", id="cut"),
    ],
)
def test_standard_input_that_is_wrong(shown: subprocess.Popen[bytes], data: bytes, text: bytes) -> None:
    _, errors = shown.communicate(data, timeout=PATIENCE)
    assert errors.startswith(text)
    assert shown.returncode == 1


def test_slow_pipe_delays_no_whole_frame(shown: subprocess.Popen[bytes]) -> None:
    """Each frame is shown before anything of the next one is written."""
    assert shown.stdin is not None and shown.stdout is not None
    written = pcap_header()
    for n, packet in enumerate(PACKETS, 1):
        for byte in written + pcap_record(packet):
            shown.stdin.write(bytes([byte]))
            shown.stdin.flush()
        written = b""
        assert json.loads(shown.stdout.readline()) == [packet.data.hex(), n]


def feed(path: Path, data: bytes, size: int) -> Thread:
    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for at in range(0, len(data), size):
                file.write(data[at : at + size])

    thread = Thread(target=write)
    thread.start()
    return thread


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("build", [pcap, pcapng], ids=["pcap", "pcapng"])
@pytest.mark.parametrize("size", [1, 3, 4096])
def test_named_pipe(tmp_path: Path, build: object, wrap: object, size: int) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    packets = [*PACKETS, Packet(bytes(20_000) if size > 3 else b"last")] * 3
    writer = feed(path, wrap(build(packets)), size)  # type: ignore[operator]
    found, error = read(path)
    writer.join(PATIENCE)
    assert error is None
    assert same(found, packets)


def test_pipe_that_does_not_block(tmp_path: Path) -> None:
    """The pipe's creator may have set it so, and shares it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = feed(path, pcap(PACKETS), 7)
    with CaptureFile(path) as source:
        os.set_blocking(source._file.fileno(), False)
        found = [frames.frame(n) for frames in source.batches() for n in range(len(frames))]
    writer.join(PATIENCE)
    assert found == [packet.data for packet in PACKETS]


def test_closed_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(pcap([Packet(bytes(1000))] * 1000))
    source = CaptureFile(path)
    batches = source.batches()
    count = len(next(batches))
    source.close()
    with pytest.raises(SourceError, match="closed file") as caught:
        list(batches)
    assert str(caught.value).endswith(f"(byte {24 + 1016 * count})")
    assert not caught.value.usage


def test_read_error_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "capture"
    path.write_bytes(pcap([Packet(bytes(1000))] * 1000))
    with CaptureFile(path) as source:
        batches = source.batches()
        count = len(next(batches))

        def fail(*_: object) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(SourceError) as caught:
            list(batches)
    assert str(caught.value) == f"{path}: input/output error (byte {24 + 1016 * count})"
    assert not caught.value.usage
