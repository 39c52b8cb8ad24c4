"""Converting a whole kamailio.cfg to TOML: it loads, has siptrace's defaults, and lists the differences."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.config import Config, load
from capture_agent.convert import ConvertError, convert

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
VECTORS = ROOT.parent / "shared" / "siptrace" / "vectors"
FILES = sorted([*VECTORS.glob("*/*/kamailio.cfg"), *(ROOT / "pcaps" / "siptrace").glob("*/kamailio.cfg")])


def converted(text: str, folder: Path) -> tuple[str, Config]:
    (folder / "kamailio.cfg").write_text(text)
    return loaded(folder / "kamailio.cfg", folder)


def loaded(file: Path, folder: Path) -> tuple[str, Config]:
    toml = convert(file)
    (folder / "agent.toml").write_text(toml)
    return toml, load(folder / "agent.toml")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parents[1].name}-{file.parent.name}")
def test_recorded_configurations(file: Path, tmp_path: Path) -> None:
    """For each: its destinations exist, and tracing is on if it was on and anything was traced."""
    text = file.read_text()
    _, config = loaded(file, tmp_path)
    params = dict(re.findall(r'modparam\("siptrace", *"(\w+)", *"?([^")]*)"?\)', text))
    emitted = {
        "hep": (file.parent / "hep.pcap").exists() and "sip_trace_msg(" not in text and "hlog(" not in text,
        "sip": (file.parent / "dup.pcap").exists() and not file.parent.name.startswith("a1-"),
        "sql": (file.parent / "rows.json").exists() and '"time_us"' in (file.parent / "rows.json").read_text(),
    }
    missing = [kind for kind, is_emitted in emitted.items() if is_emitted and not getattr(config, kind)]
    assert missing == []
    if any(emitted.values()) and params.get("trace_on") == "1":
        assert config.trace.on
    if params.get("trace_on", "0") == "0":
        assert not config.trace.on


def test_there_are_recordings() -> None:
    assert len([file for file in FILES if ROOT in file.parents]) >= 5


KAMAILIO = """#!KAMAILIO
#!define HOMER "sip:10.0.0.9:9060"
#!substdef "!TABLE!calls!g"
listen=udp:10.0.0.1:5060 advertise 203.0.113.5
listen=tls:10.0.0.1:5061
loadmodule "siptrace.so"
#!ifdef WITH_OLD
modparam("siptrace", "hep_version", 1)
#!endif
modparam("siptrace", "trace_on", 1)
modparam('siptrace', 'hep_mode_on', 1)
modparam("siptrace", "duplicate_uri", HOMER)
modparam("siptrace", "hep_version", 3)
modparam("siptrace", "auth_key", "a\\"b")
modparam("siptrace", "db_url", "mysql://kam:p@ss@db/kamailio")
modparam("siptrace", "table", "TABLE")
modparam("siptrace", "xheaders_read", 1)
modparam("siptrace", "trace_sl_acks", 0)
modparam("siptrace", "evcb_msg", "ksr_siptrace")
request_route {
    if (is_method("INVITE") && !has_totag()) {
        sip_trace("sip:10.0.0.8:9060", "$ci-a", "t");
    }
    hlog("seen");
}
"""


def test_an_example(tmp_path: Path) -> None:
    toml, _ = converted(KAMAILIO, tmp_path)
    assert (
        toml.replace(f"{tmp_path}/", "")
        == """# What siptrace does in kamailio.cfg, for this agent.
#
# Not the same here, or not known:
# * kamailio.cfg:19: evcb_msg: rewrite the function as a hook for this agent
# * kamailio.cfg:24: hlog(): not about a message, so no rule: `capture-agent hlog` sends one
# * trace = "transaction": more than siptrace sees: messages that the server repeats or sends statelessly, the second pass of a spiral

[capture]
interfaces = ["any"]  # or those that carry SIP
local = ["10.0.0.1"]
x_headers = true

[trace]
on = true
local_failure_acks = false

[[hep]]
host = "10.0.0.8"
port = 9060
transport = "udp"
version = 3
capture_id = 1
auth_key = "a\\"b"

[[sql]]
url = "mysql://kam:p%40ss@db/kamailio"
table = "calls"

[[rule]]
name = "kamailio.cfg:22"
method = "INVITE"
kind = "initial"
trace = "transaction"
correlation_id = "{call_id}-a"
"""
    )


SOCKETS = "listen=udp:10.0.0.1:5060 advertise 203.0.113.5\nlisten=tcp:10.0.0.1:5060 advertise h.example\n"
CALL = "request_route { sip_trace(); }\n"
CORE3 = """modparam("siptrace", "trace_on", 1)
modparam("siptrace", "trace_mode", 1)
modparam("siptrace", "hep_version", 3)
modparam("siptrace", "duplicate_uri", "sip:h:9")
"""
CORE = 'modparam("siptrace", "trace_mode", 1)\nmodparam("siptrace", "duplicate_uri", "sip:h:9060")\nmodparam("siptrace", "duplicate_uri", "sip:h:9")\n'


@pytest.mark.parametrize(
    ("text", "local", "advertise"),
    [
        ("", ["auto"], []),
        ("listen=udp:10.0.0.1:5060\nlisten=tcp:10.0.0.1:5060", ["10.0.0.1"], []),
        ("listen=udp:10.0.0.1:5060\nlisten=udp:10.0.0.1:5062\nlisten=tcp:[::1]:5060", ["10.0.0.1:5060", "10.0.0.1:5062", "::1"], []),
        ("listen=udp:10.0.0.1\nlisten=tls:10.0.0.1\nlisten=10.0.0.2", ["10.0.0.1", "10.0.0.2"], []),
        ("listen=udp:[FD00:0::1]:5060", ["[fd00::1]:5060"], []),
        ("listen=udp:0.0.0.0:5060\nlisten=udp:eth0:5060", ["auto"], []),
        (SOCKETS, ["10.0.0.1"], []),
        (CORE + SOCKETS, ["10.0.0.1"], []),
        (f'{CORE}modparam("siptrace", "data_mode", 1)\n{SOCKETS}', ["10.0.0.1"], ["udp:10.0.0.1:5060=203.0.113.5:5060"]),
        (CALL + 'modparam("siptrace", "trace_local_ip", "udp:10.1.1.1:5064")', ["auto"], ["*=10.1.1.1:5064"]),
        (CALL + 'modparam("siptrace", "trace_local_ip", "10.1.1.1:5064")', ["auto"], ["*=10.1.1.1:5064"]),
        (CALL + 'modparam("siptrace", "trace_local_ip", "udp:h.example:5064")', ["auto"], []),
        # It does not affect what trace_mode traces.
        (CORE + 'modparam("siptrace", "trace_local_ip", "udp:10.1.1.1:5064")', ["auto"], []),
    ],
)  # fmt: skip
def test_addresses(text: str, local: list[str], advertise: list[str], tmp_path: Path) -> None:
    _, config = converted(text, tmp_path)
    assert [str(address) for address in config.capture.local] == local
    assert [str(each) for each in config.trace.advertise] == advertise


@pytest.mark.parametrize(
    ("parameter", "note"),
    [
        ('"trace_on", "yes"', "trace_on: value 'yes', expected a number: left out"),
        ('"trace_on", "1"', "trace_on: a number in quotes, which keeps Kamailio from starting: accepted"),
        ('"hep_version", 4', "hep_version: value 4, expected 1, 2 or 3: using 3"),
        ('"trace_flag", 99', "trace_flag: value 99, expected 0 to 31: left out"),
        ('"traced_user_avp", "$var(x)"', "traced_user_avp: value '$var(x)' is not an AVP: left out"),
        ('"trace_init_mode", 1', "trace_init_mode: 1 without a trace_mode traces nothing"),
        ('"callid_column", "x"', "callid_column: columns have siptrace's default names here"),
        ('"trace_onn", 1', "trace_onn: not a parameter of siptrace"),
        ('"send_sock_name", "x"', "send_sock_name: a name of Kamailio's socket: left out"),
        (
            '"trace_local_ip", "nix"',
            "trace_local_ip: siptrace uses it only for messages traced by functions, and none traces: left out",
        ),
    ],
)
def test_notes_on_parameters(parameter: str, note: str, tmp_path: Path) -> None:
    toml, _ = converted(f'\nmodparam("siptrace", {parameter})\n', tmp_path)
    assert f"# * {tmp_path}/kamailio.cfg:2: {note}\n" in toml


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('request_route { sip_trace("sip:h:9060", "$ci", "d"); }', 'trace = "dialog": more than siptrace sees: the ACKs that confirm a dialog, in and out, the server\'s own BYEs, messages'),
        ('modparam("siptrace", "trace_dialog_ack", 0)\nrequest_route { sip_trace("sip:h:9060", "$ci", "d"); }', 'trace = "dialog": more than siptrace sees: the server\'s own BYEs, messages'),
        ('request_route { sip_trace("sip:h:9060", "$ci", "t"); }', 'trace = "transaction": more than siptrace sees: messages'),
        ('request_route { sip_trace("sip:h:9060", "$ci", "m"); }', None),
        ('modparam("siptrace", "trace_mode", 1)\nmodparam("siptrace", "duplicate_uri", "sip:h:9060")\nrequest_route { sip_trace("sip:h:9060", "$ci", "d"); }', None),
    ],
    ids=["dialogs", "dialogs without ACKs", "transactions", "messages", "everything"],
)  # fmt: skip
def test_what_the_module_misses_is_announced(script: str, words: str | None, tmp_path: Path) -> None:
    modules = 'modparam("siptrace", "trace_on", 1)\nmodparam("siptrace", "hep_mode_on", 1)\n'
    toml, _ = converted(modules + script, tmp_path)
    assert ("more than siptrace sees" in toml) == (words is not None)
    assert (words or "") in toml


@pytest.mark.parametrize("module", ["topoh", "topos"])
def test_what_changes_the_wire(module: str, tmp_path: Path) -> None:
    toml, _ = converted(f'loadmodule "{module}.so"\n{CALL}', tmp_path)
    assert f"# * {module} changes the bytes on the wire, which are traced here\n" in toml


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ("", ""),
        ("if (f()) exit;", "# 1 condition was not understood: more is traced than Kamailio did.\n"),
        (
            "if (f()) exit; if (!g($var(x)) || h()) exit;",
            "# 3 conditions were not understood: more is traced than Kamailio did.\n",
        ),
        ('sip_trace_mode("t"); if (f()) exit; if (g()) t_on_failure("X");', ""),
    ],
)
def test_conditions_that_are_not_understood(conditions: str, words: str, tmp_path: Path) -> None:
    """Those that affect tracing are counted."""
    toml, _ = converted(
        f"route {{ {conditions} sip_trace(); }}" if not conditions.startswith("sip") else f"route {{ {conditions} }}",
        tmp_path,
    )
    assert words in toml
    assert ("not understood" in toml) == bool(words)


def test_nothing_there(tmp_path: Path) -> None:
    toml, config = converted("", tmp_path)
    assert "# * nothing is traced: found neither a trace_mode nor a call that is understood\n" in toml
    assert not config.trace.on
    assert not (config.hep or config.sip or config.sql or config.rule)


def test_a_comment_stays_a_comment(tmp_path: Path) -> None:
    """Line ends in the script's text must not begin new lines of ours."""
    toml, config = converted(CORE + 'modparam("siptrace", "trace_\\non = true", 1)\n', tmp_path)
    assert "trace_\\x0aon" in toml or "trace_\\non" in toml
    assert config.hep


def test_latin_1_is_kept(tmp_path: Path) -> None:
    """A letter in ISO-8859-1 stays the same letter, and a comment says that its bytes change."""
    file = ROOT / "tests" / "faults" / "inputs" / "latin1_cfg.cfg"
    toml, config = loaded(file, tmp_path)
    assert config.hep[0].auth_key == "geheim\u00e4"
    assert f"# * {file}:13: not UTF-8: read as ISO-8859-1, so bytes matched or sent from it differ here\n" in toml


def test_lines_of_their_own_encoding(tmp_path: Path) -> None:
    """UTF-8 in one line, ISO-8859-1 in the next."""
    text = 'modparam("siptrace", "auth_key", "k\u00e4")\nmodparam("siptrace", "table", "x\u00e4")\n'
    first, second = text.split("\n")[:2]
    (tmp_path / "kamailio.cfg").write_bytes(first.encode() + b"\n" + second.encode("latin-1") + b"\n" + CORE3.encode())
    toml, config = loaded(tmp_path / "kamailio.cfg", tmp_path)
    assert config.hep[0].auth_key == "k\u00e4"
    assert toml.count("ISO-8859-1") == 1


def test_a_string_over_several_lines(tmp_path: Path) -> None:
    """Inside it # does not begin a comment, and directives have no effect."""
    text = 'request_route { xlog("one # two\n#!define trace_on x\nthree"); sip_trace(); # "\n}\n'
    _, config = converted(CORE3 + text, tmp_path)
    assert config.trace.on
    assert config.hep


PIECES = st.sampled_from(
    [
        "request_route {", "route[A] {", "onreply_route[B] {", "event_route[siptrace:msg] {", "}", "{", "if (", ")", "else",
        "sip_trace();", 'sip_trace("sip:x:1", "$ci", "t");', 'sip_trace_mode("d");', 'is_method("INVITE")', "has_totag()",
        "&&", "||", "!", "exit;", "return;", "drop();", "route(A);", '$avp(u) = "x";', "setflag(1);", "isflagset(1)", "x()",
        "(", ";", '"', "'", "/*", "*/", "#", "//", "\n", "\n#!define A B\n", "\n#!ifdef A\n", "\n#!endif\n", "listen=", "udp:1.2.3.4:5",
        "advertise", "9.9.9.9:1", 'modparam("siptrace", "trace_mode", 7)', 'modparam("siptrace", "duplicate_uri", "sip:h")', "while",
        "switch", "case", ":", '$rU == "a"', '$fU =~ "^x"', "status =~ \"4..\"", "src_ip == 10.0.0.1", "\\", "\x00", "\u2028",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map(" ".join))
def test_anything_gives_a_file_that_loads(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    try:
        converted('modparam("siptrace", "traced_user_avp", "$avp(u)")\n' + text, folder)
    except ConvertError as error:
        assert str(error).startswith(str(folder))
