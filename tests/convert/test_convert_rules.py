"""Converting routes to rules: which rules, in which order, with which sinks."""

from __future__ import annotations

from typing import Any

import pytest

from capture_agent.addresses import endpoint_text
from capture_agent.convert.modparams import Parameters
from capture_agent.convert.reading import Line, ScriptPlace
from capture_agent.convert.rule_output import RuleMaker
from capture_agent.convert.script import parse
from capture_agent.convert.simplify import DraftRule
from capture_agent.convert.sink_output import Sinks, SinkTable
from capture_agent.convert.tokens import tokens

pytestmark = pytest.mark.once

HEP = {"hep_mode_on": "1", "trace_to_database": "0", "hep_version": "3", "duplicate_uri": "sip:h:9060"}
SIP = {"trace_to_database": "0", "duplicate_uri": "sip:h:5888"}
DIALOG = 'loadmodule "dialog.so"\n'


def made(text: str, parameters: dict[str, str]) -> tuple[list[DraftRule], Sinks, list[str]]:
    params = "".join(f'modparam("siptrace", "{name}", "{value}")\n' for name, value in parameters.items())
    lines = enumerate((DIALOG + params + text).split("\n"), start=-len(parameters))
    script = parse(tokens(Line(line, ScriptPlace("k", number)) for number, line in lines))
    found = Parameters(script.parameters)
    sinks = Sinks(found)
    maker = RuleMaker(script, found, sinks)
    rules = maker.make()
    return rules, sinks, [str(note) for note in [*maker.notes, *maker.doubts, *sinks.notes]]


def shown(sink: SinkTable) -> str:
    options = sink.options
    return str(options["url"]) if sink.section == "sql" else endpoint_text(options["host"], options["port"])


def test_match() -> None:
    """All rules count if one message has several actions."""
    for text, wanted in (("", "first"), ('sip_trace("sip:z:1", "b", "t");', "all")):
        script = parse(tokens([Line(f'request_route {{ sip_trace("sip:y:1"); {text} }}', ScriptPlace("k", 1))]))
        parameters = Parameters(script.parameters)
        maker = RuleMaker(script, parameters, Sinks(parameters))
        maker.make()
        assert maker.match == wanted


def told(rule: DraftRule) -> str:
    """`request in INVITE -> transaction`"""
    order = ("kind", "direction", "method")
    matchers = sorted(rule.matchers, key=lambda each: order.index(each.option) if each.option in order else 9)
    words = [
        "|".join(each.values) if each.option in order else f"{each.option}={'|'.join(each.values)}" for each in matchers
    ]
    extra = [text for text in (rule.correlation_id, *rule.users, rule.table) if text]
    return " ".join([*words, "->", rule.trace, *extra])


