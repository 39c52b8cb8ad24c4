"""`capture-agent view` in a real terminal: tmux, keys in, the screen out. And what the command refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import join

import pytest
from cli_samples import capture_agent
from free_ports import free_port
from screen_driver import PCAPS
from sink_samples import eventually

pytestmark = pytest.mark.once
SECONDS = 30  # on a machine with much other work
Tmux = Callable[..., str]


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    """Runs tmux's commands on a server of its own."""

    def run(*arguments: str) -> str:
        command = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    yield run
    subprocess.run(["tmux", "-S", str(tmp_path / "socket"), "kill-server"], check=False, capture_output=True)


def open_view(tmux: Tmux, *arguments: object) -> Callable[[str], None]:
    """Starts it in 80x24. Returns what waits for a text on the screen."""
    command = join([sys.executable, "-m", "capture_agent", "view", *map(str, arguments)])
    tmux("new-session", "-d", "-x", "80", "-y", "24", f"{command}; echo status $?; sleep 60")

    def shows(text: str) -> None:
        eventually(lambda: text in tmux("capture-pane", "-p"), SECONDS)

    return shows


def test_a_file(tmux: Tmux, tmp_path: Path) -> None:
    shows = open_view(tmux, PCAPS / "look" / "b2bua.pcap", "--ascii")
    shows("INVITE    alice")
    tmux("send-keys", "x")
    shows("with legs")
    tmux("send-keys", "s")
    shows(".pcapng")
    tmux("send-keys", "-l", str(tmp_path / "legs.pcapng"))  # the name that was there is selected
    shows("legs.pcapng")
    tmux("send-keys", "Enter")
    eventually((tmp_path / "legs.pcapng").exists, SECONDS)
    tmux("send-keys", "q")
    shows("2 calls")
    tmux("send-keys", "q")
    shows("Quit?")
    tmux("send-keys", "Enter")
    shows("status 0")
    read = subprocess.run(
        ["tshark", "-r", str(tmp_path / "legs.pcapng"), "-Y", "sip"], capture_output=True, check=True
    ).stdout
    assert len(read.splitlines()) == 26


def test_a_hep_stream(tmux: Tmux) -> None:
    place = f"hep+tcp:127.0.0.1:{free_port()}"
    shows = open_view(tmux, "--listen", place, "--color", "never")
    shows("0 calls")
    capture_agent("replay", PCAPS / "look" / "cancelled.pcap", "--hep", place)
    shows("cancelled")
    tmux("send-keys", "q")
    shows("Quit?")
    tmux("send-keys", "Enter")
    shows("status 0")


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        ((), "nothing to look at"),
        (("x.pcap",), "no such file"),
        ((PCAPS / "call.pcap",), "needs a terminal"),
        ((PCAPS / "call.pcap", "-i", "lo"), "more than one of"),
        ((PCAPS / "call.pcap", "--where", "statu > 4"), "--where: column 1"),
        (("-",), "standard input"),
    ],
)
def test_what_it_refuses(arguments: tuple[object, ...], want: str) -> None:
    ended = capture_agent("view", *arguments)
    assert ended.status == 2
    assert want in ended.err
