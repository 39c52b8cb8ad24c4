"""The log: one line for each event, as text or JSON, whatever is in it; with priorities; limited by kind."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from faults.terminals import full_pipe
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.cli import terminal
from capture_agent.cli.failures import note, say
from capture_agent.cli.logs import MOST_KINDS, MOST_LINES, PERIOD, Limit, as_json, as_text, log_to_stderr, priority
from capture_agent.config import Config, Log

pytestmark = pytest.mark.once

SECRET = "sip:alice@example.net"
HOSTILE = 'a\nb\r\x1b[2J\x00\x7f\x9b\u202e\u2028"\\\ud800 \N{SNOWMAN}'


def record(text: object = "eth0: gone", *arguments: object, level: int = logging.WARNING, line: int = 1,
           **extra: object) -> logging.LogRecord:  # fmt: skip
    made = logging.LogRecord("capture_agent.x", level, "x.py", line, text, arguments, None)
    made.created = 1_700_000_000.25
    made.__dict__.update(extra)
    return made


def raised() -> logging.LogRecord:
    try:
        raise ValueError(SECRET)
    except ValueError:
        return logging.LogRecord("x", logging.ERROR, "x.py", 1, "a hook", None, sys.exc_info())


def test_json() -> None:
    fields = {"name": "eth0", "lost": {"kernel": 3}, "rate": float("nan"), "list": (1, None), "path": Path("/x")}
    assert json.loads(as_json(record("%s: gone", "eth0", fields=fields))) == {
        "time": "2023-11-14T22:13:20.250000Z",
        "level": "warning",
        "logger": "capture_agent.x",
        "event": "eth0: gone",
        "fields": {"name": "eth0", "lost": {"kernel": 3}, "rate": "nan", "list": [1, None], "path": "/x"},
    }
    assert "fields" not in json.loads(as_json(record()))


@pytest.mark.parametrize("shape", [as_text, as_json])
@pytest.mark.parametrize(
    "one",
    [
        record(HOSTILE),
        record("%s", HOSTILE),
        record("x", fields={HOSTILE: {"a": HOSTILE, "b": [HOSTILE, object()]}}),
        record("two: %s %s", "one"),
        record("%d", "text"),
        record(b"bytes"),
        record("x", stack_info="Stack:\n one"),
        raised(),
    ],
    ids=[
        "in the text",
        "in an argument",
        "in fields",
        "too few arguments",
        "of another type",
        "bytes",
        "stack",
        "raised",
    ],
)
def test_one_printable_line(shape: object, one: logging.LogRecord) -> None:
    line = shape(one)  # type: ignore[operator]
    assert line.isprintable() and SECRET not in line
    line.encode()
    if shape is as_json:
        assert set(json.loads(line, parse_constant=pytest.fail)) >= {"time", "level", "logger", "event"}


def test_of_an_exception_its_class_and_place() -> None:
    assert re.search(r"a hook: ValueError \(test_logs\.py:\d+\)$", as_text(raised()))


@given(st.text(), st.dictionaries(st.text(), st.text() | st.floats() | st.none()))
def test_json_is_valid(text: str, fields: dict[str, object]) -> None:
    line = as_json(record("%s", text, fields=fields))
    assert line.isprintable()
    assert json.loads(line.encode(), parse_constant=pytest.fail)["logger"] == "capture_agent.x"


@pytest.mark.parametrize(("level", "number"), [(10, 7), (20, 6), (30, 4), (40, 3), (50, 2), (25, 6), (5, 7)])
def test_priority(level: int, number: int) -> None:
    assert priority(level) == number


def test_each_kind_has_a_limit_of_its_own() -> None:
    now = [0.0]
    limit = Limit(lambda: now[0])
    passed = [limit.passes(record("%d", n, line=line)) for n in range(1000) for line in (1, 2)]
    assert sum(passed) == 2 * MOST_LINES
    assert limit.passes(record(line=1, level=logging.ERROR))
    now[0] = PERIOD - 1
    assert limit.over() == []
    now[0] = PERIOD
    assert [one.getMessage() for one in limit.over()] == [
        f"900 more lines of one kind in 60 s are left out; the first: {MOST_LINES}"
    ] * 2
    assert limit.passes(record(line=1))
    assert limit.over(all_of_them=True) == []


def test_a_long_line_is_not_kept() -> None:
    limit = Limit(lambda: 0.0)
    assert [limit.passes(record("x" * 100_000)) for _ in range(MOST_LINES + 1)][-1] is False
    assert len(limit.over(all_of_them=True)[0].getMessage()) < 300


def test_the_number_of_kinds_is_bounded() -> None:
    limit = Limit(lambda: 0.0)
    assert sum(limit.passes(record(line=n)) for n in range(3 * MOST_KINDS)) == MOST_KINDS + MOST_LINES
    assert sum(one.fields["left_out"] for one in limit.over(all_of_them=True)) == 2 * MOST_KINDS - MOST_LINES  # type: ignore[attr-defined]


@contextmanager
def standard_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file in its place. Afterwards all is written."""
    before, level = logging.getLogger().handlers[:], logging.getLogger().level
    with path.open("w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        try:
            yield
        finally:
            terminal.finish()
            logging.basicConfig(handlers=before, level=level, force=True)


def test_everything_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = datetime.now().astimezone()
    with standard_error(tmp_path / "log", monkeypatch):
        log_to_stderr(Config(log=Log(format="json")))
        note("capturing on eth0")
        say("eth0: gone", "run")
        for n in range(MOST_LINES + 50):
            logging.getLogger("elsewhere").warning("number %d", n)
        logging.getLogger("elsewhere").debug("not this level")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["level"], line["event"]) for line in lines] == [
        ("info", "capturing on eth0"),
        ("error", "run: eth0: gone"),
        *(("warning", f"number {n}") for n in range(MOST_LINES)),
        ("warning", f"50 more lines of one kind in 1 s are left out; the first: number {MOST_LINES}"),
    ]
    assert lines[-1]["logger"] == "elsewhere" and lines[-1]["fields"] == {"left_out": 50}
    for line in lines:
        assert abs(datetime.fromisoformat(line["time"]) - began) < timedelta(hours=1)


@pytest.mark.parametrize("shape", ["text", "json"])
def test_the_journal_gets_priorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str) -> None:
    with standard_error(tmp_path / "log", monkeypatch):
        found = os.fstat(sys.stderr.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        log_to_stderr(Config(log=Log(format=shape)))  # type: ignore[arg-type]
        note("capturing on eth0")
        logging.error("one\ntwo")
        say("eth0: gone", "run")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line[:3] for line in lines] == ["<6>", "<3>", "<3>"]
    if shape == "text":
        assert lines[1] == r"<3>capture-agent: ERROR: one\ntwo"
    else:
        assert [json.loads(line[3:])["event"] for line in lines][1] == r"one\ntwo"


def test_lines_without_room_are_counted_in_the_same_form(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_pipe() as (writer, reader), os.fdopen(writer, "w", closefd=False) as file:
        monkeypatch.setattr(sys, "stderr", file)
        one = terminal.Terminal(lambda line, level: f"<{level}>{line}")
        for _ in range(terminal.MOST_LINES * 3):
            one.write("y")
        text = b""
        while b"not written" not in text:
            text += os.read(reader, 65536)
        one.close()
    written = text.count(b"y\n")
    # As many again may be in the writing thread's hand.
    assert terminal.MOST_LINES <= written <= 2 * terminal.MOST_LINES
    dropped = terminal.MOST_LINES * 3 - written
    assert f"<30>capture-agent: {dropped} lines were not written: standard error was blocked\n".encode() in text
