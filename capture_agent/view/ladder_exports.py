"""A ladder as a file for others: Mermaid's sequence diagram, an object for JSON, and whatever form is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, tzinfo
from typing import Any

from capture_agent.media.stream_figures import StreamFigures
from capture_agent.records.message_fields import as_text
from capture_agent.sip.headers import text
from capture_agent.view.aliases import host_text
from capture_agent.view.ladder import Arrow, Ladder
from capture_agent.view.media_marks import MediaMark
from capture_agent.view.text import printable, shortened
from capture_agent.view.time_text import TimeMode, arrow_time, moment

LONGEST = 80  # columns of a text
# What Mermaid or HTML would understand, and words that end a line of the diagram.
UNSAFE = re.compile(r"[^\w .:/()+,@=-]")


def exported(form: str, ladder: Ladder, mode: TimeMode, zone: tzinfo | None, raw: bool = True) -> str:
    """The ladder as `svg`, `html` (`raw`: with the messages themselves), `mermaid` or `json`, to its last newline."""
    if form == "svg":
        from capture_agent.view.ladder_svg import svg

        return svg(ladder, mode, zone)
    if form == "html":
        from capture_agent.view.ladder_page import page

        return page(ladder, mode, zone, raw)
    if form == "mermaid":
        return "\n".join(mermaid(ladder, mode, zone)) + "\n"
    return json.dumps(as_object(ladder), indent=1) + "\n"


def mermaid(ladder: Ladder, mode: TimeMode = "start", zone: tzinfo | None = UTC) -> Iterator[str]:
    """Lines of a sequenceDiagram."""
    yield "sequenceDiagram"
    for number, participant in enumerate(ladder.participants, start=1):
        yield f"    participant p{number} as {quoted(participant.label)}"
    for one in ladder.rows:
        time = arrow_time(one.time_ns, one.since_ns, one.delay_ns, mode, zone)
        line = "--)" if isinstance(one, MediaMark) else "-->>" if one.message.sip.status else "->>"
        yield f"    p{one.source + 1}{line}p{one.destination + 1}: {time} {quoted(one.label)}{one.marks}"
    for media in ladder.media:
        ends = f"p1,p{len(ladder.participants)}" if len(ladder.participants) > 1 else "p1"
        yield f"    Note over {ends}: {quoted(str(media))}"


def quoted(value: str) -> str:
    """Mermaid's entity codes for every character that could be syntax."""
    return UNSAFE.sub(lambda found: f"#{ord(found[0])};", shortened(printable(value), LONGEST, ending=0))


def as_object(ladder: Ladder) -> dict[str, Any]:
    """Participants, messages, media, streams, Call-IDs; times in UTC and nanoseconds. docs/look.md has the fields."""
    return {
        "call_ids": list(ladder.call_ids),
        "participants": [{"place": one.place, "name": one.name} for one in ladder.participants],
        "messages": [arrow_object(one) for one in ladder.arrows],
        "media": [asdict(one) for one in ladder.media],
        "streams": [stream_object(one) for one in ladder.streams],
    }


def stream_object(stream: StreamFigures) -> dict[str, Any]:
    """Its figures, without what a codec without a rating has."""
    made = asdict(stream)
    made |= {"call_id": text(stream.call_id), "ssrc": f"0x{stream.ssrc:08x}"}
    made |= {end: host_text(getattr(stream, end)) for end in ("source", "destination")}
    return made | {name: made[name] or None for name in ("r_factor", "mos")}


def arrow_object(one: Arrow) -> dict[str, Any]:
    datagram, sip = one.message.datagram, one.message.sip
    return {
        "number": one.number,
        "time": moment(one.time_ns, UTC, 6),
        "time_ns": one.time_ns,
        "since_ns": one.since_ns,
        "delay_ns": one.delay_ns,
        "source": one.source,
        "destination": one.destination,
        "source_port": datagram.source_port,
        "destination_port": datagram.destination_port,
        "transport": datagram.transport,
        "call": one.call,
        "label": one.label,
        "method": as_text(sip.method if sip.is_request else sip.cseq_method),
        "status": sip.status or None,
        "cseq": sip.cseq if sip.cseq >= 0 else None,
        "retransmission": one.retransmission,
        "challenge": one.challenge,
        "media": [asdict(media) for media in one.media] if one.has_sdp else None,
    }
