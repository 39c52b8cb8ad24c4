"""Draws the plot: a panel of bars per work, each with its own scale. Plain SVG, for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

from benchmarks.cases import COMPILED, DRIVER, LIMIT, PLAIN, WORKS
from benchmarks.figures import Figure, main_sized
from benchmarks.report import NAMES
from benchmarks.targets import PUBLISHED

WIDTH, LEFT, RIGHT = 820, 210, 90
BAR, GAP, TITLE, AXIS, BETWEEN = 16, 6, 26, 22, 18
AXIS_LABEL = "CPU seconds per million SIP messages, whole process less its start-up: less is better"
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.tick, .note { font-size: 11px; fill: #59636e }
line { stroke: #59636e; stroke-opacity: .35 }
.ours { fill: #1a7f4b } .plain { fill: #7fc8a2 } .limit { fill: #818b98 } .peer { fill: #bc5b00 }
.published { fill: #bc5b00; fill-opacity: .2; stroke: #bc5b00; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .tick, .note { fill: #9198a1 } line { stroke: #9198a1 }
  .ours { fill: #3fb975 } .plain { fill: #23704a } .limit { fill: #7d8590 } .peer { fill: #e0883a }
  .published { fill: #e0883a; stroke: #e0883a }
}
"""
KINDS = {COMPILED: "ours", PLAIN: "plain", LIMIT: "limit", DRIVER: "limit"}
OURS = {"ours", "plain"}


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    value: float
    kind: str  # a class of STYLE


def panels(figures: Sequence[Figure]) -> list[tuple[str, list[Bar]]]:
    """A title and its bars, cheapest first, for each work that the limit or a peer does as well."""
    found = []
    for work, title in WORKS.items():
        bars = [
            Bar(NAMES.get(one.who, one.who), one.cost, KINDS.get(one.who, "peer"))
            for one in main_sized(figures)
            if one.work == work
        ]
        bars += [Bar(f"{one.who} *", one.cost, "published") for one in PUBLISHED if one.work == work]
        kinds = {bar.kind for bar in bars}
        if kinds & OURS and kinds - OURS:
            found.append((title, sorted(bars, key=lambda bar: bar.value)))
    return found


def ticks(largest: float) -> list[float]:
    """From 0 to just beyond the largest, four to eight steps of 1, 2 or 5."""
    rough = largest / 5
    scale = float(10 ** floor(log10(rough)))
    step = next(scale * factor for factor in (1, 2, 5, 10) if scale * factor >= rough)
    count = next(number for number in range(1, 20) if number * step >= largest)
    return [round(number * step, 6) for number in range(count + 1)]


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def panel(title: str, bars: Sequence[Bar], top: float) -> list[str]:
    marks = ticks(max(bar.value for bar in bars))
    unit = (WIDTH - LEFT - RIGHT) / marks[-1]
    bottom = top + TITLE + len(bars) * (BAR + GAP)
    parts = [text(0, top + 14, title, "title")]
    for mark in marks:
        x = LEFT + mark * unit
        parts.append(f'<line x1="{x:.1f}" y1="{top + TITLE - 4:.0f}" x2="{x:.1f}" y2="{bottom:.0f}"/>')
        parts.append(text(x, bottom + 13, f"{mark:g}", "tick", "middle"))
    for number, bar in enumerate(bars):
        y = top + TITLE + number * (BAR + GAP)
        width = max(1.0, bar.value * unit)
        parts.append(text(LEFT - 8, y + 12, bar.label, anchor="end"))
        parts.append(f'<rect x="{LEFT}" y="{y:.0f}" width="{width:.1f}" height="{BAR}" class="{bar.kind}"/>')
        parts.append(text(LEFT + width + 6, y + 12, f"{bar.value:.2f}" if bar.value < 10 else f"{bar.value:.1f}"))
    return parts


def svg(figures: Sequence[Figure], caption: str) -> str:
    parts: list[str] = []
    top = 0.0
    for title, bars in panels(figures):
        parts += panel(title, bars, top)
        top += TITLE + len(bars) * (BAR + GAP) + AXIS + BETWEEN
    notes = (AXIS_LABEL, "each work has its own scale; dashed and *: published, measured elsewhere", caption)
    for number, note in enumerate(notes):
        parts.append(text(0, top + 8 + 16 * number, note, "note"))
    height = top + 16 * len(notes)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -4 {WIDTH + 20} {height + 12:.0f}" width="{WIDTH + 20}">'
    )
    return "\n".join([head, f"<title>{escape(AXIS_LABEL)}</title>", f"<style>{STYLE}</style>", *parts, "</svg>", ""])
