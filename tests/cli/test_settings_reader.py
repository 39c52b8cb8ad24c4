"""Another process reads the command line and the configuration for `run`, and all that can go wrong with it is a line."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import pytest
from cli_samples import capture_agent
from free_ports import free_port

from capture_agent.cli import settings_reader
from capture_agent.cli.endings import CommandOver
from capture_agent.cli.failures import Failed
from capture_agent.cli.settings_reader import RecordsOnly, SettingsReader
from capture_agent.config.load import load_layers, read
from capture_agent.config.precedence import Precedence
from capture_agent.net.sink_errors import SinkError

pytestmark = pytest.mark.once

PATIENCE = 60
SECRET = "S3cretPW"
WORDS = ["run", "-i", "lo", "--hep", f"hep+tcp:127.0.0.1:9?key={SECRET}"]
WRITES = 'import os, sys; os.write(int(sys.argv[1]), b"x")'
# Of these none may be in the process that captures: they would keep 13 MB. (uvicorn imports click.)
HEAVY = {"typer", "rich", "pydantic", "pydantic_core", "sqlalchemy", "tomlkit", "lark"}


class Calls:
    """A pickle of it calls a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._made = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._made


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(Calls(os.system, "true"), id="a program"),
        pytest.param(Calls(print, "x"), id="a builtin"),
        pytest.param(Calls(read, Path("/etc/passwd")), id="a function of the configuration"),
        pytest.param(Calls(Failed, "x"), id="another class of ours"),
        pytest.param(Calls(subprocess.Popen, ["true"]), id="another class"),
        pytest.param(SinkError, id="a class"),
    ],
)
def test_an_answer_calls_nothing(sent: object) -> None:
    with pytest.raises(pickle.UnpicklingError):
        RecordsOnly(BytesIO(pickle.dumps((0, [], sent)))).load()


@pytest.mark.parametrize(
    ("module", "name"), [("pathlib", "io.FileIO"), ("capture_agent.config.field_types", "Callable")]
)
def test_an_answer_finds_nothing_that_a_module_imports(module: str, name: str) -> None:
    words = b"".join(pickle.SHORT_BINUNICODE + bytes([len(text)]) + text.encode() for text in (module, name))
    with pytest.raises(pickle.UnpicklingError):
        RecordsOnly(BytesIO(pickle.PROTO + b"\x04" + words + pickle.STACK_GLOBAL + pickle.STOP)).load()


def test_what_toml_has_arrives(tmp_path: Path) -> None:
    """Dates of a package's options, and where each value comes from."""
    file = tmp_path / "agent.toml"
    file.write_text(
        '[[sink]]\nuse = "x"\n[sink.options]\nfrom = 2024-02-29T12:00:00+01:00\nday = 2024-02-29\nat = 12:30:00\n'
    )
    settings = load_layers(file, {}, {"capture": {"interfaces": ["lo"]}})
    config, layers = RecordsOnly(BytesIO(pickle.dumps(settings))).load()
    assert (config, layers) == settings
    assert layers.origin(("sink", 0, "options", "day")) == f"{file}:5"
    assert layers.layer(("capture", "interfaces")) is Precedence.COMMAND_LINE


@pytest.mark.parametrize(
    ("program", "says"),
    [
        pytest.param("exit 7", "the process that reads it ended with status 7", id="ended"),
        pytest.param("kill -9 $$", "the process that reads it ended with status -9", id="killed"),
        pytest.param(f"{sys.executable} -c '{WRITES}' $4; exit 3", "ended with status 3", id="not an answer"),
        pytest.param("sleep 60", "was not read within 0 s", id="hangs"),
        pytest.param(None, "python: no such file", id="not there"),
    ],
)
def test_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, says: str) -> None:
    python = tmp_path / "python"
    if program is not None:
        python.write_text(f'#!/bin/sh\nwhile [ "$1" != -P ]; do shift; done\n{program}\n')
        python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    if "within" in says:
        monkeypatch.setattr(settings_reader, "READ_WITHIN", 0.1)
    with pytest.raises(CommandOver) as over:
        SettingsReader(WORDS).read()
    assert over.value.status == 1
    assert [line for line in over.value.lines if line.startswith("the configuration was not read")] == over.value.lines
    assert says in over.value.lines[0]


