"""The values that a script assigns to variables, on one path through it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from capture_agent.convert.relevance import READERS, SENDING, Relevance
from capture_agent.convert.script_paths import ScriptPath
from capture_agent.convert.syntax import Assignment, FunctionCall
from capture_agent.convert.tokens import Token
from capture_agent.convert.values import NULL, NotKnown, Parts, Scope, evaluated, formatted
from capture_agent.convert.variables import Variable, variable

# Functions that change a request's URI.
REWRITING = {
    "lookup", "lookup_branches", "rewritehost", "sethost", "sethostport", "rewritehostport", "rewriteuser", "setuser",
    "rewriteuserpass", "setuserpass", "rewriteuri", "seturi", "prefix", "strip", "strip_tail", "alias_db_lookup",
    "enum_query", "pdt", "ds_select_domain", "next_gw", "dp_translate", "revert_uri", "topos_uri",
}  # fmt: skip
URI = ("ru", "rU", "rd")


@dataclass(frozen=True, slots=True)
class ScriptAssignments:
    """`packet`: the message that variables refer to, `failed`: the transaction has a status."""

    relevance: Relevance
    packet: str
    failed: bool

    def scope(self, way: ScriptPath) -> Scope:
        return Scope(way.stored, self.packet, self.relevance.unset, self.failed)

    def assign(self, statement: Assignment, way: ScriptPath) -> ScriptPath:
        given = variable(statement.variable)
        try:
            value: Parts | None = evaluated(statement.value, self.scope(way))
        except NotKnown:
            value = None
        return self._put(way, given, value, statement.replaces or given.index == "*")

    def store(self, call: FunctionCall, way: ScriptPath) -> ScriptPath:
        """A function with an AVP as argument may assign to it."""
        if call.name in REWRITING:
            return self._put(way, Variable(URI[0]), None, True)
        if call.name in READERS | SENDING:
            return way
        named = [given for argument in call.arguments for given in variables_in(argument)]
        if call.name == "avp_printf" and len(call.arguments) == 2 and named:
            text = "".join(token.text for token in call.arguments[1])
            try:
                return self._put(way, named[0], formatted(text, self.scope(way)), named[0].index == "*")
            except NotKnown:
                return self._put(way, named[0], None, False)
        if call.name == "avp_delete":
            return (
                way if not named else self._put(way, named[0], NULL, "/g" in "".join(t.text for t in call.arguments[0]))
            )
        for given in named:
            if given.name.startswith(("avp(", "var(")):
                way = self._put(way, given, None, False)
        return way

    def _put(self, way: ScriptPath, given: Variable, value: Parts | None, replaces: bool) -> ScriptPath:
        """An AVP keeps earlier values under the new one; $null removes the topmost, or all."""
        names = URI if given.name in URI else (given.name,)
        stored = way.stored
        for name in names:
            if name not in self.relevance.names:
                continue
            old = stored.get(name) or ()
            new = value if name == given.name else None
            if not name.startswith("avp("):
                stored = stored.set(name, (new,))
            elif new == NULL:
                stored = stored.set(name, () if replaces else old[1:])
            else:
                stored = stored.set(name, (new,) if replaces else (new, *old))
        return replace(way, stored=stored)


def variables_in(argument: tuple[Token, ...]) -> Iterator[Variable]:
    """`$avp(x)`, also in a string: `"$avp(x)/g"`."""
    for token in argument:
        if token.kind == "variable" or (token.kind == "string" and token.text.startswith("$")):
            yield variable(token.text.partition("/")[0])
