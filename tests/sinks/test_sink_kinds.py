"""Every kind of sink in the table sends its messages to a real receiver, and rules can name it.

A kind is a field of Config with sinks(...); its receiver is in the test module named after its sink's.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages
from typing import get_args, get_type_hints

import pytest
from sink_samples import Receiver

from capture_agent import sinks
from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.config import Config, load
from capture_agent.config.sections import KINDS
from capture_agent.config.targets import Target
from capture_agent.pipeline import Pipeline
from capture_agent.sinks import imported
from capture_agent.sinks.sink import Sink
from capture_agent.sources.capture_file import CaptureFile

PACKAGED = "capture_agent.sinks.packaged_sink:PackagedSink"

Receivers = dict[str, Receiver]


def receiver_of(section: str, folder: Path) -> AbstractContextManager[Receiver]:
    module = (KINDS[section].sink or PACKAGED).partition(":")[0].rpartition(".")[2]
    where = f"tests/sinks/test_{module}.py: add receiver(folder), as test_hep_sink.py has it: [[{section}]] has none"
    assert find_spec(f"test_{module}") is not None, where
    test = importlib.import_module(f"test_{module}")
    assert hasattr(test, "receiver"), where
    folder.mkdir()
    found: AbstractContextManager[Receiver] = test.receiver(folder)
    return found


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Receivers]:
    """One for each kind, by its section."""
    with ExitStack() as stack:
        yield {section: stack.enter_context(receiver_of(section, tmp_path / section)) for section in KINDS}


@pytest.fixture
def messages(pcaps: Path) -> list[bytes]:
    with CaptureFile(str(pcaps / "call.pcap")) as source:
        return [message.raw for messages in Pipeline().read(source.batches()) for message in messages]


def run(folder: Path, pcaps: Path, toml: str) -> None:
    (folder / "agent.toml").write_text(toml)
    agent = Agent(load(folder / "agent.toml"), lossless=True)
    replay(agent, [pcaps / "call.pcap"])
    assert agent.close().balanced
    assert list(agent.routes.failures()) == []


def entry(section: str, receiver: Receiver) -> str:
    return f'[[{section}]]\n{receiver.toml}\nname = "the {section}"\n'


@pytest.mark.parametrize("section", KINDS)
def test_what_is_given_comes_out(section: str, tmp_path: Path, pcaps: Path, messages: list[bytes]) -> None:
    with receiver_of(section, tmp_path / section) as receiver:
        run(tmp_path, pcaps, entry(section, receiver))
        assert receiver.received() == messages


@pytest.fixture(params=["in order", "upside down"])
def table(request: pytest.FixtureRequest) -> Iterator[None]:
    """The order of the table's lines has no effect."""
    assert isinstance(KINDS, dict)
    before = dict(KINDS)
    if request.param == "upside down":
        KINDS.clear()
        KINDS.update(reversed(before.items()))
    yield
    KINDS.clear()
    KINDS.update(before)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("by", ["name", "URI"])
@pytest.mark.parametrize("section", KINDS)
def test_a_rule_names_it(
    section: str, by: str, receivers: Receivers, tmp_path: Path, pcaps: Path, messages: list[bytes]
) -> None:
    named = f"the {section}" if by == "name" else receivers[section].uri
    if not named:
        assert KINDS[section].uri is None, f"[[{section}]] has URIs, and its receiver(folder) gives none"
        named = f"the {section}"
    toml = "".join(entry(name, receiver) for name, receiver in receivers.items())
    run(tmp_path, pcaps, f'{toml}[[rule]]\nsinks = "{named}"\n')
    assert {name: receiver.received() for name, receiver in receivers.items()} == {
        name: messages if name == section else [] for name in KINDS
    }


def test_no_sink_is_missing_in_the_table() -> None:
    """A class with the methods of Sink that no line names would never be given a message."""
    bases = {"capture_agent.sinks.packet_sink:PacketSink", "capture_agent.sinks.files.file_sink:FileSink"}
    named = {kind.sink or PACKAGED for kind in KINDS.values()} | bases
    found = {
        f"{module.__name__}:{name}"
        for module in (importlib.import_module(one.name) for one in walk_packages(sinks.__path__, f"{sinks.__name__}."))
        for name, one in vars(module).items()
        if isinstance(one, type) and one.__module__ == module.__name__ and one is not Sink
        if all(hasattr(one, method) for method in ("open", "send", "flush", "close"))
    }
    assert found - named == set(), "add a line to the table of kinds, in capture_agent/config/sections.py"


@pytest.mark.parametrize("section", KINDS)
def test_a_line_of_the_table_is_whole(section: str) -> None:
    kind, (target, _) = KINDS[section], get_args(get_type_hints(Config)[section])
    options = [field.name for field in fields(target)]
    assert issubclass(target, Target), f"{target.__name__}: expected a class of targets.Target"
    assert options[-3:] == ["name", "default", "spool"], f"{target.__name__}: these are to be its last options"
    assert target.__str__ is not object.__str__, f"{target.__name__}: add __str__(), which shows it without secrets"
    assert {*kind.secrets, *kind.hidden, *kind.files} <= {*options}
    secrets = [field for field in fields(target) if field.name in (*kind.secrets, *kind.hidden)]
    assert [field.name for field in secrets if field.repr] == [], "add field(repr=False)"
    assert {*kind.command_line} <= {*options, *(["uri"] if kind.uri else [])}
    for path in (kind.sink, kind.unusable, kind.not_ready):
        assert not path or callable(imported(path)), f"{section}: {path}"
