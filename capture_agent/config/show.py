"""The effective configuration as TOML that loads again, with secrets masked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from capture_agent.config.configured_sinks import taken_apart
from capture_agent.config.option_list import options, sections
from capture_agent.config.precedence import Layers, Path, Precedence
from capture_agent.config.secrets import MASK, mask, mask_table
from capture_agent.config.sections import Config
from capture_agent.config.spool_options import SinkSpool

SHORT = ("rule",)  # sections that show only the options that are given


def show(config: Config, layers: Layers) -> Iterator[str]:
    """Lines of TOML. A comment names the origin of each value that is not a default."""
    first = True
    for section, repeated in sections().items():
        value = getattr(config, section)
        for index, table in enumerate(value if repeated else [value]):
            if not first:
                yield ""
            first = False
            yield f"[[{section}]]" if repeated else f"[{section}]"
            path: Path = (section, index) if repeated else (section,)
            yield from show_table(layers, path, table)


def show_table(layers: Layers, path: Path, table: Any) -> Iterator[str]:
    for field in fields(table):
        value = getattr(table, field.name)
        line = f"{field.name} = {as_toml(shown(str(path[0]), field.name, value))}"
        at = (*path, field.name)
        given = at in layers.aliases or is_given(layers, at)
        if path[0] in SHORT and not given:
            continue
        yield f"{line}  # {layers.origin(at)}" if given and layers.layer(at) > Precedence.DEFAULT else line


def is_given(layers: Layers, path: Path) -> bool:
    value: Any = layers.data
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def shown(section: str, name: str, value: Any) -> Any:
    if name in ("sinks", "members"):
        return tuple(mask(text) if taken_apart(text) else text for text in value)
    if isinstance(value, dict) and options()[section, name].hidden:
        return mask_table(value)
    if not options()[section, name].secret or not value:
        return value
    return mask(value) if name == "url" else MASK


def as_toml(value: Any) -> str:
    import tomlkit  # only `config show` writes TOML

    if isinstance(value, tuple):
        return f"[{', '.join(as_toml(str(part)) for part in value)}]"
    if isinstance(value, SinkSpool):
        value = value.given()
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update({name: list(part) if isinstance(part, tuple) else part for name, part in value.items()})
        return table.as_string()
    if not isinstance(value, bool | int | float):
        value = str(value)
    return str(tomlkit.item(value).as_string())
