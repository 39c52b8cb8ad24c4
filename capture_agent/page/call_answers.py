"""The answers that pages and API share: one or several calls with their ladder, one message, a difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from starlette.datastructures import QueryParams

from capture_agent.config.rule_options import Legs
from capture_agent.page.call_query import LONGEST, MODES, WrongQuery, number, zone_named
from capture_agent.page.call_source import MOST_IN_LADDER, MOST_MESSAGES, CallSource
from capture_agent.view.aliases import Aliases
from capture_agent.view.call import SipCall
from capture_agent.view.call_book import CallBook
from capture_agent.view.ladder import Arrow, Ladder, ladder_of
from capture_agent.view.time_text import TimeMode

LONGEST_CALL_ID = 4096


class NotFound(LookupError):
    """The text says what."""


@dataclass(frozen=True, slots=True)
class LadderQuery:
    call_ids: tuple[str, ...]
    legs: bool
    mode: TimeMode
    zone_name: str
    zone: tzinfo | None


@dataclass(frozen=True, slots=True)
class LookedAt:
    """`calls`: those of the ladder, in its order; `other_legs`: Call-IDs that are known, but not in it; `left_out`:
    messages beyond those of the ladder."""

    query: LadderQuery
    calls: list[SipCall]
    ladder: Ladder
    other_legs: list[str]
    left_out: int

    def message(self, wanted: int) -> Arrow:
        """Raises NotFound."""
        if not 0 < wanted <= len(self.ladder.arrows):
            raise NotFound(f"no message {wanted}: there are {len(self.ladder.arrows)}")
        return self.ladder.arrows[wanted - 1]


def message_number(values: QueryParams, name: str = "n") -> int:
    """Raises WrongQuery."""
    return number(values, name, 1, 1, MOST_MESSAGES)


def ladder_query(values: QueryParams) -> LadderQuery:
    """Raises WrongQuery."""
    call_ids = tuple(dict.fromkeys(values.getlist("id")))
    if not 0 < len(call_ids) <= MOST_IN_LADDER or not all(0 < len(one) <= LONGEST_CALL_ID for one in call_ids):
        raise WrongQuery(f"id: expected 1 to {MOST_IN_LADDER} Call-IDs")
    zone = (values.get("zone") or "utc")[:LONGEST]
    mode = next((one for one in MODES if one == (values.get("time") or MODES[0])), None)
    if mode is None:
        raise WrongQuery(f"time: expected {', '.join(MODES)}")
    return LadderQuery(call_ids, bool(number(values, "legs", 0, 0, 1)), mode, zone, zone_named(zone))


def looked_at(source: CallSource, query: LadderQuery, aliases: Aliases, rules: Legs | None) -> LookedAt:
    """Raises NotFound, and what the source raises."""
    known = list(dict.fromkeys(leg for one in query.call_ids for leg in source.legs(one)))
    call_ids: Sequence[str] = query.call_ids
    if query.legs:
        call_ids = list(dict.fromkeys([*known, *call_ids]))[:MOST_IN_LADDER]
    found = source.messages(call_ids)
    if not found.messages:
        raise NotFound("no such call")
    ladder = ladder_of(found.messages, aliases, source.streams(call_ids))
    book = CallBook(rules)
    book.add(found.messages)
    return LookedAt(query, list(book), ladder, [one for one in known if one not in call_ids], found.left_out)
