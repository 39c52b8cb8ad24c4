"""docs/configuration.md by section: the rows of its tables, and the examples of its options."""

from __future__ import annotations

import re
from pathlib import Path

TEXT = (Path(__file__).parents[1] / "docs/configuration.md").read_text()
_PARTS = re.split(r"^## \[+(\w+)\]+.*$", TEXT, flags=re.M)[1:]
SECTIONS = dict(zip(_PARTS[::2], _PARTS[1::2], strict=True))
_ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| `(.*?)` \|$", re.M)


def rows(section: str) -> dict[str, tuple[str, ...]]:
    assert section in SECTIONS, f"docs/configuration.md: add a section for [{section}], with a row for each option"
    return {name: tuple(cells) for name, *cells in _ROW.findall(SECTIONS[section])}


def example_of(section: str, name: str) -> str:
    """As TOML."""
    assert section in SECTIONS, f"docs/configuration.md: add a section for [{section}], with a row for each option"
    items = re.split(r"^\* ", SECTIONS[section], flags=re.M)
    item = next((item for item in items if item.startswith(f"`{name}`:")), None)
    assert item is not None, f"docs/configuration.md: add an item that explains {section}.{name}"
    example = re.search(r"Example: `(.+?)`\.", " ".join(item.split()))
    assert example is not None, f"docs/configuration.md: add `Example: ...` to {section}.{name}"
    return example[1]
