"""modparams, listen lines, modules and routes of a script, in every spelling."""

from __future__ import annotations

import pytest

from capture_agent.convert.reading import ConvertError, Line, ScriptPlace
from capture_agent.convert.script import Script, parse
from capture_agent.convert.syntax import Assignment, Breakable, End, FunctionCall, If
from capture_agent.convert.tokens import tokens

pytestmark = pytest.mark.once


def script(text: str) -> Script:
    return parse(
        tokens(Line(line, ScriptPlace("k.cfg", number)) for number, line in enumerate(text.split("\n"), start=1))
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('modparam("siptrace", "trace_on", 1)', ("trace_on", "1", 1)),
        ("modparam('siptrace', 'trace_on', 1);", ("trace_on", "1", 1)),
        (
            '\nmodparam("siptrace","duplicate_uri","sip:h:1;transport=tcp")',
            ("duplicate_uri", "sip:h:1;transport=tcp", 2),
        ),
        ('modparam("siptrace", "trace_flag", -1)', ("trace_flag", "-1", 1)),
        ('modparam("siptrace", "trace_mode", 0x3)', ("trace_mode", "0x3", 1)),
        ('modparam("tm|siptrace", "trace_on", 1)', ("trace_on", "1", 1)),
        ('modparamx("siptrace", "table", "a" + "b")', ("table", "ab", 1)),
        ('modparam(\n"siptrace",\n"table",\n"x"\n)', ("table", "x", 1)),
        (r'modparam("siptrace", "auth_key", "a\"b")', ("auth_key", 'a"b', 1)),
        ('modparam("siptrace", "traced_user_avp", "$avp(s:user)")', ("traced_user_avp", "$avp(s:user)", 1)),
    ],
)
def test_parameters(text: str, wanted: tuple[str, str, int]) -> None:
    (found,) = script(text).parameters
    assert (found.name, found.value, found.place.line) == wanted


@pytest.mark.parametrize("text", ['modparam("tm", "x", 1)', 'modparam("siptrace", "x")', "modparam(", "modparam", ""])
def test_no_parameters(text: str) -> None:
    assert script(text).parameters == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("listen=udp:127.0.0.1:5060", [("udp:127.0.0.1:5060", "", "")]),
        ("listen = udp:127.0.0.1:5060\nlisten=tcp:[fd00::ab]:5060", [("udp:127.0.0.1:5060", "", ""), ("tcp:[fd00::ab]:5060", "", "")]),
        ("listen=udp:1.2.3.4:5060 advertise 5.6.7.8:5099", [("udp:1.2.3.4:5060", "5.6.7.8:5099", "")]),
        ("listen=udp:1.2.3.4:5060\n    advertise 5.6.7.8:5099\nchildren=1", [("udp:1.2.3.4:5060", "5.6.7.8:5099", "")]),
        ('listen=udp:1.2.3.4:5060 name "one" advertise "h.example:5060"', [("udp:1.2.3.4:5060", "h.example:5060", "one")]),
        ("listen=udp:1.2.3.4:5060 virtual\nx=1", [("udp:1.2.3.4:5060", "", "")]),
        ('listen="udp:1.2.3.4:5060"', [("udp:1.2.3.4:5060", "", "")]),
        ("listen=tls:eth0:5061", [("tls:eth0:5061", "", "")]),
        ("listen=my-host.example", [("my-host.example", "", "")]),
        ("listen=(udp:1.2.3.4:5060, tcp:1.2.3.4:5060)\nlisten=x", [("udp:1.2.3.4:5060", "", ""), ("tcp:1.2.3.4:5060", "", ""), ("x", "", "")]),
        ('listen={ bind="udp:1.2.3.4:5060"; advertise="5.6.7.8:1"; name="a"; }', [("udp:1.2.3.4:5060", "5.6.7.8:1", "a")]),
        ("listen=", []),
        ("listen={", []),
    ],
)  # fmt: skip
def test_listens(text: str, wanted: list[tuple[str, str, str]]) -> None:
    assert [(each.socket, each.advertised, each.name) for each in script(text).listens] == wanted


def test_modules_and_settings() -> None:
    found = script('loadmodule "siptrace.so"\nloadmodule "/usr/lib/dialog.so"\nonsend_route_reply=yes\nchildren=8')
    assert found.modules == {"siptrace", "dialog"}
    assert (found.settings["onsend_route_reply"], found.settings["children"]) == ("yes", "8")


def test_routes() -> None:
    found = script(
        "request_route { }\nroute[ONE] { exit; }\nroute[ONE] { return; }\nonreply_route { }\nreply_route { }\n"
        "onreply_route[R] { }\nevent_route[siptrace:msg] { drop(); }\nfailure_route[F] {}\nroute { }\n"
    )
    assert [(route.kind, route.name) for route in found.routes] == [
        ("request_route", ""), ("route", "ONE"), ("route", "ONE"), ("reply_route", ""), ("reply_route", ""),
        ("onreply_route", "R"), ("event_route", "siptrace:msg"), ("failure_route", "F"), ("request_route", ""),
    ]  # fmt: skip
    one = found.route("ONE")
    assert one is not None
    assert one.statements == (End("return", ScriptPlace("k.cfg", 3)),)
    assert found.route("TWO") is None


def test_statements() -> None:
    (route,) = script(
        'request_route {\n  $avp(user) = "a";\n  $var(n) = 1 + 2;\n  if (x() && !(y("(") || z)) { a(1, "b,c", f(2)); }'
        ' else if ($rU == "q") b();\n  else { xlog("}"); exit; }\n  while (x) { c(); }\n'
        '  switch ($rU) { case "a": d(); break; default: e(); }\n  force_rport();;\n  return(1);\n}'
    ).routes
    first, second, branching, loop, switch, call, end = route.statements
    assert isinstance(first, Assignment)
    assert [token.text for token in first.value] == ["a"]
    assert isinstance(second, Assignment)
    assert isinstance(branching, If)
    (made,) = branching.then
    assert isinstance(made, FunctionCall)
    assert [[token.text for token in each] for each in made.arguments] == [["1"], ["b,c"], ["f", "(", "2", ")"]]
    (nested,) = branching.otherwise
    assert isinstance(nested, If)
    assert [type(each) for each in (*nested.then, *nested.otherwise)] == [FunctionCall, FunctionCall, End]
    assert isinstance(loop, If)
    assert isinstance(switch, Breakable)
    assert isinstance(call, FunctionCall)
    assert (call.name, call.arguments) == ("force_rport", ())
    assert isinstance(end, End)


def test_too_deep() -> None:
    with pytest.raises(ConvertError, match=r"^k\.cfg:1: blocks nested more than 100 deep$"):
        script("request_route " + "{" * 200)
    with pytest.raises(ConvertError, match="more than 100 deep"):
        script("request_route { if " + "(" * 200)
    with pytest.raises(ConvertError, match="more than 100 deep"):
        script("request_route { if (" + "!" * 200)
