"""Key logs that grow, are replaced, and arrive in datagrams."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from capture_agent.sources.key_logs import LONGEST_LINE, KeyLogFile, KeyLogs
from capture_agent.sources.source import SourceError

pytestmark = pytest.mark.once


def until(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")


def test_a_file_that_grows(tmp_path: Path) -> None:
    path, lines = tmp_path / "keys", list[bytes]()
    path.write_bytes(b"one\ntw")
    file = KeyLogFile(str(path), lines.append)
    file.read()
    with path.open("ab") as more:
        more.write(b"o\nthree\n")
    file.read()
    file.close()
    assert lines == [b"one", b"two", b"three"]


CHANGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(b"new\n"),
    "replaced": lambda path: (path.rename(path.with_suffix(".1")), path.write_bytes(b"new\n")),
    "copied and truncated": lambda path: (os.truncate(path, 0), path.open("ab").write(b"new\n")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_rotated(tmp_path: Path, change: str) -> None:
    path, lines = tmp_path / "keys", list[bytes]()
    path.write_bytes(b"a long line of a key log\nanother one\n")
    file = KeyLogFile(str(path), lines.append)
    file.read()
    if change == "replaced":  # written to the old file just before
        with path.open("ab") as more:
            more.write(b"late\n")
    with path.open("rb"):
        if change == "copied and truncated":
            os.truncate(path, 0)
            path.write_bytes(b"new\n")
        else:
            CHANGES[change](path)
    file.read()
    file.close()
    assert lines[2:] == ([b"late", b"new"] if change == "replaced" else [b"new"])


def test_a_line_without_end_is_bounded(tmp_path: Path) -> None:
    path, lines = tmp_path / "keys", list[bytes]()
    path.write_bytes(b"x" * 1_000_000 + b"\nshort\n")
    file = KeyLogFile(str(path), lines.append)
    file.read()
    file.close()
    assert lines[-1] == b"short"
    assert len(lines[0]) <= 2 * LONGEST_LINE + 65_536


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_what_is_not_a_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "keys"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(OSError):
        KeyLogFile(str(path), print).read()


def test_it_is_followed_and_may_come_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path, lines = tmp_path / "keys", list[bytes]()
    logs = KeyLogs(str(path), None, lines.append)
    logs.open()
    try:
        assert "TLS is not decrypted until the key log is there" in caplog.text
        path.write_bytes(b"one\n")
        until(lambda: lines == [b"one"])
        path.unlink()
        path.write_bytes(b"two\n")
        until(lambda: lines == [b"one", b"two"])
    finally:
        logs.close()
    assert caplog.text.count("until") == 1


def test_lines_in_datagrams() -> None:
    lines = list[bytes]()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        port = sender.getsockname()[1]
    logs = KeyLogs("", ("127.0.0.1", port), lines.append)
    logs.open()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for text in (b"one", b"two\n", b"three\nfour"):
                sender.sendto(text, ("127.0.0.1", port))
            until(lambda: [line for line in lines if line] == [b"one", b"two", b"three", b"four"])
        with pytest.raises(SourceError, match=f"udp port {port}: address already in use"):
            KeyLogs("", ("127.0.0.1", port), lines.append).open()
    finally:
        logs.close()
