"""When each route runs, and what it traces of which messages.

request_route and reply_route run for incoming messages, onsend_route for outgoing requests. onreply_route, branch_route
and failure_route run if t_on_reply() and the like have named them, for the transactions of those requests: a
branch_route continues with the request, the others run with its responses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from capture_agent.convert.actions import Actions
from capture_agent.convert.modparams import Parameters
from capture_agent.convert.outcomes import Outcome, TooMuch, fewest, union
from capture_agent.convert.paths import ARMED, CALLS, EVERYTHING, Walker
from capture_agent.convert.reading import Note, ScriptPlace
from capture_agent.convert.relevance import Relevance, relevance, traces
from capture_agent.convert.rule_matchers import Matcher, Matchers, header_name, narrowed_by_all
from capture_agent.convert.script import Route, Script
from capture_agent.convert.script_paths import (
    BRANCH_FAILURES,
    BRANCHES,
    FAILURES,
    REPLIES,
    Armed,
    Doubt,
    ScriptPath,
    settled,
)
from capture_agent.convert.syntax import Atom
from capture_agent.convert.variables import EVENT, REPLY, REQUEST, SENDING

IN, OUT = Matcher("direction", ("in",)), Matcher("direction", ("out",))
REQUESTS, RESPONSES = Matcher("kind", ("request",)), Matcher("kind", ("response",))
FAILED = Matcher("status", ("3xx", "4xx", "5xx", "6xx"))
TIMED_OUT = Matcher("status", ("408",))
CORE_EVENT = "siptrace:msg"
ABSORBED_ACK = "sl:filtered-ack"
LOCAL = {"tm:local-request": REQUESTS, "tm:local-response": RESPONSES}
DEEPEST = 3  # failure routes that arm failure routes
# Equal in a response and its request.
KEPT = {"method", "status", "from_uri", "from_user", "from_host", "to_uri", "to_user", "to_host"}
KEPT_HEADERS = {"call-id", "from", "cseq"}
PLAIN = {"kind": "request", "direction": "in"}


@dataclass
class ScriptRoutes:
    """`doubts`: unknown conditions of what is traced."""

    script: Script
    parameters: Parameters
    actions: Actions
    notes: list[Note] = field(default_factory=list)
    doubts: dict[Atom, None] = field(default_factory=dict)
    absorbed_acks: bool = False  # by a function of the script
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _used: set[tuple[str, str]] = field(default_factory=set)

    def outcomes(self) -> list[Outcome]:
        found: list[Outcome] = []
        for route in self.script.routes:
            for each in self._of_route(route):
                found = union(found, each)
        self._name_unarmed()
        return found

    def dropped(self) -> list[ScriptPath]:
        """The paths through event_route[siptrace:msg], some of which end with a drop."""
        ways: list[ScriptPath] = []
        for route in self.script.routes:
            if route.kind == "event_route" and route.name == CORE_EVENT:
                ways = settled(self._walk(route, [ScriptPath()], EVENT))
        if not any(way.ended == "drop" for way in ways):
            return []
        for way in ways:
            self._doubt(way)
        return ways

    def _of_route(self, route: Route) -> list[list[Outcome]]:
        if route.kind == "route" and not route.name:
            route = replace(route, kind="request_route")
        if route.kind == "request_route":
            return self._of_requests(route)
        start = self._start(route)
        if start is None:
            return []
        matchers, packet = start
        ways = settled(self._walk(route, [ScriptPath(matchers)], packet))
        if route.kind == "onsend_route" and traces(route, self.script):
            why = "here it also covers Kamailio's own messages and retransmissions"
            self._note(route.place, f"onsend_route: {why}")
        self.absorbed_acks |= route.name == ABSORBED_ACK and any(way.calls for way in ways)
        return [self._made(ways)]

    def _start(self, route: Route) -> tuple[Matchers, str] | None:
        both = self.parameters.reads_x_headers  # they give the direction, whichever way the duplicate went
        if route.kind == "event_route" and route.name == ABSORBED_ACK:
            return tuple(
                each for each in (Matcher("method", ("ACK",)), REQUESTS, IN) if not (both and each == IN)
            ), REQUEST
        if route.kind == "event_route" and route.name in LOCAL and traces(route, self.script):
            self._note(route.place, f"event_route[{route.name}]: here for all outgoing messages")
            return (LOCAL[route.name], OUT), SENDING
        if route.kind == "reply_route":
            return ((RESPONSES,) if both else (RESPONSES, IN)), REPLY
        if route.kind == "onsend_route":
            replies = self.script.settings.get("onsend_route_reply") in ("yes", "1", "on", "true", "enable")
            matchers = (OUT,) if replies else (REQUESTS, OUT)
            return (tuple(each for each in matchers if not (both and each == OUT))), SENDING
        known = route.kind != "event_route" or route.name == CORE_EVENT or route.name.startswith("tm:branch-failure")
        if not known and traces(route, self.script):
            self._note(route.place, f"event_route[{route.name}]: unknown when it runs: left out")
        return None

    def _of_requests(self, route: Route) -> list[list[Outcome]]:
        start = (REQUESTS,) if self.parameters.reads_x_headers else (REQUESTS, IN)
        calls, armed = (
            settled(
                [
                    way.finished()
                    for way in self._with_branches(self._walk(route, [ScriptPath(start)], REQUEST, asks=asks), asks)
                ]
            )
            for asks in (CALLS, ARMED)
        )
        return [self._made(calls), *self._of_responses(armed, 0)]

    def _with_branches(self, ways: list[ScriptPath], asks: str) -> list[ScriptPath]:
        """A branch_route continues where the request leaves the script."""
        found: list[ScriptPath] = []
        for way in ways:
            armed = next((each for each in way.armed if each.kind == BRANCHES), None)
            route = self._armed(armed) if armed else None
            if route is None:
                found.append(way)
                continue
            ended = way.ended
            through = self._walk(route, [replace(way, ended="")], REQUEST, asks=asks)
            found += [replace(each, ended=ended) for each in through]
        return found

    def _of_responses(self, ways: list[ScriptPath], depth: int) -> list[list[Outcome]]:
        """What onreply_route and failure_route do with responses to requests on these paths."""
        replies = self._chained(ways, (REPLIES,), depth)
        failures = self._chained(ways, (FAILURES, BRANCH_FAILURES), depth)
        return [replies, failures]

    def _chained(self, ways: list[ScriptPath], kinds: tuple[str, ...], depth: int) -> list[Outcome]:
        """In the order of the paths: a path whose conditions a response shows completely excludes later ones."""
        found: list[Outcome] = []
        for way in reversed(ways):
            matchers, lost = of_response(way.matchers, depth > 0)
            own: list[Outcome] = []
            doubts = tuple(Doubt(doubt.atom) for doubt in way.doubts)
            for armed in way.armed:
                if armed.kind in kinds and (route := self._armed(armed)) is not None:
                    start = ScriptPath(matchers, stored=armed.stored, flags=armed.flags, doubts=doubts)
                    own = union(own, self._through(route, start, armed.kind, depth))
            if lost and any(outcome.actions for outcome in own):
                names = ", ".join(sorted({each.option for each in lost}))
                why = f"a response does not show {names} of its request: left out, so more is traced"
                self._note(way.calls[0].call.place if way.calls and not own else None, f"{kinds[0]}: {why}")
            if not lost:
                scope = narrowed_by_all(matchers, (RESPONSES,))
                found = [*own, *([Outcome(scope)] if scope else []), *found] if own or found else []
            elif own:
                found = union(own, found)
        return found

    def _through(self, route: Route, start: ScriptPath, kind: str, depth: int) -> list[Outcome]:
        if kind == REPLIES:
            matchers = narrowed_by_all(start.matchers, self._responses_in())
            return (
                []
                if matchers is None
                else self._made(settled(self._walk(route, [replace(start, matchers=matchers)], REPLY)))
            )
        matchers = narrowed_by_all(start.matchers, (FAILED,))
        if matchers is None:
            return []
        ways = settled(
            [way.finished() for way in self._walk(route, [replace(start, matchers=matchers)], REQUEST, FAILURES)]
        )
        found = self._of_failed(self._made(ways))
        if depth < DEEPEST:
            for each in self._of_responses(ways, depth + 1):
                found = union(found, each)
        return found

    def _of_failed(self, outcomes: list[Outcome]) -> list[Outcome]:
        """A branch's failure is incoming; a timeout is an outgoing 408."""
        found: list[Outcome] = []
        for outcome in reversed(outcomes):
            matchers, lost = of_response(outcome.matchers)
            own: list[Outcome] = []
            for status, direction in ((None, IN), (TIMED_OUT, OUT)):
                more = [
                    RESPONSES,
                    *([status] if status else []),
                    *([] if self.parameters.reads_x_headers else [direction]),
                ]
                narrowed = narrowed_by_all(matchers, more)
                if narrowed is not None:
                    own.append(Outcome(narrowed, outcome.actions))
            found = union([each for each in own if each.actions], found) if lost else [*own, *found]
        return found

    def _responses_in(self) -> Matchers:
        return (RESPONSES,) if self.parameters.reads_x_headers else (RESPONSES, IN)

    def _made(self, ways: list[ScriptPath]) -> list[Outcome]:
        """A call in dialog mode applies to only some messages of the path: a separate list."""
        found: list[Outcome] = []
        fewer = fewest(ways, lambda way: way.calls)
        for way in ways:
            if way.calls and way not in fewer:
                self._doubt(way)
        for way in fewer:
            lists: list[Outcome] = []
            for call in way.calls:
                done = self.actions.of(call)
                matchers = narrowed_by_all(way.matchers, done[0]) if done else None
                if done and matchers is not None:
                    self._doubt(way)
                    lists = union(lists, [Outcome(matchers, (done[1],))])
                elif done:
                    self.actions.say(call.call, "dialog mode starts with an INVITE, which is not here: left out")
            found += (
                [*lists, Outcome(way.matchers)] if not any(each.matchers == way.matchers for each in lists) else lists
            )
        return found if any(outcome.actions for outcome in found) else []

    def _walk(
        self, route: Route, starts: list[ScriptPath], packet: str, kind: str = "", asks: str = EVERYTHING
    ) -> list[ScriptPath]:
        """Raises TooMuch."""
        flag = self.parameters.number("trace_flag")
        trace_flag = str(flag) if 0 <= flag <= 31 else ""
        variables = [self.parameters.variable(name) for name in ("traced_user_avp", "trace_table_avp")]
        kind = kind or route.kind
        for conditions in (True, False):
            known: Relevance = relevance(self.script, variables, trace_flag, conditions)
            walker = Walker(self.script, known, trace_flag, kind, packet, kind == FAILURES, asks, self._numbers)
            try:
                found = walker.ways(route.statements, starts)
                break
            except TooMuch:
                if not conditions:
                    raise
        if traces(route, self.script) or packet == EVENT:
            self.notes += [note for note in dict.fromkeys(walker.notes) if note not in self.notes]
        return found

    def _armed(self, armed: Armed) -> Route | None:
        """The route; the last of several with the same name."""
        kind, name = armed.kind, armed.name
        if kind == BRANCH_FAILURES:
            kind, name = "event_route", f"tm:branch-failure:{name}"
        self._used.add((kind, name))
        found = [route for route in self.script.routes if route.kind == kind and route.name == name]
        return found[-1] if found else None

    def _name_unarmed(self) -> None:
        for route in self.script.routes:
            unused = route.kind in (REPLIES, BRANCHES, FAILURES) and (route.kind, route.name) not in self._used
            if unused and traces(route, self.script):
                self._note(route.place, f"{route.kind}[{route.name}]: never called: left out")

    def _doubt(self, way: ScriptPath) -> None:
        self.doubts.update((doubt.atom, None) for doubt in way.doubts if len(way.calls) > doubt.calls)

    def _note(self, place: ScriptPlace | None, text: str) -> None:
        note = Note(place, text)
        if note not in self.notes:
            self.notes.append(note)


def of_response(matchers: Matchers, later: bool = False) -> tuple[Matchers, list[Matcher]]:
    """A request's conditions that its responses also show, and the others; an earlier response's status is another."""
    kept, lost = [], []
    for each in matchers:
        if each.option in PLAIN and each.values in ((PLAIN[each.option],), ("response",)):
            continue
        if (each.option in KEPT and not (later and each.option == "status")) or (
            each.option == "header" and header_name(each.values[0]) in KEPT_HEADERS
        ):
            kept.append(each)
        else:
            lost.append(each)
    return tuple(kept), lost
