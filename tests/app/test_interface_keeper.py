"""Wanted interfaces: which are opened, waited for and finished, without any packets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from capture_agent.app import interface_keeper
from capture_agent.app.interface_keeper import InterfaceKeeper, names_of
from capture_agent.app.open_sources import MOST_NAMES, OTHERS, OpenSources
from capture_agent.records.frames import Frames
from capture_agent.sources.source import KERNEL, UNREAD, SourceError

pytestmark = pytest.mark.once


class Opened:
    """As a LiveInterface: closed or finished by the keeper."""

    def __init__(self, name: str, drops: int = 0) -> None:
        self.name = name
        self.drops = drops
        self.ends: list[str] = []

    def batches(self) -> Iterator[Frames]:
        return iter(())

    def dropped(self) -> Mapping[str, int]:
        return {KERNEL: self.drops}

    def finish(self) -> None:
        self.ends.append("finished")

    def close(self) -> None:
        self.ends.append("closed")


class Host:
    """The interfaces of a host, each up or not. `made` are all sources that have been opened."""

    def __init__(self, **interfaces: bool) -> None:
        self.interfaces = interfaces
        self.made: list[Opened] = []

    def open(self, name: str) -> Opened:
        if not self.interfaces.get(name):
            raise SourceError(f"{name}: no such interface", usage=True)
        self.made.append(Opened(name))
        return self.made[-1]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(lo=True, eth0=True, eth1=True, wan0=False)
    monkeypatch.setattr(interface_keeper, "interfaces_up", lambda: made.interfaces)
    monkeypatch.setattr(interface_keeper, "is_the_same", lambda name, other: name == other)
    return made


def keeper_of(host: Host, *wanted: str, wait: bool = False) -> InterfaceKeeper:
    keeper = InterfaceKeeper(wanted, host.open, lambda source: None)  # type: ignore[arg-type]
    keeper.open_all(wait)
    return keeper


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["eth0"], ["eth0"]),
        (["eth*"], ["eth0", "eth1"]),
        (["*"], ["lo", "eth0", "eth1", "wan0"]),
        (["eth1", "eth*"], ["eth1", "eth0"]),
        (["eth[!0]", "wan0"], ["eth1", "wan0"]),
        (["any", "a*"], ["any"]),
        (["ppp0", "ppp?"], ["ppp0"]),
    ],
    ids=" ".join,
)
def test_names(host: Host, wanted: list[str], names: list[str]) -> None:
    assert names_of(wanted, host.interfaces | {"any": True}) == names


@pytest.mark.parametrize(
    ("wanted", "says"), [("ppp0", "ppp0: no such interface"), ("ppp*", "ppp*: no interface matches, there are lo, ")]
)
def test_what_is_not_there(host: Host, wanted: str, says: str) -> None:
    with pytest.raises(SourceError) as caught:
        keeper_of(host, "eth0", wanted)
    assert str(caught.value).startswith(says)
    assert [source.ends for source in host.made] in ([["closed"]], [])


def test_what_may_be_waited_for(host: Host) -> None:
    keeper = keeper_of(host, "eth0", "ppp0", wait=True)
    assert keeper.states() == [("eth0", True), ("ppp0", False)]
    assert keeper.missing() == []  # it has never been there
    host.interfaces["ppp0"] = True
    keeper._look()
    assert keeper.states() == [("eth0", True), ("ppp0", True)]
    assert list(keeper.newcomers.take()) == [host.made[1]]


def test_one_that_goes_up_and_down_a_thousand_times(host: Host) -> None:
    """Nothing piles up."""
    keeper = keeper_of(host, "eth0", "eth1")
    for _ in range(1000):
        (old,) = [source for source in host.made[-2:] if source.name == "eth1"]
        assert keeper.lost(old, SourceError("eth1: the interface went down"))  # type: ignore[arg-type]
        assert [str(error) for error in keeper.missing()] == ["eth1: the interface went down"]
        host.interfaces["eth1"] = False
        keeper._look()
        assert keeper.states() == [("eth0", True), ("eth1", False)]
        host.interfaces["eth1"] = True
        keeper._look()
        host.made = [host.made[0], host.made[-1]]
        assert list(keeper.newcomers.take()) == [host.made[1]]
    assert keeper.missing() == []


def test_interfaces_that_a_pattern_matches_come_and_go(host: Host) -> None:
    keeper = keeper_of(host, "eth*")
    host.interfaces["eth7"] = True
    keeper._look()
    assert dict(keeper.states()) == {"eth0": True, "eth1": True, "eth7": True}
    (seventh,) = keeper.newcomers.take()
    del host.interfaces["eth7"]
    assert keeper.lost(seventh, SourceError("eth7: the interface disappeared"))
    keeper._look()
    assert dict(keeper.states()) == {"eth0": True, "eth1": True}
    assert keeper.missing() == []


def test_a_pattern_that_matches_none_is_missing(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    keeper = keeper_of(host, "eth0", "ppp*", wait=True)
    assert keeper.states() == [("eth0", True), ("ppp*", False)]
    for n in range(3):
        host.interfaces[f"ppp{n}"] = True
        keeper._look()
        assert keeper.states() == [("eth0", True), (f"ppp{n}", True)]
        assert keeper.lost(host.made[-1], SourceError(f"ppp{n}: the interface disappeared"))  # type: ignore[arg-type]
        del host.interfaces[f"ppp{n}"]
        keeper._look()
        assert keeper.states() == [("eth0", True), ("ppp*", False)]
        assert keeper.missing() == []
    said = "ppp*: no interface matches, there are lo, eth0, eth1, wan0; waiting for it"
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [said] * 4


def test_a_reload_keeps_a_pattern_that_matches_none_and_refuses_another(host: Host) -> None:
    keeper = keeper_of(host, "eth0", "ppp*", wait=True)
    keeper.want(["eth1", "ppp*"], wait=False)()
    assert keeper.states() == [("ppp*", False), ("eth1", True)]
    with pytest.raises(SourceError, match=r"^tun\*: no interface matches"):
        keeper.want(["eth1", "tun*"], wait=False)
    keeper.want(["eth1"], wait=False)()
    assert keeper.states() == [("eth1", True)]


def test_others_are_wanted_now(host: Host) -> None:
    keeper = keeper_of(host, "eth0")
    host.interfaces["wan0"] = True
    change = keeper.want(["eth1", "wan0"], wait=False)
    assert keeper.states() == [("eth0", True)]
    change()
    assert keeper.states() == [("eth1", True), ("wan0", True)]
    assert [source.name for source in keeper.newcomers.take()] == ["eth1", "wan0"]
    assert host.made[0].ends == ["finished"]
    assert not keeper.lost(host.made[0], None)  # type: ignore[arg-type]


def test_nothing_changes_when_one_of_them_is_not_there(host: Host) -> None:
    keeper = keeper_of(host, "eth0")
    with pytest.raises(SourceError, match="^ppp0: no such"):
        keeper.want(["eth1", "ppp0"], wait=False)
    assert keeper.states() == [("eth0", True)]
    assert [source.ends for source in host.made] == [[], ["closed"]]


def losses(open_sources: OpenSources) -> dict[str, Counter[str]]:
    return {name: +lost for name, lost in open_sources.lost().items() if +lost}


def test_what_closed_sources_have_lost() -> None:
    kept = OpenSources()
    for n, drops in enumerate((3, 0, 4)):
        source = Opened(f"eth{n % 2}", drops)
        kept.add([source])
        kept.unread(source, n)
        kept.retire(source)
        kept.retire(source)
    still = Opened("eth0", 10)
    kept.add([still])
    assert losses(kept) == {"eth0": Counter({KERNEL: 17, UNREAD: 2}), "eth1": Counter({UNREAD: 1})}


@pytest.mark.parametrize("drops", [0, 1])
def test_names_of_closed_sources_are_bounded(drops: int) -> None:
    kept = OpenSources()
    for n in range(10 * MOST_NAMES):
        source = Opened(f"veth{n}", drops)
        kept.add([source])
        kept.retire(source)
    assert len(kept.lost()) == drops * (MOST_NAMES + 1)
    assert sum(lost.total() for lost in kept.lost().values()) == drops * 10 * MOST_NAMES
    assert drops == 0 or kept.lost()[OTHERS].total() == 9 * MOST_NAMES
