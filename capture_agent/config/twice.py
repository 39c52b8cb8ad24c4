"""Finds interfaces, listeners and destinations that are configured twice, which would double everything."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from capture_agent.config.layers import Layers, Path
from capture_agent.config.problems import where
from capture_agent.config.sections import KINDS, Config
from capture_agent.config.targets import same_place


def twice(layers: Layers, config: Config) -> Iterator[str]:
    """A problem for each that repeats an earlier one."""
    capture = config.capture
    yield from repeated(layers, ("capture", "interfaces"), capture.interfaces, str)
    yield from repeated(
        layers, ("capture", "listen"), capture.listen, lambda one: same_place(one.host, one.port, one.transport)
    )
    yield from repeated(layers, ("source",), config.source, lambda one: one.identity())
    for section, kind in KINDS.items():
        yield from repeated(layers, (section,), getattr(config, section), lambda one: one.identity(), kind.noun)


def repeated(
    layers: Layers, path: Path, values: Sequence[Any], identity: Callable[[Any], Hashable | None], noun: str = ""
) -> Iterator[str]:
    first: dict[Hashable, int] = {}
    for n, value in enumerate(values):
        same = identity(value)
        if same is not None and first.setdefault(same, n) != n:
            at = (*path, n)
            # A sink that a rule has made by naming it stands where the rule does.
            line = where(layers, layers.aliases.get((*at, "default"), at))
            yield f"{line}: {noun or value} is given twice (number {first[same] + 1} and {n + 1})"
