"""docs/configuration.md documents every option, with the type, default and environment name it has."""

import pickle
import re
import tomllib
from io import BytesIO
from pathlib import Path

import pytest
from documented_options import SECTIONS, TEXT, example_of, rows

from capture_agent.cli.settings_reader import RecordsOnly
from capture_agent.config import load
from capture_agent.config.load import load_layers
from capture_agent.config.option_list import ENVIRONMENT, Option, options
from capture_agent.config.rule_options import Template

pytestmark = pytest.mark.once

# What an option needs beside it.
WITH = {
    "lookback": 'trace = "dialog"\n',
    "tls_ca": 'transport = "tls"\n',
    "tls_cert": 'transport = "tls"\n',
    "tls_key": 'transport = "tls"\ntls_cert = "agent.pem"\n',
    "tls_server_name": 'transport = "tls"\n',
    "tls_verify": 'transport = "tls"\n',
    "dead_after_seconds": 'transport = "tcp"\n',
    "rtcp_unannounced": "rtcp = true\n",
    "cname": "rtcp = true\n",
    "keep_alive_seconds": 'transport = "tcp"\n',
    "duplicates_on_reconnect": 'transport = "tcp"\n',
    "datagram_bytes": 'oversize = "hep.2"\n',
}
SIGNED_IN = 'sasl = "PLAIN"\nuser = "capture"\n'
TOKEN = 'sasl = "OAUTHBEARER"\nuser = "capture"\n'
WITH_KAFKA = {
    "tls_ca": "tls = true\n",
    "tls_verify": "tls = true\n",
    "tls_cert": "tls = true\n",
    "tls_key": 'tls = true\ntls_cert = "agent.pem"\n',
    "sasl": 'user = "capture"\n',
    "user": 'sasl = "PLAIN"\n',
    "password": SIGNED_IN,
    "token_url": TOKEN,
    "token_scope": f'{TOKEN}token_url = "https://login.example.net/token"\n',
}
TO_LONGER = ("oversize", "datagram_bytes")
LONGER = "".join(
    f"[[{section}]]\nhost = '{section}{n}'\ntransport = 'tcp'\n" for n, section in enumerate(("hep", "hep", "sip"))
)


def as_written(option: Option) -> str:
    if option.default is None:
        return "\u2013"
    if isinstance(option.default, bool):
        return f"`{str(option.default).lower()}`"
    if isinstance(option.default, tuple):
        return "`[{}]`".format(", ".join(f'"{part}"' for part in option.default))
    return f'`"{option.default}"`' if isinstance(option.default, str | Template) else f"`{option.default}`"


@pytest.mark.parametrize("option", options().values(), ids=lambda option: option.key)
def test_options(option: Option) -> None:
    assert option.name in rows(option.section), f"docs/configuration.md: add a row for {option.key}"
    value, default, _, environment = rows(option.section)[option.name]
    assert value == option.expected
    assert default == as_written(option)
    assert ENVIRONMENT + environment == option.environment


@pytest.mark.parametrize("option", options().values(), ids=lambda option: option.key)
def test_every_option_is_explained_with_an_example(option: Option, tmp_path: Path) -> None:
    example = example_of(option.section, option.name)
    if option.name.endswith("_file"):
        return  # names a file of the reader's host
    needs = "".join(f"{one.name} = {example_of(one.section, one.name)}\n" for one in must_be_given(option))
    if option.section == "listen" and option.name != "uri":
        tls = option.name.startswith("tls_")
        needs = f'uri = "hep+{"tls" if tls else "tcp"}:192.0.2.5:9061"\n'
        needs += 'tls_cert = "relay.pem"\n' if tls and option.name != "tls_cert" else ""
    if option.section == "group" and option.name != "members":
        needs += f"members = {example_of('group', 'members')}\n"
    if option.section.startswith("kafka"):
        needs += WITH_KAFKA.get(option.name, "")
    elif option.section in ("hep", "sip", "rule", "media"):
        needs += WITH.get(option.name, "")
    elif option.key == "http.messages":
        needs += f"token = {example_of('http', 'token')}\n"
    elif option.section == "spool" and option.name != "directory":
        needs += f"directory = {example_of('spool', 'directory')}\n"
    heading = f"[[{option.section}]]" if option.repeated else f"[{option.section}]"
    file = tmp_path / "agent.toml"
    file.write_text(f"{heading}\n{needs}\n{option.name} = {example}\n{LONGER * (option.name in TO_LONGER)}")
    settings = load_layers(file, {}, {})
    assert RecordsOnly(BytesIO(pickle.dumps(settings))).load() == settings  # another process reads them for `run`


def must_be_given(option: Option) -> list[Option]:
    """The other options of its section that have no default; none if this one can take their place."""
    of_section = [one for one in options().values() if one.section == option.section and one.default is None]
    of_section = [one for one in of_section if not one.name.endswith("_file")]
    if option in of_section:
        together = option.section == "group" or option.section.startswith("kafka")
        return [one for one in of_section if one != option] if together else []
    return [one for one in of_section if one.name != "uri"]


def test_nothing_else_is_documented() -> None:
    documented = {(section, name) for section in SECTIONS for name in rows(section)}
    assert documented == set(options())


def test_the_opening_example(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", TEXT, re.S)
    assert example is not None
    assert set(tomllib.loads(example[1])) == {"capture", "hep", "sql"}
    (tmp_path / "agent.toml").write_text(example[1])
    (tmp_path / "homer.key").write_text("key")
    load(tmp_path / "agent.toml")
