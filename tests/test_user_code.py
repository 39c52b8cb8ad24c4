"""Whatever user code raises, wherever it is called: the agent continues, the books balance, and nothing is sent twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture_agent.app.agent import Agent
from capture_agent.app.capturing import run
from capture_agent.app.replaying import replay
from capture_agent.books import Books
from capture_agent.config import ConfigError
from capture_agent.config.load import load_layers
from capture_agent.hooks.guard import Guard, Interrupted, Limits
from capture_agent.sources.source import SourceError

EVIL = """
class Evil(Exception):
    def __str__(self): raise SystemExit
    __repr__ = __str__
class Meta(type):
    @property
    def __name__(cls): raise SystemExit
class Worse(BaseException, metaclass=Meta):
    __traceback__ = property(lambda self: 1 / 0)
    def __str__(self):
        class Text(str):
            def __repr__(self): raise SystemExit
            __len__ = __getitem__ = __format__ = __repr__
        return Text("x")
class Code(SystemExit):
    code = property(lambda self: 1 / 0)
RAISED = [Evil, Worse, Code, SystemExit, GeneratorExit, KeyboardInterrupt, StopIteration, MemoryError, RecursionError]
"""
NAMES = ["Evil", "Worse", "Code", "SystemExit", "GeneratorExit", "KeyboardInterrupt", "StopIteration", "MemoryError"]


@pytest.fixture(autouse=True)
def own_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the program, whose handler turns Ctrl-C into Interrupted."""
    monkeypatch.setattr("signal.getsignal", lambda number: None)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site-packages"
    metadata = folder / "evil-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[capture_agent.sinks]\nevil = evil:Sink\n[capture_agent.sources]\nevil = evil:Source\n"
        "[capture_agent.hooks]\nevil = evil:hook\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("evil", None)


def configured(tmp_path: Path, toml: str) -> Agent:
    file = tmp_path / "agent.toml"
    file.write_text(toml)
    return Agent(load_layers(file, {}, {})[0], lossless=True)


def replayed(agent: Agent, capture: Path) -> Books:
    replay(agent, [capture])
    return agent.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_hook_that_raises(tmp_path: Path, pcaps: Path, name: str) -> None:
    (tmp_path / "h.py").write_text(f"{EVIL}\ndef on_message(message): raise {name}\n")
    books = replayed(configured(tmp_path, '[hooks]\nmodules = ["h.py"]\nfailures = 0\n'), pcaps / "demo.pcap")
    assert books.balanced
    hook = next(ledger for ledger in books.ledgers if ledger.name.startswith("hook"))
    assert dict(hook.rejected) == {name: 59}


@pytest.mark.parametrize("name", NAMES)
def test_a_condition_whose_answer_raises(tmp_path: Path, pcaps: Path, name: str) -> None:
    (tmp_path / "h.py").write_text(
        f"{EVIL}\nclass Answer:\n  def __bool__(self): raise {name}\ndef yes(message): return Answer()\n"
    )
    books = replayed(configured(tmp_path, '[[rule]]\nwhen = "h.py:yes"\n'), pcaps / "demo.pcap")
    assert books.balanced


PLACES = ["send", "flush", "close", "sent", "rejected", "lost", "sent later", "not numbers"]
SINK = """
from collections import Counter
class Sink:
    together, place, raised = 1, {place!r}, {name}
    got = []
    def __init__(self, options): self.count = 0
    def at(self, place):
        if place == self.place: raise self.raised
    name = property(lambda self: self.at("name") or "evil")
    sent = property(lambda self: self.at("sent later" if self.count else "early") or (
        self.at("sent") if self.count else None) or ("x" if self.place == "not numbers" and self.count else self.count))
    rejected = property(lambda self: (self.at("rejected") if self.count else None) or Counter())
    lost = property(lambda self: (self.at("lost") if self.count else None) or Counter())
    def open(self): self.at("open")
    def send(self, batch):
        self.at("send")
        for traced in batch: self.count += 1
    def flush(self): self.at("flush")
    def close(self): self.at("close")
"""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["Evil", "Worse", "SystemExit", "GeneratorExit", "KeyboardInterrupt"])
@pytest.mark.parametrize("lossless", [True, False], ids=["replay", "run"])
def test_a_sink_that_raises(tmp_path: Path, package: Path, pcaps: Path, place: str, name: str, lossless: bool) -> None:
    (package / "evil.py").write_text(EVIL + SINK.format(place=place, name=name))
    file = tmp_path / "agent.toml"
    file.write_text('[[sink]]\nuse = "evil"\n')
    agent = Agent(load_layers(file, {}, {})[0], lossless=lossless)
    books = replayed(agent, pcaps / "demo.pcap")
    assert books.balanced, [*books.lines()]
    if place == "send":
        assert books.ledgers[-1].lost == {"internal_error": 59}
        assert str(agent.routes.failure).startswith(f"evil: internal error: {name} (evil.py:")


