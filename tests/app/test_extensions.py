"""User code: what is loaded, and one line for each possible problem."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from capture_agent.app.agent import Agent
from capture_agent.app.capturing import run
from capture_agent.app.extensions import Extensions, load_extensions
from capture_agent.app.replaying import replay
from capture_agent.books import Books
from capture_agent.cli import main
from capture_agent.config import ConfigError
from capture_agent.config.load import load_layers
from capture_agent.records.frames import Frames
from capture_agent.sources.packaged_source import PackagedSource
from capture_agent.sources.source import SourceError

EXTRAS = '''
from collections import Counter

def hook(message):
    message.drop()

async def later(message): ...

number = 7

def is_bye(message):
    return message.method == "BYE"

def broken_factory(options):
    return options["topic"]

def picky(options):
    raise ValueError("topic: expected the name of a topic")

def nothing(options):
    return None

class Sink:
    """Keeps what it gets; fails as it is told."""
    name, together, made = "kept:", 1, []

    def __init__(self, options):
        self.options, self.sent, self.got = options, 0, []
        self.rejected, self.lost = Counter(), Counter()
        Sink.made.append(self)

    def open(self): ...
    def flush(self): ...
    def close(self): ...

    def send(self, batch):
        for traced in batch:
            if self.sent == self.options.get("fails_after"):
                raise KeyError("a bug")
            self.got.append(traced.message.raw)
            self.sent += 1

class Source:
    name = "made up"
    def __init__(self, options): self.options = options
    def batches(self):
        from capture_agent.sources.capture_file import CaptureFile
        with CaptureFile(self.options["file"]) as capture:
            yield from capture.batches()
        if self.options.get("then") == "raise":
            raise ZeroDivisionError
        if self.options.get("then") == "nonsense":
            yield b"frames"
    def dropped(self): return {"somewhere": self.options.get("dropped", 0)}
    def close(self): raise KeyError
'''
ENTRY_POINTS = """
[capture_agent.hooks]
dropper = extras:hook
later = extras:later
number = extras:number
missing = extras:nix
gone = no_such_module_of_ours:hook

[capture_agent.rules]
bye = extras:is_bye
number = extras:number
missing = extras:nix

[capture_agent.sinks]
kept = extras:Sink
kafka = extras:broken_factory
picky = extras:picky
nothing = extras:nothing
number = extras:number

[capture_agent.sources]
file = extras:Source
nothing = extras:nothing
"""

Write = Callable[..., Path]


@pytest.fixture
def extras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package, on Python's path."""
    folder = tmp_path / "site-packages"
    install(folder, "extras", EXTRAS, ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if not name.startswith("capture_agent."):
            del sys.modules[name]


def install(folder: Path, name: str, code: str, points: str) -> None:
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / f"{name}.py").write_text(code)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(points)


def loaded(file: Path) -> Extensions:
    return load_extensions(*load_layers(file, {}, {}))


def configured(folder: Path, text: str) -> Path:
    file = folder / "agent.toml"
    file.write_text(text)
    return file


FILES: list[tuple[str, str | None, str]] = [
    ("nix.py", None, "cannot be read: no such file or directory"),
    ("empty.py", "", "no function on_message, expected def on_message(message)"),
    ("syntax.py", "x = 1\ndef on_message(message:\n", "syntax.py:2: '(' was never closed"),
    ("nul.py", "x = 1\0", "source code string cannot contain null bytes"),
    ("import_.py", "import no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (import_.py:1)"),
    ("raises.py", "\n\n{}['a\\nb']", "KeyError: 'a\\nb' (raises.py:3)"),
    ("exits.py", "import sys\nsys.exit('no license')", "SystemExit: no license (exits.py:2)"),
    ("value.py", "on_message = 7", "on_message is of type int, expected a function"),
    ("later.py", "async def on_message(message): ...", "on_message is a coroutine or a generator, expected a plain function"),
    ("yields.py", "def on_message(message): yield", "on_message is a coroutine or a generator, expected a plain function"),
    ("none.py", "def on_message(): ...", "on_message() cannot be called with one message"),
    ("two.py", "def on_message(a, b): ...", "on_message(a, b) cannot be called with one message"),
    ("fine.py", "def on_message(a, b=1): ...", ""),
    ("class_.py", "class A:\n def on_message(self, m): ...\non_message = A().on_message", ""),
    ("builtin.py", "on_message = [].append", ""),
    ("data.py", "from dataclasses import dataclass\n@dataclass\nclass A:\n  b: 'int'\non_message = A", ""),
    ("latin.py", "# coding: latin-1\ndef on_message(m): 'caf\xe9'", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "code", "problem"), FILES, ids=[row[0] for row in FILES])
