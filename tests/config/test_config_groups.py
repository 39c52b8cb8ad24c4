"""[[group]]: who its members are, what gets messages by default, and every problem with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture_agent.config import ConfigError, load
from capture_agent.config.configured_sinks import ConfiguredSinks, SinkIds

pytestmark = pytest.mark.once

SINKS = """
[[hep]]
uri = "hep+tcp:192.0.2.1"
name = "a"
[[hep]]
uri = "hep+tcp:192.0.2.2"
name = "b"
[[sql]]
url = "sqlite:///x.db"
name = "db"
"""


def configured(text: str, tmp_path: Path) -> ConfiguredSinks:
    (tmp_path / "agent.toml").write_text(SINKS + text)
    return ConfiguredSinks(load(tmp_path / "agent.toml"))


def problems(text: str, tmp_path: Path) -> list[str]:
    (tmp_path / "agent.toml").write_text(SINKS + text)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "agent.toml")
    return [one.removeprefix(f"{tmp_path}/agent.toml:") for one in raised.value.problems]


PAIR = '[[group]]\nname = "pair"\nmode = "failover"\nmembers = ["b", "hep+tcp:192.0.2.1"]\n'


def names(sinks: ConfiguredSinks, bits: int) -> set[str]:
    return {name for id_, name in sinks.names.items() if bits >> id_ & 1}


def test_members_in_their_order(tmp_path: Path) -> None:
    (group,) = configured(PAIR, tmp_path).groups
    assert dict(group.members) == {1: "b", 0: "a"}
    assert group.id == 3


def test_a_member_gets_messages_through_the_group_alone(tmp_path: Path) -> None:
    sinks = configured(PAIR, tmp_path)
    assert names(sinks, sinks.defaults) == {"pair", "db"}
    assert names(sinks, sinks.log_events) == {"pair"}


def test_a_group_that_is_no_default(tmp_path: Path) -> None:
    sinks = configured(PAIR + "default = false\n", tmp_path)
    assert names(sinks, sinks.defaults) == {"db"}


@pytest.mark.parametrize(
    ("sinks", "wanted"),
    [
        pytest.param('"pair"', {"pair"}, id="a group"),
        pytest.param('["pair", "a"]', {"pair", "a"}, id="a group and its member"),
        pytest.param('["hep+tcp:192.0.2.2", "db"]', {"b", "db"}, id="a member by its URI"),
    ],
)
def test_a_rule_names_it(sinks: str, wanted: set[str], tmp_path: Path) -> None:
    found = configured(f"{PAIR}[[rule]]\nsinks = {sinks}\n", tmp_path)
    config = load(tmp_path / "agent.toml")
    assert names(found, found.of_rule(config.rule[0])) == wanted


def test_tables_of_rules_reach_members(tmp_path: Path) -> None:
    text = '[[group]]\nname = "all"\nmode = "mirror"\nmembers = ["a", "db"]\n[[rule]]\nsinks = "all"\ntable = "other"\n'
    sinks = configured(text, tmp_path)
    assert [sinks.tables_of(one) for one in sinks] == [("other",), (), ("other",)]
    assert names(sinks, sinks.log_events) == {"b"}  # the table takes no log lines


def test_a_member_by_its_uri_is_added(tmp_path: Path) -> None:
    sinks = configured('[[group]]\nname = "more"\nmode = "hash"\nmembers = ["a", "hep+tcp:192.0.2.9"]\n', tmp_path)
    assert [str(one.target) for one in sinks][2] == "hep+tcp:192.0.2.9:9060"
    assert list(sinks.groups[0].members.values()) == ["a", "hep+tcp:192.0.2.9:9060"]
    assert names(sinks, sinks.defaults) == {"more", "b", "db"}


def test_ids_stay_when_the_configuration_changes(tmp_path: Path) -> None:
    ids = SinkIds()
    (tmp_path / "agent.toml").write_text(SINKS + PAIR)
    before = ConfiguredSinks(load(tmp_path / "agent.toml"), ids)
    (tmp_path / "agent.toml").write_text(SINKS + '[[hep]]\nuri = "hep:192.0.2.3"\n' + PAIR + "back_after_seconds = 5\n")
    after = ConfiguredSinks(load(tmp_path / "agent.toml"), ids)
    assert before.groups[0].id == after.groups[0].id
    assert len({*after.names}) == 5


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param(
            'name = "g"\nmode = "hash"\nmembers = ["a", "c"]',
            ["14: group.members: expected the name or the URI of a sink"], id="no such sink",
        ),
        pytest.param(
            'name = "g"\nmode = "hash"\nmembers = []',
            ["14: group.members: no member is given, expected the names or URIs of sinks"], id="empty",
        ),
        pytest.param(
            'name = "g"\nmode = "hash"',
            ["11: group.members: no member is given, expected the names or URIs of sinks"], id="without members",
        ),
        pytest.param(
            'name = "a"\nmode = "hash"\nmembers = ["b"]',
            ["12: group.name: value 'a', expected a name that no sink and no other group has"], id="a sink's name",
        ),
        pytest.param(
            'name = "g"\nmode = "hash"\nmembers = ["a", "a"]', ["14: group.members: member 2 is given twice"],
            id="a member twice",
        ),
        pytest.param(
            'name = "g"\nmode = "hash"\nmembers = ["a", "hep+tcp:192.0.2.1"]',
            ["14: group.members: member 2 is given twice"], id="by name and by URI",
        ),
        pytest.param(
            'name = "g"\nmode = "hash"\nmembers = "a"\n[[group]]\nname = "g"\nmode = "mirror"\nmembers = "b"',
            ["16: group.name: value 'g', expected a name that no sink and no other group has"], id="a name twice",
        ),
        pytest.param(
            'name = "g"\nmode = "hash"\nmembers = "a"\n[[group]]\nname = "h"\nmode = "mirror"\nmembers = ["b", "g"]',
            ["18: group.members: expected sinks: a group cannot be a member of a group"], id="a group in a group",
        ),
        pytest.param(
            'name = "g"\nmode = "hash"\nmembers = ["a", "g"]',
            ["14: group.members: expected sinks: a group cannot be a member of a group"], id="in itself",
        ),
        pytest.param(
            'name = "g"\nmode = "hash"\nmembers = ["same"]\n'
            '[[sip]]\nuri = "sip:192.0.2.5"\nname = "same"\n[[sip]]\nuri = "sip:192.0.2.6"\nname = "same"',
            ["14: group.members: member 1 means 2 sinks, expected one: give them names"], id="a name of two",
        ),
        pytest.param(
            'name = "g"\nmode = "round"\nmembers = "a"',
            ["13: group.mode: value 'round', expected \"mirror\", \"failover\" or \"hash\""], id="mode",
        ),
        pytest.param(
            f'name = "g"\nmode = "hash"\nmembers = "a"\nseed = "{"x" * 65}"',
            ["11: group: seed: 65 bytes, expected at most 64"], id="seed",
        ),
        pytest.param(
            'name = "g"\nmode = "failover"\nmembers = "a"\nseed = "x"',
            ['11: group: seed: for mode = "hash" only, not "failover"'], id="a seed that nothing uses",
        ),
        pytest.param(
            'name = "g"\nmode = "mirror"\nmembers = "a"\nkey = "leg"',
            ['11: group: key: for mode = "hash" only, not "mirror"'], id="a key that nothing uses",
        ),
        pytest.param(
            'name = "g"\nmode = "mirror"\nmembers = "a"\nback_after_seconds = 5',
            ['11: group: back_after_seconds: not for mode = "mirror", whose members get every message'],
            id="a mirror that nobody leaves",
        ),
        pytest.param(
            'name = "g"\nmode = "hash"\nmembers = ["a", 5, "sql:x"]', None, id="not text",
        ),
    ],
)  # fmt: skip
def test_problems(text: str, wanted: list[str] | None, tmp_path: Path) -> None:
    found = problems(f"[[group]]\n{text}\n", tmp_path)
    assert found == wanted or (wanted is None and found)


def test_sinks_and_groups_together_are_bounded(tmp_path: Path) -> None:
    sinks = "".join(f'[[hep]]\nuri = "hep:192.0.2.{n}"\n' for n in range(10, 71))
    found = problems(f'{sinks}[[group]]\nname = "g"\nmode = "hash"\nmembers = "a"\n', tmp_path)
    assert "65 sinks and groups are configured, expected at most 64" in found[0]


@pytest.mark.parametrize("member", ["a", "small", "both"])
@pytest.mark.parametrize("mode", ["mirror", "failover", "hash"])
def test_long_messages_do_not_bypass_a_group(member: str, mode: str, tmp_path: Path) -> None:
    small = '[[hep]]\nuri = "hep:192.0.2.3"\nname = "small"\noversize = "a"\n'
    members = ["a", "small"] if member == "both" else ["b", member]
    found = problems(f'{small}[[group]]\nname = "g"\nmode = "{mode}"\nmembers = {members}\n', tmp_path)
    one = "a" if member == "a" else "small"
    assert found == [f"14: hep.oversize: value 'a', expected two sinks outside groups ({one} is a member of g)"]


def test_long_messages_beside_a_group(tmp_path: Path) -> None:
    small = '[[hep]]\nuri = "hep:192.0.2.3"\nname = "small"\noversize = "a"\n'
    assert configured(f'{small}[[group]]\nname = "g"\nmode = "hash"\nmembers = "b"\n', tmp_path).groups


EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_is_a_configuration(file: Path) -> None:
    """Its rules and groups name sinks that exist."""
    assert list(ConfiguredSinks(load(file)))