def rules_of(body: str, **parameters: str) -> list[str]:
    return [told(rule) for rule in made(f"request_route {{ {body} }}", HEP | parameters)[0]]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("", []),
        ("t_relay();", []),
        ("sip_trace();", ["request in -> message"]),
        ('sip_trace("", "", "m");', ["request in -> message"]),
        ('sip_trace("sip:x:1", "corr-$ci", "t");', ["request in -> transaction corr-{call_id}"]),
        ('sip_trace("sip:x:1", "$fU{$hdr(X-Y)}$$", " T ");', ["request in -> transaction {from_user}{{{header:X-Y}}}$"]),
        ('sip_trace("sip:x:1", "$var(x)", "t");', ["request in -> transaction"]),
        ('sip_trace_mode("t");', ["request in -> transaction"]),
        ('sip_trace_mode("zzz");', ["request in -> message"]),
        ('sip_trace("sip:x:1", "", "d");', ["initial in INVITE -> dialog"]),
        ('if (is_method("INVITE") && !has_totag()) sip_trace("", "c", "d");', ["initial in INVITE -> dialog c"]),
        ('if (is_method("INVITE")) sip_trace();', ["request in INVITE -> message"]),
        ('if (is_method("INVITE|BYE")) { sip_trace(); }', ["request in INVITE|BYE -> message"]),
        ('if (method == "INVITE" && $rU == "bob") sip_trace();', ["request in INVITE request_user=bob -> message"]),
        ('if ($fU == "a" || $tU == "a") sip_trace();', ["request in from_user=a -> message", "request in to_user=a -> message"]),
        ('if (!is_method("INVITE")) sip_trace();', ["request in INVITE -> none", "request in -> message"]),
        ('if (is_method("INVITE")) sip_trace_mode("t"); else sip_trace();',
         ["request in INVITE -> transaction", "request in -> message"]),
        ('if (is_method("OPTIONS")) exit; sip_trace();', ["request in OPTIONS -> none", "request in -> message"]),
        ('if (is_method("OPTIONS")) { xlog("x"); } sip_trace();', ["request in -> message"]),
        ('if (is_method("OPTIONS")) exit; if (is_method("OPTIONS")) sip_trace();', []),
        ('if (has_totag()) { if (loose_route()) { t_relay(); exit; } exit; } sip_trace_mode("t");', ["initial in -> transaction"]),
        ('sip_trace(); if (is_method("ACK")) exit; t_relay();', ["request in -> message"]),
        ('if (is_method("A")) exit; if (is_method("B")) sip_trace();', ["request in B -> message"]),
        ("exit; sip_trace();", []),
        ("if (!sip_trace()) xlog(\"x\");", ["request in -> message"]),
        # Unknown conditions: the branch with a trace, otherwise the one that continues.
        ("if (allowed()) sip_trace();", ["request in -> message"]),
        ("if (allowed()) { exit; } sip_trace();", ["request in -> message"]),
        ("if (!allowed()) { exit; } sip_trace();", ["request in -> message"]),
        ('if (uri == myself && is_method("INVITE")) sip_trace();', ["request in INVITE -> message"]),
        # Routes that are called.
        ('route(T); } route[T] { sip_trace(); return; xlog("x");', ["request in -> message"]),
        ("route(T); sip_trace(); } route[T] { exit;", []),
        ("route(T); sip_trace(); } route[T] { return;", ["request in -> message"]),
        ("route(NIX); sip_trace();", ["request in -> message"]),
        ("route(T); } route[T] { route(T); sip_trace();", ["request in -> message"]),
        # A case continues into the next one, up to its break; the default covers the rest.
        ('switch ($rU) { case "a": xlog("x"); break; default: sip_trace(); }',
         ["request in request_user=a -> none", "request in -> message"]),
        ('switch ($rU) { case "a": sip_trace(); break; case "b": sip_trace_mode("t"); break; } t_relay();',
         ["request in request_user=a -> message", "request in request_user=b -> transaction"]),
        ('switch ($rU) { case "a": case "b": sip_trace(); break; default: exit; }',
         ["request in request_user=a -> message", "request in request_user=b -> message"]),
        ('switch ($rU) { case "a": setflag(1); case "b": sip_trace(); }',
         ["request in request_user=a -> message", "request in request_user=b -> message"]),
        ('switch ($rU) { case "a": sip_trace(); default: exit; } sip_trace_mode("t");',
         ["request in request_user=a -> message"]),
        ('switch ($rU) { default: exit; case "a": break; } sip_trace();', ["request in request_user=a -> message"]),
        ('switch ($rm) { case "OPTIONS": exit; } sip_trace();',
         ["request in OPTIONS -> none", "request in -> message"]),
        ('switch ($rU) { case "a": if (is_method("ACK")) break; sip_trace(); break; default: sip_trace_mode("t"); }',
         ["request in ACK request_user=a -> none", "request in request_user=a -> message", "request in -> transaction"]),
        ('switch ($var(x)) { case 1: sip_trace(); break; default: xlog("x"); }', ["request in -> message"]),
        ('switch ($rU) { case /^4[0-9]/: sip_trace(); }', ["request in request_user=/(?is)^4[0-9]/ -> message"]),
        ("setbflag(5); if (isbflagset(5)) sip_trace();", ["request in -> message"]),
        ("setflag(5); if (isbflagset(5)) sip_trace();", []),
        ('if (isbflagset(5, "1")) sip_trace();', ["request in -> message"]),
        ('while ($var(i) < 3) { if (is_method("ACK")) break; $var(i) = $var(i) + 1; } sip_trace();',
         ["request in -> message"]),
        ('while ($var(i) < 3) { sip_trace(); break; } exit;', ["request in -> message"]),
        # Two calls on one path: a rule for each that differs, all of which count.
        ('sip_trace("sip:x:1", "a", "m"); sip_trace("sip:y:1", "b", "t");',
         ["request in -> message a", "request in -> transaction b"]),
        ('sip_trace("sip:x:1", "a", "t"); sip_trace("sip:y:1", "a", "t");', ["request in -> transaction a"]),
        ('if ($rU == "a") { sip_trace("sip:x:1", "a", "m"); sip_trace("sip:y:1", "b", "t"); } else sip_trace("sip:z:1");',
         ["request in request_user=a -> message a", "request in request_user=a -> transaction b",
          "request in request_user=a -> none", "request in -> message"]),
        # Unknown conditions: both branches are traced.
        ('if (allowed()) sip_trace_mode("t"); else sip_trace();', ["request in -> transaction"]),
        ('if ($rU =~ "^(a)\\1$") exit; if (is_method("BYE")) exit; sip_trace();',
         ["request in BYE -> none", "request in -> message"]),
        ('if ($var(x) == 1) { if (is_method("BYE")) exit; } sip_trace();', ["request in -> message"]),
        ('$var(x) = 1; if ($var(x) == 1) { if (is_method("BYE")) exit; } sip_trace();',
         ["request in BYE -> none", "request in -> message"]),
        ('if ($avp(x) == "1") sip_trace();', []),
        ('if (is_method("BYE")) $avp(x) = "1"; if ($avp(x) == "1") sip_trace();', ["request in BYE -> message"]),
        ('load("$avp(x)"); if ($avp(x) == "1") sip_trace();', ["request in -> message"]),
        ('$var(u) = $fU; if ($var(u) == "bob") sip_trace();', ["request in from_user=bob -> message"]),
        ('$rU = "bob"; if ($rU == "alice") sip_trace();', []),
        ('lookup("location"); if ($rU == "alice") sip_trace();', ["request in -> message"]),
        ('if (route(T)) exit; } route[T] { sip_trace(); ', ["request in -> message"]),
    ],
)  # fmt: skip
def test_request_route(body: str, wanted: list[str]) -> None:
    assert rules_of(body) == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("setflag(22); sip_trace();", ["request in -> transaction"]),
        ("sip_trace();", ["request in -> message"]),
        ("setflag(21); sip_trace();", ["request in -> message"]),
        ("setflag(22); resetflag(22); sip_trace();", ["request in -> message"]),
        ('setflag(22); sip_trace("sip:x:1", "", "m");', ["request in -> message"]),
        ('if (is_method("INVITE")) setflag(22); sip_trace();', ["request in INVITE -> transaction", "request in -> message"]),
        ("setflag(22); if (isflagset(22)) sip_trace();", ["request in -> transaction"]),
        ("if (isflagset(22)) sip_trace();", []),
    ],
)  # fmt: skip
def test_trace_flag(body: str, wanted: list[str]) -> None:
    assert rules_of(body, trace_flag="22") == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ('$avp(user) = "bob"; $avp(user) = "alice"; sip_trace_mode("t");', ["request in -> transaction alice bob"]),
        # A string that is assigned has no variables in it.
        ('$avp(user) = "$fU@$fd"; sip_trace();', ["request in -> message $fU@$fd"]),
        ('$avp(user) = "x-" + $fU; sip_trace();', ["request in -> message x-{from_user}"]),
        ('$avp(user) = $fu; sip_trace();', ["request in -> message {from_uri}"]),
        ('$avp(s:user) = "sip:" + $fU + "@" + $fd; sip_trace();', ["request in -> message sip:{from_user}@{from_host}"]),
        ('$(avp(user)) = $(fu{uri.user}); sip_trace();', ["request in -> message {from_user}"]),
        ('avp_printf("$avp(s:user)", "$fU@$fd"); sip_trace();', ["request in -> message {from_user}@{from_host}"]),
        ('$avp(user) = "a"; $(avp(user)[*]) = "b"; sip_trace();', ["request in -> message b"]),
        ('$avp(user) = "a"; $avp(user) := "b"; sip_trace();', ["request in -> message b"]),
        ('$avp(user) = "a"; $avp(user) = $null; sip_trace();', ["request in -> message"]),
        ('$var(d) = "1"; $avp(tbl) = "siptrace_" + $var(d); sip_trace();', ["request in -> message siptrace_1"]),
        ('$avp(tbl) = "siptrace_" + $rd; sip_trace();', ["request in -> message"]),
        ('$avp(user) = $T_req($si); sip_trace();', ["request in -> message"]),
        ('$avp(other) = "bob"; sip_trace();', ["request in -> message"]),
        ('if (is_method("MESSAGE")) $avp(tbl) = "alt"; sip_trace();', ["request in MESSAGE -> message alt", "request in -> message"]),
    ],
)  # fmt: skip
def test_users_and_tables(body: str, wanted: list[str]) -> None:
    assert rules_of(body, traced_user_avp="$avp(user)", trace_table_avp="$avp(tbl)") == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("onreply_route[R] { sip_trace(); }", []),
        ("onreply_route { sip_trace(); }", ["response in -> message"]),
        ('reply_route { if (status == "200") sip_trace(); }', ["response in status=200 -> message"]),
        ('onreply_route[R] { sip_trace("sip:x:1", "", "t"); }', []),
        ("onsend_route { sip_trace(); }", ["request out -> message"]),
        ("onsend_route_reply=yes\nonsend_route { sip_trace(); }", ["out -> message"]),
        ("failure_route[F] { sip_trace(); }", []),
        ("branch_route[B] { sip_trace(); }", []),
        (
            'route { if (is_method("INVITE")) { t_on_reply("R"); t_on_branch("B"); } } onreply_route[R] { sip_trace(); }'
            " branch_route[B] { sip_trace(); }",
            ["request in INVITE -> message", "response in INVITE -> message"],
        ),
        (
            'route { if (is_method("BYE")) exit; t_on_reply("R"); } onreply_route[R] { if (status =~ "^18") sip_trace(); }',
            ["response BYE -> none", "response in status=180-189 -> message"],
        ),
        ('route { t_on_reply("R"); t_on_reply("0"); } onreply_route[R] { sip_trace(); }', []),
        ('route { if ($rU == "a") t_on_reply("R"); } onreply_route[R] { sip_trace(); }', ["response in -> message"]),
        (
            'route { setflag(3); t_on_reply("R"); } onreply_route[R] { if (isflagset(3)) sip_trace(); }',
            ["response in -> message"],
        ),
        ('route { t_on_reply("R"); } onreply_route[R] { if (isflagset(3)) sip_trace(); }', []),
        (
            'route { if (is_method("INVITE")) t_on_failure("F"); } failure_route[F] { if (t_check_status("486|5..")) sip_trace_mode("t"); }',
            ["response in INVITE status=486|5xx -> transaction"],
        ),
        (
            'route { t_on_failure("F"); } failure_route[F] { sip_trace(); }',
            ["response in status=3xx|4xx|5xx|6xx -> transaction", "response out status=408 -> transaction"],
        ),
        (
            'route { t_on_failure("F"); } failure_route[F] { if ($T_reply_code == 404) t_on_failure("G"); }'
            ' failure_route[G] { if (t_check_status("408")) sip_trace(); }',
            ["response in status=408 -> transaction", "response out status=408 -> transaction"],
        ),
        (
            'onsend_route { if ($sndto(ip) == "10.0.0.1") sip_trace(); }',
            ["request out destination=10.0.0.1 -> message"],
        ),
        ("onsend_route { if (to_ip == 10.0.0.1) sip_trace(); }", ["request out destination=10.0.0.1 -> message"]),
        ('onsend_route { if ($si == "10.0.0.1") sip_trace(); }', ["request out -> message"]),
        ("event_route[sl:filtered-ack] { sip_trace(); }", ["request in ACK -> message"]),
        ("event_route[tm:x] { sip_trace(); }", []),
        ("route[X] { sip_trace(); }", []),
        ("route { sip_trace(); } onsend_route { sip_trace(); }", ["request in -> message", "request out -> message"]),
    ],
)
def test_other_routes(text: str, wanted: list[str]) -> None:
    assert [told(rule) for rule in made(text, HEP)[0]] == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        ("event_route[siptrace:msg] { return; }", []),
        ('event_route[siptrace:msg] { if (is_method("OPTIONS|REGISTER")) drop(); }', ["OPTIONS|REGISTER -> none", "-> message"]),
        ('event_route[siptrace:msg] { if ($siptrace(direction)=="out") drop(); }', ["out -> none", "-> message"]),
        ('event_route[siptrace:msg] { if ($rs == 200) return; drop; }', ["status=200 -> message"]),
        ('request_route { sip_trace_mode("t"); }', ["request in -> transaction", "-> message"]),
        ('request_route { if (is_method("A")) exit; sip_trace(); }', ["-> message"]),
        # What is not known never drops.
        ('event_route[siptrace:msg] { if ($siptrace(direction) == "in" && $var(x) == 1) drop(); }', []),
        ('event_route[siptrace:msg] { if ($var(x) == 1) { if (is_method("BYE")) drop; } }', []),
        ('event_route[siptrace:msg] { if (is_method("BYE")) { if (!f()) return; drop; } }', []),
        ('event_route[siptrace:msg] { if ($rs != $null) drop(); }', ["response -> none", "-> message"]),
        ('event_route[siptrace:msg] { if ($var(x) == 1) exit; if (is_method("BYE")) drop; }', []),
        ('event_route[siptrace:msg] { if (f()) drop; if (is_method("BYE")) drop; }', ["BYE -> none", "-> message"]),
    ],
)  # fmt: skip
def test_with_trace_mode(text: str, wanted: list[str]) -> None:
    """Every message is traced anyway: rules only for messages that are not traced, or traced differently."""
    assert [told(rule) for rule in made(text, HEP | {"trace_mode": "1"})[0]] == wanted


