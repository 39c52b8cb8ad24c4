"""[[hep]], [[sip]] and [[sql]]: turns URIs into options, and adds the sinks that rules name by a URI.

Reads the secrets of all sections from their files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from capture_agent.config.files import directory, place_files
from capture_agent.config.layers import Layers, Path
from capture_agent.config.masks import HASH
from capture_agent.config.options import SECRETS, options, sections
from capture_agent.config.problems import nearest, refused, where, wrong
from capture_agent.config.single_or_list import listed
from capture_agent.config.sink_references import DATABASE_URL, DATABASES, SECTIONS, server_url, taken_apart
from capture_agent.config.uris import check_host, hep_fields, sip_fields

URIS: dict[str, Callable[[str], dict[str, Any]]] = {"hep": hep_fields, "sip": sip_fields}
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")  # its name is a value in Kamailio's version table


def expand(layers: Layers) -> Iterator[str]:
    """Change the entries in place; yields the problems."""
    for section, repeated in sections().items():
        if not repeated and isinstance(entry := layers.data.get(section), dict):
            yield from read_secrets(layers, (section,), entry)
    for section in ("sink", "source"):
        for index, entry in enumerate(layers.data.get(section, [])):
            if "use" not in entry:
                yield f"{where(layers, (section, index))}: use is missing, expected the name that a package brings"
                entry["use"] = "unknown"
    for section in ("hep", "sip", "sql"):
        for index, entry in enumerate(layers.data.get(section, [])):
            yield from read_secrets(layers, (section, index), entry)
            if section in URIS:
                yield from take_apart(layers, (section, index), entry)
            yield from CHECKS[section](layers, (section, index), entry)
    place_files(layers)
    names: list[str] = []
    for index, rule in enumerate(layers.data.get("rule", [])):
        name = rule.get("name")
        if name and name in names:
            yield wrong(layers, ("rule", index, "name"), name, "a name that no other rule has")
        names.append(name)
        yield from find_sinks(layers, index, rule)
        yield from find_key(layers, index, rule)


def find_sinks(layers: Layers, index: int, rule: dict[str, Any]) -> Iterator[str]:
    """A rule names sinks that there are; one that it names by its URI is made when there is none."""
    sinks = rule.get("sinks", [])
    for text in sinks if isinstance(sinks, list) else [sinks]:
        path: Path = ("rule", index, "sinks")
        if not isinstance(text, str):
            continue  # validation says so
        try:
            found = taken_apart(text)
        except ValueError as error:
            yield refused(layers, path, text, error)
            continue
        if found is None:
            names = [entry["name"] for _, entry in targets(layers) if isinstance(entry.get("name"), str)]
            if text not in names:
                yield f"{wrong(layers, path, text, 'the name or the URI of a sink')}{nearest(text, names)}"
        elif not any(is_same(section, entry, found) for section, entry in targets(layers)):
            section, fields = found
            number = add_target(layers, path, section, fields)
            yield from CHECKS[section](layers, (section, number), layers.data[section][number])


def find_key(layers: Layers, index: int, rule: dict[str, Any]) -> Iterator[str]:
    """A rule that hashes does it with the key of [privacy]."""
    privacy = layers.data.get("privacy", {})
    if HASH in listed(rule.get("mask", [])) and not (isinstance(privacy, dict) and privacy.get("hash_key")):
        yield f"{where(layers, ('rule', index, 'mask'))}: {HASH} needs a hash_key or hash_key_file in [privacy]"


def targets(layers: Layers) -> Iterator[tuple[str, dict[str, Any]]]:
    for section in SECTIONS.values():
        for entry in layers.data.get(section, []):
            yield section, entry


def is_same(section: str, entry: dict[str, Any], found: tuple[str, dict[str, Any]]) -> bool:
    wanted, fields = found
    defaults = {name: options()[section, name].default for name in fields if (section, name) in options()}
    return section == wanted and all(entry.get(name, defaults.get(name)) == value for name, value in fields.items())


def add_target(layers: Layers, path: Path, section: str, fields: dict[str, Any]) -> int:
    """It gets what rules send to it, and nothing else. Returns its place in the section."""
    entries = layers.data.setdefault(section, [])
    for name in (*fields, "default"):
        layers.aliases[section, len(entries), name] = path
    entries.append(fields | {"default": False})
    return len(entries) - 1


def read_secrets(layers: Layers, path: Path, entry: dict[str, Any]) -> Iterator[str]:
    for section, name in SECRETS:
        file = entry.pop(f"{name}_file", None) if section == path[0] else None
        if file is None:
            continue
        at = (*path, f"{name}_file")
        try:
            secret = (directory(layers, at) / file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError, TypeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            yield wrong(layers, at, file, f"a file that can be read ({reason})")
            secret = ""
        yield from merge(layers, path, entry, {name: secret}, f"{name}_file")


def take_apart(layers: Layers, path: Path, entry: dict[str, Any]) -> Iterator[str]:
    """`uri` becomes host, port, transport and the rest."""
    if "uri" not in entry:
        if "host" not in entry:
            yield f"{where(layers, path)}: neither uri nor host is given, expected one of them"
            entry["host"] = "unknown"
        return
    uri = entry.pop("uri")
    try:
        found = URIS[str(path[0])](uri) if isinstance(uri, str) else None
    except ValueError as error:
        yield refused(layers, (*path, "uri"), uri, error)
        entry["host"] = "unknown"
        return
    if found is None:
        yield wrong(layers, (*path, "uri"), uri, "text")
        found = {"host": "unknown"}
    yield from merge(layers, path, entry, found, "uri")


def merge(layers: Layers, path: Path, entry: dict[str, Any], found: dict[str, Any], source: str) -> Iterator[str]:
    """Options out of `source` join the entry; where both have one, the higher layer wins."""
    for name, value in found.items():
        at, source_at = (*path, name), (*path, source)
        if name in entry and layers.layer(at) == layers.layer(source_at):
            yield f"{where(layers, at)}: given twice, here and in {source}"
        if name not in entry or layers.layer(at) < layers.layer(source_at):
            entry[name] = value
            layers.origins.pop(at, None)
            layers.aliases[at] = source_at


def check_target(layers: Layers, path: Path, entry: dict[str, Any]) -> Iterator[str]:
    host = entry.get("host")
    if isinstance(host, str) and (*path, "host") not in layers.aliases and host != "":
        try:
            check_host(host, bracketed=":" in host)
        except ValueError as error:
            yield wrong(layers, (*path, "host"), host, "a host name or an IP address", error)


def check_table(layers: Layers, path: Path, entry: dict[str, Any]) -> Iterator[str]:
    url, table = entry.get("url"), entry.get("table")
    if url is None:
        yield f"{where(layers, path)}: neither url nor url_file is given, expected one of them"
        entry["url"] = ""
    elif url != "" and isinstance(url, str) and (expected := expected_url(url)):
        yield wrong(layers, (*path, "url"), url, expected)
    elif url == "" and (*path, "url") not in layers.aliases:
        yield wrong(layers, (*path, "url"), url, "the URL of a database")
    if isinstance(table, str) and _TABLE.fullmatch(table) is None:
        yield wrong(layers, (*path, "table"), table, "letters, digits and underscores, at most 32")


def expected_url(url: str) -> str:
    """What a wrong database URL should be; empty for one that may be right."""
    kind = DATABASE_URL.match(url)
    if kind is None:
        return f"{', '.join(DATABASES[:-1])} or {DATABASES[-1]}, then ://..."
    if kind[1] != "sqlite":
        return "" if server_url(url) is not None else f"{kind[0]}USER:PASSWORD@HOST:PORT/DATABASE"
    # In memory it would be another database for each command, and gone with it.
    return "sqlite:///FILE" if url[kind.end() :].partition("?")[0] in ("", "/", "/:memory:") else ""


CHECKS = {"hep": check_target, "sip": check_target, "sql": check_table}
