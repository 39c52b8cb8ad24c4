"""Figures of calls as pictures: calls over time, set-up delays over time, bars. Colours are the page's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from html import escape
from math import floor, log10

from markupsafe import Markup

from capture_agent.view.call import SipCall
from capture_agent.view.text import printable, shortened
from capture_agent.view.time_text import moment

BUCKETS = 48
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 7 * 86_400)  # seconds
SECOND = 1_000_000_000
HIGH, LEFT, BOTTOM, TOP, RIGHT = 230, 60, 28, 12, 12  # pixels
PERCENTILES = (50, 95)


@dataclass(frozen=True, slots=True)
class Frame:
    """One size of a plot: where it is shown, its pixels there, and the times that have room below."""

    name: str
    wide: int
    times: int

    @property
    def inner(self) -> float:
        return self.wide - LEFT - RIGHT


FRAMES = (Frame("on-screen", 720, 8), Frame("on-phone", 340, 4))  # style.css shows the one that fits


@dataclass(slots=True)
class Bucket:
    """Calls that began within: by outcome, and their set-up delays."""

    good: int = 0
    failed: int = 0
    delays: list[float] | None = None

    def percentile(self, percent: int) -> float | None:
        values = sorted(self.delays or ())
        return values[max(0, -(-len(values) * percent // 100) - 1)] if values else None


@dataclass(frozen=True, slots=True)
class Series:
    start_ns: int
    step: int  # seconds
    buckets: list[Bucket]


def series_of(calls: Sequence[SipCall]) -> Series:
    """At most BUCKETS buckets of a usual length, from the first call to the last."""
    times = [call.first_ns for call in calls]
    if not times:
        return Series(0, STEPS[0], [])
    first, last = min(times), max(times)
    span = (last - first) / SECOND
    step = next((one for one in STEPS if span / one < BUCKETS - 1), None) or int(span // (BUCKETS - 1)) + 1
    start = first // (step * SECOND) * step * SECOND
    buckets = [Bucket(delays=[]) for _ in range((last - start) // (step * SECOND) + 1)]
    for call in calls:
        bucket = buckets[(call.first_ns - start) // (step * SECOND)]
        if call.failed:
            bucket.failed += 1
        else:
            bucket.good += 1
        if call.setup_seconds is not None and bucket.delays is not None:
            bucket.delays.append(call.setup_seconds)
    return Series(start, step, buckets)


def plots_of(calls: Sequence[SipCall], zone: tzinfo | None) -> dict[str, Markup]:
    series = series_of(calls)
    plots = {"rate": rate_plot, "delay": delay_plot}
    return {name: Markup("").join(plot(series, zone, frame) for frame in FRAMES) for name, plot in plots.items()}


def rate_plot(series: Series, zone: tzinfo | None, frame: Frame) -> Markup:
    """Calls per bucket, those that failed at the bottom."""
    most = max([one.good + one.failed for one in series.buckets], default=0)
    top = max(4.0, rounded_up(most))
    parts = [*opened("Calls over time", frame), *axes(series, top, "", zone, frame)]
    wide = frame.inner / max(1, len(series.buckets))
    for number, one in enumerate(series.buckets):
        x = LEFT + wide * number
        failed, total = height(one.failed, top), height(one.good + one.failed, top)
        when = moment(series.start_ns + number * series.step * SECOND, zone)
        title = f"<title>{when}: {one.good + one.failed} calls, {one.failed} failed</title>"
        gap = min(1.5, wide / 6)
        for name, y, size in (("bar-good", base() - total, total - failed), ("bar-bad", base() - failed, failed)):
            if size > 0:
                parts.append(
                    f'<rect class="{name}" x="{x + gap:.1f}" y="{y:.1f}" width="{wide - 2 * gap:.1f}"'
                    f' height="{size:.1f}">{title}</rect>'
                )
    return Markup("".join([*parts, "</svg>"]))


def delay_plot(series: Series, zone: tzinfo | None, frame: Frame) -> Markup:
    """The median and the 95th percentile of set-up delays per bucket."""
    found = {percent: [one.percentile(percent) for one in series.buckets] for percent in PERCENTILES}
    top = rounded_up(max([value for values in found.values() for value in values if value is not None], default=0))
    parts = [*opened("Set-up delay over time, in seconds", frame), *axes(series, top, " s", zone, frame)]
    wide = frame.inner / max(1, len(series.buckets))
    for percent, values in found.items():
        points = [
            (LEFT + wide * (number + 0.5), base() - height(value, top), value)
            for number, value in enumerate(values)
            if value is not None
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        parts.append(f'<polyline class="line line-{percent}" points="{line}"/>')
        parts += [
            f'<circle class="dot line-{percent}" cx="{x:.1f}" cy="{y:.1f}" r="2.5">'
            f"<title>{percent} %: {value:.3f} s</title></circle>"
            for x, y, value in points
        ]
    return Markup("".join([*parts, "</svg>"]))


def bars(rows: Sequence[tuple[str, int]], name: str) -> Markup:
    """A row of `name` for each figure; the table beside it has the exact ones."""
    most = max([count for _, count in rows], default=1)
    parts = []
    for label, count in rows:
        wide = max(0.5, 100 * count / most)
        parts.append(
            f'<tr><th scope="row">{escape(shortened(printable(label), 48))}</th><td class="number">{count}</td>'
            f'<td class="bar" aria-hidden="true"><svg viewBox="0 0 100 10" preserveAspectRatio="none">'
            f'<rect class="{name}" width="{wide:.1f}" height="10" rx="1"/></svg></td></tr>'
        )
    return Markup("".join(parts))


def opened(label: str, frame: Frame) -> Iterator[str]:
    yield f'<svg class="plot {frame.name}" viewBox="0 0 {frame.wide} {HIGH}" role="img" aria-label="{label}">'


def axes(series: Series, top: float, unit: str, zone: tzinfo | None, frame: Frame) -> Iterator[str]:
    for part in range(5):
        value = top * part / 4
        y = base() - height(value, top)
        yield f'<line class="grid" x1="{LEFT}" x2="{frame.wide - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick end" x="{LEFT - 6}" y="{y + 4:.1f}">{value:g}{unit}</text>'
    wide = frame.inner / max(1, len(series.buckets))
    every = max(1, -(-len(series.buckets) // frame.times))
    for number in range(0, len(series.buckets), every):
        when = moment(series.start_ns + number * series.step * SECOND, zone)
        text = when[11:16] if 60 <= series.step < 43_200 else when[11:] if series.step < 60 else when[5:10]
        yield f'<text class="tick" x="{LEFT + wide * number:.1f}" y="{HIGH - 8}">{text}</text>'


def rounded_up(value: float) -> float:
    """The next round number."""
    if value <= 0:
        return 1
    power = 10.0 ** floor(log10(value))
    return next(factor * power for factor in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10, 12) if factor * power >= value)


def base() -> float:
    return HIGH - BOTTOM


def height(value: float, top: float) -> float:
    return (HIGH - BOTTOM - TOP) * value / top
