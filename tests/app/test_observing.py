"""What is asked about an agent: its sources by name, its health, and who it is."""

from __future__ import annotations

import logging
import time
import uuid
from pathlib import Path

import pytest
from sink_samples import ListSink, batch_of, eventually

from capture_agent.app import observing
from capture_agent.app.observing import OTHERS, Observer, about, identity, sink_figures
from capture_agent.config import Capture, Config, HepTarget
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.sections import HealthSection
from capture_agent.config.uris import parse_listen
from capture_agent.delivery.direct import Direct
from capture_agent.delivery.routes import Routes
from capture_agent.pipeline import Pipeline
from capture_agent.records.frames import Frames, Interface
from capture_agent.sources.capture_file import CaptureFile

pytestmark = pytest.mark.once


class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def batches(self) -> object: ...
    def dropped(self) -> dict[str, int]:
        return {"kernel": 2}

    def close(self) -> None: ...


def observer(no_sip: float = 0.0) -> Observer:
    capture = Capture(interfaces=("eth0",), listen=(parse_listen("sip:127.0.0.1:5999"),))
    return Observer(Config(capture=capture, health=HealthSection(no_sip_seconds=no_sip)))


def opened(one: Observer, *names: str) -> list[Named]:
    sources = [Named(name) for name in names]
    one.opened(sources)  # type: ignore[arg-type]
    return sources


def took(one: Observer, source: Named, *frames: bytes) -> None:
    one.took(source, Frames.of(list(frames)))  # type: ignore[arg-type]


def test_what_sources_have_read() -> None:
    one = observer()
    (eth0,) = opened(one, "eth0")
    took(one, eth0, b"abc", b"de")
    took(one, eth0)
    (found,) = one.sources({"eth0": True}, {"eth0"}, {"eth0": {"kernel": 2}})
    assert (found.name, found.packets, found.bytes, found.lost, found.up) == ("eth0", 2, 5, {"kernel": 2}, True)
    assert (found.sip_quiet_seconds, 0 <= found.quiet_seconds < 60) == (None, True)


def test_sources_of_one_name_are_one() -> None:
    one = observer()
    for source in opened(one, "eth0", "eth0"):
        took(one, source, b"a")
    (found,) = one.sources({}, {"eth0"}, {})
    assert (found.packets, found.up) == (2, True)


@pytest.mark.parametrize(
    ("states", "open_ones", "broken", "up"),
    [
        pytest.param({"x": True}, {"x"}, set(), True, id="an interface"),
        pytest.param({"x": False}, set(), set(), False, id="an interface that is waited for"),
        pytest.param({}, {"x"}, set(), True, id="a listener"),
        pytest.param({}, set(), {"x"}, False, id="a listener that broke"),
        pytest.param({}, set(), set(), None, id="not wanted any more"),
        pytest.param({"x": True}, {"x"}, {"x"}, True, id="back again"),
    ],
)
def test_up(states: dict[str, bool], open_ones: set[str], broken: set[str], up: bool | None) -> None:
    one = observer()
    (source,) = opened(one, "x")
    took(one, source, b"a")
    one.broken |= broken
    assert [(found.up, found.packets) for found in one.sources(states, open_ones, {})] == [(up, 1)]


def test_an_interface_that_was_never_there_is_down() -> None:
    (found,) = observer().sources({"eth7": False}, set(), {})
    assert (found.name, found.up, found.packets) == ("eth7", False, 0)


def test_interfaces_without_end_have_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "MOST_NAMES", 3)
    one = observer()
    for source in opened(one, *(f"veth{number}" for number in range(10))):
        took(one, source, b"a")
    found = {figures.name: figures.packets for figures in one.sources({}, set(), {})}
    assert found == {"veth0": 1, "veth1": 1, "veth2": 1, OTHERS: 7}


def test_only_what_is_captured_from_can_be_too_quiet() -> None:
    one = observer(no_sip=1)
    names = ["eth0", "sip:127.0.0.1:5999", "package"]
    opened(one, *names)
    for read in one._read.values():
        read.at -= 100
        read.sip_at -= 100
    found = one.sources({"eth0": True}, set(names), {})
    assert [figures.quiet_seconds >= 100 for figures in found] == [True, True, False]
    assert [(figures.sip_quiet_seconds or 0) >= 100 for figures in found] == [True, True, False]


def test_sip_is_seen_on_the_interface_that_it_came_from(pcaps: Path) -> None:
    one = observer(no_sip=1)
    opened(one, "eth0", "eth1")
    for read in one._read.values():
        read.sip_at -= 100
    with CaptureFile(pcaps / "call.pcap") as capture:
        for batch in capture.batches():
            seen_on = [Interface("eth1", batch.interfaces[0].link_type)]
            one.saw(Pipeline().messages(Frames(batch.data, batch.index, batch.count, seen_on)))
    found = one.sources({"eth0": True, "eth1": True}, {"eth0", "eth1"}, {})
    assert [(figures.sip_quiet_seconds or 0) > 50 for figures in found] == [True, False]


def routes(*sinks: ListSink) -> Routes:
    return Routes({number: Direct(one) for number, one in enumerate(sinks)}, alike=True)


def test_sinks_keep_the_counts_of_those_before_them() -> None:
    config = Config(hep=(HepTarget("a"), HepTarget("b", transport="tcp")))
    one, other = ListSink(), ListSink()
    one.name, other.name = "hep:a:9060", "hep+tcp:b:9060"
    ways = routes(one, other)
    ways.put(batch_of(3))
    again = ListSink()
    again.name = "hep:a:9060"
    ways.change({0: Direct(again)}, True, 5.0)
    eventually(lambda: not ways._leaving)
    ways.put(batch_of(2))
    found = {sink.name: sink for sink in sink_figures(ConfiguredSinks(config), ways)}
    assert {name: sink.ledger.outcomes["sent"] for name, sink in found.items()} == {
        "hep:a:9060": 5,
        "hep+tcp:b:9060": 3,
    }
    assert found["hep:a:9060"].standing is not None
    assert (found["hep:a:9060"].address, found["hep:a:9060"].transport) == ("a:9060", "udp")
    assert found["hep+tcp:b:9060"].standing is None


def test_health_is_in_the_log_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    one = observer()
    opened(one, "eth0")
    with caplog.at_level(logging.INFO):
        for down in (False, False, True, True, False):
            one.reasons(one.sources({"eth0": not down}, set(), {}), [])
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "health: degraded (eth0: down)"),
        ("INFO", "health: ok"),
    ]


def test_who_it_is() -> None:
    config = Config(
        hep=(HepTarget("h", capture_id=7, node_name="edge"), HepTarget("i", capture_id=8)),
    )
    found = about(config)
    assert (found.node_name, found.node_id) == ("edge", 7)
    assert found.started_at <= time.time()
    assert about(Config()).node_name


def test_the_identity_stays_and_does_not_show_the_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = tmp_path / "machine-id"
    monkeypatch.setattr(observing, "MACHINE", machine)
    assert identity("a") != identity("a")
    machine.write_text("not one")
    assert uuid.UUID(identity("a")) != uuid.UUID(identity("a"))
    machine.write_text(f"{uuid.uuid4().hex}\n")
    assert identity("a") == identity("a") != identity("b")
    assert machine.read_text().strip() not in identity("a").replace("-", "")
