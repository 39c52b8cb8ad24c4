"""Turns calls of sip_trace() and sip_trace_mode() into the action of a rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from capture_agent.config.matchers import parse_table
from capture_agent.config.rule_options import parse_template
from capture_agent.convert.modparams import Parameters
from capture_agent.convert.outcomes import Action
from capture_agent.convert.reading import Note
from capture_agent.convert.relevance import shown
from capture_agent.convert.rule_matchers import Matcher, Matchers
from capture_agent.convert.script import Script
from capture_agent.convert.script_paths import BRANCHES, FAILURES, TraceCall
from capture_agent.convert.sink_output import Sinks, SinkTable
from capture_agent.convert.syntax import FunctionCall
from capture_agent.convert.tokens import Token
from capture_agent.convert.values import NotKnown, Parts, Scope, constant, evaluated, fields, formatted, template
from capture_agent.convert.variables import REQUEST

MODES = {"m": "message", "t": "transaction", "d": "dialog"}
# siptrace accepts a dialog trace on any INVITE; a new dialog begins with one without a To tag.
INVITING = (Matcher("method", ("INVITE",)), Matcher("kind", ("initial",)))


@dataclass
class Actions:
    script: Script
    parameters: Parameters
    sinks: Sinks
    notes: list[Note] = field(default_factory=list)

    def of(self, made: TraceCall) -> tuple[Matchers, Action] | None:
        """Its action, and for which messages in addition to the path's conditions; None: for none."""
        call = made.call
        trace = self._mode(made)
        if trace != "message" and made.scope.packet != REQUEST:
            self.say(call, f"{trace} mode starts with a request, which is not here: left out")
            return None
        sinks = self._indexes(self._sinks_of(made, self._address(made)))
        if not sinks and not self.parameters.core:
            self.say(call, "no destination: left out")
            return None
        correlation_id = (
            self._template(made, call.arguments[1]) if call.name == "sip_trace" and len(call.arguments) > 1 else ""
        )
        users, table = self._users(made), self._table(made)
        action = Action(trace, sinks, correlation_id, users, table, place=call.place)
        if made.kind == FAILURES:
            return (), self._of_failure(call, action)
        if made.kind == BRANCHES:
            self._in_branch(call, trace)
        return (INVITING if trace == "dialog" else ()), action

    def _of_failure(self, call: FunctionCall, action: Action) -> Action:
        why = "siptrace traces the failed request and what follows; here the whole transaction is traced"
        self.say(call, why)
        return replace(action, trace="dialog" if action.trace == "dialog" else "transaction", lookback=True)

    def _in_branch(self, call: FunctionCall, trace: str) -> None:
        if trace == "message":
            self.say(call, "siptrace traces the request once per branch; here once")
        else:
            self.say(call, f"siptrace traces only the request, once per branch; here the {trace}")

    def _mode(self, made: TraceCall) -> str:
        call = made.call
        text: str | None = "t" if made.flagged else "m"
        if call.name == "sip_trace_mode":
            text = self._constant(call.arguments[0], made.scope) if call.arguments else ""
            text = (text or "")[:1].lower()
        elif len(call.arguments) > 2:
            text = (self._constant(call.arguments[2], made.scope) or "").strip().lower()
        if text not in MODES:
            self.say(call, f"mode {text!r}, expected m, t or d: using message mode")
            return "message"
        if text != "m" and not self.parameters.script:
            self.say(call, "with trace_init_mode 1 siptrace traces only the message, whatever the mode")
            return "message"
        if text == "d" and "dialog" not in self.script.modules:
            self.say(call, "without the dialog module siptrace traces no dialog; here the dialog is traced")
        elif text == "d" and call.name == "sip_trace_mode":
            self.say(call, "siptrace refuses this by mistake and traces nothing; here the dialog is traced")
        return MODES[text]

    def _address(self, made: TraceCall) -> str:
        """Empty if duplicate_uri is used."""
        arguments = made.call.arguments if made.call.name == "sip_trace" else ()
        if not arguments or not arguments[0]:
            return ""
        address = self._constant(arguments[0], made.scope)
        if address is None:
            why = "an address known only at run time: using duplicate_uri"
            self.say(made.call, f"{shown(arguments[0])}: {why}")
        return address or ""

    def _constant(self, argument: tuple[Token, ...], scope: Scope) -> str | None:
        """The text of an argument; None if it is known only at run time."""
        try:
            return constant(parts_of(argument, scope))
        except NotKnown:
            return None

    def _sinks_of(self, made: TraceCall, address: str) -> list[SinkTable]:
        number, uri = self.parameters.number, address or self.parameters.text("duplicate_uri")
        place = made.call.place if address else self.parameters.place("duplicate_uri")
        found: list[SinkTable] = []
        if number("hep_mode_on"):
            if number("hep_version") < 3 and not self.parameters.text("duplicate_uri"):
                self.say(made.call, "siptrace sends HEP 1 and 2 only with a duplicate_uri; here it is sent")
            found += self.sinks.hep(uri, place) if uri else []
        elif uri and (address or not number("trace_to_database")):
            found += self.sinks.sip(uri, place, bool(number("xheaders_write")))
        if number("trace_to_database"):
            found += self.sinks.sql()
        return found

    def _template(self, made: TraceCall, argument: tuple[Token, ...]) -> str:
        try:
            return self._checked(made.call, parts_of(argument, made.scope))
        except NotKnown as error:
            self.say(made.call, f"{error}: not a known part of a message: left out")
            return ""

    def _checked(self, call: FunctionCall, parts: Parts) -> str:
        found = template(parts)
        try:
            parse_template(found)
        except ValueError as error:
            self.say(call, f"{error}: left out")
            return ""
        return found if found.isprintable() else ""

    def _users(self, made: TraceCall) -> tuple[str, ...]:
        name = self.parameters.variable("traced_user_avp")
        found = []
        for value in made.scope.stored.get(name) or () if name else ():
            if value is None:
                self.say(made.call, "a traced user known only at run time: left out")
            elif user := self._checked(made.call, value):
                found.append(user)
        return tuple(dict.fromkeys(found))

    def _table(self, made: TraceCall) -> str:
        """The table's name; one composed from a message is not possible."""
        name = self.parameters.variable("trace_table_avp")
        values = made.scope.stored.get(name) or () if name else ()
        if not values:
            return ""
        if values[0] is None or any(fields(values[0])):
            what = (
                "known only at run time"
                if values[0] is None
                else f"{template(values[0])}, which depends on the message"
            )
            self.say(made.call, f"trace_table_avp: a table that is {what}: using {self.parameters.text('table')}")
            return ""
        text = constant(values[0]) or ""
        try:
            return parse_table(text)
        except ValueError:
            self.say(made.call, f"trace_table_avp: {text!r} is not a valid table name here: left out")
            return ""

    def say(self, call: FunctionCall, text: str) -> None:
        note = Note(call.place, f"{call.name}(): {text}")
        if note not in self.notes:
            self.notes.append(note)

    def _indexes(self, sinks: Iterable[SinkTable]) -> tuple[int, ...]:
        return tuple(self.sinks.found.index(sink) for sink in sinks)


def parts_of(argument: tuple[Token, ...], scope: Scope) -> Parts:
    """The template of a function's argument: strings may contain variables. Raises NotKnown."""
    if len(argument) == 1 and argument[0].kind == "string":
        return formatted(argument[0].text, scope)
    return evaluated(argument, scope)
