"""A reload that changes where or how records go, while messages wait for a broker that cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.kafka import Broker, broker
from sink_samples import eventually, numbered
from test_reloading import Running, running

from hep import decode

pytestmark = pytest.mark.once
PATIENCE = 30


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[list[Broker]]:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with broker(folders[0]) as one, broker(folders[1]) as two:
        for each in (one, two):
            each.create("sip")
            each.create("other")
        yield [one, two]


def received(one: Broker, topic: str = "sip", least: int = 0) -> list[bytes]:
    return [decode(record.value() or b"").payload or b"" for record in one.messages(topic, least)]


def waiting(run: Running) -> int:
    return sum(ledger.outcomes.get("waiting", 0) for ledger in run.agent.routes.ledgers())


@pytest.mark.parametrize(
    ("change", "goes", "spool"),
    [
        pytest.param(("", 'compress = "zstd"\n'), (0, "sip"), False, id="compression"),
        pytest.param(("", 'compress = "zstd"\n'), (0, "sip"), True, id="compression, spool"),
        pytest.param(('topic = "sip"', 'topic = "other"'), (0, "other"), True, id="topic, spool"),
        pytest.param(("{0}", "{1}"), (1, "sip"), False, id="brokers"),
        pytest.param(("", '[[jsonl]]\nfile = "-"\ndefault = false\n'), (0, "sip"), False, id="another sink"),
    ],
)
def test_messages_that_wait(
    brokers: list[Broker], tmp_path: Path, change: tuple[str, str], goes: tuple[int, str], spool: bool
) -> None:
    """They go where they would have gone, and later ones where the new configuration says."""
    text = '[[kafka]]\nbrokers = "{0}"\ntopic = "sip"\ndead_after_seconds = 2\n'
    after = text.replace(*change) if change[0] else text + change[1]
    rest = "[queue]\ndrain_seconds = 20\n" + (f'[spool]\ndirectory = "{tmp_path}/spool"\n' if spool else "")
    places = [one.address for one in brokers]
    old, new = brokers[0], brokers[goes[0]]
    old.cut()
    with running(tmp_path, text.format(*places) + rest) as run:
        for n in range(3):
            run.send(numbered(n))
        eventually(lambda: any(outbox.down() for outbox in run.agent.routes), PATIENCE)
        assert waiting(run) == 3
        run.reload(after.format(*places) + rest)
        for n in range(3, 6):
            run.send(numbered(n))
        old.mend()
        eventually(lambda: not waiting(run) and not run.agent.routes._leaving, PATIENCE)
        books = run.stop()
    assert books.balanced
    assert sum(sum(ledger.lost.values()) for ledger in books.ledgers) == 0
    first, last = [numbered(n) for n in range(3)], [numbered(n) for n in range(3, 6)]
    if goes == (0, "sip"):
        assert sorted(received(old, "sip", 6)) == first + last
    else:
        assert (received(old, "sip", 3), received(new, goes[1], 3)) == (first, last)
