"""A sink keeps its id, a bit of Trace.sinks, whatever happens to the configuration around it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink_samples import UdpReceiver, traced

from capture_agent.app.agent import Agent
from capture_agent.config import Config, HepTarget, PackageSink, SipTarget, SqlTarget, load
from capture_agent.config.configured_sinks import ConfiguredSinks, SinkIds, TooManySinks
from capture_agent.config.targets import Target
from capture_agent.policy.settings import Settings
from capture_agent.records.traced import Trace
from hep import decode


def config(*targets: Target) -> Config:
    kinds = {"hep": HepTarget, "sip": SipTarget, "sql": SqlTarget, "sink": PackageSink}
    return Config(**{section: tuple(one for one in targets if type(one) is kind) for section, kind in kinds.items()})  # type: ignore[arg-type]


H1, H2, H3 = (HepTarget(f"10.0.0.{n}") for n in (1, 2, 3))
HOMER = HepTarget("10.0.0.9", name="homer")
S1 = SipTarget("10.0.0.1")
TABLE = SqlTarget("postgresql://u:pw@db/homer")
KAFKA = PackageSink("kafka", {"topic": "sip"})


@pytest.mark.parametrize(
    ("before", "after", "want"),
    [
        pytest.param([H1, H2, S1], [H2, H1, S1], [1, 0, 2], id="reordered"),
        pytest.param([H1, H2, S1], [H2, S1], [1, 2], id="one removed"),
        pytest.param([H1, S1], [H2, H1, S1], [2, 0, 1], id="one added before others"),
        pytest.param([H1, S1], [H2, S1, TABLE], [2, 1, 3], id="one replaced by another: it gets no id of others"),
        pytest.param([HOMER, H1], [H1, HepTarget("10.0.0.8", name="homer")], [1, 0], id="moved under its name"),
        pytest.param([H1, H2], [HepTarget("10.0.0.2", name="b"), HepTarget("10.0.0.1", name="a")], [1, 0], id="named"),
        pytest.param(
            [HepTarget("10.0.0.1", name="a"), HepTarget("10.0.0.2", name="b")],
            [HepTarget("10.0.0.1", name="b"), HepTarget("10.0.0.2", name="a")],
            [0, 1],
            id="names exchanged: what was sent to a place goes on to it",
        ),
        pytest.param([H1, H2], [H1, HepTarget("10.0.0.2", auth_key="k", capture_id=7)], [0, 1], id="another key"),
        pytest.param([H1, H2], [HepTarget("10.0.0.2", 9060, "udp"), HepTarget("10.0.0.1", 9061)], [1, 2], id="a port"),
        pytest.param(
            [TABLE, KAFKA],
            [SqlTarget("postgres://v:other@DB:5432/homer"), KAFKA, PackageSink("kafka", {"topic": "b"})],
            [0, 1, 2],
            id="another login, and a second one of a package",
        ),
        pytest.param([S1], [SipTarget("10.0.0.1", x_headers=True)], [0], id="another option"),
        pytest.param([H1], [S1], [1], id="another kind at the same address"),
    ],
)
def test_after_a_change(before: Sequence[Target], after: Sequence[Target], want: list[int]) -> None:
    ids = SinkIds()
    assert ids.of(config(*before)) == list(range(len(before)))
    assert ids.of(config(*after)) == want
    assert ids.of(config(*after)) == want


def test_one_that_comes_back_has_its_id() -> None:
    ids = SinkIds()
    ids.of(config(H1, H2))
    assert [ids.of(config(*targets)) for targets in ([H2], [H3, H2], [H1, H2, H3])] == [[1], [2, 1], [0, 1, 2]]


@given(st.lists(st.lists(st.sampled_from([H1, H2, H3, HOMER, S1, TABLE, KAFKA]), unique_by=str), max_size=8))
def test_no_two_share_one_and_none_ever_changes(configurations: list[list[Target]]) -> None:
    ids, known = SinkIds(), dict[Target | str, int]()
    for targets in configurations:
        for sink in ConfiguredSinks(config(*targets), ids):
            assert known.setdefault(str(sink.target), sink.id) == sink.id
    assert len(set(known.values())) == len(known)


def test_when_all_are_given_out_it_is_said() -> None:
    ids = SinkIds()
    first = [HepTarget("10.0.0.1", port) for port in range(1, 65)]
    assert ids.of(config(*first)) == list(range(64))
    assert ids.of(config(*first[1:])) == list(range(1, 64))
    with pytest.raises(
        TooManySinks, match="65 sinks have been configured since the agent was started, expected at most"
    ):
        ids.of(config(*first[1:], H1))
    assert ids.of(config(*first[::-1])) == list(range(64))[::-1]


def test_what_a_dialog_holds_goes_to_the_same_place_under_another_configuration(tmp_path: Path) -> None:
    """A trace that was made under the first configuration is delivered under the second."""
    receivers = {name: UdpReceiver() for name in ("gone", "kept", "new")}
    entries = {
        name: f'[[hep]]\nuri = "hep:127.0.0.1:{one.port}"\ncapture_id = {n}\ndefault = false\n'
        for n, (name, one) in enumerate(receivers.items())
    }

    def loaded(*names: str) -> Config:
        (tmp_path / "agent.toml").write_text("".join(entries[name] for name in names))
        return load(tmp_path / "agent.toml")

    first = Agent(loaded("gone", "kept"), lossless=True)
    gone, kept = (Trace(sink.bit) for sink in ConfiguredSinks(first.config, first.sink_ids))
    first.close()
    second = Agent(loaded("new", "kept"), lossless=True, sink_ids=first.sink_ids)
    message = b"OPTIONS sip:%s SIP/2.0\r\n\r\n"
    second.routes.put([traced(message % b"gone", trace=gone), traced(message % b"kept", trace=kept)])
    assert second.close().balanced
    got = {name: [decode(one).payload for one in receiver.received()] for name, receiver in receivers.items()}
    assert got == {"gone": [], "kept": [message % b"kept"], "new": []}
    for receiver in receivers.values():
        receiver.close()


@pytest.mark.parametrize("names", [["a", "b"], ["b", "a"]])
def test_the_order_of_entries_means_nothing_to_a_rule(tmp_path: Path, names: list[str]) -> None:
    entries = "".join(f'[[hep]]\nuri = "hep:{name}"\nname = "{name}"\n' for name in names)
    (tmp_path / "agent.toml").write_text(f'{entries}[[rule]]\nsinks = "b"\n[[rule]]\nsinks = "hep:a"\n')
    loaded = load(tmp_path / "agent.toml")
    sinks = ConfiguredSinks(loaded)
    by_bit = {sink.bit: str(sink.target) for sink in sinks}
    settings = Settings.of(loaded, sinks=sinks)
    assert [by_bit[bits] for _, bits in settings.rules] == ["hep:b:9060", "hep:a:9060"]
