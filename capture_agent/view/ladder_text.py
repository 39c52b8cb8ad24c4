"""A ladder as lines of text: a column per host, an arrow per message or mark of a stream, time running down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from capture_agent.view.ladder import Ladder
from capture_agent.view.media_marks import MediaMark
from capture_agent.view.text import padded, printable, shortened, width
from capture_agent.view.time_text import TimeMode, arrow_time

NARROWEST = 6  # columns between two hosts: an arrow without text
MOST_HOSTS = 20  # columns of hosts; a call with more is a list
LONGEST_HOST = 48
LONGEST_LABEL = 60  # and at most half of the terminal
SHORTEST_LABEL = 24  # however small the terminal is
TIME_WIDTH = 10
MARGIN = 2


@dataclass(frozen=True, slots=True)
class Step:
    """One arrow, as it is drawn."""

    time: str
    source: str  # a participant's name
    destination: str
    label: str  # "INVITE", "200 OK"
    marks: str = ""  # " (SDP) again"
    is_media: bool = False

    def words(self, most: int) -> str:
        return shortened(printable(self.label), most, ending=0) + self.marks


def steps(ladder: Ladder, mode: TimeMode = "start", zone: tzinfo | None = UTC) -> list[Step]:
    """A call's number is with its messages if there are several calls."""
    names = unique([one.label for one in ladder.participants], [one.place for one in ladder.participants])
    several = len(ladder.call_ids) > 1
    return [
        Step(
            arrow_time(one.time_ns, one.since_ns, one.delay_ns, mode, zone),
            names[one.source],
            names[one.destination],
            one.label,
            one.marks + (f" [{one.call + 1}]" if several else ""),
            isinstance(one, MediaMark),
        )
        for one in ladder.rows
    ]


def unique(names: Sequence[str], places: Sequence[str]) -> list[str]:
    """Two participants with one alias are told apart by their places."""
    return [name if names.count(name) < 2 else f"{name} {place}" for name, place in zip(names, places, strict=True)]


@dataclass(frozen=True, slots=True)
class Strokes:
    """The characters that lines are drawn with."""

    down: str
    along: str
    left: str
    right: str
    media: str  # along, of a stream


ASCII = Strokes("|", "-", "<", ">", ".")
BOX = Strokes("\N{BOX DRAWINGS LIGHT VERTICAL}", "\N{BOX DRAWINGS LIGHT HORIZONTAL}", "\u25c0", "\u25b6", "\u2508")


def draw(steps: Sequence[Step], columns: int = 80, strokes: Strokes = ASCII) -> Iterator[str]:
    """The ladder's lines. Text that does not fit between the hosts is to the right of them."""
    hosts = list(dict.fromkeys(host for step in steps for host in (step.source, step.destination)))
    if not hosts:
        return
    if len(hosts) > MOST_HOSTS:
        yield f"{len(hosts)} hosts, more than the {MOST_HOSTS} columns of a ladder: listing the messages"
        for step in steps:
            yield listed(step, columns)
        return
    ladder = Drawing(hosts, steps, columns, strokes)
    yield from ladder.head()
    for step in steps:
        yield ladder.line(step)


def listed(step: Step, columns: int) -> str:
    source, destination = host_name(step.source), host_name(step.destination)
    return f"{step.time:>{TIME_WIDTH}}  {source} -> {destination}  {step.words(longest_label(columns))}"


def host_name(host: str) -> str:
    return shortened(printable(host), LONGEST_HOST)


def longest_label(columns: int) -> int:
    return max(SHORTEST_LABEL, min(LONGEST_LABEL, columns // 2))


class Drawing:
    def __init__(self, hosts: Sequence[str], steps: Sequence[Step], columns: int, strokes: Strokes) -> None:
        self._hosts = [host_name(host) for host in hosts]
        self._at = {host: n for n, host in enumerate(hosts)}
        self._strokes = strokes
        self._most = longest_label(columns)
        longest = max(width(step.words(self._most)) for step in steps)
        first_half = width(self._hosts[0]) // 2
        self._time_width = max(TIME_WIDTH, *(width(step.time) for step in steps))
        self._start = self._time_width + MARGIN + max(0, first_half - MARGIN)
        gaps = max(1, len(hosts) - 1)
        needed = max(self._room_for(step) for step in steps)
        wanted = max(needed, *(width(host) + 2 for host in self._hosts))
        room = columns - self._start - 1 - width(self._hosts[-1]) // 2
        gap = min(wanted, room // gaps)
        self._beside = gap < needed or len(hosts) == 1
        if self._beside:
            gap = max(NARROWEST, min(gap, (room - longest - MARGIN) // gaps))
            over = self._start + gaps * gap + 1 + MARGIN + longest - columns
            self._most = max(SHORTEST_LABEL, self._most - max(0, over))
        self._gap = gap
        self._numbered = any(width(host) > gap - 1 for host in self._hosts) and len(hosts) > 1

    def head(self) -> Iterator[str]:
        """The hosts above their lines; as numbers if the names do not fit."""
        if self._numbered:
            for n, host in enumerate(self._hosts, start=1):
                yield f"{f'({n})':>{self._time_width}}  {host}"
            yield ""
        names = [f"({n})" for n in range(1, len(self._hosts) + 1)] if self._numbered else self._hosts
        line = ""
        for n, name in enumerate(names):
            at = max(self._column(n) - width(name) // 2, width(line) + bool(line))
            line = padded(line, at) + name
        yield line

    def line(self, step: Step) -> str:
        cells = list(" " * (self._column(len(self._hosts) - 1) + 1))
        for n in range(len(self._hosts)):
            cells[self._column(n)] = self._strokes.down
        self._arrow(cells, step)
        text = f"{step.time:>{self._time_width}}" + "".join(cells[self._time_width :])
        words = step.words(self._most)
        source, destination = self._at[step.source], self._at[step.destination]
        if source == destination:
            return f"{text} {self._strokes.left}{self._strokes.along} {words} (to itself)"
        return f"{text}  {words}" if self._beside else text

    def _room_for(self, step: Step) -> int:
        """How far apart hosts must be for the text to fit the arrow."""
        passed = abs(self._at[step.source] - self._at[step.destination])
        return -(-(width(step.words(self._most)) + 6) // max(1, passed))

    def _arrow(self, cells: list[str], step: Step) -> None:
        source, destination = self._at[step.source], self._at[step.destination]
        if source == destination:
            return
        left, right = sorted((self._column(source), self._column(destination)))
        # The arrow passes hosts in between, like the packet.
        cells[left + 1 : right] = (self._strokes.media if step.is_media else self._strokes.along) * (right - left - 1)
        if source < destination:
            cells[right - 1] = self._strokes.right
        else:
            cells[left + 1] = self._strokes.left
        if not self._beside:
            words = f" {step.words(self._most)} "
            wide = width(words)
            spare = right - left - 1 - wide
            start = left + 1 + (spare // 2 if source < destination else spare - spare // 2)
            cells[start : start + wide] = [words] + [""] * (wide - 1)

    def _column(self, host: int) -> int:
        return self._start + host * self._gap
