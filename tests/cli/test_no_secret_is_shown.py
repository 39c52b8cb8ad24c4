"""No output of the program contains a secret, however it is spelt and wherever a user has put it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_samples import CALL, capture_agent, pcap

from capture_agent.cli import main
from capture_agent.cli.title import harmless
from capture_agent.config.secrets import mask, quotable, repeats
from capture_agent.config.uris import server_url

pytestmark = pytest.mark.once

SECRET = "S3cretPW"

DATABASES = [
    "mysql://bob:p@S3cretPW@127.0.0.1:1/x",
    "mysql://bob:S3cretPW@p@127.0.0.1:1/x",
    "mysql://bob:S3cretPW@127.0.0.1:1/x",
    "mysql://bob:S3cretPW%40p@127.0.0.1:1/x",
    "mysql://bob:p%40S3cretPW@127.0.0.1:1/x",
    "mysql://bob:a/S3cretPW@127.0.0.1:1/x",
    "mysql://bob:a?S3cretPW@127.0.0.1:1/x",
    "mysql://bob:a#S3cretPW@127.0.0.1:1/x",
    "mysql://bob:a:S3cretPW@127.0.0.1:1/x",
    "mysql://bob:a;S3cretPW@127.0.0.1:1/x",
    "mysql://bob:a S3cretPW@127.0.0.1:1/x",
    "mysql://bob:[S3cretPW@127.0.0.1:1/x",
    "mysql://S3cretPW@127.0.0.1:1/x",
    "mysql://bob%3AS3cretPW@127.0.0.1:1/x",
    "mysql://bob:S3cretPW/x",
    "mysql://bob:S3cretPW",
    "mysql://bob:S3cretPW@",
    "mysql://bob:S3cretPW@127.0.0.1:port/x",
    "mysql://bob:x@127.0.0.1:S3cretPW/x",
    "mysql://bob:x@127.0.0.1:1/x?password=S3cretPW",
    "mysql://bob:x@127.0.0.1:1/x?passwd=a@S3cretPW",
    "mysql://bob:x@127.0.0.1:1/x?S3cretPW",
    "mysql://bob:x@127.0.0.1:1/x?S3cretPW=1",
    "mysql://bob:x@127.0.0.1:1/x?a=b&ssl_key_password=S3cretPW",
    "mysql://bob:x@127.0.0.1:1/x;key=S3cretPW",
    "mysql://bob:x@127.0.0.1:1/key=S3cretPW",
    "mysql:/bob:S3cretPW@127.0.0.1/x",
    "mysql//bob:S3cretPW@127.0.0.1/x",
    "mysql:bob:S3cretPW@127.0.0.1/x",
    "MySQL://bob:S3cretPW@127.0.0.1/x",
    "mysql+S3cretPW://bob@127.0.0.1/x",
    "mysql+nodriver://bob:S3cretPW@127.0.0.1/x",
    "oracle://bob:S3cretPW@127.0.0.1/x",
    "postgresql:/u:S3cretPW@h",
    "postgresql:///u:S3cretPW@h",
    "postgresql:u:S3cretPW@h/d",
    "postgresql ://u:S3cretPW@h/d",
    "postgres//u:S3cretPW@h",
    "postgresql://u:S3cretPW@[::1/d",
    "postgresql://u:x@127.0.0.1:1/d?S3cretPW=1",
    "postgresql://u:x@127.0.0.1:1/d?sslpassword=S3cretPW&connect_timeout=1",
    "postgresql://u:x@127.0.0.1:1/d?options=-c%20S3cretPW",
    "postgresql://u:x@127.0.0.1:1/d?connect_timeout=S3cretPW",
    "postgresql://u:p@ss@S3cretPW@127.0.0.1:1/d",
    "host=127.0.0.1 user=u password=S3cretPW dbname=d",
    "host=127.0.0.1 password='S3cretPW x'",
    "u:S3cretPW@127.0.0.1/d",
    "S3cretPW",
    "sqlite://S3cretPW@/x.db",
    "sqlite:///nowhere/x.db?key=S3cretPW",
    "sqlite+pysqlcipher://:S3cretPW@/x.db",
    "sqlite:///nowhere;key=S3cretPW",
    "redis://:S3cretPW@127.0.0.1",
]
HEP = [
    "hep:127.0.0.1:1?key=S3cretPW",
    "hep:127.0.0.1:x?key=S3cretPW",
    "hep:127.0.0.1?auth_key=S3cretPW",
    "hep:127.0.0.1;key=S3cretPW",
    "hep:127.0.0.1/key=S3cretPW",
    "hep:127.0.0.1?KEY=S3cretPW",
    "hep:127.0.0.1?key=a&S3cretPW",
    "hep:127.0.0.1?key=a&id=S3cretPW",
    "hep:127.0.0.1?key=a?S3cretPW",
    "hep:127.0.0.1?key=%53S3cretPW&vers=1",
    "hep:127.0.0.1?version=S3cretPW",
    "hep:127.0.0.1?vlan=S3cretPW",
    "hep:127.0.0.1?key=x&key=S3cretPW",
    "hep:u:S3cretPW@127.0.0.1:1",
    "hep:S3cretPW@127.0.0.1:1",
    "hep+tsl:127.0.0.1:1?key=S3cretPW",
    "hep//127.0.0.1?key=S3cretPW",
    "hep://127.0.0.1?key=S3cretPW",
    "hep+tls://S3cretPW@127.0.0.1",
    "hep:127.0.0.1:S3cretPW",
    "hep:[S3cretPW]:1",
    "key=S3cretPW",
    "http://u:S3cretPW@127.0.0.1",
]
SIP = [
    "sip:u:S3cretPW@127.0.0.1:1",
    "sip:S3cretPW@127.0.0.1:1",
    "sip:u:a@S3cretPW@127.0.0.1:1",
    "sip:u:S3cretPW@127.0.0.1:x",
    "sip:127.0.0.1;key=S3cretPW",
    "sip:127.0.0.1;transport=S3cretPW",
    "sip:127.0.0.1?X-Key=S3cretPW",
    "sip://u:S3cretPW@127.0.0.1",
    "sips:u:S3cretPW@127.0.0.1;transport=udp",
    "pis:u:S3cretPW@127.0.0.1",
]
TABLES = [
    '[[hep]]\nhost = "h"\nauth_key = ["S3cretPW"]',
    '[[hep]]\nhost = "h"\nauth_key_file = "S3cretPW"',
    '[[hep]]\nhost = "u:S3cretPW@h"',
    '[[hep]]\nhost = "h?key=S3cretPW"',
    '[[hep]]\nhost = "h"\nport = "key=S3cretPW"',
    '[[hep]]\nhost = "h"\n"key=S3cretPW" = 1',
    '[[hep]]\nhost = "h"\nsource = "u:S3cretPW@h"',
    '[[hep]]\nhost = "h"\nauth_key = "S3cretPW',
    '[[hep]]\nhost = "h"\nauth_key = S3cretPW',
    '[[hep]]\nhost = "h"\nauth_key = "S3cretPW" x',
    '[[hep]]\nhost = "h"\nauth_key = "S3cretPW\\q"',
    '[[hep]]\nhost = "h"\nauth_key = "S3cretPW"\nauth_key = "S3cretPW"',
    '[[hep]]\nhost = "h"\nt = { "S3cretPW/" = 1, "S3cretPW/" = 2 }',
    '[privacy]\nhash_key = 7\nmask = ["users:hash", "key=S3cretPW"]',
    '[privacy]\nhash_key_file = "/S3cretPW"',
    '[[sql]]\nurl_file = "postgresql://u:S3cretPW@h/d"',
    '[capture]\nlisten = ["sip:u:S3cretPW@h"]',
    '[capture]\nlocal = ["mysql://u:S3cretPW@h/d"]',
    '[capture]\ninterfaces = ["mysql://u:S3cretPW@h/d"]',
    '[[rule]]\nsinks = ["hep:h:x?key=S3cretPW"]',
    '[[rule]]\nsinks = ["postgresql:/u:S3cretPW@h"]',
    '[[rule]]\nname = "a"\nmethod = ["password: S3cretPW"]',
    '["mysql://u:S3cretPW@h"]\nx = 1',
    *(
        f'[[sink]]\nuse = "absent"\noptions = {{ {options} }}'
        for options in (
            'psk = "S3cretPW"',
            '"sasl.password" = "S3cretPW"',
            'sasl = { mechanism = "PLAIN", value = "S3cretPW" }',
            'Authorization = "Bearer S3cretPW"',
            'headers = ["X-Api: S3cretPW"]',
            'cookie = "a=S3cretPW"',
            'ssl_key_password = "S3cretPW"',
            'url = "kafka://u:S3cretPW@h"',
            'servers = [{ "S3cretPW" = true }]',
            'text = "\\u0000S3cretPW"',
        )
    ),
]
ENVIRONMENT = [
    {"CAPTURE_AGENT_SQL__1__URL": "mysql:/u:S3cretPW@h"},
    {"CAPTURE_AGENT_HEP__1__URI": "hep:h:x?key=S3cretPW"},
    {"CAPTURE_AGENT_HEP__1__AUTH_KEY_FILE": "S3cretPW"},
    {"CAPTURE_AGENT_SINK__1__OPTIONS": '{ token = "S3cretPW"'},
    {"CAPTURE_AGENT_SINK__1__USE": "absent", "CAPTURE_AGENT_SINK__1__OPTIONS": '{ token = "S3cretPW" }'},
    {"CAPTURE_AGENT_CONFIG": "mysql://u:S3cretPW@h"},
    {"CAPTURE_AGENT_TRACE__ON": "password=S3cretPW"},
]
ARGUMENTS = [
    ["--hep=S3cretPW@"],
    ["--hepp=hep:h?key=S3cretPW"],
    ["--hep-hep:h?key=S3cretPW"],
    ["-dmysql://u:S3cretPW@h"],
    ["mysql://u:S3cretPW@h"],
    ["--speed", "mysql://u:S3cretPW@h"],
    ["--loop", "key=S3cretPW"],
    ["--config", "mysql://u:S3cretPW@h"],
    ["--trace", "password: S3cretPW"],
    ["--local", "u:S3cretPW@10.0.0.1"],
    ["--port", "key=S3cretPW"],
]


DOCTOR = ["doctor", "--seconds", "0.1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "call.pcap").write_bytes(pcap(CALL))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def nothing_of_it(captured: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, command: list[str]) -> None:
    main(command)
    shown = captured.readouterr()
    for text in (shown.out, shown.err, caplog.text):
        assert SECRET.lower() not in text.lower(), command


def toml(section: str, option: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'[[{section}]]\n{option} = "{escaped}"\n'


SPELLINGS = [
    *(pytest.param("--db", "sql", "url", value, id=value) for value in DATABASES),
    *(pytest.param("--hep", "hep", "uri", value, id=value) for value in HEP),
    *(pytest.param("--sip", "sip", "uri", value, id=value) for value in SIP),
]


@pytest.mark.parametrize(("option", "section", "name", "value"), SPELLINGS)
def test_urls(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    option: str,
    section: str,
    name: str,
    value: str,
) -> None:
    (folder / "agent.toml").write_text(toml(section, name, value))
    (folder / "rule.toml").write_text(
        f'[[hep]]\nhost = "h"\n[[rule]]\n{toml("x", "sinks", value).partition(chr(10))[2]}'
    )
    nothing_of_it(capsys, caplog, ["replay", "call.pcap", option, value])
    for file in ("agent.toml", "rule.toml"):
        for command in (["config", "check", file], ["config", "show", "--config", file], [*DOCTOR, "--config", file]):
            nothing_of_it(capsys, caplog, command)
    if section == "sql":
        nothing_of_it(capsys, caplog, ["db", "create", option, value])
        nothing_of_it(capsys, caplog, ["calls", option, value])
        nothing_of_it(capsys, caplog, ["flow", "x", option, value])
    if section == "hep":
        nothing_of_it(capsys, caplog, ["hlog", "x", option, value])
    assert SECRET not in mask(value)


@pytest.mark.parametrize("text", TABLES)
def test_files(folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, text: str) -> None:
    (folder / "agent.toml").write_text(text + "\n")
    for command in (
        ["config", "check"],
        ["config", "show", "--config"],
        ["replay", "call.pcap", "--config"],
        [*DOCTOR, "--config"],
    ):
        nothing_of_it(capsys, caplog, [*command, "agent.toml"])


@pytest.mark.parametrize("environ", ENVIRONMENT, ids=str)
def test_the_environment(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
) -> None:
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    for command in (["config", "show"], ["replay", "call.pcap"], DOCTOR):
        nothing_of_it(capsys, caplog, command)


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_wrong_arguments(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, arguments: list[str]
) -> None:
    nothing_of_it(capsys, caplog, ["replay", "call.pcap", *arguments])
    nothing_of_it(capsys, caplog, arguments)


@pytest.mark.parametrize(
    "command",
    [
        ["decode", "mysql://u:S3cretPW@h"],
        ["decode", "call.pcap", "--format", "mysql://u:S3cretPW@h"],
        ["status", "token=S3cretPW"],
        ["status", "check", "--control", "mysql://u:S3cretPW@h"],
        ["flow", "mysql://u:S3cretPW@h", "--file", "call.pcap"],
        ["flow", "x", "--file", "mysql://u:S3cretPW@h"],
        ["config", "check", "mysql://u:S3cretPW@h"],
        ["config", "convert", "mysql://u:S3cretPW@h"],
        ["calls", "--db", "sqlite:///x.db", "--limit", "password=S3cretPW"],
        ["db", "create", "--db", "sqlite:///x.db", "--table", "key=S3cretPW"],
        ["trace-msg", "--from", "udp:u:S3cretPW@h", "--to", "udp:10.0.0.1:1"],
        ["run", "-i", "mysql://u:S3cretPW@h", "--hep", "hep:127.0.0.1:1"],
        ["run", "--listen", "sip:u:S3cretPW@127.0.0.1:x", "--hep", "hep:127.0.0.1:1"],
    ],
    ids=str,
)
def test_other_commands(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, command: list[str]
) -> None:
    nothing_of_it(capsys, caplog, command)


@pytest.mark.parametrize(
    "line",
    [
        'modparam("siptrace", "db_url", "oracle://u:S3cretPW@h/d")',
        'modparam("siptrace", "db_url", "S3cretPW")',
        'modparam("siptrace", "duplicate_uri", "sip:u:S3cretPW@h:x")',
        'modparam("siptrace", "duplicate_uri", "sip:u:S3cretPW@h;transport=sctp")',
        'modparam("siptrace", "send_sock_addr", "sip:u:S3cretPW@h:x")',
        'modparam("siptrace", "trace_local_ip", "u:S3cretPW@h")',
        'modparam("siptrace", "hep_version", "key=S3cretPW")',
        'modparam("siptrace", "traced_user_avp", "password=S3cretPW")',
        '#!subst "/X/S3cretPW"',
        '#!substdef "!a.*b!S3cretPW!g"',
        '#!ifexp PASSWORD == "S3cretPW"\n#!endif',
        'request_route { if ($avp(x) == "mysql://u:S3cretPW@h") sip_trace(); }',
        'request_route { sip_trace("sip:u:S3cretPW@h:x"); }',
    ],
)
def test_comments_of_a_converted_configuration(folder: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    (folder / "k.cfg").write_text(f'loadmodule "siptrace.so"\n{line}\n')
    main(["config", "convert", "k.cfg"])
    shown = capsys.readouterr()
    assert SECRET not in shown.err
    assert SECRET not in "".join(text for text in shown.out.splitlines() if text.startswith("#"))


@pytest.mark.parametrize("value", [DATABASES[0], DATABASES[24], HEP[2], SIP[0]])
def test_a_real_process(folder: Path, value: str) -> None:
    option = {"h": "--hep", "s": "--sip"}.get(value[0], "--db")
    ended = capture_agent("replay", "call.pcap", option, value, folder=folder)
    assert SECRET not in ended.out + ended.err


def test_arguments_that_others_see() -> None:
    code = (
        "import sys; from pathlib import Path; from capture_agent.cli.title import hide_secrets; hide_secrets();"
        "print(Path('/proc/self/cmdline').read_bytes())"
    )
    arguments = ["run", "--db", "mysql://bob:p@S3cretPW@h/d", "--hep=hep:h?key=S3cretPW", "-i", "eth0", "x:S3cretPW@y"]
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=30, check=True
    )
    assert SECRET not in ended.stdout
    assert "--db" in ended.stdout
    assert "eth0" in ended.stdout


def test_harmless_arguments_keep_their_lengths() -> None:
    given = [b"run", b"--db", b"mysql://u:S3cretPW@h/d", b"--sip=sip:u:S3cretPW@h", b"--db", b"x", b"\xff@"]
    assert [len(one) for one in harmless(given)] == [len(one) for one in given]


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("mysql://bob:p@ss@h:1/x", "mysql://bob:p%40ss@h:1/x"),
        ("mysql://bob:p%40ss@h/x", "mysql://bob:p%40ss@h/x"),
        ("postgresql://u:p?w@h/db", "postgresql://u:p%3Fw@h/db"),
        ("postgresql://u:p@[::1]:5/db?x=a@b", "postgresql://u:p@[::1]:5/db?x=a@b"),
        ("postgresql:///db?host=/run", "postgresql:///db?host=/run"),
        ("postgresql://h:x/db", None),
        ("oracle://h/db", None),
    ],
)
def test_the_host_is_after_the_last_at(url: str, taken: str | None) -> None:
    assert server_url(url) == taken


def test_a_wrong_value_without_a_secret_is_quoted() -> None:
    for text in ("INV ITE", "10.0.0.1/8", "x; drop", "/^(\\+|00)[1-9]+$/", "10.0.0.5=203.0.113.5", "authorisation"):
        assert quotable(text) == text


@pytest.mark.parametrize(
    ("says", "value", "found"),
    [
        ("'topic'", "S3cretPW", False),
        ("cannot parse kafka://u:S3cretPW@h", "kafka://u:S3cretPW@h", True),
        ("no host s3cretpw", "u:S3cretPW@h", True),
        ("PIN 12 is wrong", "12", True),
        ("PIN 123 is wrong", "12", False),
    ],
)
def test_messages_that_repeat_a_value(says: str, value: str, found: bool) -> None:
    assert repeats(says, [value]) == found