@pytest.mark.parametrize("place", ["name", "early"])
@pytest.mark.parametrize("name", ["Evil", "SystemExit"])
def test_a_sink_whose_name_or_counters_raise_at_once(tmp_path: Path, package: Path, place: str, name: str) -> None:
    (package / "evil.py").write_text(EVIL + SINK.format(place=place, name=name))
    with pytest.raises(ConfigError, match=f"sink: 'evil': {name}: "):
        configured(tmp_path, '[[sink]]\nuse = "evil"\n')


SOURCE = """
class Source:
    place, raised = {place!r}, {name}
    name = "evil"
    def __init__(self, options): pass
    def at(self, place):
        if place == self.place: raise self.raised
    def batches(self):
        self.at("batches")
        return self
    def __iter__(self):
        self.at("iter")
        return self
    def __next__(self):
        self.at("next")
        raise StopIteration
    def dropped(self):
        self.at("dropped")
        return {{}}
    def close(self): self.at("close")
"""


@pytest.mark.parametrize("place", ["batches", "iter", "next", "dropped", "close"])
@pytest.mark.parametrize("name", ["Evil", "Worse", "SystemExit", "GeneratorExit", "KeyboardInterrupt"])
def test_a_source_that_raises(tmp_path: Path, package: Path, place: str, name: str) -> None:
    (package / "evil.py").write_text(EVIL + SOURCE.format(place=place, name=name))
    file = tmp_path / "agent.toml"
    file.write_text('[[source]]\nuse = "evil"\n')
    agent = Agent(load_layers(file, {}, {})[0], lossless=False)
    if place in ("batches", "iter", "next"):
        with pytest.raises(SourceError, match=f"^evil: internal error: {name}"):
            run(agent)
    else:
        run(agent)
    assert agent.close().balanced


@pytest.mark.parametrize("code", ["raise SystemExit", "raise Evil", "raise Worse", "def __getattr__(name): raise Evil"])
def test_a_module_that_raises(tmp_path: Path, code: str) -> None:
    (tmp_path / "h.py").write_text(f"{EVIL}\n{code}\n")
    with pytest.raises(ConfigError):
        configured(tmp_path, '[hooks]\nmodules = ["h.py"]\n')


def test_options_are_not_repeated(tmp_path: Path, package: Path) -> None:
    (package / "evil.py").write_text("def Sink(options): raise ValueError('bad URL ' + options['url'].upper())\n")
    with pytest.raises(ConfigError) as raised:
        configured(tmp_path, '[[sink]]\nuse = "evil"\noptions = { url = "kafka://u:S3cretPW@h" }\n')
    assert "S3CRETPW" not in str(raised.value)
    assert "ValueError: *** (evil.py:1)" in str(raised.value)


def test_ctrl_c_is_the_users() -> None:
    def interrupted(message: object) -> None:
        raise Interrupted

    with pytest.raises(KeyboardInterrupt):
        Guard("h", interrupted, Limits(), "").call(None)


FORKS = {
    "a hook": "def on_message(message): os.fork()\n",
    "a hook that exits": "def on_message(message):\n    if os.fork() == 0: sys.exit(3)\n",
    "a hook that raises": "def on_message(message):\n    os.fork()\n    raise KeyError\n",
    "an exception's text": (
        "class E(Exception):\n    def __str__(self):\n        os.fork()\n        return ''\n"
        "def on_message(message): raise E\n"
    ),
    "loading": "os.fork()\ndef on_message(message): ...\n",
}


@pytest.mark.parametrize("code", FORKS.values(), ids=FORKS)
def test_a_child_sends_nothing(tmp_path: Path, pcaps: Path, code: str) -> None:
    (tmp_path / "h.py").write_text(f"import os, sys\n{code}")
    (tmp_path / "agent.toml").write_text('[hooks]\nmodules = ["h.py"]\n[[sql]]\nurl = "sqlite:///t.db"\n')
    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "capture_agent"]
    url = f"sqlite:///{tmp_path}/t.db"
    subprocess.run([*command, "db", "create", "--db", url], check=True, env=environ, stderr=subprocess.DEVNULL)
    ended = subprocess.run(
        [*command, "replay", "--config", tmp_path / "agent.toml", pcaps / "demo.pcap"],
        env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("frames: ") == 1
    assert "59 seen, 59 sent" in ended.stderr
