"""A ladder as an SVG picture: nothing in it is code, and every text of a message is escaped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, tzinfo
from html import escape

from capture_agent.view.ladder import Arrow, Ladder
from capture_agent.view.text import printable, shortened
from capture_agent.view.time_text import TimeMode, arrow_time

MOST_ARROWS = 5000
LEFT, GAP, TOP, ROW, FOOT = 110, 210, 54, 34, 24  # pixels
LONGEST = 44  # columns of a label or name
# By call, readable on white and on black (contrast 4.5 to 1 on both).
COLOURS = ("#2f7ed8", "#c2571a", "#2e8b57", "#a259c4", "#b8860b", "#d1477a", "#4f8a8b", "#8a6d3b")
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.head{font-weight:600;text-anchor:middle}.time{text-anchor:end;"
    "font-size:12px}.word{text-anchor:middle}.life{stroke:#999;stroke-dasharray:3 3}.arrow{stroke-width:1.6;fill:none}"
    ".again{stroke-dasharray:5 3}@media(prefers-color-scheme:dark){text{fill:#ddd}.life{stroke:#777}}"
)


def safe(value: str, most: int = LONGEST) -> str:
    return escape(shortened(printable(value), most, ending=0))


def svg(ladder: Ladder, mode: TimeMode = "start", zone: tzinfo | None = UTC) -> str:
    """The first MOST_ARROWS messages; a last line says how many are left out."""
    shown = ladder.arrows[:MOST_ARROWS]
    wide = LEFT + GAP * max(1, len(ladder.participants) - 1) + LEFT
    high = TOP + ROW * (len(shown) + (len(shown) < len(ladder.arrows))) + FOOT
    return "\n".join(("", *lines(ladder, shown, wide, high, mode, zone), ""))[1:]


def lines(
    ladder: Ladder, shown: tuple[Arrow, ...], wide: int, high: int, mode: TimeMode, zone: tzinfo | None
) -> Iterator[str]:
    ids = ", ".join(ladder.call_ids)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"'
        ' role="img">'
    )
    yield f"<title>{safe(ids, 200)}</title>"
    yield f"<style>{STYLE}</style>"
    for number, participant in enumerate(ladder.participants):
        x = LEFT + GAP * number
        place = f"<title>{safe(participant.place)}</title>" if participant.name else ""
        yield f'<text class="head" x="{x}" y="24">{place}{safe(participant.label, 28)}</text>'
        yield f'<line class="life" x1="{x}" y1="32" x2="{x}" y2="{high - FOOT // 2}"/>'
    for row, one in enumerate(shown):
        yield from arrow(one, TOP + ROW * row + 14, arrow_time(one.time_ns, one.since_ns, one.delay_ns, mode, zone))
    if len(shown) < len(ladder.arrows):
        yield f'<text x="{LEFT}" y="{high - FOOT}">{len(ladder.arrows) - len(shown)} more messages</text>'
    yield "</svg>"


def arrow(one: Arrow, y: int, time: str) -> Iterator[str]:
    start, end = LEFT + GAP * one.source, LEFT + GAP * one.destination
    colour = COLOURS[one.call % len(COLOURS)]
    again = " again" if one.retransmission else ""
    yield f'<g id="m{one.number}"><title>{safe("; ".join(map(str, one.media)), 400)}</title>'
    yield f'<text class="time" x="{LEFT - 40}" y="{y + 4}">{time}</text>'
    if start == end:
        path = f"M{start} {y - 6}h26v12h-20"
        tip, side, word = start + 6, 1, start + 36
        anchor = ' style="text-anchor:start"'
        y_tip = y + 6
    else:
        side = -1 if start < end else 1
        path, tip, y_tip = f"M{start} {y}H{end}", end, y
        word, anchor = (start + end) // 2, ""
    yield f'<path class="arrow{again}" stroke="{colour}" d="{path}"/>'
    yield f'<path fill="{colour}" d="M{tip} {y_tip}l{8 * side} -4v8z"/>'
    yield f'<text class="word" x="{word}" y="{y - 5}"{anchor}>{safe(one.label)}{one.marks}</text></g>'