def test_files(tmp_path: Path, name: str, code: str | None, problem: str) -> None:
    if code is not None:
        (tmp_path / name).write_bytes(code.encode("latin-1"))
    file = configured(tmp_path, f'[log]\nlevel = "info"\n[hooks]\nmodules = ["{name}"]\n')
    if not problem:
        (hook,) = loaded(file).hooks
        assert hook.name == name
        hook.function(None)  # type: ignore[arg-type]
    else:
        with pytest.raises(ConfigError) as raised:
            loaded(file)
        assert raised.value.problems == [f"{file}:4: hooks.modules: '{tmp_path / name}': {problem}"]
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ('[hooks]\nmodules = ["extras"]', "2: hooks.modules: 'extras': no function on_message, expected def on_message(message)"),
        ('[hooks]\nmodules = ["no_such.module"]', "2: hooks.modules: 'no_such.module': ModuleNotFoundError: No module named 'no_such'"),
        ('[hooks]\nmodules = ["trunk.pyc"]', "2: hooks.modules: 'trunk.pyc': ModuleNotFoundError: No module named 'trunk'"),
        ('[hooks]\nmodules = ["a b"]', "2: hooks.modules: 'a b': expected FILE.py or package.module"),
        ('[hooks]\nuse = ["droper"]', "2: hooks.use: 'droper': no installed package provides this hook, did you mean 'dropper'? (there are: dropper, gone, later, missing, number)"),
        ('[hooks]\nuse = ["later"]', "2: hooks.use: 'later': on_message is a coroutine or a generator, expected a plain function"),
        ('[hooks]\nuse = ["number"]', "2: hooks.use: 'number': on_message is of type int, expected a function"),
        ('[hooks]\nuse = ["missing"]', "2: hooks.use: 'missing': AttributeError: module 'extras' has no attribute 'nix'"),
        ('[hooks]\nuse = ["gone"]', "2: hooks.use: 'gone': ModuleNotFoundError: No module named 'no_such_module_of_ours'"),
        ('[[rule]]\nwhen = "by"', "2: rule.when: 'by': no installed package provides this condition, did you mean 'bye'? (there are: bye, missing, number)"),
        ('[[rule]]\nwhen = "number"', "2: rule.when: 'number': number is of type int, expected a function"),
        ('[[rule]]\nwhen = "missing"', "2: rule.when: 'missing': AttributeError: module 'extras' has no attribute 'nix'"),
        ('[[rule]]\nwhen = "extras:later"', "2: rule.when: 'extras:later': later is a coroutine or a generator, expected a plain function"),
        ('[[rule]]\nwhen = "extras:nix"', "2: rule.when: 'extras:nix': no function nix, expected def nix(message)"),
        ('[[rule]]\nwhen = "no_such.module:f"', "2: rule.when: 'no_such.module:f': ModuleNotFoundError: No module named 'no_such'"),
        ('[[rule]]\nwhen = ":f"', "2: rule.when: ':f': expected FILE.py or package.module"),
        ('[[rule]]\nwhen = "extras:"', "2: rule.when: 'extras:': no function , expected def (message)"),
        ('[[sink]]\nuse = "picky"', "1: sink: 'picky': ValueError: topic: expected the name of a topic (extras.py:18)"),
        ('[[sink]]\nuse = "kafka"', "1: sink: 'kafka': KeyError: 'topic' (extras.py:15)"),
        ('[[sink]]\nuse = "nothing"', "1: sink: 'nothing': the factory returned NoneType, which is not a sink: it lacks name"),
        ('[[sink]]\nuse = "number"', "1: sink: 'number': the package provides int, expected a function that takes the options"),
        ('[[sink]]\nuse = "file"', "1: sink: 'file': no installed package provides this sink (there are: kafka, kept, nothing, number, picky)"),
        ('[[source]]\nuse = "nothing"', "1: source: 'nothing': the factory returned NoneType, which is not a source: it lacks name"),
    ],
)  # fmt: skip
def test_what_packages_and_modules_lack(tmp_path: Path, extras: Path, toml: str, problem: str) -> None:
    file = configured(tmp_path, toml)
    with pytest.raises(ConfigError) as raised:
        loaded(file)
    (line,) = raised.value.problems
    assert line.partition(" (importlib")[0].partition(" (__init__.py:")[0] == f"{file}:{problem}"


