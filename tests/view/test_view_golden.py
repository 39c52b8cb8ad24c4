"""Every capture of pcaps/ as all views show it, compared with golden files: the list of calls and the ladders as text,
an SVG picture, JSON. `make golden` rewrites them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest

from capture_agent import read
from capture_agent.cli.call_columns import COLUMNS, Context
from capture_agent.cli.flow import as_text
from capture_agent.config.endpoints import LocalAddress, parse_local
from capture_agent.policy.lookback import copied
from capture_agent.view.aliases import Aliases
from capture_agent.view.call_book import CallBook
from capture_agent.view.call_object import call_object
from capture_agent.view.ladder import Ladder, ladder_of
from capture_agent.view.ladder_exports import as_object
from capture_agent.view.ladder_svg import svg
from capture_agent.view.text import printable

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
CAPTURES = sorted(p for p in (ROOT / "pcaps").rglob("*") if {".pcap", ".pcapng"} & set(p.suffixes))
NAMES = {"198.51.100.20": "alice", "192.0.2.10": "proxy", "203.0.113.30": "bob", "203.0.113.31:5060": "carol"}
SHOWN = (
    "from",
    "to",
    "method",
    "state",
    "status",
    "messages",
    "retransmissions",
    "setup",
    "duration",
    "codecs",
    "hosts",
    "legs",
    "call-id",
)


WIDE = "100"  # columns


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", WIDE)


def name(capture: Path) -> str:
    return str(capture.relative_to(ROOT / "pcaps")).replace("/", "-")


def view(capture: Path) -> dict[str, str]:
    """By suffix of the golden file."""
    places = {parse_local(place): alias for place, alias in NAMES.items()}
    aliases = Aliases({place: alias for place, alias in places.items() if isinstance(place, LocalAddress)})
    messages = [copied(one) for one in read(capture).messages() if one.sip.call_id is not None]
    book = CallBook()
    book.add(messages)
    context = Context(UTC, aliases, book, exact=True)
    ladders = [ladder_of([one for one in messages if one.sip.call_id == call.call_id], aliases) for call in book]
    calls = [call_object(call, context.aliases, book.legs_of(call)) for call in book]
    return {
        "txt": "\n".join(lines(context, ladders)) + "\n",
        "svg": svg(ladder_of(messages[:60], aliases), "start", UTC),
        "json": "\n".join(map(json.dumps, [*calls, *map(as_object, ladders)])) + "\n",
    }


def lines(context: Context, ladders: list[Ladder]) -> Iterator[str]:
    for call in context.book:
        yield " | ".join(printable(COLUMNS[column].text(call, context)) for column in SHOWN)
    for ladder in ladders:
        yield ""
        yield from as_text(ladder, "delta", UTC, raw=False, in_colour=False)


@pytest.mark.parametrize("capture", CAPTURES, ids=name)
def test_views_show_what_they_have_shown(capture: Path) -> None:
    for suffix, found in view(capture).items():
        assert found == (GOLDEN / f"{name(capture)}.{suffix}").read_text(), suffix


def test_no_golden_view_is_left_over() -> None:
    wanted = {f"{name(capture)}.{suffix}" for capture in CAPTURES for suffix in ("txt", "svg", "json")}
    assert {path.name for path in GOLDEN.iterdir()} == wanted


if __name__ == "__main__":
    os.environ["COLUMNS"] = WIDE
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.iterdir():
        old.unlink()
    for one in CAPTURES:
        for suffix, text in view(one).items():
            (GOLDEN / f"{name(one)}.{suffix}").write_text(text)
    print(f"{3 * len(CAPTURES)} files in {GOLDEN.relative_to(ROOT)}: review them with git diff")
