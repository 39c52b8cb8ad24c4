"""File names in the configuration: relative ones start at its folder, otherwise at the working directory.

systemd's credentials (LoadCredential=) come first: a relative name that a credential has means that one. A
configuration that is a credential itself has no folder, because systemd passes single files: its names start at the
working directory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

from capture_agent.config.layers import Layers, Path
from capture_agent.config.local import AUTO
from capture_agent.config.sections import KINDS

_CODE = re.compile(r"\.py(:[^:]*)?\Z")  # trunk.py, trunk.py:over_trunk


def located(layers: Layers, path: Path, name: str) -> FilePath:
    """The file that this option names. Whether it is there is seen when it is opened."""
    folder = layers.credentials
    if folder is not None and "/" not in name and is_there(folder / name):
        return folder / name
    from_file = layers.file is not None and layers.origin(path).startswith(f"{layers.file}:")
    if layers.file is None or not from_file or layers.file.parent == folder:
        return FilePath(name)
    return layers.file.parent / name


def is_there(file: FilePath) -> bool:
    try:
        return file.is_file()
    except OSError:  # a name that is too long, say
        return False


def place_files(layers: Layers) -> None:
    """Put the folder before all names of files. Whether they are there is seen when they are opened."""
    for path, entry, is_file in named_files(layers):
        name = str(path[-1])
        value = entry.get(name)
        if isinstance(value, list):
            value[:] = [placed(layers, path, one, is_file) for one in value]
        elif name in entry and name != "modules":  # that one must be a list: validation says so
            entry[name] = placed(layers, path, value, is_file)


def placed(layers: Layers, path: Path, name: object, is_file: Callable[[str], object]) -> object:
    return str(located(layers, path, name)) if isinstance(name, str) and is_file(name) else name


def named_files(layers: Layers) -> Iterator[tuple[Path, dict[str, Any], Callable[[str], object]]]:
    """Each option that may name files, what holds it, and whether a value of it is the name of one."""
    for section, name, is_file in (
        ("control", "socket", lambda text: text not in ("", AUTO)),
        ("hooks", "modules", _CODE.search),
    ):
        table = layers.data.get(section)
        if isinstance(table, dict):
            yield (section, name), table, is_file
    of_sinks = [(section, name) for section, kind in KINDS.items() for name in kind.files]
    for section, name in (("rule", "when"), *of_sinks):
        for n, entry in enumerate(layers.data.get(section, [])):
            yield (section, n, name), entry, _CODE.search if section == "rule" else bool
