"""A ladder as an SVG picture: nothing in it is code, and every text of a message is escaped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, tzinfo
from html import escape

from capture_agent.view.ladder import Ladder, Row
from capture_agent.view.media_marks import MediaMark
from capture_agent.view.text import printable, shortened
from capture_agent.view.time_text import TimeMode, arrow_time

MOST_ROWS = 5000
LEFT, TOP, ROW, FOOT = 110, 54, 34, 24  # pixels
GAPS = (150, 240)  # between two participants, at least and at most
COLUMN = 7.2  # of text
LONGEST = 44  # columns of a label or name
# By call, readable on white and on black (contrast 4.5 to 1 on both).
COLOURS = ("#2f7ed8", "#c2571a", "#2e8b57", "#a259c4", "#b8860b", "#d1477a", "#4f8a8b", "#8a6d3b")
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.head{font-weight:600;text-anchor:middle}.time{text-anchor:end;"
    "font-size:12px}.word{text-anchor:middle}.life{stroke:#999;stroke-dasharray:3 3}.arrow{stroke-width:1.6;fill:none}"
    ".side{text-anchor:start}.again{stroke-dasharray:5 3}.stream{stroke-dasharray:1 3}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.life{stroke:#777}}"
)


def safe(value: str, most: int = LONGEST) -> str:
    return escape(shortened(printable(value), most, ending=0))


def svg(ladder: Ladder, mode: TimeMode = "start", zone: tzinfo | None = UTC) -> str:
    """The first MOST_ROWS messages and marks; a last line says how many are left out."""
    gap = gap_of(ladder)
    high = TOP + height_of(ladder) + FOOT
    parts = (
        opened(width_of(ladder, gap), high),
        f"<title>{safe(', '.join(ladder.call_ids), 200)}</title>",
        f"<style>{STYLE}</style>",
        *heads(ladder, gap),
        *lives(ladder, gap, 32, high - FOOT // 2),
        *(line for one, y in placed(ladder, TOP) for line in drawn(one, y, arrow_text(one, mode, zone), gap)),
        *left_out(ladder, high - FOOT),
        "</svg>\n",
    )
    return "\n".join(parts)


def opened(wide: int, high: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"'
        ' role="img">'
    )


def gap_of(ladder: Ladder) -> int:
    """Pixels between two participants, so that most texts fit their arrow."""
    wanted = [len(one.label + one.marks) * COLUMN / max(1, abs(one.source - one.destination)) for one in ladder.rows]
    names = [len(one.label) * COLUMN for one in ladder.participants]
    return round(min(max(GAPS[0], *wanted, *names) + 30, GAPS[1])) if wanted else GAPS[0]


def width_of(ladder: Ladder, gap: int) -> int:
    return LEFT + gap * max(1, len(ladder.participants) - 1) + LEFT


def height_of(ladder: Ladder) -> int:
    return ROW * (min(len(ladder.rows), MOST_ROWS) + (len(ladder.rows) > MOST_ROWS))


def heads(ladder: Ladder, gap: int) -> Iterator[str]:
    for number, participant in enumerate(ladder.participants):
        place = f"<title>{safe(participant.place)}</title>" if participant.name else ""
        yield f'<text class="head" x="{LEFT + gap * number}" y="24">{place}{safe(participant.label, 28)}</text>'


def lives(ladder: Ladder, gap: int, top: int, bottom: int) -> Iterator[str]:
    for x in range(LEFT, LEFT + gap * len(ladder.participants), gap):
        yield f'<line class="life" x1="{x}" y1="{top}" x2="{x}" y2="{bottom}"/>'


def placed(ladder: Ladder, top: int) -> Iterator[tuple[Row, int]]:
    return ((one, top + ROW * row + 14) for row, one in enumerate(ladder.rows[:MOST_ROWS]))


def left_out(ladder: Ladder, y: int) -> Iterator[str]:
    if len(ladder.rows) > MOST_ROWS:
        yield f'<text x="{LEFT}" y="{y}">{len(ladder.rows) - MOST_ROWS} more messages</text>'


def arrow_text(one: Row, mode: TimeMode, zone: tzinfo | None) -> str:
    return arrow_time(one.time_ns, one.since_ns, one.delay_ns, mode, zone)


def drawn(one: Row, y: int, time: str, gap: int) -> Iterator[str]:
    if isinstance(one, MediaMark):
        yield f"<g><title>{safe(one.label, 400)}</title>"
        yield from arrow(one, y, time, gap, " stream")
    else:
        yield f'<g id="m{one.number}"><title>{safe("; ".join((one.label, *map(str, one.media))), 400)}</title>'
        yield from arrow(one, y, time, gap, " again" if one.retransmission else "")


def arrow(one: Row, y: int, time: str, gap: int, kind: str) -> Iterator[str]:
    """The rest of its group. `kind`: a further class of the stroke."""
    start, end = LEFT + gap * one.source, LEFT + gap * one.destination
    room = max(12, min(LONGEST, int((abs(end - start) or gap) / COLUMN) - len(one.marks) - 2))
    colour = COLOURS[one.call % len(COLOURS)]
    yield f'<text class="time" x="{LEFT - 40}" y="{y + 4}">{time}</text>'
    if start == end:
        path = f"M{start} {y - 6}h26v12h-20"
        tip, side, word = start + 6, 1, start + 36
        side_text = " side"
        y_tip = y + 6
    else:
        side = -1 if start < end else 1
        path, tip, y_tip = f"M{start} {y}H{end}", end, y
        word, side_text = (start + end) // 2, ""
    yield f'<path class="arrow{kind}" stroke="{colour}" d="{path}"/>'
    yield f'<path fill="{colour}" d="M{tip} {y_tip}l{8 * side} -4v8z"/>'
    yield f'<text class="word{side_text}" x="{word}" y="{y - 5}">{safe(one.label, room)}{one.marks}</text></g>'