def test_all_problems_at_once(tmp_path: Path, extras: Path) -> None:
    toml = (
        '[[source]]\nuse = "x"\n[[sink]]\nuse = "kept"\n[[sink]]\nuse = "x"\n[hooks]\nmodules = ["b.py", "a.py"]\n'
        '[[rule]]\n[[rule]]\nwhen = ["bye", "b.py:f"]'
    )
    with pytest.raises(ConfigError) as raised:
        loaded(configured(tmp_path, toml))
    assert [problem.split(": ")[:3] for problem in raised.value.problems] == [
        [f"{tmp_path}/agent.toml:1", "source", "'x'"],
        [f"{tmp_path}/agent.toml:5", "sink", "'x'"],
        [f"{tmp_path}/agent.toml:8", "hooks.modules", f"'{tmp_path}/b.py'"],
        [f"{tmp_path}/agent.toml:8", "hooks.modules", f"'{tmp_path}/a.py'"],
        [f"{tmp_path}/agent.toml:11", "rule.when", f"'{tmp_path}/b.py:f'"],
    ]


def test_two_packages_with_the_same_name(tmp_path: Path, extras: Path) -> None:
    install(extras, "others", "def hook(message): ...", "[capture_agent.hooks]\ndropper = others:hook\n")
    with pytest.raises(ConfigError, match=r"several packages provide this hook: (extras|others):hook, "):
        loaded(configured(tmp_path, '[hooks]\nuse = ["dropper"]'))


def test_they_come_in_the_order_of_the_configuration(tmp_path: Path, extras: Path) -> None:
    (tmp_path / "one.py").write_text("def on_message(message): ...")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "one.py").write_text("seen = []\non_message = seen.append")
    names = '["sub/one.py", "one.py"]'
    extensions = loaded(configured(tmp_path, f'[hooks]\nuse = ["dropper"]\nmodules = {names}\n'))
    assert [hook.name for hook in extensions.hooks] == ["one.py", "one.py", "dropper"]
    modules = [name for name in sys.modules if name.startswith("capture_agent_hook_one")]
    assert len(modules) == 2
    for name in modules:
        del sys.modules[name]


SHARED = """
count = 0

def on_message(message):
    global count
    count += 1

def is_third(message):
    return count % 3 == 2
"""


def accounts(books: Books) -> list[str]:
    """The ledgers of messages, user code, and packages' sinks."""
    kinds = ("messages", "condition", "hook", "kept")
    return [text for text in map(str, books.ledgers) if text.startswith(kinds)]


def test_hooks_and_conditions_in_one_file_share_its_module(tmp_path: Path, extras: Path, pcaps: Path) -> None:
    """The books balance, and have a line for each of them."""
    (tmp_path / "both.py").write_text(SHARED)
    file = configured(
        tmp_path,
        '[hooks]\nmodules = ["both.py"]\n[[rule]]\nwhen = ["both.py:is_third", "bye", "extras:is_bye"]\n'
        '[[sink]]\nuse = "kept"\n',
    )
    agent = Agent(load_layers(file, {}, {})[0], lossless=True)
    replay(agent, [pcaps / "demo.pcap"])
    books = agent.close()
    assert books.balanced
    assert accounts(books) == [
        "messages: 109 seen, 25 traced, 34 not traced, 0 duplicate, 50 rejected (rtp 50)",
        "condition both.py:is_third: 59 seen, 19 true, 40 false",
        "condition bye: 40 seen, 6 true, 34 false",
        "condition extras:is_bye: 34 seen, 0 true, 34 false",
        "hook both.py: 59 seen, 59 passed, 0 dropped",
        "kept:: 25 seen, 25 sent, 0 waiting",
    ]
    del sys.modules["capture_agent_hook_both"]


