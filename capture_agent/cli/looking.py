"""Where the commands that show calls take them from: capture files, or the table. And which calls, and when."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.capture_reading import CaptureReading
from capture_agent.cli.failures import Failed, WrongUsage
from capture_agent.config.secrets import mask, quotable
from capture_agent.sip.headers import call_id_forms, text
from capture_agent.view.time_text import seconds_of_age

if TYPE_CHECKING:
    from capture_agent.config import Config, SqlTarget
    from capture_agent.media.stream_figures import StreamFigures
    from capture_agent.records.captured import CapturedMessage
    from capture_agent.records.message_filter import MessageFilter
    from capture_agent.view.aliases import Aliases
    from capture_agent.view.call import SipCall
    from capture_agent.view.call_book import CallBook

Where = Annotated[
    str | None,
    typer.Option("--where", metavar="CALL-FILTER", help="Only calls that match: 'status >= 400 and setup > 2'."),
]
WhereMessage = Annotated[
    str | None,
    typer.Option("--where-message", metavar="MESSAGE-FILTER", help="Only calls with a message that matches."),
]
Zone = Annotated[
    str, typer.Option("--zone", metavar="utc|local|NAME", help="Times in this zone: Europe/Berlin, for example.")
]
Files = Annotated[
    list[str] | None,
    typer.Option("--file", metavar="FILE", help="A capture file, instead of the database. May be repeated."),
]
LegsToo = Annotated[bool, typer.Option("--legs", help="Also the other legs of these calls.")]
Colour = Annotated[
    str, typer.Option("--color", metavar="auto|always|never", help="Colours; auto: on a terminal, without NO_COLOR.")
]

SECOND = 1_000_000_000


@dataclass(slots=True)
class Inputs:
    """Capture files, or a table.

    damages  what could not be read to its end
    streams  RTP of the calls whose messages were asked for, if they come from files
    """

    config: Config
    files: list[str]
    target: SqlTarget | None
    aliases: Aliases
    damages: list[str] = field(default_factory=list)
    streams: list[StreamFigures] = field(default_factory=list)

    @property
    def name(self) -> str:
        return ", ".join(self.files) or "the table"

    def finish(self) -> None:
        """Raises Failed: something was damaged."""
        if self.damages:
            raise Failed(self.damages[0])


def inputs(config: Path | None, files: list[str] | None, db: str | None, table: str | None) -> Inputs:
    """Raises WrongUsage, ConfigError."""
    from capture_agent.view.aliases import Aliases

    if files and db is not None:
        raise WrongUsage("got both --db and FILE, expected one of them")
    if files:
        options.check_files(files)
        loaded = options.configuration(config, {})
        return Inputs(loaded, files, None, Aliases(loaded.aliases.by_place()))
    loaded = options.configuration(config, options.overrides(db=options.listed(db), table=table))
    target = options.database_of(loaded, table)
    options.say_zone(target)
    return Inputs(loaded, [], target, Aliases(loaded.aliases.by_place()))


@dataclass(frozen=True, slots=True)
class Window:
    """A time, and the age that it may be given as."""

    since: datetime | None = None
    until: datetime | None = None
    last: timedelta | None = None

    def shows(self, call: SipCall, newest_ns: int) -> bool:
        """Whether the call has a message within. `newest_ns`: of a capture file, from which `last` counts."""
        since = self.since.timestamp() * SECOND if self.since else None
        if self.last is not None:
            since = newest_ns - self.last.total_seconds() * SECOND
        if since is not None and call.last_ns < since:
            return False
        return self.until is None or call.first_ns <= self.until.timestamp() * SECOND


def window(since: str | None, until: str | None, last: str | None, zone: tzinfo | None) -> Window:
    """Raises WrongUsage."""
    if last is None:
        return Window(moment_of("--since", since, zone), moment_of("--until", until, zone))
    if since is not None or until is not None:
        raise WrongUsage("got --last and also --since or --until, expected one of them")
    seconds = seconds_of_age(last)
    if not seconds:
        raise WrongUsage(f"--last: value {quotable(last)!r}, expected a time such as 90s, 10m, 2h or 3d")
    return Window(last=timedelta(seconds=seconds))


def moment_of(option: str, written: str | None, zone: tzinfo | None) -> datetime | None:
    """Of `2026-11-25`, `2026-11-25 21:09:30`, `21:09` (today)."""
    if written is None:
        return None
    try:
        if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?", written):
            today = datetime.now(UTC).astimezone(zone)
            clock = datetime.strptime(written, "%H:%M:%S" if written.count(":") == 2 else "%H:%M")
            return today.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0)
        found = datetime.fromisoformat(written)
    except ValueError:
        expected = "a time such as '2026-11-25 21:09' or 21:09"
        raise WrongUsage(f"{option}: value {quotable(written)!r}, expected {expected}") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone) if zone is not None else found.astimezone()
    return found


def zone_of(name: str) -> tzinfo | None:
    """None: this host's zone. Raises WrongUsage."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if name.lower() in ("utc", "local"):
        return UTC if name.lower() == "utc" else None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WrongUsage(
            f"--zone: value {quotable(name)!r}, expected utc, local or a name such as Europe/Berlin"
        ) from None


def call_filter(where: str | None, aliases: Aliases | None = None) -> Callable[[SipCall], bool] | None:
    """Raises WrongUsage."""
    if where is None:
        return None
    from capture_agent.config.filter_text import FilterError
    from capture_agent.view.call_filter import CallFilter

    try:
        return CallFilter(where, aliases).matches
    except FilterError as error:
        raise WrongUsage(f"--where: {error}") from None