def test_no_secret_is_in_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{tmp_path}/arguments"\nenv >"{tmp_path}/environment"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(CommandOver):
        SettingsReader(WORDS).read()
    assert "settings_reader" in (tmp_path / "arguments").read_text()
    assert SECRET not in (tmp_path / "arguments").read_text() + (tmp_path / "environment").read_text()


def test_all_problems_are_said_as_by_other_commands(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("[trace]\nmode = 3\n[queue]\nmessages = -1\n")
    ran, replayed = (capture_agent(*words, "-c", "agent.toml", folder=tmp_path) for words in (["run"], ["replay", "x"]))
    assert ran.status == replayed.status == 2
    assert ran.err.replace(": run: ", ": ") == replayed.err.replace(": replay: ", ": ")
    assert ran.err.count("\n") == 2


def test_it_reads_what_this_process_was_given(tmp_path: Path) -> None:
    """`run --config <(generate)`, `run --config /dev/stdin`: descriptors, and no file of that name."""
    (tmp_path / "agent.toml").write_text("[trace]\nmode = 3\n")
    for name, descriptor in (("/dev/stdin", 0), ("/dev/fd/9", 9)):
        line = f'exec "$0" -m capture_agent run -c {name} {descriptor}<agent.toml'
        ran = subprocess.run(
            ["sh", "-c", line, sys.executable], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert (ran.returncode, ran.stderr.startswith(f"capture-agent: run: {name}:2: trace.mode: value 3")) == (
            2,
            True,
        )


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        pytest.param(["run", "--help"], "Usage: capture-agent run [OPTIONS]\n", id="help"),
        pytest.param(["--", "run", "-h"], "Usage: capture-agent run [OPTIONS]\n", id="after two hyphens"),
    ],
)
def test_help(words: list[str], begins: str) -> None:
    ended = capture_agent(*words)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith(begins)


def test_the_process_that_captures_has_no_module_for_reading(tmp_path: Path) -> None:
    """With the HTTP door, scraped, all figures on, and a configuration that was read again."""
    (tmp_path / "hook.py").write_text(
        "import atexit, pathlib, sys\n"
        "there = pathlib.Path(__file__).with_name('modules')\n"
        "atexit.register(lambda: there.write_text('\\n'.join(sys.modules)))\n"
        "def on_message(message):\n    pass\n"
    )
    port = free_port()
    (tmp_path / "agent.toml").write_text(
        f'[capture]\nlisten = ["sip:127.0.0.1:{free_port()}"]\n[[hep]]\nuri = "hep+tcp:127.0.0.1:9"\n'
        f'[http]\nlisten = "127.0.0.1:{port}"\n[metrics]\nsip = true\ncalls = true\n[hooks]\nmodules = ["hook.py"]\n'
        '[[rule]]\nmethod = "INVITE"\ntrace = "dialog"\n'
    )
    log = tmp_path / "log"
    words = [sys.executable, "-m", "capture_agent", "run", "-c", "agent.toml", "--control", ""]

    def until(says: str) -> None:
        give_up = time.monotonic() + PATIENCE
        while says not in log.read_text():
            assert time.monotonic() < give_up and process.poll() is None, log.read_text()
            time.sleep(0.02)

    with log.open("wb") as file, subprocess.Popen(words, cwd=tmp_path, stderr=file) as process:
        try:
            until("capturing on")
            for number in range(2):
                with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as metrics:
                    assert b"capture_agent_calls" in metrics.read()
                if not number:
                    process.send_signal(signal.SIGHUP)
                    until("the configuration is reloaded")
            mapped = Path(f"/proc/{process.pid}/maps").read_text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0, log.read_text()
        finally:
            process.kill()
    assert "pydantic_core" not in mapped
    loaded = {name.partition(".")[0] for name in (tmp_path / "modules").read_text().split()}
    assert "uvicorn" in loaded and loaded & HEAVY == set()
