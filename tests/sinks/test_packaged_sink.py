"""A sink from a package, next to the others."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sink_samples import Receiver

from capture_agent.config import Config, PackageSink
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.sinks import make_sinks

pytestmark = pytest.mark.once

LIST = """
from collections import Counter

GOT = []

class Sink:
    name, together = "list", 1
    def __init__(self, options):
        self.sent, self.rejected, self.lost = 0, Counter(), Counter()
    def open(self): pass
    def send(self, batch):
        GOT.extend(traced.message.raw for traced in batch)
        self.sent += len(batch)
    def flush(self): pass
    def close(self): pass
"""


@contextmanager
def receiver(folder: Path) -> Iterator[Receiver]:
    name = "sink_into_a_list"
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir()
    (folder / f"{name}.py").write_text(LIST)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[capture_agent.sinks]\nlist = {name}:Sink\n")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield Receiver('use = "list"', "", lambda: list(sys.modules[name].GOT))
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(name, None)


def test_each_goes_to_its_target() -> None:
    config = Config(sink=(PackageSink("a"), PackageSink("b")))
    made = make_sinks(ConfiguredSinks(config), ["sink a", "sink b"])  # type: ignore[list-item]
    assert made == {0: "sink a", 1: "sink b"}
