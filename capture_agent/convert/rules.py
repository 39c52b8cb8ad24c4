"""The ways through the routes as [[rule]]s."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from capture_agent.convert.conditions import Matcher, narrowed
from capture_agent.convert.parameters import DATABASE, DUPLICATE, HEP, Parameters
from capture_agent.convert.paths import TooMuch, TraceCall, Walker, Way, other_calls, shown
from capture_agent.convert.reading import Note
from capture_agent.convert.script import Route, Script
from capture_agent.convert.simplify import Rule, simplified
from capture_agent.convert.sinks import Sink, Sinks
from capture_agent.convert.syntax import Call
from capture_agent.convert.tokens import Token

MODES = {"m": "message", "t": "transaction", "d": "dialog"}
STRENGTH = ["none", "message", "transaction", "dialog"]
# Pseudo-variables, by the part of a message that a template names.
PARTS = {
    "ci": "call_id", "rm": "method", "cs": "cseq", "ft": "from_tag", "tt": "to_tag", "fU": "from_user",
    "fu": "from_uri", "tU": "to_user", "tu": "to_uri", "rU": "request_user", "ru": "request_uri", "si": "source",
    "sp": "source_port", "Ri": "destination", "Rp": "destination_port", "proto": "transport", "pr": "transport",
}  # fmt: skip
_VARIABLE = re.compile(r"\$(\$|hdr\(([A-Za-z0-9.!%*_+`'~-]+)\)|[A-Za-z_]\w*(?:\([^)]*\))?|\([^)]*\))")
IN, OUT = Matcher("direction", ("in",)), Matcher("direction", ("out",))
REQUEST, RESPONSE = Matcher("kind", ("request",)), Matcher("kind", ("response",))
STARTS: dict[str, tuple[Matcher, ...]] = {
    "request_route": (REQUEST, IN),
    "branch_route": (REQUEST, IN),
    "failure_route": (REQUEST, IN),
    "reply_route": (RESPONSE, IN),
    "onreply_route": (RESPONSE, IN),
    "onsend_route": (REQUEST, OUT),
}
INSTEAD = {"hlog": "`capture-agent hlog`", "sip_trace_msg": "`capture-agent trace-msg`"}
CORE_EVENT = "siptrace:msg"
ABSORBED_ACK = "sl:filtered-ack"


@dataclass
class RuleMaker:
    """`core`: the sinks that get every message."""

    script: Script
    parameters: Parameters
    sinks: Sinks
    core: tuple[int, ...] = ()
    is_doubled: bool = False  # is something traced by both, the core and the script?
    traces_absorbed_acks: bool = False  # with a function of the script
    notes: list[Note] = field(default_factory=list)

    def make(self) -> list[Rule]:
        """In order, the first that matches decides; none where every message is traced anyway."""
        self.core = self._core_sinks()
        rules = self._of_script() if self.parameters.script else []
        self.is_doubled = bool(self.core and rules)
        self._name_the_rest()
        drops = self._of_core_event() if self.core else []
        if self.core and (rules or drops):
            everything = Rule((), "message", self.parameters.place("trace_mode"), self.core)
            return simplified([*rules, *drops, everything])
        return simplified(rules)

    @property
    def has_core_event(self) -> bool:
        return any(route.name == CORE_EVENT for route in self.script.routes)

    def _core_sinks(self) -> tuple[int, ...]:
        bits, uri = self.parameters.core, self.parameters.text("duplicate_uri")
        place = self.parameters.place("duplicate_uri")
        found: list[Sink] = []
        if bits & HEP and uri:
            found += self.sinks.hep(uri, place)
        if bits & DATABASE:
            found += self.sinks.sql()
        if bits & DUPLICATE and uri:
            wanted = bool(self.parameters.number("xheaders_write"))
            if wanted and not self.has_core_event:
                why = "without event_route[siptrace:msg] trace_mode writes none: left out"
                self.notes.append(self.parameters.note("xheaders_write", why))
            found += self.sinks.sip(uri, place, wanted and self.has_core_event)
        if bits & (HEP | DUPLICATE) and not uri:
            self.notes.append(self.parameters.note("trace_mode", "there is no duplicate_uri to send to"))
        return self._indexes(found)

    def _of_script(self) -> list[Rule]:
        rules: list[Rule] = []
        for route in self.script.routes:
            start = STARTS.get(route.kind) if not (route.kind == "route" and route.name) else None
            if route.kind == "event_route" and route.name == ABSORBED_ACK:
                start = (Matcher("method", ("ACK",)), REQUEST, IN)
            if start is None:
                continue
            if self.parameters.reads_x_headers:  # they tell the direction, whichever way the duplicate went
                start = tuple(each for each in start if each.option != "direction")
            if route.kind == "onsend_route" and self.script.settings.get("onsend_route_reply") in ("yes", "1", "on"):
                start = (OUT,)
            ways = self._ways(route, start)
            if any(way.calls for way in ways):
                rules += [self._rule(way, route) for way in ways]
                self.traces_absorbed_acks |= route.name == ABSORBED_ACK
        return rules

    def _ways(self, route: Route, start: tuple[Matcher, ...]) -> list[Way]:
        flag = self.parameters.number("trace_flag")
        walker = Walker(
            self.script,
            self.parameters.variable("traced_user_avp"),
            self.parameters.variable("trace_table_avp"),
            str(flag) if 0 <= flag <= 31 else "",
        )
        try:
            ways = walker.ways(route, Way(start))
        except (TooMuch, RecursionError):
            self.notes.append(
                Note(route.place, f"{route.kind}: too many ways lead through it: write its rules by hand")
            )
            return []
        if any(way.calls for way in ways) or route.name == CORE_EVENT:
            self.notes += list(dict.fromkeys(walker.notes))
        return ways

    def _of_core_event(self) -> list[Rule]:
        """What event_route[siptrace:msg] drops; an outer `drop` is all that counts there."""
        rules = []
        for route in self.script.routes:
            if route.name != CORE_EVENT:
                continue
            ways = self._ways(route, ())
            if any(way.ended == "drop" for way in ways):
                rules += [
                    Rule(
                        way.matchers,
                        "none" if way.ended == "drop" else "message",
                        route.place,
                        self.core if way.ended != "drop" else (),
                    )
                    for way in ways
                ]
        return rules

    def _rule(self, way: Way, route: Route) -> Rule:
        """Several calls on one way are one rule: each message goes to each sink once."""
        rule = Rule(way.matchers, "none")
        for call in way.calls:
            rule = self._with(rule, call, route)
        return rule if rule.trace == "none" else replace(rule, sinks=tuple(sorted({*rule.sinks, *self.core})))

    def _with(self, rule: Rule, made: TraceCall, route: Route) -> Rule:
        call = made.call
        trace = self._mode(made)
        if trace != "message" and STARTS.get(route.kind, (REQUEST,))[0] != REQUEST:
            self._say(call, f"{trace} mode begins with a request, not here: left out")
            return rule
        matchers: tuple[Matcher, ...] | None = rule.matchers
        if trace == "dialog":
            matchers = self._inviting(rule.matchers)
            if matchers is None:
                self._say(call, "dialog mode begins with an INVITE, not here: left out")
                return rule
        arguments = call.arguments if call.name == "sip_trace" else ()
        address = constant(arguments[0]) if arguments else ""
        if address is None:
            self._say(call, f"{shown(arguments[0])}: an address that is known at run time only: duplicate_uri is taken")
        correlation = self._template(call, arguments[1]) if len(arguments) > 1 else ""
        sinks = self._indexes(self._sinks_of(made, address or ""))
        if not sinks and not self.core:
            self._say(call, "there is nowhere to send to: left out")
            return rule
        stronger = max(rule.trace, trace, key=STRENGTH.index)
        return Rule(
            matchers or (),
            stronger,
            rule.place or call.place,
            (*rule.sinks, *sinks),
            rule.correlation_id or correlation,
            rule.users or tuple(filter(None, (self._filled(call, user) for user in made.users))),
            rule.table or made.table,
        )

    def _inviting(self, matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...] | None:
        """siptrace takes a dialog trace on any INVITE; a new dialog begins with one that has no To tag."""
        found = narrowed(matchers, Matcher("method", ("INVITE",)))
        return found if found is None else narrowed(found, Matcher("kind", ("initial",)))

    def _mode(self, made: TraceCall) -> str:
        call = made.call
        text: str | None = "t" if made.flagged else "m"
        if call.name == "sip_trace_mode":
            text = constant(call.arguments[0]) if call.arguments else ""
            text = (text or "")[:1].lower()
        elif len(call.arguments) > 2:
            text = (constant(call.arguments[2]) or "").strip().lower()
        if text not in MODES:
            self._say(call, f"mode {text!r}, expected m, t or d: message mode is taken")
            return "message"
        if text == "d" and "dialog" not in self.script.modules:
            self._say(call, "without the dialog module siptrace traces no dialog; here the dialog is traced")
        elif text == "d" and call.name == "sip_trace_mode":
            self._say(call, "siptrace refuses this by mistake and traces nothing; here the dialog is traced")
        return MODES[text]

    def _sinks_of(self, made: TraceCall, address: str) -> list[Sink]:
        number, uri = self.parameters.number, address or self.parameters.text("duplicate_uri")
        place = made.call.place if address else self.parameters.place("duplicate_uri")
        found: list[Sink] = []
        if number("hep_mode_on"):
            if number("hep_version") < 3 and not self.parameters.text("duplicate_uri"):
                self._say(made.call, "siptrace sends HEP 1 and 2 only where there is a duplicate_uri; here it is sent")
            found += self.sinks.hep(uri, place) if uri else []
        elif uri and (address or not number("trace_to_database")):
            found += self.sinks.sip(uri, place, bool(number("xheaders_write")))
        if number("trace_to_database"):
            found += self.sinks.sql()
        return found

    def _template(self, call: Call, argument: tuple[Token, ...]) -> str:
        return self._filled(call, "".join(token.text for token in argument if not token.is_sign("+")))

    def _filled(self, call: Call, text: str) -> str:
        """`corr-$ci` as `corr-{call_id}`."""
        unknown: list[str] = []

        def part(match: re.Match[str]) -> str:
            if match[1] == "$":
                return "$"
            name = f"header:{match[2]}" if match[2] else PARTS.get(match[1], "")
            if not name:
                unknown.append(match[0])
            return f"\0{name}\1"

        filled = _VARIABLE.sub(part, text).replace("{", "{{").replace("}", "}}")
        if unknown:
            self._say(call, f"{', '.join(unknown)}: no part of a message that is known here: left out")
            return ""
        return filled.replace("\0", "{").replace("\1", "}")

    def _name_the_rest(self) -> None:
        """hlog() and sip_trace_msg() send what is no message."""
        for route in self.script.routes:
            for call in other_calls(route.statements):
                self._say(call, f"not of a message, so no rule: {INSTEAD[call.name]} sends one")

    def _say(self, call: Call, text: str) -> None:
        note = Note(call.place, f"{call.name}(): {text}")
        if note not in self.notes:
            self.notes.append(note)

    def _indexes(self, sinks: Iterable[Sink]) -> tuple[int, ...]:
        return tuple(self.sinks.found.index(sink) for sink in sinks)


def constant(argument: tuple[Token, ...]) -> str | None:
    """The text of an argument; None where it is known at run time only."""
    if any(token.kind == "variable" for token in argument):
        return None
    text = "".join(token.text for token in argument if not token.is_sign("+"))
    return None if "$" in text else text
