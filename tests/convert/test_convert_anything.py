"""For any kamailio.cfg, `config check` accepts the result of `config convert`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.config import load
from capture_agent.convert import ConvertError, convert

pytestmark = pytest.mark.once

NAMES = ["A", "B", "C"]
FIELDS = [
    "$rU", "$ru", "$rd", "$fU", "$fu", "$fd", "$tU", "$tu", "$td", "$ua", "$ct", "$ci", "$hdr(X-A)", "$si", "$sp", "$Ri", "$Rp",
    "$proto", "$rP", "$rm", "$rs", "$var(x)", "$avp(u)", "$avp(s:t)", "$(avp(u)[0])", "$T_reply_code", "$sndto(ip)", "$tt", "$ft",
    "$siptrace(direction)", "$siptrace(src_host)", "$(ru{uri.host})", "$(hdr(X-A)[*])", "$xavp(a=>b)", "uri", "method", "src_ip",
    "from_uri", "status", "proto", "dst_port", "to_ip", "af", "$cs", "$ai",
]  # fmt: skip
TEXTS = [
    "", "a", "INVITE", "486", "4..", "^18", "10.0.0.1", "^10\\.9\\.", "a*b", "/a/", "(", "[a", "^(\\+|00)[1-9]{3,20}$", "x|y", "(a)\\1",
    "{", "}", "{call_id}", "*", "$", "^", "\\", " a ", "é", "\x01", "a:b", "udp", "in", "/", "//", "^$", ".*", "a{1001}", "!", "'",
]  # fmt: skip
quoted = st.sampled_from(TEXTS).map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
values = st.one_of(
    quoted, st.sampled_from([*FIELDS, "$null", "5", "-1", "INVITE", "UDP", "10.0.0.0/8", "myself", "$fU", "x"])
)
expressions = st.lists(values, min_size=1, max_size=3).map(" + ".join)
comparisons = st.builds(
    lambda left, operator, right: f"{left} {operator} {right}",
    st.sampled_from(FIELDS), st.sampled_from(["==", "!=", "=~", "<", ">", ">=", "eq"]), expressions,
)  # fmt: skip
functions = st.one_of(
    st.sampled_from(["has_totag()", "loose_route()", "is_request()", "is_reply()", "isflagset(3)", "x()", "route(B)", "sip_trace()"]),
    st.builds(
        lambda name, text: f"{name}({text})",
        st.sampled_from(["is_method", "is_present_hf", "t_check_status", "is_avp_set", "strempty", "x", "sip_trace"]), quoted,
    ),
    st.builds(lambda a, b: f"starts_with({a}, {b})", quoted, quoted),
    st.builds(lambda a, b: f'search_hf("X-A", {a}, "a")', quoted, quoted),
)  # fmt: skip
conditions = st.recursive(
    st.one_of(comparisons, functions),
    lambda inner: st.one_of(
        inner.map(lambda one: f"!({one})"),
        st.builds(lambda a, word, b: f"({a}) {word} ({b})", inner, st.sampled_from(["&&", "||", "and", "or"]), inner),
    ),
    max_leaves=4,
)
simple = st.one_of(
    st.sampled_from(
        [
            "sip_trace();", 'sip_trace_mode("t");', 'sip_trace_mode("d");', "exit;", "return;", "drop;", "setflag(3);", "t_relay();",
            'lookup("location");', *(f'{arm}("{name}");' for arm in ("t_on_reply", "t_on_branch", "t_on_failure") for name in NAMES),
            "route(A);", "route(B);", 'hlog("x");', 'avp_printf("$avp(u)", "$fU-$x{");', 'avp_delete("$avp(u)");',
        ]
    ),
    st.builds(
        lambda a, b, c: f"sip_trace({a}, {b}, {c});",
        st.one_of(quoted, st.sampled_from(['"sip:h:9"', '"sip:h2;transport=tcp"', "$var(x)", '"sips:[::1]"', '"sip:"'])),
        values, st.sampled_from(['"m"', '"t"', '" D "', '"x"']),
    ),
    st.builds(
        lambda name, sign, value: f"{name} {sign} {value};",
        st.sampled_from(["$avp(u)", "$avp(s:t)", "$(avp(u)[*])", "$var(x)", "$rU", "$ru"]), st.sampled_from(["=", ":="]), expressions,
    ),
)  # fmt: skip
statements: st.SearchStrategy[str] = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(lambda c, a: f"if ({c}) {{ {a} }}", conditions, inner),
        st.builds(lambda c, a, b: f"if ({c}) {{ {a} }} else {{ {b} }}", conditions, inner, inner),
        st.builds(lambda a, b: f"{a}\n{b}", inner, inner),
        st.builds(
            lambda v, a, b: f"switch ({v}) {{ case 1: {a} break; default: {b} }}", st.sampled_from(FIELDS), inner, inner
        ),
        st.builds(lambda c, a: f"while ({c}) {{ {a} }}", conditions, inner),
    ),
    max_leaves=8,
)
HEADS = [
    "request_route", "onreply_route", "onsend_route", "event_route[siptrace:msg]", "event_route[sl:filtered-ack]",
    "event_route[tm:local-request]", "event_route[x:y]",
    *(f"{kind}[{name}]" for kind in ("route", "onreply_route", "branch_route", "failure_route") for name in NAMES),
]  # fmt: skip
routes = st.builds(lambda head, body: f"{head} {{\n{body}\n}}", st.sampled_from(HEADS), statements)
NUMBERS = [
    "trace_on", "trace_mode", "trace_flag", "trace_to_database", "hep_mode_on", "hep_version", "hep_capture_id", "trace_init_mode",
    "xheaders_write", "xheaders_read", "trace_sl_acks", "trace_dialog_ack", "data_mode",
]  # fmt: skip
STRINGS = [
    "duplicate_uri", "table", "db_url", "auth_key", "trace_local_ip", "send_sock_addr", "send_sock_name", "traced_user_avp",
    "trace_table_avp", "force_send_sock", "x",
]  # fmt: skip
parameters = st.one_of(
    st.tuples(st.sampled_from(NUMBERS), st.sampled_from(["0", "1", "2", "3", "7", "22", "yes", "off", "-1", "010", "0xFFFFFFFF", '"1"'])),
    st.tuples(st.sampled_from(STRINGS), st.one_of(quoted, st.sampled_from(
        ['"sip:h:9060"', '"sip:h"', '"sip:h;transport=tcp"', '"mysql://u:p@ss@h/k"', '"sqlite:///a.db"', '"$avp(u)"', '"udp:10.0.0.1:5"', "5"],
    ))),
).map(lambda pair: f'modparam("siptrace", "{pair[0]}", {pair[1]})')  # fmt: skip
extras = st.sampled_from(
    [
        "listen=udp:10.0.0.1:5060", "listen=tcp:[::1]", "listen=udp:eth0 advertise 1.2.3.4:5", 'loadmodule "dialog.so"',
        'loadmodule "topos"', "onsend_route_reply=yes", '#!define X "y"', "#!ifdef X", "#!endif", "#!subst \"/a/b\\1/\"",
    ]
)  # fmt: skip
DEFAULTS = """modparam("siptrace", "traced_user_avp", "$avp(u)")
modparam("siptrace", "trace_table_avp", "$avp(t)")
modparam("siptrace", "hep_mode_on", 1)
modparam("siptrace", "duplicate_uri", "sip:10.0.0.9:9060")
modparam("siptrace", "db_url", "sqlite:///a.db")
"""
configurations = st.lists(st.one_of(parameters, extras, routes), max_size=10).map("\n".join)


def checked(folder: Callable[[str], object], text: str) -> None:
    place = folder("any")
    file = place / "kamailio.cfg"  # type: ignore[operator]
    file.write_text(DEFAULTS + text)
    try:
        toml = convert(file)
    except ConvertError as error:
        assert str(error).startswith(str(file))
        return
    made = place / "agent.toml"  # type: ignore[operator]
    made.write_text(toml)
    load(made)


@given(configurations)
def test_every_configuration(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    checked(tmp_path_factory.mktemp, text)
