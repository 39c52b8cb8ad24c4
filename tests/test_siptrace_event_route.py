"""event_route[siptrace:msg] as a hook: what the real module's route was told, and what was left when it had dropped.

The cases are recordings of the real module, replayed as in test_siptrace_vectors.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from test_siptrace_vectors import compare

from capture_agent.extensions import Extensions, NamedHook
from capture_agent.hooks import Message

LOGGED = re.compile(r"siptrace EVRT (m=.*)")


def extensions(function: Callable[[Message], None]) -> Extensions:
    return Extensions(hooks=(NamedHook("event_route", function),))


def drop_keepalives(message: Message) -> None:
    """`if (is_method("OPTIONS|REGISTER")) drop();` - of a reply, the method is that of its CSeq."""
    if message.method in ("OPTIONS", "REGISTER"):
        message.drop()


def drop_outgoing(message: Message) -> None:
    """`if ($siptrace(direction)=="out") drop();`"""
    if message.direction == "out":
        message.drop()


@pytest.mark.parametrize(
    ("case", "function"),
    [("5.6.3/17-mode1-evrt-drop", drop_keepalives), ("head/97-evrt-hep-db-drop", drop_outgoing)],
)
def test_what_is_dropped(shared: Path, tmp_path: Path, case: str, function: Callable[[Message], None]) -> None:
    """The same HEP packets, duplicates and rows, to the byte."""
    compare(shared / "siptrace" / "vectors" / case, tmp_path, extensions(function))


def test_what_the_route_is_told(shared: Path, tmp_path: Path) -> None:
    """$rm, $cs and the $siptrace(...) variables, as the module's own route has logged them."""
    case = shared / "siptrace" / "vectors" / "5.6.3" / "17-mode1-evrt-drop"
    told: list[str] = []

    def log(message: Message) -> None:
        source = f"{message.transport}:{message.source}:{message.source_port}"
        destination = f"{message.transport}:{message.destination}:{message.destination_port}"
        told.append(
            f"m={message.method} cs={message.cseq} src={source} dst={destination} sh={message.source}"
            f" shi={message.source} sp={message.source_port} spr={message.transport}"
        )
        drop_keepalives(message)

    compare(case, tmp_path, extensions(log))
    by_the_module = Counter(LOGGED.findall((case / "kamailio.log").read_text()))
    assert Counter(told) == by_the_module
