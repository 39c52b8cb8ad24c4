"""File names in the configuration: relative ones start at its folder, otherwise at the working directory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

from capture_agent.config.layers import Layers, Path
from capture_agent.config.local import AUTO
from capture_agent.config.sections import KINDS

_CODE = re.compile(r"\.py(:[^:]*)?\Z")  # trunk.py, trunk.py:over_trunk


def directory(layers: Layers, path: Path) -> FilePath:
    """What a relative name that this option holds starts at."""
    from_file = layers.file is not None and layers.origin(path).startswith(f"{layers.file}:")
    return layers.file.parent if layers.file is not None and from_file else FilePath()


def place_files(layers: Layers) -> None:
    """Put the folder before all names of files. Whether they are there is seen when they are opened."""
    for path, entry, is_file in named_files(layers):
        name, folder = str(path[-1]), directory(layers, path)
        value = entry.get(name)
        if isinstance(value, list):
            value[:] = [placed(folder, one, is_file) for one in value]
        elif name in entry and name != "modules":  # that one must be a list: validation says so
            entry[name] = placed(folder, value, is_file)


def placed(folder: FilePath, name: object, is_file: Callable[[str], object]) -> object:
    return str(folder / name) if isinstance(name, str) and is_file(name) else name


def named_files(layers: Layers) -> Iterator[tuple[Path, dict[str, Any], Callable[[str], object]]]:
    """Each option that may name files, what holds it, and whether a value of it is the name of one."""
    for section, name, is_file in (
        ("control", "socket", lambda text: text not in ("", AUTO)),
        ("http", "tls_cert", bool),
        ("http", "tls_key", bool),
        ("hooks", "modules", _CODE.search),
    ):
        table = layers.data.get(section)
        if isinstance(table, dict):
            yield (section, name), table, is_file
    of_sinks = [(section, name) for section, kind in KINDS.items() for name in kind.files]
    for section, name in (("rule", "when"), *of_sinks):
        for n, entry in enumerate(layers.data.get(section, [])):
            yield (section, n, name), entry, _CODE.search if section == "rule" else bool