def message_filter(where: str | None, option: str = "--where") -> MessageFilter | None:
    """Raises WrongUsage."""
    if where is None:
        return None
    from capture_agent.config.filter_text import FilterError
    from capture_agent.records.message_filter import MessageFilter

    try:
        return MessageFilter(where)
    except FilterError as error:
        raise WrongUsage(f"{option}: {error}") from None


def read_book(
    source: Inputs,
    message: MessageFilter | None = None,
    on_batch: Callable[[list[CapturedMessage]], None] | None = None,
) -> tuple[CallBook, set[bytes]]:
    """All calls of the files, and the Call-IDs with a message that matches. Raises SourceError."""
    from capture_agent.view.call_book import CallBook

    book = CallBook(source.config.legs)
    matched: set[bytes] = set()
    for batch in batches(source):
        book.add(batch)
        if message is not None:
            matched |= {one.sip.call_id or b"" for one in batch if message.matches(one)}
        if on_batch is not None:
            on_batch(batch)
    if book.forgotten:
        source.damages.append(f"{book.forgotten} calls are left out: there are too many to remember")
    return book, matched


def batches(
    source: Inputs, keeps_frames: bool = False, streams_of: Chosen | None = None
) -> Iterator[list[CapturedMessage]]:
    """`streams_of`: the calls whose RTP is measured."""
    from capture_agent.media.rtp_json import all_figures

    reading = CaptureReading(source.config, keeps_frames=keeps_frames, with_streams=streams_of is not None)
    for batch in reading.messages(source.files):
        found, reading.reports = reading.reports, []
        if streams_of is not None:
            source.streams += [one for one in all_figures(found) if streams_of.has(one.call_id)]
        yield [message for _, message in batch]
    source.damages += [one for one in reading.damages if one not in source.damages]


def messages_of(source: Inputs, call_ids: Iterable[str], keeps_frames: bool = False) -> list[CapturedMessage]:
    """The messages of these calls, sorted by time. Raises SourceError, SinkError."""
    wanted = [text(os.fsencode(one)) for one in call_ids]  # bytes that are not UTF-8, as the table has them: \xff
    found: list[CapturedMessage] = []
    if source.target is not None:
        from capture_agent.history.stored_calls import messages_of_calls
        from capture_agent.history.stored_messages import seen_message

        rows = messages_of_calls(source.target, wanted)
        found = [message for row in rows if (message := seen_message(row)) is not None]
    else:
        from capture_agent.policy.lookback import copied  # so that no batch stays in memory

        chosen = Chosen(wanted)
        for batch in batches(source, keeps_frames, streams_of=chosen):
            found += [copied(one, keeps_frames) for one in batch if chosen.has(one.sip.call_id)]
    return sorted(found, key=lambda message: message.time_ns)


class Chosen:
    """Call-IDs, in any form in which they are shown."""

    def __init__(self, call_ids: Iterable[str]) -> None:
        self._shown = set(call_ids)
        self._plain = {one.encode("utf-8", "surrogateescape") for one in self._shown}

    def has(self, call_id: bytes | None) -> bool:
        if call_id is None or call_id in self._plain:
            return call_id is not None
        if call_id.isascii() and call_id.decode().isprintable():
            return False
        return not self._shown.isdisjoint(call_id_forms(call_id))


def with_legs(source: Inputs, call_ids: list[str]) -> list[str]:
    """Also the Call-IDs of their other legs, in the order of their first messages. Raises SourceError, SinkError."""
    if source.target is not None:
        from capture_agent.history.stored_calls import legs_in_table

        found = [leg for one in call_ids for leg in legs_in_table(source.target, one, source.config.legs)]
    else:
        if options.STANDARD_INPUT in source.files:
            raise WrongUsage("--legs reads a file twice, and standard input (-) can be read only once")
        book, _ = read_book(source)
        chosen = Chosen(call_ids)
        found = [text(leg.call_id) for call in book if chosen.has(call.call_id) for leg in book.legs_of(call)]
    return list(dict.fromkeys(found)) or call_ids


def chosen_messages(
    source: Inputs,
    call_ids: list[str],
    legs: bool,
    where: Callable[[SipCall], bool] | None = None,
    frames: bool = False,
) -> list[CapturedMessage]:
    """The messages of the calls that are named, or that match. Raises Failed: there are none."""
    if where is not None:
        call_ids = [*call_ids, *matching_calls(source, where)]
    if legs:
        call_ids = with_legs(source, call_ids)
    found = messages_of(source, call_ids, frames) if call_ids else []
    if not found:
        if source.damages:
            raise Failed(source.damages[0])
        shown = ", ".join(repr(mask(one) if "://" in one else one) for one in call_ids)  # a Call-ID has an @, too
        named = f"with the Call-ID {shown} " if shown else ""
        raise Failed(f"no message {named}in {source.name}")
    return found


def matching_calls(source: Inputs, where: Callable[[SipCall], bool]) -> list[str]:
    if source.target is not None:
        from capture_agent.history.stored_calls import listing

        return [text(call.call_id) for call in listing(source.target, legs=source.config.legs, wanted=where).calls]
    if options.STANDARD_INPUT in source.files:
        raise WrongUsage("--where reads a file twice, and standard input (-) can be read only once")
    book, _ = read_book(source)
    return [text(call.call_id) for call in book if where(call)]