CALL = "request_route { sip_trace(); }"
TO_X = 'request_route { sip_trace("sip:x:7"); }'


@pytest.mark.parametrize(
    ("text", "parameters", "wanted"),
    [
        # The script: trace_to_database, hep_mode_on and the address.
        (CALL, {}, ["sql mysql://kamailio:kamailiorw@localhost/kamailio"]),
        (CALL, {"db_url": "sqlite:///a.db"}, ["sql sqlite:///a.db"]),
        (CALL, {"trace_to_database": "0"}, []),
        (CALL, SIP, ["sip h:5888"]),
        (CALL, SIP | {"trace_to_database": "1", "db_url": "sqlite:///a.db"}, ["sql sqlite:///a.db"]),
        (TO_X, SIP | {"trace_to_database": "1", "db_url": "sqlite:///a.db"}, ["sip x:7", "sql sqlite:///a.db"]),
        (CALL, HEP, ["hep h:9060"]),
        (TO_X, HEP, ["hep x:7"]),
        (CALL, HEP | {"trace_to_database": "1", "db_url": "sqlite:///a.db"}, ["hep h:9060", "sql sqlite:///a.db"]),
        (CALL, HEP | {"duplicate_uri": "sip:h"}, ["hep h:5060"]),
        ('request_route { sip_trace("$avp(x)"); }', HEP, ["hep h:9060"]),
        ('request_route { sip_trace("sip:x:7"); sip_trace("sip:y:7"); }', HEP, ["hep x:7", "hep y:7"]),
        # The core: only trace_mode.
        ("", {"trace_mode": "1", "duplicate_uri": "sip:h:9060"}, ["hep h:9060"]),
        ("", {"trace_mode": "2", "db_url": "sqlite:///a.db"}, ["sql sqlite:///a.db"]),
        ("", {"trace_mode": "4", "duplicate_uri": "sip:h:5888"}, ["sip h:5888"]),
        ("", {"trace_mode": "7", "duplicate_uri": "sip:h:9", "db_url": "sqlite:///a.db"}, ["hep h:9", "sql sqlite:///a.db", "sip h:9"]),
        ("", {"trace_mode": "1"}, []),
        ("", {"trace_mode": "1", "trace_init_mode": "2", "duplicate_uri": "sip:h:9"}, []),
        # trace_init_mode 1: functions still trace the message itself.
        (CALL, HEP | {"trace_init_mode": "1"}, ["hep h:9060"]),
        ('request_route { sip_trace("sip:x:7"); }', HEP | {"trace_init_mode": "1", "trace_mode": "1"}, ["hep h:9060", "hep x:7"]),
        # Both: each destination once.
        (CALL, HEP | {"trace_mode": "1"}, ["hep h:9060"]),
        (CALL, HEP | {"trace_mode": "1", "hep_mode_on": "0"}, ["hep h:9060", "sip h:9060"]),
    ],
)  # fmt: skip
def test_destinations(text: str, parameters: dict[str, str], wanted: list[str]) -> None:
    sinks = made(text, parameters)[1]
    assert [f"{sink.section} {shown(sink)}" for sink in sinks.found] == wanted


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ({}, {"host": "h", "port": 9060, "transport": "udp", "version": 3, "capture_id": 1}),
        ({"hep_version": "2", "auth_key": "k"}, {"host": "h", "port": 9060, "transport": "udp", "version": 2, "capture_id": 1}),
        ({"hep_capture_id": "234", "auth_key": "k"},
         {"host": "h", "port": 9060, "transport": "udp", "version": 3, "capture_id": 234, "auth_key": "k"}),
        ({"duplicate_uri": "sip:[::1]:9;transport=TCP"}, {"host": "::1", "port": 9, "transport": "tcp", "version": 3, "capture_id": 1}),
        ({"duplicate_uri": "sips:h"}, {"host": "h", "port": 5061, "transport": "tls", "version": 3, "capture_id": 1}),
        ({"hep_version": "2", "duplicate_uri": "sip:h;transport=tcp"},
         {"host": "h", "port": 5060, "transport": "tcp", "version": 3, "capture_id": 1}),
        ({"send_sock_addr": "sip:10.0.0.5:5075"},
         {"host": "h", "port": 9060, "transport": "udp", "version": 3, "capture_id": 1, "source": "10.0.0.5"}),
        ({"hep_capture_id": "-1"}, {"host": "h", "port": 9060, "transport": "udp", "version": 3, "capture_id": 4294967295}),
    ],
)  # fmt: skip
def test_hep(parameters: dict[str, str], wanted: dict[str, Any]) -> None:
    (sink,) = made(CALL, HEP | parameters)[1].found
    assert sink.options == wanted


