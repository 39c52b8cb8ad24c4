"""Messages for users other than root: files without write permission, and no place for a control socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import pytest
from cli_samples import CALL, pcap

from capture_agent.sinks.sql.schema import create_tables

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0 or which("setpriv") is None, reason="needs root, and setpriv of util-linux"),
]

PATIENCE = 60
# The second capability reads this environment, wherever it is, and writes nothing.
CAPABILITIES = "+net_raw,+dac_read_search"
AS_NOBODY = [
    "setpriv", "--pdeathsig=TERM", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
    f"--inh-caps={CAPABILITIES}", f"--ambient-caps={CAPABILITIES}", "--",
]  # fmt: skip
AGENT = [*AS_NOBODY, sys.executable, "-m", "capture_agent"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of root, readable for everybody; `own` belongs to the user `nobody`."""
    with TemporaryDirectory(prefix="capture-agent-") as name:
        path = Path(name)
        path.chmod(0o755)
        (path / "own").mkdir()
        os.chown(path / "own", 65534, 65534)
        (path / "call.pcap").write_bytes(pcap(CALL))
        yield path


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY")}


def agent(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AGENT, *words], cwd=folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize(
    ("file", "owner", "says"),
    [
        pytest.param("trace.db", 0, "the file is not writable", id="somebody else's"),
        pytest.param("trace.db", 65534, "cannot create a file in its folder", id="somebody else's folder"),
        pytest.param("own/trace.db", 0, "the file is not writable", id="somebody else's in its own folder"),
        pytest.param("own/trace.db", 65534, "", id="its own"),
    ],
)
def test_check_says_of_a_database_what_a_sink_fails_at(folder: Path, file: str, owner: int, says: str) -> None:
    create_tables(f"sqlite:///{folder / file}")
    os.chown(folder / file, owner, owner)
    (folder / file).chmod(0o644)
    (folder / "agent.toml").write_text(f'[[sql]]\nurl = "sqlite:///{file}"\n')
    checked = agent(folder, "config", "check", "agent.toml")
    replayed = agent(folder, "replay", "call.pcap", "--config", "agent.toml")
    if not says:
        assert (checked.returncode, replayed.returncode, replayed.stderr.count("Traceback")) == (0, 0, 0)
        return
    assert checked.returncode == 2
    assert checked.stderr.startswith(f"agent.toml:2: sql.url: sqlite:///{file}: {says}")
    assert replayed.returncode != 0
    assert f"sqlite:///{file}" in replayed.stderr and "Traceback" not in replayed.stderr


@pytest.mark.parametrize(("place", "works"), [("a.sock", False), ("own/a.sock", True)])
def test_check_says_of_a_control_socket_what_run_fails_at(folder: Path, place: str, works: bool) -> None:
    (folder / "agent.toml").write_text(f'[control]\nsocket = "{folder / place}"\n')
    checked = agent(folder, "config", "check", "agent.toml")
    assert (checked.returncode, f"cannot create a file in {folder}" in checked.stderr) == (0 if works else 2, not works)
    if not works:
        ran = agent(folder, "run", "-i", "lo", "--hep", "hep:127.0.0.1:9", "--config", "agent.toml")
        assert ran.returncode != 0
        assert f"control socket {folder / place}: permission denied" in ran.stderr


def test_without_a_place_for_a_control_socket(folder: Path) -> None:
    with subprocess.Popen(
        [*AGENT, "run", "-i", "lo", "--hep", "hep:127.0.0.1:9"],
        cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        try:
            assert running.stderr is not None
            lines = []
            while not lines or ("capturing" not in lines[-1] and lines[-1]):
                lines.append(running.stderr.readline())
            asked = agent(folder, "status", "check")
            running.send_signal(signal.SIGTERM)
            lines.append(running.communicate(timeout=PATIENCE)[1])
        finally:
            running.kill()
    text = "".join(lines)
    assert text.count("no control socket: this user is not root and has no XDG_RUNTIME_DIR") == 1
    assert running.returncode == 0 and "capturing" in text
    assert asked.returncode == 1
    assert (
        "(looked at /run/capture-agent/control.sock; this user has no XDG_RUNTIME_DIR; --control PATH" in asked.stderr
    )
