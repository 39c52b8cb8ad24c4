"""The relevant parts of a Kamailio script: modparams, listen lines, modules, routes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from capture_agent.convert.reading import ScriptPlace
from capture_agent.convert.statements import Parser
from capture_agent.convert.syntax import FunctionCall, Statement
from capture_agent.convert.tokens import Token
from capture_agent.convert.variables import variable

ROUTES = {
    "route", "request_route", "reply_route", "onreply_route", "branch_route", "failure_route", "onsend_route",
    "event_route",
}  # fmt: skip
_VARIABLE = re.compile(r"\$(?:\(avp\([^()]*\)[^()]*\)|avp\([^()]*\))")
MAIN = {"route": "request_route", "onreply_route": "reply_route"}  # their names if none is given


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    value: str
    place: ScriptPlace
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Listen:
    """A socket of the server: `udp:192.0.2.1:5060`, and its advertised address."""

    socket: str
    advertised: str
    name: str
    place: ScriptPlace


@dataclass(frozen=True, slots=True)
class Route:
    kind: str
    name: str
    statements: tuple[Statement, ...]
    place: ScriptPlace


@dataclass
class Script:
    parameters: list[Parameter] = field(default_factory=list)  # siptrace's
    listens: list[Listen] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    routes: list[Route] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    mentioned: set[str] = field(default_factory=set)  # variables passed to other modules

    def route(self, name: str) -> Route | None:
        """The route that route(NAME) calls: like Kamailio, the last of several with that name."""
        found = [route for route in self.routes if route.kind == "route" and route.name == name]
        return found[-1] if found else None


def parse(tokens: list[Token]) -> Script:
    script = Script()
    parser = Parser(tokens)
    while not parser.ended:
        token = parser.tokens[parser.at]
        if token.kind != "name":
            parser.at += 1
        elif token.text in ROUTES:
            route(parser, script)
        elif token.text in ("modparam", "modparamx") and parser.next_is("("):
            modparam(parser.call(), script)
        elif token.text == "listen" and parser.next_is("="):
            parser.at += 2
            listen(parser, script)
        elif token.text in ("loadmodule", "loadmodulex"):
            parser.at += 1
            if not parser.ended:
                script.modules.add(parser.tokens[parser.at].text.rpartition("/")[2].removesuffix(".so"))
        elif parser.next_is("="):
            parser.at += 2
            script.settings[token.text] = touching(parser)
        else:
            parser.at += 1
    return script


def modparam(call: FunctionCall, script: Script) -> None:
    """The module may be a pattern: `siptrace|tm`."""
    if len(call.arguments) != 3:
        return
    modules, name, value = (written(argument) for argument in call.arguments)
    if "siptrace" in modules.split("|"):
        quoted = any(token.kind == "string" for token in call.arguments[2])
        script.parameters.append(Parameter(name, value, call.place, quoted))
    else:
        script.mentioned.update(variable(text).name for text in _VARIABLE.findall(value))


def written(argument: tuple[Token, ...]) -> str:
    """The text of an argument: adjacent strings, also with a plus between them, are joined."""
    joins = any(token.kind == "string" for token in argument)
    return "".join(token.text for token in argument if not (joins and token.is_sign("+")))


def touching(parser: Parser) -> str:
    """Tokens without space between them, joined: udp:192.0.2.1:5060."""
    text = ""
    end = None
    while not parser.ended and not parser.is_sign(";", ",", ")", "}"):
        token = parser.tokens[parser.at]
        if end is not None and token.start != end:
            break
        text += token.text
        end = token.end
        parser.at += 1
    return text


def listen(parser: Parser, script: Script) -> None:
    """One socket, several in parentheses, or a block `{ bind="..."; advertise="..."; name="..."; }`."""
    if parser.ended:
        return
    if parser.is_sign("{"):
        listen_block(parser, script)
        return
    several = parser.is_sign("(")
    parser.at += several
    while not parser.ended:
        place = parser.tokens[parser.at].place
        socket, advertised, name = touching(parser), "", ""
        while parser.is_name("advertise", "name", "virtual"):
            word = parser.tokens[parser.at].text
            parser.at += 1
            if word == "advertise":
                advertised = touching(parser)
            elif word == "name":
                name = touching(parser)
        if socket:
            script.listens.append(Listen(socket, advertised, name, place))
        if not several or not parser.is_sign(","):
            break
        parser.at += 1
    parser.at += several


def listen_block(parser: Parser, script: Script) -> None:
    place = parser.tokens[parser.at].place
    parser.at += 1
    values: dict[str, str] = {}
    while not parser.ended and not parser.is_sign("}"):
        if parser.tokens[parser.at].kind == "name" and parser.next_is("="):
            key = parser.tokens[parser.at].text
            parser.at += 2
            values[key] = touching(parser)
        else:
            parser.at += 1
    parser.at += 1
    if "bind" in values:
        script.listens.append(Listen(values["bind"], values.get("advertise", ""), values.get("name", ""), place))


def route(parser: Parser, script: Script) -> None:
    """KIND {, KIND[NAME] {; anything else with that name is not a definition."""
    start = parser.tokens[parser.at]
    parser.at += 1
    name = ""
    if parser.is_sign("[", "("):
        opening = parser.at
        parser.skip_group()
        name = "".join(token.text for token in parser.tokens[opening + 1 : parser.at - 1])
    if not parser.is_sign("{"):
        return
    parser.at += 1
    kind = start.text if name else MAIN.get(start.text, start.text)
    script.routes.append(Route(kind, name, parser.block(), start.place))