@pytest.mark.parametrize(
    ("text", "parameters", "x_headers"),
    [
        (CALL, SIP | {"xheaders_write": "1"}, True),
        (CALL, SIP, False),
        ("", {"trace_mode": "4", "duplicate_uri": "sip:h", "xheaders_write": "1"}, False),
        ("event_route[siptrace:msg] {}", {"trace_mode": "4", "duplicate_uri": "sip:h", "xheaders_write": "1"}, True),
    ],
)
def test_x_headers(text: str, parameters: dict[str, str], x_headers: bool) -> None:
    (sink,) = made(text, parameters)[1].found
    assert sink.options.get("x_headers", False) == x_headers


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("sqlite:///relative.db", "sqlite:///relative.db"),
        ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
        ("mysql://kam:rw@localhost/kamailio", "mysql://kam:rw@localhost/kamailio"),
        ("mysql://kam:p@s:w/d@db:3307/kamailio", "mysql://kam:p%40s%3Aw%2Fd@db:3307/kamailio"),
        ("postgres://kam@[::1]:5432/kam", "postgresql://kam@[::1]:5432/kam"),
        ("postgres://db/kam", "postgresql://db/kam"),
        ("text:///etc/kamailio/db", None),
        ("unixodbc://x", None),
        ("nothing", None),
    ],
)
def test_databases(url: str, wanted: str | None) -> None:
    _, sinks, notes = made(CALL, {"db_url": url})
    assert [sink.options["url"] for sink in sinks.found] == ([] if wanted is None else [wanted])
    assert any("such a database cannot contain" in note for note in notes) == (wanted is None)


