"""docs/hooks.md: its examples work, and it names all attributes of a message."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture_agent.app.agent import Agent
from capture_agent.app.extensions import Hook, load_extensions
from capture_agent.app.replaying import replay
from capture_agent.config import Config, HepTarget, load
from capture_agent.hooks import Dialog as SeenDialog
from capture_agent.hooks import Message, SeenMessage
from capture_agent.hooks import Transaction as SeenTransaction
from capture_agent.hooks.guard import Guard, Limits
from capture_agent.hooks.verb_values import SinkNames
from capture_agent.policy.hooks import Hooks
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.dialog import Dialog
from capture_agent.sip.scan import scan

TEXT = (Path(__file__).parents[1] / "docs/hooks.md").read_text()
EXAMPLES = dict(re.findall(r"^```\w+\n# (\w+\.\w+)\n(.*?)^```$", TEXT, re.M | re.S))

INVITE = b"INVITE sip:b@h SIP/2.0\r\nFrom: <sip:al@h>;tag=1\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
BUSY = b"SIP/2.0 503 Try Later\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """With all examples in it, under their names."""
    for name, text in EXAMPLES.items():
        (tmp_path / name).write_text(f"# {name}\n{text}")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("capture_agent_hook_")]:
        del sys.modules[name]


def example(folder: Path, name: str) -> Hook:
    (folder / "test.toml").write_text(f'[hooks]\nmodules = ["{name}"]\n')
    (hook,) = load_extensions(load(folder / "test.toml")).hooks
    return hook.function


def captured(raw: bytes, source: bytes = bytes(4), seconds: int = 100) -> CapturedMessage:
    data = source + bytes(4) + raw
    sip = scan(data, 8, len(data))
    assert sip is not None
    return CapturedMessage(Datagram(data, 8, len(data), 0, 4, 5060, 5060, seconds * 10**9), sip)


def hooks(function: Hook) -> Hooks:
    return Hooks(
        [Guard("example", function, Limits(), "")], SinkNames(dict(enumerate(["homer", "carrier"])), 0b01, 0b01)
    )


def test_the_opening_example(folder: Path, pcaps: Path) -> None:
    config = load(folder / "agent.toml")
    assert config.hep == (HepTarget("homer.example.net"),)
    agent = Agent(Config(), lossless=True, extensions=load_extensions(config))
    replay(agent, [pcaps / "demo.pcap"])
    ledgers = [str(ledger) for ledger in agent.close().ledgers]
    assert ledgers[1] == "messages: 109 seen, 53 traced, 6 not traced, 0 duplicate, 50 rejected (rtp 50)"
    assert "hook quiet.py: 59 seen, 53 passed, 6 dropped" in ledgers


@pytest.mark.parametrize(
    ("raw", "source", "users"),
    [
        pytest.param(INVITE + b"X-Customer: 17\r\n\r\n", "198.51.100.7", ("17",), id="a customer"),
        pytest.param(INVITE + b"\r\n", "198.51.100.7", ("al",), id="a caller"),
        pytest.param(INVITE.replace(b"al@", b"") + b"\r\n", "198.51.100.7", (), id="anonymous"),
        pytest.param(INVITE + b"To: <sip:b@h>;tag=2\r\n\r\n", "198.51.100.7", None, id="re-INVITE"),
        pytest.param(INVITE + b"\r\n", "192.0.2.1", None, id="not over the trunk"),
        pytest.param(BUSY, "198.51.100.7", None, id="a response"),
    ],
)
def test_trunk(folder: Path, raw: bytes, source: str, users: tuple[str, ...] | None) -> None:
    message = captured(raw, bytes(map(int, source.split("."))))
    message.dialog = Dialog(b"c", b"1", b"INVITE")
    several = hooks(example(folder, "trunk.py"))
    decided = several.apply(message, Direction.IN, ())
    assert several.guards[0].failed == {}
    assert [(traced.sinks, traced.trace.users) for traced in decided] == ([] if users is None else [(0b10, users)])
    assert message.dialog.hooked == tuple(traced.trace for traced in decided)


def test_overload(folder: Path) -> None:
    several = hooks(example(folder, "overload.py"))
    for source, seconds in ((b"\1\1\1\1", 100), (b"\1\1\1\1", 159), (b"\2\2\2\2", 159), (b"\1\1\1\1", 160)):
        several.apply(captured(BUSY, source, seconds), Direction.IN, ())
    several.apply(captured(INVITE + b"\r\n"), Direction.IN, ())
    assert several.guards[0].failed == {}
    told = [(t.message.raw, t.message.time_ns // 10**9) for t in several.take_events()]
    assert told == [
        (b"1.1.1.1 is overloaded: Try Later", 100),
        (b"2.2.2.2 is overloaded: Try Later", 159),
        (b"1.1.1.1 is overloaded: Try Later", 160),
    ]


def test_the_package(folder: Path, pcaps: Path) -> None:
    """Installed by pip, used by the command."""
    source, target = folder / "source", folder / "target"
    source.mkdir()
    for name in ("pyproject.toml", "lab_extras.py"):
        (folder / name).rename(source / name)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "install"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(target), str(source)]
    subprocess.run([*pip, *options], check=True, timeout=120)

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "import sys; from capture_agent.cli import main; sys.exit(main())", *arguments]
        environ = os.environ | {"PYTHONPATH": f"{target}{os.pathsep}{Path(__file__).parents[1]}"}
        return subprocess.run(program, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert command("config", "check", "extras.toml").stdout == "extras.toml: OK\n"
    done = command("replay", "-c", "extras.toml", str(pcaps / "demo.pcap"))
    assert done.returncode == 0, done.stderr
    assert "hook no-keepalive: 59 seen, 57 passed, 2 dropped\n" in done.stderr
    assert "condition lab-office: 59 seen, 47 true, 12 false\n" in done.stderr
    assert "lines:messages.txt: 45 seen, 45 sent, 0 waiting\n" in done.stderr
    assert len((folder / "messages.txt").read_text().splitlines()) == 45
    late_calls(folder, pcaps, command)
    done = command("run", "-c", "extras.toml")
    assert done.returncode == 0, done.stderr
    assert "capturing on frames, sending to text" in done.stderr
    assert "frames: 1 seen, 0 carried, 1 rejected" in done.stderr
    (folder / "extras.toml").write_text((folder / "extras.toml").read_text().replace("file =", "fiel ="))
    done = command("config", "check", "extras.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "extras.toml:8: sink: 'lines': ValueError: the option is file (lab_extras.py:27)\n"


def late_calls(folder: Path, pcaps: Path, command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """The example of conditions, with a customer, another sink, and without the office.

    bob's call, all of it; and carol's, who was rung and then cancelled.
    """
    (folder / "premium.txt").write_text("bob\n")
    toml = (folder / "premium.toml").read_text().replace(', "lab-office"', "")
    sink = '[[sink]]\nuse = "lines"\noptions = { file = "premium.out" }\n'
    (folder / "premium.toml").write_text(toml.partition("[[hep]]")[0] + sink)
    done = command("replay", "-c", "premium.toml", str(pcaps / "demo.pcap"))
    assert done.returncode == 0, done.stderr
    assert "condition premium.py:is_late: 43 seen, 1 true, 42 false\n" in done.stderr
    words = [line.partition("'")[2].split() for line in (folder / "premium.out").read_text().splitlines()]
    assert " ".join(word[0] if word[0] != "SIP/2.0" else word[1] for word in words) == (
        "INVITE 100 INVITE 180 180 200 200 ACK ACK BYE BYE 200 200"
        " INVITE 100 INVITE 180 180 CANCEL CANCEL 200 200 487 ACK 487 ACK"
    )


def documented(table: str) -> list[str]:
    """The first column of the table with this heading."""
    rows = TEXT.partition(f"\n| {table} |")[2].partition("\n\n")[0].splitlines()[1:]
    return [name for row in rows for name in re.findall(r"`(\w+)[`(]", row.split("|")[1])]


@pytest.mark.parametrize(("table", "shown"), [("`Transaction`", SeenTransaction), ("`Dialog`", SeenDialog)])
def test_all_that_a_transaction_and_a_dialog_have_is_documented(table: str, shown: type) -> None:
    assert sorted(documented(table)) == sorted(name for name in vars(shown) if not name.startswith("_"))


def test_all_that_a_message_has_is_documented() -> None:
    assert sorted(documented("name") + documented("verb")) == sorted(
        name for name in {**vars(SeenMessage), **vars(Message)} if not name.startswith("_")
    )
