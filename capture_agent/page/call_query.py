"""What a request asks for: a search, a filter, a time, a zone. Every problem is one for its sender to read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from capture_agent.config.filter_text import FilterError
from capture_agent.page.call_source import MOST_AT_ONCE, MOST_BEFORE, CallChoice, CallOrder
from capture_agent.sip.headers import text
from capture_agent.sip.lookup import user_of
from capture_agent.view.aliases import Aliases, host_text
from capture_agent.view.call import SipCall
from capture_agent.view.call_filter import CallFilter
from capture_agent.view.time_text import TimeMode, seconds_of_age

LONGEST = 1000  # characters of a value
LIMIT = 50  # calls
SHOWN = ("all", "failed", "up")
# The columns by which lists are sorted, and whether a column has its greatest first at first.
BY_COLUMN = {
    "first": True, "from": False, "to": False, "state": False, "status": True, "setup": True, "duration": True,
    "messages": True, "retransmissions": True,
}  # fmt: skip
SORTED = tuple(sign + name for name in BY_COLUMN for sign in ("-", ""))
MODES: tuple[TimeMode, ...] = ("start", "delta", "absolute")
NUMBER = re.compile(r"[0-9]{1,9}")
MARK = re.compile(r"[0-9]{1,18}")


class WrongQuery(ValueError):
    """The text says what is wrong."""


@dataclass(frozen=True, slots=True)
class CallQuery:
    """As it was asked: texts are those of the request.

    search  in numbers, users, hosts and Call-IDs        where  a filter of calls
    sort    the column, with - before it for the greatest first
    """

    search: str = ""
    where: str = ""
    show: str = "all"
    since: str = ""
    until: str = ""
    last: str = ""
    zone: str = "utc"
    sort: str = "-first"
    limit: int = LIMIT
    after: int = 0

    @property
    def order(self) -> CallOrder:
        return CallOrder(self.sort.removeprefix("-"), self.sort.startswith("-"))

    def sorted_by(self, name: str) -> str:
        """The next `sort` when this column is chosen: the other way round if it is sorted by it."""
        if name == self.order.name:
            return name if self.order.reverse else f"-{name}"
        return f"-{name}" if BY_COLUMN[name] else name

    def as_url(self, **changes: str | int) -> str:
        """Of the same list with these changes; defaults are left out."""
        values = {name: getattr(self, name) for name in self.__slots__} | changes
        return urlencode({name: one for name, one in values.items() if one != getattr(DEFAULT, name)})


DEFAULT = CallQuery()


def call_query(values: Mapping[str, str]) -> CallQuery:
    """Raises WrongQuery."""
    given = {name: values.get(name, "").strip() for name in ("search", "where", "since", "until", "last")}
    if too_long := next((name for name, value in given.items() if len(value) > LONGEST), None):
        raise WrongQuery(f"{too_long}: more than {LONGEST} characters")
    return CallQuery(
        **given,
        show=one_of(values, "show", SHOWN),
        zone=values.get("zone") or "utc",
        sort=one_of(values, "sort", SORTED),
        limit=number(values, "limit", LIMIT, 1, MOST_AT_ONCE),
        after=number(values, "after", 0, 0, MOST_BEFORE),
    )


def one_of(values: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    found = values.get(name) or known[0]
    if found not in known:
        raise WrongQuery(f"{name}: expected {', '.join(known)}")
    return found


def number(values: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    found = values.get(name) or str(default)
    if not NUMBER.fullmatch(found) or not least <= int(found) <= most:
        raise WrongQuery(f"{name}: expected a number from {least} to {most}")
    return int(found)


def mark_in(written: str) -> int | None:
    """None: from now on. Raises WrongQuery."""
    if written and not MARK.fullmatch(written):
        raise WrongQuery("mark: expected a number")
    return int(written) if written else None


def zone_named(name: str) -> tzinfo | None:
    """None: this host's zone. Raises WrongQuery."""
    if name in ("utc", "local"):
        return UTC if name == "utc" else None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WrongQuery("zone: expected utc, local or a name such as Europe/Berlin") from None


def wanted_calls(query: CallQuery, aliases: Aliases, now: datetime) -> CallChoice:
    """Raises WrongQuery."""
    zone = zone_named(query.zone)
    since, until = moment_of("since", query.since, zone), moment_of("until", query.until, zone)
    if query.last:
        seconds = seconds_of_age(query.last)
        if not seconds:
            raise WrongQuery("last: expected a time such as 90s, 10m, 2h or 3d")
        since = now - timedelta(seconds=seconds)
    tests = [test for test in (by_state(query.show), by_filter(query.where, aliases)) if test is not None]
    if query.search:
        tests.append(by_text(query.search, aliases))
    return CallChoice(since, until, (lambda call: all(test(call) for test in tests)) if tests else None)


def moment_of(name: str, written: str, zone: tzinfo | None) -> datetime | None:
    if not written:
        return None
    try:
        found = datetime.fromisoformat(written)
        if found.tzinfo is None:
            found = found.replace(tzinfo=zone) if zone is not None else found.astimezone()
        return found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise WrongQuery(f"{name}: expected a time such as 2026-11-25T21:09") from None


Test = Callable[[SipCall], bool]


def by_state(show: str) -> Test | None:
    if show == "failed":
        return lambda call: call.failed
    return (lambda call: call.state == "in call") if show == "up" else None


def by_filter(where: str, aliases: Aliases) -> Test | None:
    if not where:
        return None
    try:
        return CallFilter(where, aliases).matches
    except FilterError as error:
        raise WrongQuery(f"where: {error}") from None


def by_text(search: str, aliases: Aliases) -> Test:
    """Every word is somewhere in the call's users, hosts, Call-ID or method."""
    words = search.lower().split()

    def matches(call: SipCall) -> bool:
        texts = [call.from_user, call.to_user, text(user_of(call.uri)), call.from_host, call.to_host]
        texts += [text(call.call_id), text(call.method), call.state, str(call.status), text(call.reason)]
        texts += [label for end in call.endpoints for label in (aliases.name(*end), host_text(end[0]))]
        shown = "\n".join(texts).lower()
        return all(word in shown for word in words)

    return matches
