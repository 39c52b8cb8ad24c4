"""The helpers of the receiver tests: a missing program skips, or fails in CI; nothing is left running."""

import time
from pathlib import Path

import pytest
from free_ports import free_port
from hep_programs import PATIENCE, running
from installed_programs import program

pytestmark = pytest.mark.once


def test_missing_program_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"^no-such-program is not installed \(.* p\)$"):
        program("no-such-program", "p")


def test_missing_program_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        program("no-such-program", "p")


class Stopped(Exception):
    pass


def test_nothing_is_left_running(tmp_path: Path) -> None:
    # A parent that ignores the polite signal, and a child of its own.
    script = "trap '' TERM; sleep 600 & echo $! > child; wait"
    with pytest.raises(Stopped), running("sh", "-c", script, folder=tmp_path, patience=0.2) as receiver:
        child = int(receiver.wait_for(lambda: _text(tmp_path / "child"), "child"))
        raise Stopped
    assert receiver.process.returncode is not None
    # It has been killed; the kernel takes its time to say so.
    deadline = time.monotonic() + PATIENCE
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _alive(child)


def _text(path: Path) -> str | None:
    return (path.read_text().strip() or None) if path.exists() else None


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_program_that_ends_early_is_reported(tmp_path: Path) -> None:
    with running("sh", "-c", "echo wrong option; exit 2", folder=tmp_path, port=free_port()) as receiver:
        receiver.process.wait()
        with pytest.raises(pytest.fail.Exception, match="wrong option"):
            receiver.wait_until_bound()