def test_what_fails_is_in_the_log_and_in_the_books(
    tmp_path: Path, extras: Path, pcaps: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bad.py").write_text("def on_message(message): None + 1\ndef condition(message): 1 / 0\n")
    file = configured(
        tmp_path,
        '[hooks]\nmodules = ["bad.py"]\nfailures = 4\n[[rule]]\nwhen = "bad.py:condition"\ntrace = "none"\n'
        '[[rule]]\n[[sink]]\nuse = "kept"\n',
    )
    agent = Agent(load_layers(file, {}, {})[0], lossless=True)
    replay(agent, [pcaps / "demo.pcap"])
    books = agent.close()
    assert books.balanced
    assert accounts(books)[:3] == [
        "messages: 109 seen, 59 traced, 0 not traced, 0 duplicate, 50 rejected (rtp 50)",
        "condition bad.py:condition: 4 seen, 0 true, 0 false, 4 rejected (ZeroDivisionError 4)",
        "hook bad.py: 4 seen, 0 passed, 0 dropped, 4 rejected (TypeError 4)",
    ]
    assert caplog.messages == [
        "bad.py:condition: ZeroDivisionError: 'division by zero' (bad.py:2); the rule does not match."
        " Further ones are counted, not logged",
        "bad.py: TypeError: \"unsupported operand type(s) for +: 'NoneType' and 'int'\" (bad.py:1);"
        " the message is traced as if this hook were not there. Further ones are counted, not logged",
        "bad.py:condition: has failed 4 times and has been disabled",
        "bad.py: has failed 4 times and has been disabled",
    ]
    del sys.modules["capture_agent_hook_bad"]


def test_a_file_that_fails_leaves_no_module(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text("x = 1\nraise ValueError")
    with pytest.raises(ConfigError):
        loaded(configured(tmp_path, '[hooks]\nmodules = ["half.py"]'))
    assert "capture_agent_hook_half" not in sys.modules


def test_ctrl_c_while_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        loaded(configured(tmp_path, '[hooks]\nmodules = ["waits.py"]'))


@pytest.mark.parametrize(
    "command", ["config check agent.toml", "run -c agent.toml -i lo", "replay -c agent.toml x.pcap"]
)
def test_commands_end_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text("raise ValueError('\x1b[31m')")
    configured(tmp_path, '[hooks]\nmodules = ["bad.py"]\n')
    assert main(command.split()) == 2
    error = capsys.readouterr().err
    said = "" if command.startswith("config") else f"capture-agent: {command.split(maxsplit=1)[0]}: "
    assert error == f"{said}agent.toml:2: hooks.modules: 'bad.py': ValueError: \\x1b[31m (bad.py:1)\n"


def test_a_sink_of_a_package(tmp_path: Path, extras: Path, pcaps: Path) -> None:
    """It has its own bit, after the other sinks."""
    (tmp_path / "some.py").write_text(
        "def on_message(message):\n"
        "    message.trace('mine') if message.method == 'BYE' else message.drop()\n"
    )  # fmt: skip
    file = configured(
        tmp_path,
        '[hooks]\nmodules = ["some.py"]\n[[sink]]\nuse = "kept"\noptions = { a = [1] }\n'
        '[[sink]]\nuse = "kept"\nname = "mine"\ndefault = false\n',
    )
    agent = Agent(load_layers(file, {}, {})[0], lossless=True)
    replay(agent, [pcaps / "demo.pcap"])
    books = agent.close()
    assert books.balanced
    other, mine = sys.modules["extras"].Sink.made
    assert (other.options, mine.options) == ({"a": [1]}, {})
    assert other.got == mine.got
    assert Counter(raw.split()[0] for raw in mine.got) == {b"BYE": 4, b"SIP/2.0": 4}
    assert str(books.ledgers[1]) == "messages: 109 seen, 8 traced, 51 not traced, 0 duplicate, 50 rejected (rtp 50)"
    assert "hook some.py: 59 seen, 8 passed, 51 dropped" in map(str, books.ledgers)
    assert str(books.ledgers[-1]) == "kept:: 8 seen, 8 sent, 0 waiting"


def test_a_bug_in_a_sink_ends_the_replay_with_one_line(tmp_path: Path, extras: Path, pcaps: Path) -> None:
    file = configured(tmp_path, '[[sink]]\nuse = "kept"\noptions = { fails_after = 5 }\n')
    agent = Agent(load_layers(file, {}, {})[0], lossless=True)
    replay(agent, [pcaps / "demo.pcap"])
    books = agent.close()
    assert str(agent.routes.failure) == "kept:: internal error: KeyError (extras.py:39)"
    assert books.balanced
    assert str(books.ledgers[-1]) == "kept:: 59 seen, 5 sent, 0 waiting, 54 lost (internal_error 54)"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("dropped = 3", None),
        ('then = "raise"', "made up: internal error: ZeroDivisionError (extras.py:51)"),
        ('then = "nonsense"', "made up: internal error: yielded bytes, expected Frames"),
    ],
)
def test_a_source_of_a_package(tmp_path: Path, extras: Path, pcaps: Path, options: str, error: str | None) -> None:
    file = configured(
        tmp_path,
        f'[[source]]\nuse = "file"\noptions = {{ file = "{pcaps}/demo.pcap", {options} }}\n[[sink]]\nuse = "kept"\n',
    )
    agent = Agent(load_layers(file, {}, {})[0], lossless=False)
    said = None
    try:
        run(agent)
    except SourceError as raised:
        said = str(raised)
    assert said == error
    books = agent.close()
    assert books.balanced
    assert books.ledgers[0].lost == {"somewhere": 0 if error else 3}
    assert books.ledgers[-1].outcomes["sent"] == 59


class NoSource:
    name = "none"

    def batches(self) -> Sequence[Frames]:
        raise SourceError("none: no such device", usage=True)

    def dropped(self) -> None:
        raise KeyError

    def close(self) -> None:
        raise KeyError


def test_what_a_source_raises_is_passed_on_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    source = PackagedSource(NoSource())  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="none: no such device") as raised:
        list(source.batches())
    assert raised.value.usage
    assert source.dropped() == {}
    source.close()
    assert [line.partition(" (")[0] for line in caplog.messages] == ["none: internal error: KeyError"] * 2
