"""[[rule]] and [legs]: every problem at once with its line, sinks by name or URI, and shown again."""

from __future__ import annotations

import builtins
import tomllib
from pathlib import Path
from typing import Any

import pytest

from capture_agent.config import Config, ConfigError, load
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.load import load_layers
from capture_agent.config.matchers import compiled
from capture_agent.config.show import show

pytestmark = pytest.mark.once

SINK = '[[hep]]\nuri = "hep+tcp:homer:9060"\nname = "homer"\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("agent.toml")


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ('method = "IN VITE"', "method: value 'IN VITE', expected a method ('IN VITE' is not a valid method)"),
        ('status = [486, "7xx"]', "status: value '7xx', expected a status, \"4xx\" or \"400-499\" ('7xx': expected 100 to 699)"),
        ("status = true", 'status: value true, expected a status, "4xx" or "400-499"'),
        ('status = "499-400"', "status: value '499-400', expected a status, \"4xx\" or \"400-499\" (499 is more than 400)"),
        ('kind = "answer"', "kind: value 'answer', expected \"request\", \"response\", \"initial\" or \"in-dialog\""),
        ('from_user = ["a", "/(b/"]', "from_user: value '/(b/', expected text, \"text*\" or \"/regular expression/\""
                                      " (invalid regular expression: missing ): (b)"),
        ('to_user = ""', "to_user: value '', expected text, \"text*\" or \"/regular expression/\" (empty text)"),
        ('header = "X A: 1"', "header: value 'X A: 1', expected \"Name\", \"Name: text*\" or \"Name: /regular expression/\""
                              " ('X A' is not a valid header name)"),
        ('source = "10.0.0.1/8"', "source: value '10.0.0.1/8', expected an address, a network, ADDRESS:PORT, [IPv6]:PORT"
                                  " or /regular expression/"
                                  " (host bits are set: the network is 10.0.0.0/8)"),
        ('address = "auto"', "address: value 'auto', expected an address, a network, ADDRESS:PORT, [IPv6]:PORT"
                                  " or /regular expression/"
                             " ('auto' is allowed only in capture.local)"),
        ("port = 65536", "port: value '65536', expected a port or a range FROM-TO (expected a port from 1 to 65535)"),
        ("vlan = 4096", "vlan: value '4096', expected a VLAN or \"100-199\" ('4096': expected 0 to 4095)"),
        ('transport = "dccp"', "transport: value 'dccp', expected \"udp\", \"tcp\", \"tls\", \"sctp\", \"ws\" or \"wss\""),
        ("sample = 5", "sample: value 5, expected a number from 0 to 1"),
        ('trace = "call"', 'trace: value \'call\', expected "message", "transaction", "dialog" or "none"'),
        ('sinks = "homr"', "sinks: expected the name or the URI of a sink, did you mean 'homer'?"),
        ('sinks = "hep:h:x"', "sinks: expected a port from 1 to 65535"),
        ('users = "{from_usr}"', "users: value '{from_usr}', expected text, with parts of the message in braces:"
                                 ' "{call_id}" (unknown part of a message: {from_usr}, did you mean {from_user}?)'),
        ('correlation_id = "{call_id"', "correlation_id: value '{call_id', expected text, with parts of the message in"
                                        " braces: \"{call_id}\" (expected '}' before end of string; write a"
                                        " literal brace twice)"),
        ('correlation_id = "{header}"', "correlation_id: value '{header}', expected text, with parts of the message in"
                                        ' braces: "{call_id}" (unknown part of a message: {header}, did you mean'
                                        " {header:NAME}?)"),
        ('table = "a-b"', "table: value 'a-b', expected letters, digits and underscores, at most 32"
                          " ('a-b' is not a valid table name)"),
        ("methods = 1", "methods: unknown option, did you mean 'method'?"),
    ],
)  # fmt: skip
def test_wrong_options(file: Path, option: str, problem: str) -> None:
    file.write_text(f"{SINK}[[rule]]\n{option}\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == [f"agent.toml:5: rule.{problem}"]


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("[[rule]]\nlookback = 5", '1: rule: lookback needs trace = "transaction" or "dialog"'),
        ('[[rule]]\ntrace = "none"\nusers = "a"',
         '1: rule: trace = "none" sends nothing: sinks, users, table, correlation_id and mask cannot be combined with it'),
        ('[[rule]]\nmask = "users:hash"', "2: rule.mask: users:hash needs a hash_key or hash_key_file in [privacy]"),
        ("[[rule]]\nmask = 5",
         "2: rule.mask: value '5', expected "
         '"authorization", "sdes", "message-body", "users:hash" or "users:truncate"'),
        ('[[rule]]\nmask = ["users:hash", "users:truncate"]\n[privacy]\nhash_key = "k"',
         "1: rule: mask: users:hash and users:truncate cannot be combined"),
        ('[[rule]]\nkind = "request"\nstatus = 200', "1: rule: status with kind = request matches nothing: a request has no status"),
        ('[[rule]]\nname = "a"\n[[rule]]\nname = "a"', "4: rule.name: value 'a', expected a name that no other rule has"),
        ("[legs]\nid_in = 'X: /a(b)(c)/'", "2: legs.id_in: value 'X: /a(b)(c)/', expected \"Name\" or \"Name: /regular"
         ' expression with one group/" (the regular expression has 2 groups, expected 1)'),
        ('[legs]\nid_in = "X: a"', "2: legs.id_in: value 'X: a', expected \"Name\" or \"Name: /regular expression with one"
         ' group/" (expected /regular expression/ after the colon)'),
        ('[legs]\ncall_id_in = "X-CID: a"', "2: legs.call_id_in: value 'X-CID: a', expected the name of a header"
         " ('X-CID: a' is not a valid header name)"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(file: Path, toml: str, problem: str) -> None:
    file.write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == [f"agent.toml:{problem}"]


def test_all_at_once(file: Path) -> None:
    file.write_text(
        f'{SINK}[[rule]]\nmethod = "A B"\nsinks = ["homr", "x"]\n[[rule]]\nport = 0\n[legs]\nremembered = 1'
    )
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        f"agent.toml:{n}" for n in (5, 6, 6, 8, 10)
    ]


def bits(config: Config) -> list[int]:
    return [ConfiguredSinks(config).of_rule(rule) for rule in config.rule]


def test_sinks_by_name_or_uri(file: Path) -> None:
    file.write_text(
        f'{SINK}[[sql]]\nurl = "sqlite:///a.db"\n[[rule]]\n[[rule]]\nsinks = "homer"\n'
        '[[rule]]\nsinks = ["hep+tcp:homer:9060", "sip:10.0.0.1", "sqlite:///b.db"]\n'
        '[[rule]]\nsinks = ["sip:10.0.0.1:5060", "sqlite:///a.db"]\ntable = "other"\n[[rule]]\nsinks = "hep:homer:9060"\n'
    )
    config = load(file)
    names = [str(target) for target in (*config.hep, *config.sip)] + [target.url for target in config.sql]
    assert names == ["hep+tcp:homer:9060", "hep:homer:9060", "sip:10.0.0.1:5060", "sqlite:///a.db", "sqlite:///b.db"]
    assert [target.default for target in config.targets()] == [True, False, False, True, False]
    assert bits(config) == [0b01001, 0b00001, 0b10101, 0b01100, 0b00010]
    sinks = ConfiguredSinks(config)
    assert [sinks.tables_of(sink) for sink in sinks] == [(), (), ("other",), ("other",), ()]


def test_there_are_not_too_many(file: Path) -> None:
    file.write_text("\n".join(f'[[rule]]\nsinks = "hep:h:{port}"' for port in range(1, 66)))
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == ["agent.toml:130: rule.sinks: 65 sinks are configured, expected at most 64"]


def test_the_environment_and_the_command_line(file: Path) -> None:
    file.write_text('[[rule]]\nmethod = "INVITE"\nsample = 0.5')
    config = load(
        file,
        {"CAPTURE_AGENT_RULE__1__SAMPLE": "0.25", "CAPTURE_AGENT_RULE__1__STATUS": "486,5xx"},
        {"trace": {"mode": "dialog"}},
    )
    [rule] = config.rule
    assert (rule.method, rule.sample, [str(each) for each in rule.status], config.trace.mode) == (
        ("INVITE",),
        0.25,
        ["486", "5xx"],
        "dialog",
    )


def test_shown_rules_load_again(file: Path) -> None:
    file.write_text(
        f'{SINK}[[rule]]\nmethod = "invite"\nstatus = [486, "5xx"]\nfrom_user = "/^a/"\nheader = ["X-A: b*", "X-B"]\n'
        'source = ["10.0.0.0/8", "[::1]:5060"]\nport = "5060-5070"\ntrace = "dialog"\nlookback = 3\n'
        'sinks = ["homer", "hep:h?key=s3cret"]\nusers = "{from_user}"\ncorrelation_id = "{call_id}-x"\n'
        '[legs]\ncall_id_in = "X-CID"\nid_in = ["Session-ID", "X: /(a)/"]\n'
    )
    config, layers = load_layers(file, {}, {})
    text = "\n".join(show(config, layers))
    assert "s3cret" not in text
    assert set(tomllib.loads(text)["rule"][0]) == {
        "method", "status", "from_user", "header", "source", "port", "trace", "lookback", "sinks", "users",
        "correlation_id",
    }  # fmt: skip
    file.write_text(text)
    again = load(file)
    assert (again.rule[0].method, again.legs, bits(again)) == (("INVITE",), config.legs, bits(config))
    for name in ("status", "from_user", "header", "source", "port", "users", "correlation_id", "lookback"):
        assert getattr(again.rule[0], name) == getattr(config.rule[0], name)


def test_without_the_library_for_regular_expressions(monkeypatch: pytest.MonkeyPatch) -> None:
    really = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == "re2":
            raise ImportError(name)
        return really(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"need google-re2: pip install 'capture-agent\[regex\]'"):
        compiled("a")
