"""What fills the calls of a view: files, a table that grows, a HEP listener. Masks hold for each."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import capture_agent
from free_ports import free_port
from sink_samples import eventually

from capture_agent.app.call_feed import CallFeed
from capture_agent.config import Config, load
from capture_agent.sources.source import SourceError

PCAPS = Path(__file__).parent.parent.parent / "pcaps"
CALL, CALLS = PCAPS / "call.pcap", PCAPS / "calls.pcap"


def configured(masked: bool, **said: object) -> Config:
    return load(None, {}, {**said, **({"privacy": {"mask": ["users:truncate"]}} if masked else {})})


def shown(feed: CallFeed) -> tuple[int, list[str], set[bytes]]:
    calls = feed.store.select(sort="first").calls
    raw = {one.raw for one in feed.store.messages([call.call_id for call in calls])}
    return sum(call.messages for call in calls), [call.from_user for call in calls], raw


@pytest.mark.parametrize("masked", [False, True])
def test_every_source_gives_the_same_calls(masked: bool, tmp_path: Path) -> None:
    files = CallFeed(configured(masked), [str(CALLS)])
    files.start()
    eventually(lambda: not files.reading)
    want = shown(files)
    assert want[0] > 10
    assert all("*" in user for user in want[1] if user) == masked

    url = f"sqlite:///{tmp_path}/t.sqlite"
    assert not capture_agent("db", "create", "--db", url).status
    config = configured(masked, sql=[{"url": url}])
    table = CallFeed(config, target=config.sql[0])
    table.start()
    assert shown(table) == (0, [], set())
    capture_agent("replay", CALLS, "--db", url)  # rows that come later
    eventually(lambda: shown(table)[0] == want[0])
    table.stop()
    assert shown(table) == want

    port = free_port()
    live = CallFeed(configured(masked, capture={"listen": [f"hep+tcp:127.0.0.1:{port}"]}))
    live.start()
    capture_agent("replay", CALLS, "--hep", f"hep+tcp:127.0.0.1:{port}")
    eventually(lambda: shown(live)[0] == want[0])
    live.stop()
    assert (live.reading, live.lost, live.problems) == (False, 0, [])
    assert shown(live) == want


def test_what_cannot_be_read(tmp_path: Path) -> None:
    damaged, other = tmp_path / "damaged.pcap", tmp_path / "other"
    damaged.write_bytes(CALL.read_bytes()[:-10])
    other.write_bytes(b"no capture at all")
    feed = CallFeed(Config(), [str(other), str(damaged)])
    feed.start()
    eventually(lambda: not feed.reading)
    assert [str(other) in feed.problems[0], str(damaged) in feed.problems[1]] == [True, True]
    assert len(feed.store) == 1
    with pytest.raises(SourceError):
        CallFeed(configured(False, capture={"interfaces": ["no-such-interface"]})).start()


@pytest.mark.parametrize("masked", [False, True])
def test_frames_are_kept_unless_masks_forbid_it(masked: bool) -> None:
    feed = CallFeed(configured(masked), [str(CALL)])
    feed.start()
    eventually(lambda: not feed.reading)
    (call,) = feed.store.select().calls
    assert all(bool(one.datagram.captured_frames()) != masked for one in feed.store.messages([call.call_id]))
