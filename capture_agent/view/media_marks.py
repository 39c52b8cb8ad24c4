"""RTP streams on a ladder: where each begins, is silent for long, and ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from capture_agent.media.stream_figures import StreamFigures
from capture_agent.view.aliases import place_text

SILENCE_MS = 1000.0  # from here on a gap is shown

# Of two intervals of a stream.
SUMS = ("packets", "octets", "expected", "lost", "out_of_order", "duplicates", "dtmf_events", "ssrc_changes")
HIGHEST = ("max_jitter_ms", "max_delta_ms")
MEANS = ("mean_jitter_ms", "mean_delta_ms", "r_factor", "mos")


@dataclass(frozen=True, slots=True)
class MediaMark:
    """One line between the messages. `label` is as received: whoever shows it makes it printable, or escapes it.

    since_ns, delay_ns  as an arrow has them
    source, destination  indexes of participants
    call                index of its Call-ID in Ladder.call_ids
    """

    time_ns: int
    since_ns: int
    delay_ns: int
    source: int
    destination: int
    label: str
    call: int

    marks = ""


def streams_of(reports: Iterable[StreamFigures]) -> list[StreamFigures]:
    """One of each stream, in the order of their beginning: the last word, or its intervals together.

    A source that was silent for long comes back as another stream. A report may come twice, for several traces.
    """
    over: dict[tuple[object, ...], StreamFigures] = {}
    going_on: dict[tuple[object, ...], StreamFigures] = {}
    ended: dict[tuple[object, ...], int] = {}
    for one in reports:
        key = (one.call_id, one.source, one.source_port, one.destination, one.destination_port, one.ssrc)
        known = going_on.get(key)
        if one.final:
            going_on.pop(key, None)
            over[*key, one.begin_ns] = one
            ended[key] = max(one.begin_ns, one.end_ns)
        elif known is not None:
            going_on[key] = together(known, one) if one.begin_ns >= known.end_ns else known
        elif one.begin_ns > ended.get(key, -1):
            going_on[key] = one
    return sorted((*over.values(), *going_on.values()), key=lambda one: one.begin_ns)


def together(one: StreamFigures, later: StreamFigures) -> StreamFigures:
    """Two intervals of a stream. Ratings and means count by packets."""
    packets = one.packets + later.packets

    def mean(first: float, second: float) -> float:
        return (first * one.packets + second * later.packets) / packets if packets else second

    changes: dict[str, Any] = {name: getattr(one, name) + getattr(later, name) for name in SUMS}
    changes.update((name, max(getattr(one, name), getattr(later, name))) for name in HIGHEST)
    changes.update((name, mean(getattr(one, name), getattr(later, name))) for name in MEANS)
    silent = max(one, later, key=lambda interval: interval.longest_gap_ms)
    changes.update(longest_gap_ms=silent.longest_gap_ms, gap_at_ns=silent.gap_at_ns)
    return replace(later, begin_ns=min(one.begin_ns, later.begin_ns), **changes)


def labelled(stream: StreamFigures) -> Iterator[tuple[int, str]]:
    """When, and in which words."""
    name = "SRTP" if stream.secure else "RTP"
    yield stream.begin_ns, name_of(stream)
    if stream.longest_gap_ms >= SILENCE_MS and stream.gap_at_ns:
        yield stream.gap_at_ns, f"{name} silent for {stream.longest_gap_ms / 1000:.1f} s"
    yield stream.end_ns, f"{name}{'' if stream.final else ' so far'}: {rating(stream)}"


def rating(stream: StreamFigures) -> str:
    """`MOS 4.3, lost 1.0 %, jitter 1.3 ms`"""
    lost = 100 * stream.lost / stream.expected if stream.expected else 0.0
    of_codec = f"MOS {stream.mos:.1f}, " if stream.mos else ""
    return f"{of_codec}lost {short(lost)} %, jitter {short(stream.mean_jitter_ms)} ms"


def short(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def summary(stream: StreamFigures) -> str:
    """The stream in a line."""
    ends = (place_text(stream.source, stream.source_port), place_text(stream.destination, stream.destination_port))
    seconds = (stream.end_ns - stream.begin_ns) / 1e9
    further = [
        f"{count} {name}"
        for name, count in (
            ("out of order", stream.out_of_order),
            ("came twice", stream.duplicates),
            ("new SSRC", stream.ssrc_changes),
            ("DTMF", stream.dtmf_events),
        )
        if count
    ]
    parts = [f"{stream.packets} packets in {seconds:.1f} s", rating(stream)]
    if stream.longest_gap_ms >= SILENCE_MS:
        parts.append(f"silent for {stream.longest_gap_ms / 1000:.1f} s")
    return f"{name_of(stream)}: {ends[0]} -> {ends[1]}, {', '.join(parts + further)}"


def name_of(stream: StreamFigures) -> str:
    """`RTP PCMU`"""
    return f"{'SRTP' if stream.secure else 'RTP'} {stream.codec or stream.payload_type}"
