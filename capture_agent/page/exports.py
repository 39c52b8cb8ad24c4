"""Calls as files to take away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from tempfile import NamedTemporaryFile

from capture_agent.records.captured import CapturedMessage
from capture_agent.sinks.files.saving import saved
from capture_agent.view.ladder import Ladder
from capture_agent.view.ladder_exports import exported
from capture_agent.view.time_text import TimeMode


@dataclass(frozen=True, slots=True)
class Export:
    suffix: str
    media_type: str
    make: Callable[[Ladder, TimeMode, tzinfo | None], bytes]


def capture(ladder: Ladder, mode: TimeMode, zone: tzinfo | None) -> bytes:
    """Messages without addresses, which a table may have, and those longer than a datagram are not in it."""
    return capture_of([one.message for one in ladder.arrows])


def capture_of(messages: list[CapturedMessage]) -> bytes:
    with NamedTemporaryFile() as file:
        saved(file, "pcapng", (one for one in messages if one.datagram.address_size))
        file.seek(0)
        return file.read()


def text_of(form: str) -> Callable[[Ladder, TimeMode, tzinfo | None], bytes]:
    return lambda ladder, mode, zone: exported(form, ladder, mode, zone).encode("utf-8", "replace")


EXPORTS: dict[str, Export] = {
    "pcapng": Export("pcapng", "application/x-pcapng", capture),
    "json": Export("json", "application/json", text_of("json")),
    "mermaid": Export("mmd", "text/plain; charset=utf-8", text_of("mermaid")),
    "svg": Export("svg", "image/svg+xml", text_of("svg")),
    "html": Export("html", "text/html; charset=utf-8", text_of("html")),
}