@pytest.mark.parametrize(
    ("text", "parameters", "note"),
    [
        ("request_route {\nhlog(\"x\"); }", HEP, "k:2: hlog(): not about a message, so no rule: `capture-agent hlog` sends one"),
        (CALL, HEP | {"duplicate_uri": "nix"}, "'nix': no SIP URI: left out"),
        (CALL, HEP | {"duplicate_uri": "sip:h;transport=sctp"}, "sip:h;transport=sctp: sctp is not defined: left out"),
        (CALL, {"trace_to_database": "0"}, "sip_trace(): no destination: left out"),
        ('request_route { sip_trace("$var(x)"); }', HEP, "an address known only at run time: using duplicate_uri"),
        ('request_route { sip_trace("", "$var(x)"); }', HEP, "$var(x): not a known part of a message: left out"),
        ('request_route { sip_trace_mode("d"); }', HEP, "siptrace refuses this by mistake and traces nothing; here the dialog is traced"),
        ('request_route { if (is_method("BYE")) sip_trace("", "", "d"); }', HEP, "dialog mode starts with an INVITE, which is not here: left out"),
        ("reply_route { sip_trace_mode(\"t\"); }", HEP, "transaction mode starts with a request, which is not here: left out"),
        (TO_X, HEP | {"hep_version": "2", "duplicate_uri": ""}, "siptrace sends HEP 1 and 2 only with a duplicate_uri"),
        ("request_route { if (secret()) sip_trace(); }", HEP, "k:1: secret(): not known from outside: tracing both branches"),
        ("onsend_route { sip_trace(); }", HEP, "onsend_route: here it also covers Kamailio's own messages and retransmissions"),
        ('request_route { sip_trace("sip:x:7", "", "t"); }', HEP | {"trace_init_mode": "1", "trace_mode": "1"},
         "with trace_init_mode 1 siptrace traces only the message, whatever the mode"),
        ("route { t_on_branch(\"B\"); } branch_route[B] { sip_trace_mode(\"t\"); }", HEP,
         "siptrace traces only the request, once per branch; here the transaction"),
        ("failure_route[F] { sip_trace(); }", HEP, "failure_route[F]: never called: left out"),
        ("event_route[tm:x] { sip_trace(); }", HEP, "event_route[tm:x]: unknown when it runs: left out"),
        ('route { $avp(t) = "a_" + $rd; sip_trace(); }', HEP | {"trace_table_avp": "$avp(t)"},
         "a table that is a_{request_host}, which depends on the message: using sip_trace"),
        ('route { $avp(t) = $x; sip_trace(); }', HEP | {"traced_user_avp": "$avp(t)"}, "a traced user known only at run time"),
        ("request_route { route(NIX); sip_trace(); }", HEP, "k:1: route(NIX): no such route"),
        ("request_route {" + "".join(f'if ($rU=="{n}") $avp(u)="{n}"; if ($fU=="{n}") $avp(u)="x{n}";' for n in range(30)) + "sip_trace(); }",
         HEP | {"traced_user_avp": "$avp(u)"}, "request_route: too many paths: write its rules by hand"),
    ],
)  # fmt: skip
def test_notes(text: str, parameters: dict[str, str], note: str) -> None:
    assert any(note in each for each in made(text, parameters)[2])
