"""A ladder for a page: the heads apart, so that they stay while the rest is scrolled, and each message a link.

Without styles of its own: the page's policy allows none within.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from html import escape

from markupsafe import Markup

from capture_agent.view.ladder import Arrow, Ladder, Row
from capture_agent.view.ladder_svg import (
    FOOT,
    ROW,
    arrow_text,
    drawn,
    gap_of,
    heads,
    height_of,
    left_out,
    lives,
    opened,
    placed,
    safe,
    width_of,
)
from capture_agent.view.time_text import TimeMode

HEAD = 40  # pixels
ABOVE = 10


def head_picture(ladder: Ladder) -> Markup:
    gap = gap_of(ladder)
    parts = (opened(width_of(ladder, gap), HEAD), "<title>Hosts</title>", *heads(ladder, gap), "</svg>")
    return Markup("".join(parts))


def body_picture(ladder: Ladder, mode: TimeMode, zone: tzinfo | None, link: Callable[[int], str]) -> Markup:
    """`link`: the address of a message, by its number."""
    gap = gap_of(ladder)
    wide, high = width_of(ladder, gap), ABOVE + height_of(ladder) + FOOT
    parts = [
        opened(wide, high).replace('role="img"', 'role="group" aria-label="Ladder of messages"'),
        *lives(ladder, gap, 0, high - FOOT // 2),
    ]
    for one, y in placed(ladder, ABOVE):
        time = arrow_text(one, mode, zone)
        row = drawn(one, y, time, gap)
        if isinstance(one, Arrow):
            parts += [
                f'<a class="row" href="{escape(link(one.number))}" data-number="{one.number}"'
                f' aria-label="{one.number}: {spoken(ladder, one, time)}">',
                f'<rect class="band" x="0" y="{y - 22}" width="{wide}" height="{ROW}"/>',
                *row,
                "</a>",
            ]
        else:
            parts += [f'<g aria-label="{spoken(ladder, one, time)}">', *row, "</g>"]
    return Markup("\n".join((*parts, *left_out(ladder, high - FOOT // 2), "</svg>")))


def spoken(ladder: Ladder, one: Row, time: str) -> str:
    ends = (ladder.participants[one.source].label, ladder.participants[one.destination].label)
    return f"{safe(one.label)}{one.marks}, {safe(ends[0])} to {safe(ends[1])}, {time}"
