"""A ladder as one HTML file: the picture, the same as a table, and the messages. Without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, tzinfo
from html import escape

from capture_agent.view.details import MessagePart, parts_of
from capture_agent.view.ladder import Ladder
from capture_agent.view.ladder_svg import safe, svg
from capture_agent.view.media_marks import summary
from capture_agent.view.text import printable
from capture_agent.view.time_text import TimeMode, moment

STYLE = (
    "body{font:14px system-ui,sans-serif;margin:1.5em;color:#222;background:#fff}table{border-collapse:collapse}"
    "td,th{padding:.2em .7em;text-align:left;border-bottom:1px solid #ccc}pre{overflow:auto;border:1px solid #ccc;"
    "padding:.6em}.start{font-weight:600}.name{color:#1b5e9e}.value{color:inherit}.body{color:#2b6a43}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}.name{color:#7fb8ef}.body{color:#8fd3a6}}"
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(ladder: Ladder, mode: TimeMode = "start", zone: tzinfo | None = UTC, raw: bool = False) -> str:
    """`raw`: with the messages themselves."""
    title = safe(", ".join(ladder.call_ids), 200)
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>",
            svg(ladder, mode, zone),
            "<h2>Messages</h2><table><thead><tr><th>No.</th><th>Time</th><th>From</th><th>To</th><th>Message</th></tr>"
            "</thead><tbody>",
            *rows(ladder, zone),
            "</tbody></table>",
            *(f"<p>{safe(str(line), 300)}</p>" for line in ladder.media),
            *(f"<p>{safe(summary(stream), 300)}</p>" for stream in ladder.streams),
            *(messages(ladder) if raw else ()),
            "</body></html>\n",
        )
    )


def rows(ladder: Ladder, zone: tzinfo | None) -> Iterator[str]:
    for one in ladder.arrows:
        ends = (ladder.participants[one.source].label, ladder.participants[one.destination].label)
        cells = (str(one.number), moment(one.time_ns, zone, 3), *ends, one.label + one.marks)
        yield f"<tr>{''.join(f'<td>{safe(cell, 200)}</td>' for cell in cells)}</tr>"


def messages(ladder: Ladder) -> Iterator[str]:
    for one in ladder.arrows:
        parts = "".join(map(span, parts_of(one.message.sip)))
        yield f"<h3>{one.number}. {safe(one.label)}</h3><pre>{parts}</pre>"


def span(part: MessagePart) -> str:
    text = escape("\n".join(map(printable, part.text.split("\n"))))
    return f'<span class="{part.kind}">{text}</span>'
