"""From TOML, environment and command line to a Config; every problem at once, each with its place."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from capture_agent.config import Capture, Config, ConfigError, HepTarget, SipTarget, SqlTarget, load
from capture_agent.config.endpoints import AUTO, Local, LocalAddress

pytestmark = pytest.mark.once


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("agent.toml")


def problems(file: Path | None, environ: dict[str, str] | None = None, said: Any = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file, environ or {}, said or {})
    return caught.value.problems


def test_nothing_is_the_defaults() -> None:
    assert load() == Config()


def test_everything(file: Path) -> None:
    file.write_text(
        """
        log = {level = "debug"}
        [capture]
        interfaces = ["eth0", "eth1"]
        local = ["auto", "10.0.0.0/8", "[::1]:5060"]
        [[hep]]
        uri = "hep+tcp:homer?id=7&key=abc"
        node_name = "n"
        [[hep]]
        host = "2001:db8::1"
        version = 2
        [[sip]]
        uri = "sip:10.1.1.1:5888;transport=tcp"
        [[sql]]
        url = "sqlite:///x.db"
        [queue]
        messages = 5
        drain_seconds = 1
        """
    )
    config = load(file)
    local: tuple[Local, ...] = (AUTO, LocalAddress(ip_network("10.0.0.0/8")), LocalAddress(ip_network("::1/128"), 5060))
    assert config.capture == Capture(interfaces=("eth0", "eth1"), local=local)
    assert config.hep == (
        HepTarget("homer", transport="tcp", capture_id=7, auth_key="abc", node_name="n"),
        HepTarget("2001:db8::1", version=2),
    )
    assert config.sip == (SipTarget("10.1.1.1", 5888, "tcp"),)
    assert config.sql == (SqlTarget("sqlite:///x.db"),)
    assert (config.queue.messages, config.queue.drain_seconds, config.log.level) == (5, 1.0, "debug")


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        pytest.param(
            "[capture]\nbuffer_mib = 0",
            ["agent.toml:2: capture.buffer_mib: value 0, expected a whole number from 1 to 2047"],
            id="out of range",
        ),
        pytest.param(
            '[capture]\nbuffer_mib = "16"',
            ["agent.toml:2: capture.buffer_mib: value '16', expected a whole number from 1 to 2047"],
            id="text for a number",
        ),
        pytest.param(
            "[capture]\npromiscuous = 1",
            ["agent.toml:2: capture.promiscuous: value 1, expected true or false"],
            id="number for a truth value",
        ),
        pytest.param(
            '[capture]\ninterfaces = "eth0"',
            ["agent.toml:2: capture.interfaces: value 'eth0', expected a list, each an interface"],
            id="text for a list",
        ),
        pytest.param(
            '[capture]\nfilter = ""\nlocal = [\n  "auto",\n  "10.0.0.1/8",\n]',
            [
                "agent.toml:3: capture.local: value '10.0.0.1/8', expected an address, a network, ADDRESS:PORT,"
                ' [IPv6]:PORT or "auto" (host bits are set: the network is 10.0.0.0/8)'
            ],
            id="in a list",
        ),
        pytest.param(
            '[[hep]]\nhost = "a"\n[[hep]]\nhost = "b"\nversion = 4',
            ["agent.toml:5: hep.version: value 4, expected 1, 2 or 3"],
            id="in the second sink",
        ),
        pytest.param(
            '[[hep]]\nhost = "a"\ncapture_id = 4294967296',
            ["agent.toml:3: hep.capture_id: value 4294967296, expected a whole number from 0 to 4294967295"],
            id="capture id",
        ),
        pytest.param(
            '[[hep]]\nuri = "hep+tcp:a"\nversion = 1',
            ["agent.toml:1: hep: HEP 1 has no length field: over udp only, not tcp"],
            id="HEP 1 over TCP",
        ),
        pytest.param(
            f'[[hep]]\nhost = "a"\nnode_name = "{"ü" * 513}"',
            ["agent.toml:1: hep: node_name: 1026 bytes, expected at most 1024"],
            id="long name",
        ),
        pytest.param(
            f'[[hep]]\nhost = "a"\nauth_key = "{"k" * 1025}"',
            ["agent.toml:1: hep: auth_key: 1025 bytes, expected at most 1024"],
            id="long key",
        ),
        pytest.param(
            '[[hep]]\nuri = "hep:a?vers=3"',
            ["agent.toml:2: hep.uri: unknown parameter, expected version, id, key, node or vlan"],
            id="URI",
        ),
        pytest.param(
            '[[hep]]\nuri = "hep:a:1"\nport = 2',
            ["agent.toml:3: hep.port: given twice, here and in uri"],
            id="given twice",
        ),
        pytest.param(
            "[[sip]]\nport = 5060",
            ["agent.toml:1: sip: neither uri nor host is given, expected one of them"],
            id="no host",
        ),
        pytest.param(
            '[[sip]]\nhost = "[::1]"',
            [
                "agent.toml:2: sip.host: value '[::1]', expected a host name or an IP address"
                " (the host is not a valid IPv6 address)"
            ],
            id="brackets in host",
        ),
        pytest.param(
            '[[sql]]\nurl = "oracle://u:s3cret@h/db"',
            ["agent.toml:2: sql.url: expected sqlite, postgresql, mysql or mariadb, then ://..."],
            id="database",
        ),
        pytest.param(
            '[[sql]]\nurl = "sqlite:///x"\ntable = "x; drop"',
            ["agent.toml:3: sql.table: value 'x; drop', expected letters, digits and underscores, at most 32"],
            id="table",
        ),
        pytest.param(
            "[[sql]]",
            ["agent.toml:1: sql: neither url nor url_file is given, expected one of them"],
            id="no url",
        ),
        pytest.param(
            '[capture]\nfiltre = "udp"',
            ["agent.toml:2: capture.filtre: unknown option, did you mean 'filter'?"],
            id="unknown option",
        ),
        pytest.param(
            "[capture]\nzzz = 1", ["agent.toml:2: capture.zzz: unknown option"], id="unknown option like no other"
        ),
        pytest.param("[logs]\n", ["agent.toml:1: logs: unknown section, did you mean 'log'?"], id="unknown section"),
        pytest.param('hep = "hep:a"', ["agent.toml:1: hep: expected tables [[hep]]"], id="no tables"),
        pytest.param("[hep]\nhost = 'a'", ["agent.toml:1: hep: expected tables [[hep]]"], id="one bracket"),
        pytest.param("[[log]]\n", ["agent.toml:1: log: expected a table [log]"], id="two brackets"),
        pytest.param(
            "[log]\nlevel = 1979-05-27\n[trace]\non = nan",
            [
                'agent.toml:2: log.level: value \'1979-05-27\', expected "debug", "info", "warning" or "error"',
                "agent.toml:4: trace.on: value nan, expected true or false",
            ],
            id="TOML's other types",
        ),
        pytest.param(
            "[log\n",
            ["agent.toml:1: not TOML: Expected ']' at the end of a table declaration (column 5)"],
            id="syntax",
        ),
        pytest.param(
            '[log]\nlevel = "a\n',
            ["agent.toml:2: not TOML: Illegal character '\\n' (column 11)"],
            id="open string",
        ),
        pytest.param("a = [", ["agent.toml:1: not TOML: Invalid value (at the end of the file)"], id="ends early"),
    ],
)
def test_problems_of_the_file(file: Path, toml: str, expected: list[str]) -> None:
    file.write_text(toml)
    assert problems(file) == expected


def test_all_problems_at_once(file: Path) -> None:
    file.write_text('[log]\nlevel = "loud"\n[capture]\nbuffer_mib = 0\nzzz = 1\n[[hep]]\nuri = "x"\n')
    found = problems(file, {"CAPTURE_AGENT_QUEUE__MESSAGES": "many"}, {"sip": [{"uri": "sip:h:x"}]})
    assert [problem.partition(" ")[0] for problem in found] == [
        "agent.toml:2:",
        "agent.toml:4:",
        "agent.toml:5:",
        "agent.toml:7:",
        "--sip:",
        "CAPTURE_AGENT_QUEUE__MESSAGES:",
    ]


@pytest.mark.parametrize(
    ("environ", "said", "expected"),
    [
        (
            {"CAPTURE_AGENT_CAPTURE__FILTRE": ""},
            {},
            "CAPTURE_AGENT_CAPTURE__FILTRE: no such option, did you mean 'CAPTURE_AGENT_CAPTURE__FILTER'?",
        ),
        (
            {"CAPTURE_AGENT_HEP__AUTH_KEY": "s3cret"},
            {},
            "CAPTURE_AGENT_HEP__AUTH_KEY: no such option, expected CAPTURE_AGENT_HEP__N__AUTH_KEY, N from 1",
        ),
        (
            {"CAPTURE_AGENT_TRACE__ON": "maybe"},
            {},
            "CAPTURE_AGENT_TRACE__ON: value 'maybe', expected true or false",
        ),
        (
            {"CAPTURE_AGENT_HEP__1__URI": "hep:h:0?key=s3cret"},
            {},
            "CAPTURE_AGENT_HEP__1__URI: expected a port from 1 to 65535",
        ),
        (
            {"CAPTURE_AGENT_SQL__1__URL": "db2://u:s3cret@h"},
            {},
            "CAPTURE_AGENT_SQL__1__URL: expected sqlite, postgresql, mysql or mariadb, then ://...",
        ),
        (
            {"CAPTURE_AGENT_CAPTURE__FILTER": "udp\udcff"},
            {},
            r"CAPTURE_AGENT_CAPTURE__FILTER: value 'udp\udcff', expected UTF-8 text without NUL characters",
        ),
        (
            {},
            {"hep": [{"uri": "hep:h?key=s3cret\udcff"}]},
            "--hep: expected UTF-8 text without NUL characters",
        ),
        (
            {},
            {"capture": {"interfaces": ["eth0", "a\0b"]}},
            r"--interface: value 'a\x00b', expected UTF-8 text without NUL characters",
        ),
        (
            {},
            {"sql": [{"url": "sqlite:///\udcff.db"}]},
            r"--db: expected UTF-8 text without NUL characters",
        ),
        (
            {},
            {"capture": {"listen": ["hep+tls:127.0.0.1:9061"]}},
            "configuration: capture: listen: hep+tls:127.0.0.1:9061 needs a certificate, expected a [[listen]] section with its tls_cert",
        ),
        ({}, {"trace": {"mode": "call"}}, '--trace: value \'call\', expected "message", "transaction" or "dialog"'),
        (
            {},
            {"hep": [{"uri": "h"}]},
            "--hep: expected hep:HOST:PORT, hep+tcp:HOST:PORT or hep+tls:HOST:PORT",
        ),
    ],
)
def test_problems_name_variable_or_option(environ: dict[str, str], said: Any, expected: str) -> None:
    assert problems(None, environ, said) == [expected]


def test_higher_layers_win(file: Path) -> None:
    file.write_text('[capture]\nfilter = "file"\nbuffer_mib = 1\nsnapshot_length = 100\n')
    environ = {"CAPTURE_AGENT_CAPTURE__FILTER": "environment", "CAPTURE_AGENT_CAPTURE__BUFFER_MIB": "2"}
    capture = load(file, environ, {"capture": {"filter": "option"}}).capture
    assert (capture.filter, capture.buffer_mib, capture.snapshot_length) == ("option", 2, 100)


@pytest.mark.parametrize(
    ("variable", "text", "section", "name", "value"),
    [
        ("CAPTURE_AGENT_CAPTURE__INTERFACES", "eth0, eth1,", "capture", "interfaces", ("eth0", "eth1")),
        ("CAPTURE_AGENT_TRACE__ON", "off", "trace", "on", False),
        ("CAPTURE_AGENT_TRACE__ON", "TRUE", "trace", "on", True),
        ("CAPTURE_AGENT_QUEUE__DRAIN_SECONDS", "0.5", "queue", "drain_seconds", 0.5),
        ("CAPTURE_AGENT_CAPTURE__FILTER", "1", "capture", "filter", "1"),
    ],
)
def test_environment_has_types(variable: str, text: str, section: str, name: str, value: object) -> None:
    assert getattr(getattr(load(None, {variable: text}), section), name) == value


def test_environment_numbers_the_sinks(file: Path) -> None:
    file.write_text('[[hep]]\nuri = "hep:a"\n')
    environ = {"CAPTURE_AGENT_HEP__1__AUTH_KEY": "k", "CAPTURE_AGENT_HEP__2__URI": "hep:b"}
    assert load(file, environ).hep == (HepTarget("a", auth_key="k"), HepTarget("b"))


def test_environment_goes_over_a_uri_of_the_file(file: Path) -> None:
    file.write_text('[[hep]]\nuri = "hep:a?key=file"\nport = 7\n')
    environ = {"CAPTURE_AGENT_HEP__1__AUTH_KEY": "environment", "CAPTURE_AGENT_HEP__1__URI": "hep:b:8"}
    assert load(file, environ).hep == (HepTarget("b", 8, auth_key="environment"),)


def test_sinks_of_the_command_line_take_the_place_of_others(file: Path) -> None:
    file.write_text('[[hep]]\nuri = "hep:a"\nauth_key = "file"\n[[sip]]\nhost = "s"\n')
    environ = {
        "CAPTURE_AGENT_HEP__1__AUTH_KEY": "k",
        "CAPTURE_AGENT_HEP__1__URI": "hep:b",
        "CAPTURE_AGENT_HEP__2__URI": "hep:c",
    }
    config = load(file, environ, {"hep": [{"uri": "hep:option"}]})
    assert config.hep == (HepTarget("option", auth_key="k"),)
    assert config.sip == (SipTarget("s"),)


def test_kubernetes_names_are_not_ours() -> None:
    environ = {"CAPTURE_AGENT_PORT": "tcp://10.0.0.1:8008", "CAPTURE_AGENT_SERVICE_HOST": "10.0.0.1"}
    assert load(None, environ) == Config()


def test_secrets_from_files(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "key").write_text("s3cret\n")
    (tmp_path / "url").write_text("sqlite:///x.db\n")
    (folder / "agent.toml").write_text('[[hep]]\nhost = "a"\nauth_key_file = "key"\n')
    config = load(folder / "agent.toml", {"CAPTURE_AGENT_SQL__1__URL_FILE": "url"})
    assert config.hep[0].auth_key == "s3cret"
    assert config.sql == (SqlTarget("sqlite:///x.db"),)


@pytest.mark.parametrize(
    ("value", "want"), [("ca.pem", "etc/ca.pem"), ("../ca.pem", "etc/../ca.pem"), ("/ca.pem", "/ca.pem"), ("", "")]
)
def test_certificates_lie_beside_the_file(file: Path, value: str, want: str) -> None:
    """From the environment or the command line, they start where the agent was started."""
    Path("etc").mkdir()
    path = Path("etc/agent.toml")
    path.write_text(
        f'[[hep]]\nhost = "a"\ntransport = "tls"\ntls_ca = "{value}"\n[[sip]]\nhost = "a"\ntransport = "tls"\ntls_ca = "{value}"\n'
    )
    config = load(path)
    assert (config.hep[0].tls_ca, config.sip[0].tls_ca) == (want, want)
    assert load(path, {"CAPTURE_AGENT_HEP__1__TLS_CA": value}).hep[0].tls_ca == value


@pytest.mark.parametrize(
    ("config", "name", "want"),
    [
        pytest.param("etc", "beside", "etc/beside", id="beside the file"),
        pytest.param("etc", "both", "credentials/both", id="a credential comes first"),
        pytest.param("etc", "passed", "credentials/passed", id="a credential alone"),
        pytest.param("credentials", "passed", "credentials/passed", id="all are credentials"),
        pytest.param("credentials", "here", "here", id="the working directory, not the credentials"),
        pytest.param("credentials", "sub/passed", "sub/passed", id="no name of a credential"),
        pytest.param("credentials", "x" * 300, "x" * 300, id="too long for a name"),
        pytest.param("credentials", "", "", id="none"),
        pytest.param("credentials", "..", "..", id="no file"),
    ],
)
def test_credentials_of_systemd(file: Path, config: str, name: str, want: str) -> None:
    """LoadCredential= passes files one by one, into a folder that has nothing else and cannot be written."""
    for path in ("etc/both", "etc/beside", "credentials/both", "credentials/passed", "here"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(path)
    path = Path(config, "agent.toml").absolute()
    path.write_text(f'[[hep]]\nhost = "a"\ntransport = "tls"\ntls_ca = "{name}"\n')
    environ = {"CREDENTIALS_DIRECTORY": str(Path("credentials").absolute())}
    assert load(path, environ).hep[0].tls_ca in (want, str(Path(want).absolute()))
    if len(want) < 100 and Path(want).is_file():
        path.write_text(f'[[hep]]\nhost = "a"\nauth_key_file = "{name}"\n')
        assert load(path, environ).hep[0].auth_key == want


@pytest.mark.parametrize("content", ["", " \n", "x" * 16_385], ids=["empty", "blank", "too long"])
def test_a_secret_file_without_a_secret(file: Path, tmp_path: Path, content: str) -> None:
    """Such a file must not be as none: who has set it wants a key."""
    (tmp_path / "key").write_text(content)
    key = f"{tmp_path}/key"
    for section in ("[[hep]]\nuri = 'hep:a'\nauth_key_file", "[[listen]]\nuri = 'hep:127.0.0.1'\nauth_key_file",
                    "[http]\ntoken_file", "[privacy]\nhash_key_file", "[tls]\nkeys_password_file"):  # fmt: skip
        file.write_text(f"{section} = '{key}'\n")
        (problem,) = problems(file)
        assert problem.endswith("_file: expected a file with 1 to 16,384 characters")


def test_a_secret_file_with_no_end(file: Path) -> None:
    file.write_text("[http]\ntoken_file = '/dev/zero'\n")
    (problem,) = problems(file)
    assert problem.endswith("expected a file with 1 to 16,384 characters")


def test_a_secret_file_that_is_not_there(file: Path) -> None:
    file.write_text('[[hep]]\nhost = "a"\nauth_key_file = "nix"\nauth_key = "s3cret"\n')
    assert problems(file) == [
        "agent.toml:3: hep.auth_key_file: expected a file that can be read (no such file or directory)",
        "agent.toml:4: hep.auth_key: given twice, here and in auth_key_file",
    ]


@pytest.mark.parametrize("value", ["5", "['s3cret']", "true"])
def test_a_wrong_secret_is_not_shown(file: Path, value: str) -> None:
    file.write_text(f'[[hep]]\nhost = "a"\nauth_key = {value}\n')
    assert problems(file)[0] == "agent.toml:3: hep.auth_key: expected text"


def test_files_that_cannot_be_read(file: Path, tmp_path: Path) -> None:
    assert problems(Path("nix.toml")) == ["nix.toml: cannot be read: no such file or directory"]
    assert problems(tmp_path) == [f"{tmp_path}: cannot be read: is a directory"]
    file.write_bytes(b'[log]\nlevel = "\xff"\n')
    assert problems(file) == ["agent.toml:2: not UTF-8 text, expected a TOML file"]


@pytest.mark.parametrize(
    ("spool", "want"),
    [
        pytest.param("5", "hep.spool: value 5, expected a table", id="no table"),
        pytest.param(
            "{ mib = 0 }", "hep.spool.mib: value 0, expected a whole number from 1 to 1048576", id="below the least"
        ),
        pytest.param("{ on = 1 }", "hep.spool.on: value 1, expected true or false", id="another type"),
        pytest.param("{ bside = true }", "hep.spool.bside: unknown option, did you mean 'beside'?", id="a slip"),
        pytest.param('{ directory = "/s" }', "hep.spool.directory: unknown option", id="the same for all"),
    ],
)
def test_a_wrong_option_of_a_sinks_spool(file: Path, spool: str, want: str) -> None:
    file.write_text(f'[[hep]]\nuri = "hep:192.0.2.1"\nspool = {spool}\n')
    assert problems(file) == [f"agent.toml:3: {want}"]


@pytest.mark.parametrize(
    ("spool", "want"),
    [
        pytest.param("{}", ("/s", 7, 72.0, False), id="as for all"),
        pytest.param("{ mib = 9, max_age_hours = 0, beside = true }", ("/s", 9, 0.0, True), id="others"),
        pytest.param("{ on = false }", ("", 7, 72.0, False), id="off"),
        pytest.param("{ on = true, mib = 1 }", ("/s", 1, 72.0, False), id="on"),
    ],
)
def test_a_sinks_spool(file: Path, spool: str, want: tuple[object, ...]) -> None:
    file.write_text(f'[spool]\ndirectory = "/s"\nmib = 7\n[[hep]]\nuri = "hep:192.0.2.1"\nspool = {spool}\n')
    config = load(file)
    section = config.hep[0].spool.over(config.spool)
    assert (section.directory, section.mib, section.max_age_hours, section.beside) == want
