"""[hooks], [[sink]] and [[source]], before anything of them is loaded."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from capture_agent.config import ConfigError, PackageSink, load
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.load import load_layers
from capture_agent.config.show import show

pytestmark = pytest.mark.once


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    return file


def test_files_start_at_the_folder_of_the_configuration(tmp_path: Path) -> None:
    file = written(tmp_path, '[hooks]\nmodules = ["a.py", "/b.py", "sub/../c.py", "d.e", "py"]\n')
    want = (f"{tmp_path}/a.py", "/b.py", f"{tmp_path}/sub/../c.py", "d.e", "py")
    assert load(file).hooks.modules == want
    assert load(file, {"CAPTURE_AGENT_HOOKS__MODULES": "a.py, d.e"}).hooks.modules == ("a.py", "d.e")


def test_files_of_conditions_do_too(tmp_path: Path) -> None:
    rules = '[[rule]]\nwhen = "a.py:f"\n[[rule]]\nwhen = ["/b.py:f", "c.d:f", "e", "x.py:y:z"]\n[[rule]]\nwhen = []\n'
    config = load(written(tmp_path, rules), {"CAPTURE_AGENT_RULE__3__WHEN": "a.py:f, b"})
    assert [rule.when for rule in config.rule] == [
        (f"{tmp_path}/a.py:f",),
        ("/b.py:f", "c.d:f", "e", "x.py:y:z"),
        ("a.py:f", "b"),
    ]


def test_rules_name_sinks_of_packages(tmp_path: Path) -> None:
    toml = '[[rule]]\nsinks = "archive"\n[[hep]]\nuri = "hep:h"\n[[sink]]\nuse = "kafka"\nname = "archive"\n'
    config = load(written(tmp_path, toml))
    assert ConfiguredSinks(config).of_rule(config.rule[0]) == 0b10
    with pytest.raises(ConfigError, match="rule.sinks: expected .*, did you mean 'archive'"):
        load(written(tmp_path, toml.replace('"archive"', '"archiv"', 1)))


TOO_MANY_BY_RULES = '[[hep]]\nuri = "hep:h"\n' * 64 + '[[rule]]\nsinks = ["hep:h", "hep:other"]\n'
TOO_MANY = "\n".join('[[hep]]\nuri = "hep:h"' for _ in range(60)) + '\n[[sink]]\nuse = "x"' * 5


@pytest.mark.parametrize(
    ("text", "environ", "problem"),
    [
        ('[hooks]\nmodules = "a.py"', {}, "agent.toml:2: hooks.modules: value 'a.py', expected a list, each text that is not empty"),
        ("[hooks]\nmodules = [7]", {}, "agent.toml:2: hooks.modules: value 7, expected text that is not empty"),
        ("[hooks]\nslow_ms = -1", {}, "agent.toml:2: hooks.slow_ms: value -1, expected a number from 0 to 60000"),
        ("[hooks]\nmodule = []", {}, "agent.toml:2: hooks.module: unknown option, did you mean 'modules'?"),
        ("[[sink]]\noptions = {}", {}, "agent.toml:1: sink: use is missing, expected the name of an entry point"),
        ('[[sink]]\nuse = "x"\noptions = 7', {}, "agent.toml:3: sink.options: expected a table"),
        ('[[sink]]\nuse = "x"\ntopic = 7', {}, "agent.toml:3: sink.topic: unknown option"),
        ('[[sink]]\nuse = "x"', {"CAPTURE_AGENT_SINK__1__OPTIONS": "{a"}, "CAPTURE_AGENT_SINK__1__OPTIONS: expected a table"),
        ('[source]\nuse = "x"', {}, "agent.toml:1: source: expected tables [[source]]"),
        ("[[rule]]\nwhen = 7.5", {}, "agent.toml:2: rule.when: value 7.5, expected text that is not empty"),
        ('[[rule]]\nwhen = ["a", ""]', {}, "agent.toml:2: rule.when: value '', expected text that is not empty"),
        (TOO_MANY_BY_RULES, {}, "agent.toml:130: rule.sinks: 65 sinks are configured, expected at most 64"),
        (TOO_MANY, {}, "agent.toml:129: sink: 65 sinks are configured, expected at most 64"),
    ],
)  # fmt: skip
def test_problems(tmp_path: Path, text: str, environ: Mapping[str, str], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, text), environ)
    (line,) = raised.value.problems
    assert line.removeprefix(f"{tmp_path}/") == problem


def test_sinks_have_names_and_bits_in_the_order_of_the_kinds(tmp_path: Path) -> None:
    config = load(
        written(
            tmp_path,
            '[[sink]]\nuse = "kafka"\ndefault = false\n[[sql]]\nurl = "sqlite:///x.db"\nname = "calls"\n'
            '[[hep]]\nuri = "hep:h"\n[[hep]]\nuri = "hep:i"\nname = "homer"\n[[sip]]\nuri = "sip:j"\n',
        )
    )
    sinks = ConfiguredSinks(config)
    assert sinks.names == {0: "hep.1", 1: "homer", 2: "sip.1", 3: "calls", 4: "sink.1"}
    assert config.targets()[-1] == PackageSink("kafka", default=False)
    assert (sinks.defaults, sinks.log_events) == (0b01111, 0b00011)
    assert [sink.target for sink in sinks] == config.targets()


def test_options_are_what_toml_says_and_show_no_secrets(tmp_path: Path) -> None:
    options = '{ n = 1, verify = false, deep = { api_token = "s3cret", list = ["http://u:s3cret@h"] }, empty_key = "", day = 2026-11-25 }'
    file = written(tmp_path, f'[[sink]]\nuse = "x"\noptions = {options}\n[[source]]\nuse = "y"\n')
    environ = {"CAPTURE_AGENT_SOURCE__1__OPTIONS": '{ a = [1, "b"] }'}
    config, layers = load_layers(file, environ, {})
    assert config.source[0].options == {"a": [1, "b"]}
    assert config.sink[0].options["deep"]["api_token"] == "s3cret"
    assert "s3cret" not in repr(config)
    shown = tomllib.loads("\n".join(show(config, layers)))
    assert shown["source"][0]["options"] == {"a": "***"}
    assert shown["sink"][0]["options"] == {
        "n": "***",
        "verify": False,
        "deep": "***",
        "empty_key": "",
        "day": "***",
    }
