"""Calls into a new file, in the form that its name ends with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from capture_agent.cli.save import SUFFIXES, new_file
from capture_agent.cli.screen.field_dialog import FieldDialog, style_of
from capture_agent.cli.screen.sight import Sight
from capture_agent.cli.screen.text_view import lines_of
from capture_agent.os_errors import in_words
from capture_agent.records.captured import CapturedMessage
from capture_agent.view.ladder import Ladder, ladder_of
from capture_agent.view.text import printable

FORMS = {
    ".pcapng": "for Wireshark, and for a vendor",
    ".pcap": "the same, for older programs",
    ".txt": "the ladder and all messages as text",
    ".mmd": "the ladder for Mermaid, as in a ticket or wiki",
    ".html": "the ladder as a page",
    ".svg": "the ladder as a picture",
    ".json": "the ladder for programs",
}
EXPORTED = {".mmd": "mermaid", ".html": "html", ".svg": "svg", ".json": "json"}
COLUMNS = 120  # of a ladder as text
MOST_NAMES = 1000


class SaveScreen(FieldDialog):
    CSS = style_of("SaveScreen", "80%", 80, 1)

    def __init__(self, sight: Sight, call_ids: Iterable[bytes]) -> None:
        super().__init__()
        self._sight = sight
        self._ids = list(call_ids)
        self._file = Input(free_name(), id="name")
        self._wrong = Static("", classes="wrong", markup=False)

    def compose(self) -> ComposeResult:
        count = len(self._ids)
        with Vertical():
            yield Static(f"Save {count} call{'s' if count > 1 else ''} as", markup=False)
            yield self._file
            yield self._wrong
            forms = "\n".join(f"{suffix:<8} {words}" for suffix, words in FORMS.items())
            yield Static(f"{forms}\n\nEnter saves, Esc does not.", classes="hint", markup=False)

    def on_mount(self) -> None:
        self._file.focus()

    def on_input_submitted(self) -> None:
        try:
            words = saved_calls(self._sight, self._ids, Path(self._file.value.strip()).expanduser())
        except FileExistsError:
            self._wrong.update("this file exists; choose another name")
        except (OSError, ValueError) as error:
            self._wrong.update(self._sight.look.text(in_words(error) if isinstance(error, OSError) else str(error)))
        else:
            self.notify(self._sight.look.text(words), timeout=5, markup=False)
            self.dismiss()


def free_name() -> str:
    for number in range(1, MOST_NAMES):
        name = f"calls{'' if number == 1 else f'-{number}'}.pcapng"
        if not Path(name).exists():
            return name
    return "calls.pcapng"


def saved_calls(sight: Sight, call_ids: Iterable[bytes], path: Path) -> str:
    """Writes them; what was done, in words. Raises OSError, FileExistsError too, and ValueError: no such form."""
    if path.suffix not in FORMS:
        raise ValueError(f"the name must end in {', '.join(FORMS)}")
    messages = sight.feed.store.messages(call_ids)
    left_out = 0
    with new_file(path, overwrite=False) as file:
        if path.suffix in SUFFIXES:
            from capture_agent.sinks.files.saving import saved

            addressed = [one for one in messages if one.datagram.address_size]  # a table may have none
            left_out = len(messages) - len(addressed) + saved(file, path.suffix[1:], addressed)
        else:
            ladder = ladder_of(messages, sight.aliases, sight.feed.store.streams(call_ids))
            file.write(as_text(sight, ladder, messages, path.suffix).encode("utf-8", "backslashreplace"))
    note = f"; {left_out} do not fit a packet and are left out" if left_out else ""
    return f"{path.name}: {len(messages)} messages{note}"


def as_text(sight: Sight, ladder: Ladder, messages: Iterable[CapturedMessage], suffix: str) -> str:
    zone = sight.zone
    if suffix in EXPORTED:
        from capture_agent.view.ladder_exports import exported

        return exported(EXPORTED[suffix], ladder, "start", zone)
    from capture_agent.view.ladder_text import draw, steps

    lines = [*draw(steps(ladder, "start", zone), COLUMNS)]
    for number, message in enumerate(messages, start=1):
        lines += ["", f"--- {number}", *("".join(text for text, _ in line) for line in lines_of(message.sip))]
    return "\n".join(map(printable, lines)) + "\n"
