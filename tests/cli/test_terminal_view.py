"""The terminal view, driven by Textual's pilot. `make golden` rewrites the pictures, which the documents show."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli_samples import ALICE, BOB, Packet, capture_agent, pcap, sip
from rich.segment import Segment
from screen_driver import PCAPS, ROOT, Driven, drive

from capture_agent.cli.screen.look import Look
from capture_agent.cli.screen.text_screens import TextScreen
from capture_agent.config import load
from capture_agent.view.text import width

pytestmark = pytest.mark.once

DEMO, B2BUA = PCAPS / "demo.pcap", PCAPS / "look" / "b2bua.pcap"
FILES = (DEMO, B2BUA)
PICTURES = ROOT / "docs" / "pictures"
REWRITE = "REWRITE_GOLDEN" in os.environ


def compare(driven: Driven, name: str) -> None:
    file = PICTURES / f"{name}.svg"
    if REWRITE:
        file.write_text(driven.picture)
    assert driven.picture == file.read_text(), f"{file} differs: `make golden` rewrites it"


def rows(driven: Driven) -> list[tuple[str, str, str]]:
    """From, to and state of the calls in the list."""
    found = driven.app.calls.rows
    return [(one.from_user, one.to_user, one.state) for one in map(found.at, range(len(found)))]


def test_list_filter_search_and_sort() -> None:
    async def steps(driven: Driven) -> None:
        every = rows(driven)
        assert len(every) == 9 and f"{len(every)} calls" in driven.lines[0]
        assert driven.lines[1].split()[:4] == ["first", "seen▲", "method", "from"]
        compare(driven, "view-list")
        await driven.press("slash", *"bus")
        assert [state for _, _, state in rows(driven)] == ["busy"]
        assert "[/bus]" in driven.lines[0]
        await driven.press("escape")
        assert rows(driven) == every
        await driven.press("e")
        assert {state for _, _, state in rows(driven)} == {"busy", "completed"}, "failed, or with retransmissions"
        await driven.press("e", "2")
        assert [state for _, _, state in rows(driven)] == ["registered"]
        await driven.press("2", "i")
        assert len(rows(driven)) == 6 and "[calls]" in driven.lines[0], "only calls, as sngrep's i"
        await driven.press("0", "slash", *"192.0.2.10", "enter")
        assert rows(driven) == every, "an address"
        await driven.press("slash", *["backspace"] * 10, *"proxy", "enter")
        assert rows(driven) == every, "its name"
        await driven.press("l", "u")
        assert rows(driven) == []
        await driven.press("l")
        assert rows(driven) == every
        await driven.press("greater_than_sign", "z")
        assert driven.app.calls.rows.sort == "method"
        methods = [driven.app.calls.rows.at(n).method for n in range(len(every))]
        assert methods == sorted(methods, reverse=True)
        await driven.press("f7", *"sta=busy")
        lines = driven.lines
        at = next(n for n, line in enumerate(lines) if "sta=busy" in line)
        assert lines[at + 1].index("^") == lines[at].index("sta=busy"), "the error is shown at its column"
        await driven.press(*["left"] * 5, *"te", "end", *" or messages>15", "enter")
        assert {state for _, _, state in rows(driven)} >= {"busy", "completed"}

    drive(steps, FILES)


def test_filter_of_messages() -> None:
    async def steps(driven: Driven) -> None:
        await driven.press("f7", "tab", *"method=CANCEL", "enter")
        assert [state for _, _, state in rows(driven)] == ["cancelled"]

    drive(steps, FILES)


def test_ladder_with_legs_and_difference() -> None:
    async def steps(driven: Driven) -> None:
        await driven.press("end", "up", "enter")
        assert "13 messages" in driven.lines[0]
        await driven.press("x")
        assert "26 messages  with legs" in driven.lines[0]
        compare(driven, "view-legs")
        await driven.press("home", "n")
        ladder = driven.app.screen.query_one("#ladder")
        assert ladder.arrow.call == 1  # type: ignore[attr-defined]
        await driven.press("home", "space", "down", "down", "space")
        assert any(line.lstrip("│ ").startswith("+ Record-Route") or "+ Record-Route" in line for line in driven.lines)
        compare(driven, "view-difference")
        await driven.press("space", "d")
        assert "audio to port" in driven.text
        await driven.press("w", "r")
        assert "INVITE sip:bob@" in driven.lines[3] or "audio to port" in driven.text
        await driven.press("escape", "escape")
        assert driven.app.screen is driven.app.calls

    drive(steps, FILES, size=(150, 36))


def test_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    heads = {".txt": b"INVITE sip:", ".mmd": b"sequenceDiagram", ".svg": b"<svg", ".html": b"<html"}

    async def save_as(driven: Driven, name: str) -> None:
        await driven.press("s")
        driven.app.screen.query_one("#name").value = name  # type: ignore[attr-defined]
        await driven.press("enter")

    async def steps(driven: Driven) -> None:
        await driven.press("space", "space")
        for suffix in (".pcapng", ".json", *heads):
            await save_as(driven, f"calls{suffix}")
            assert driven.app.screen is driven.app.calls
        for name, problem in (("calls.txt", "this file exists"), ("calls.doc", "must end in"), ("no/x.txt", "no such")):
            await save_as(driven, name)
            assert problem in driven.text
            await driven.press("escape")

    drive(steps, (PCAPS / "calls.pcap",))
    command = ["tshark", "-r", "calls.pcapng", "-Y", "sip", "-T", "fields", "-e", "sip.Call-ID"]
    shown = subprocess.run(command, capture_output=True, check=True).stdout.split()
    assert (len(set(shown)), len(shown)) == (2, 36)
    assert len(json.loads(Path("calls.json").read_bytes())["messages"]) == 36
    for suffix, head in heads.items():
        assert head in Path(f"calls{suffix}").read_bytes()


def test_pause_marks_columns_help_and_figures() -> None:
    async def steps(driven: Driven) -> None:
        store = driven.app.sight.feed.store
        await driven.press("p")
        store.clear()
        await driven.settle()
        assert "paused" in driven.lines[0] and len(rows(driven)) == 9
        await driven.press("p")
        assert rows(driven) == []

    drive(steps, FILES)

    async def others(driven: Driven) -> None:
        await driven.press("space")
        assert "1 marked" in driven.lines[0]
        await driven.press("t", "space", "escape")
        assert driven.app.calls.list.names[0] != "first"
        await driven.press("o")
        assert "Last response" in driven.text and "486 Busy" in driven.text
        compare(driven, "view-figures")
        await driven.press("escape", "f1")
        assert "In the list of calls" in driven.text
        await driven.press("q")
        assert driven.app.screen is driven.app.calls

    drive(others, FILES)


def test_mouse() -> None:
    async def steps(driven: Driven) -> None:
        await driven.pilot.click("#calls", offset=(2, 3))
        assert driven.app.calls.list.cursor == 2
        await driven.pilot.click("#calls", offset=(35, 0))
        await driven.settle()
        assert driven.app.calls.rows.sort == "from"
        await driven.pilot.click("#calls", offset=(2, 3), times=2)
        await driven.settle()
        assert driven.app.screen is not driven.app.calls

    drive(steps, FILES)


def test_small_ascii_and_without_colours() -> None:
    async def steps(driven: Driven) -> None:
        await driven.press("end", "up", "x")
        assert driven.text.isascii()
        assert all(len(line) <= 80 for line in driven.lines) and len(driven.lines) == 24
        assert "|---->|" in driven.text and "INVITE sip:bob@" in driven.text
        compare(driven, "view-plain")
        await driven.press("escape", "f10")
        assert driven.text.isascii()
        await driven.press("escape", "f8")
        assert driven.text.isascii()
        for strip in driven.app.screen._compositor.render_strips():
            assert all(one.style is None or one.style.color is None or one.style.color.is_default for one in strip)

    drive(steps, FILES, size=(80, 24), look=Look(ascii=True, colours=False))


def test_order_of_a_column_without_room() -> None:
    """80 columns have no room for the delay and the retransmissions: whichever decides the order is there."""

    async def steps(driven: Driven) -> None:
        assert "setup" not in driven.lines[1] and driven.lines[1].split()[-1] == "duration"
        await driven.press("less_than_sign", "less_than_sign", "z")
        assert driven.app.calls.rows.sort == "setup" and driven.lines[1].split()[-1].startswith("setup")
        assert driven.app.calls.rows.at(0).to_user == "frank" and driven.lines[2].endswith("0.704 s")
        await driven.press("less_than_sign")
        assert driven.app.calls.rows.sort == "retransmissions" and driven.lines[2].split()[-1] == "3"
        await driven.press("greater_than_sign", "greater_than_sign", "greater_than_sign")
        assert driven.app.calls.rows.sort == "first" and driven.lines[1].split()[-1] == "duration"

    drive(steps, FILES, size=(80, 24))


def test_quit_asks() -> None:
    async def steps(driven: Driven) -> None:
        for key in ("escape", "q"):
            for answer in ("escape", "n"):
                await driven.press("enter", "escape", key)
                assert "Quit?" in driven.text
                await driven.press(answer)
                assert driven.app.screen is driven.app.calls

    drive(steps, FILES, size=(80, 24))


HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202egnp.exe \u2066x\u2069 \x9b2J \x00 \u200f\u05d0 \u0301"


def test_help_and_figures_fit_into_a_small_terminal() -> None:
    async def steps(driven: Driven) -> None:
        for key in ("f1", "f8"):
            await driven.press(key)
            screen = driven.app.screen
            assert isinstance(screen, TextScreen)
            assert screen.view.count == len(screen.view.lines), "no line is wrapped"
            await driven.press("q")

    drive(steps, FILES, size=(80, 24))


@pytest.mark.parametrize("plain", [False, True])
def test_nothing_of_sip_controls_the_terminal(plain: bool, tmp_path: Path) -> None:
    raw = sip(f"INVITE sip:{HOSTILE}@b SIP/2.0", HOSTILE, sender=HOSTILE, sdp=True)
    long = raw.replace(b"CSeq", b"X-Long: " + b"a\x1b[2J" * 9000 + b"\r\nCSeq")
    busy = sip(f"SIP/2.0 486 {HOSTILE}", HOSTILE, sender=HOSTILE)
    file = tmp_path / "hostile.pcap"
    file.write_bytes(pcap([Packet(0, ALICE, BOB, raw), Packet(1, ALICE, BOB, long), Packet(2, BOB, ALICE, busy)]))

    async def steps(driven: Driven) -> None:
        for keys in ((), ("i",), ("escape", "enter"), ("down",), ("r",), ("escape", "space", "up", "space"), ("d",)):
            await driven.press(*keys)
            assert all(line.isprintable() for line in driven.lines)
            assert not plain or driven.text.isascii()
            assert all(width(line) <= 100 for line in driven.lines)

    drive(steps, (file,), size=(100, 30), look=Look(ascii=plain))


def test_a_table(database: str) -> None:
    """From each kind of server: list, search, both legs, a message that matches; and what comes meanwhile."""
    assert capture_agent("db", "create", "--db", database).status == 0
    assert capture_agent("replay", B2BUA, "--db", database).status == 0

    async def steps(driven: Driven) -> None:
        assert len(rows(driven)) == 2
        await driven.press("x")
        assert "26 messages  with legs" in driven.lines[0]
        await driven.press("q")
        assert capture_agent("replay", DEMO, "--db", database).status == 0
        await driven.until(lambda: len(rows(driven)) == 9)
        await driven.press("slash", *"bus", "enter")
        assert [state for _, _, state in rows(driven)] == ["busy"]
        await driven.press("enter")
        assert "486 Busy Here" in driven.text

    drive(steps, (), table=database)


def test_a_table_that_is_away_for_a_while(tmp_path: Path) -> None:
    table, away, url = tmp_path / "trace.db", tmp_path / "away.db", f"sqlite:///{tmp_path}/trace.db"
    assert capture_agent("db", "create", "--db", url).status == 0
    assert capture_agent("replay", B2BUA, "--db", url).status == 0

    async def steps(driven: Driven) -> None:
        table.rename(away)
        await driven.until(lambda: "1 problem" in driven.lines[0])
        away.rename(table)
        assert capture_agent("replay", DEMO, "--db", url).status == 0
        await driven.until(lambda: len(rows(driven)) == 9 and "problem" not in driven.lines[0])

    drive(steps, (), table=url)


def test_masks_hold() -> None:
    async def steps(driven: Driven) -> None:
        assert [call[:2] for call in rows(driven)] == [("a****", "***")]
        await driven.press("enter")
        assert "sip:alice@" not in driven.text

    masked = load(None, {}, {"privacy": {"mask": ["users:truncate"]}})
    drive(steps, (PCAPS / "look" / "answered.pcap",), config=masked)


def test_only_visible_lines_are_drawn(tmp_path: Path) -> None:
    file = tmp_path / "many.pcap"
    file.write_bytes(pcap([Packet(n, ALICE, BOB, sip("INVITE sip:b SIP/2.0", f"{n}@b")) for n in range(3000)]))

    async def steps(driven: Driven) -> None:
        calls, asked = driven.app.calls.list, set[int]()
        line_at = calls.line_at

        def counted(number: int, wide: int) -> Sequence[Segment]:
            asked.add(number)
            return line_at(number, wide)

        monkeypatch = pytest.MonkeyPatch()
        with monkeypatch.context() as patched:
            patched.setattr(calls, "line_at", counted)
            await driven.press("end", "pageup")
            assert calls.cursor == 2999 - calls.page_lines + 1
            await driven.press("home", "down")
        assert calls.cursor == 1
        assert len(asked) < 5 * calls.page_lines

    drive(steps, (file,))
