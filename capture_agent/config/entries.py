"""The entries of the sinks: URIs become options; a sink that a rule or a group names by its URI is added.

Reads the secrets of all sections from their files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

from capture_agent.config.config_errors import nearest, refused, where, wrong
from capture_agent.config.configured_sinks import taken_apart
from capture_agent.config.endpoints import AUTO
from capture_agent.config.field_types import listed
from capture_agent.config.file_patterns import is_file_name
from capture_agent.config.kafka_options import check_topic
from capture_agent.config.option_list import SECRETS, options, sections
from capture_agent.config.precedence import Layers, Path
from capture_agent.config.rule_options import HASH
from capture_agent.config.sections import KINDS
from capture_agent.config.uris import LISTEN_EXPECTED
from capture_agent.os_errors import in_words

LONGEST_SECRET = 16_384  # characters in a file
_CODE = re.compile(r"\.py(:[^:]*)?\Z")  # trunk.py, trunk.py:over_trunk


def expand(layers: Layers) -> Iterator[str]:
    """Change the entries in place; yield the problems."""
    for section, repeated in sections().items():
        if not repeated and isinstance(entry := layers.data.get(section), dict):
            yield from read_secrets(layers, (section,), entry)
    for section in ("sink", "source"):
        for index, entry in enumerate(layers.data.get(section, [])):
            if "use" not in entry:
                yield f"{where(layers, (section, index))}: use is missing, expected the name of an entry point"
                entry["use"] = "unknown"
    for index, entry in enumerate(layers.data.get("listen", [])):
        yield from read_secrets(layers, ("listen", index), entry)
        if "uri" not in entry:
            yield f"{where(layers, ('listen', index))}: uri is missing, expected {LISTEN_EXPECTED}"
            entry["uri"] = "hep:127.0.0.1"
    for index, entry in enumerate(layers.data.get("kafka_source", [])):
        yield from read_secrets(layers, ("kafka_source", index), entry)
        for name, expected, _ in check_topic(entry):
            yield f"{where(layers, ('kafka_source', index, name))}: expected {expected}"
    for section in KINDS:
        for index, entry in enumerate(layers.data.get(section, [])):
            yield from read_secrets(layers, (section, index), entry)
            yield from take_apart(layers, (section, index), entry)
            yield from check_entry(layers, section, index)
    place_files(layers)
    yield from check_groups(layers)
    names: list[str] = []
    for index, rule in enumerate(layers.data.get("rule", [])):
        name = rule.get("name")
        if name and name in names:
            yield wrong(layers, ("rule", index, "name"), name, "a name that no other rule has")
        names.append(name)
        yield from find_sinks(layers, ("rule", index, "sinks"), rule, named(layers, "group"))
        yield from find_key(layers, index, rule)


def check_groups(layers: Layers) -> Iterator[str]:
    """Each group has a name of its own, and sinks that are there, each once."""
    groups = layers.data.get("group", [])
    for index, group in enumerate(groups):
        at: Path = ("group", index, "members")
        name, members = group.get("name"), group.get("members", [])
        others = [entry.get("name") for _, entry in targets(layers)] + [one.get("name") for one in groups[:index]]
        if name and name in others:
            expected = "a name that no sink and no other group has"
            yield wrong(layers, ("group", index, "name"), name, expected)
        if not members:
            yield f"{where(layers, at)}: no member is given, expected the names or URIs of sinks"
        inner = [one for one in listed(members) if isinstance(one, str) and one in named(layers, "group")]
        for one in inner:
            yield f"{wrong(layers, at, one, 'sinks: a group cannot be a member of a group')}"
        yield from find_sinks(layers, at, group, inner)
        yield from check_members(layers, at, [one for one in listed(members) if one not in inner])


def check_members(layers: Layers, path: Path, members: list[object]) -> Iterator[str]:
    """Every member is one sink, and no sink is a member twice."""
    found: list[tuple[str, int]] = []
    for n, text in enumerate(members, 1):
        meant = [place for place in places(layers) if isinstance(text, str) and is_meant(layers, place, text)]
        if len(meant) > 1:
            yield f"{where(layers, path)}: member {n} means {len(meant)} sinks, expected one: give them names"
        if any(place in found for place in meant):
            yield f"{where(layers, path)}: member {n} is given twice"
        found += meant


def places(layers: Layers) -> list[tuple[str, int]]:
    """The section and the index of every sink."""
    return [(section, index) for section in KINDS for index in range(len(layers.data.get(section, [])))]


def is_meant(layers: Layers, place: tuple[str, int], text: str) -> bool:
    section, index = place
    entry = layers.data[section][index]
    try:
        found = taken_apart(text)
    except ValueError:
        return False  # reported already
    return entry.get("name") == text if found is None else is_same(section, entry, found)


def named(layers: Layers, section: str) -> list[str]:
    """The names in a section."""
    return [entry["name"] for entry in layers.data.get(section, []) if isinstance(entry.get("name"), str)]


def find_sinks(layers: Layers, path: Path, entry: dict[str, Any], also: list[str]) -> Iterator[str]:
    """Check the sinks that a rule or a group names; a sink named by its URI is added if it is not configured.

    `also`: other names that may be there.
    """
    for text in listed(entry.get(str(path[-1]), [])):
        if not isinstance(text, str):
            continue  # validation reports it
        try:
            found = taken_apart(text)
        except ValueError as error:
            yield refused(layers, path, text, error)
            continue
        if found is None:
            names = [*also, *(name for section in KINDS for name in named(layers, section))]
            if text not in names:
                yield f"{wrong(layers, path, text, 'the name or the URI of a sink')}{nearest(text, names)}"
        elif not any(is_same(section, entry, found) for section, entry in targets(layers)):
            section, fields = found
            number = add_target(layers, path, section, fields)
            yield from check_entry(layers, section, number)


def find_key(layers: Layers, index: int, rule: dict[str, Any]) -> Iterator[str]:
    """A rule that hashes users needs the key of [privacy]."""
    privacy = layers.data.get("privacy", {})
    if HASH in listed(rule.get("mask", [])) and not (isinstance(privacy, dict) and privacy.get("hash_key")):
        yield f"{where(layers, ('rule', index, 'mask'))}: {HASH} needs a hash_key or hash_key_file in [privacy]"


def targets(layers: Layers) -> Iterator[tuple[str, dict[str, Any]]]:
    for section in KINDS:
        for entry in layers.data.get(section, []):
            yield section, entry


def is_same(section: str, entry: dict[str, Any], found: tuple[str, dict[str, Any]]) -> bool:
    wanted, fields = found
    defaults = {name: options()[section, name].default for name in fields if (section, name) in options()}
    return section == wanted and all(entry.get(name, defaults.get(name)) == value for name, value in fields.items())


def add_target(layers: Layers, path: Path, section: str, fields: dict[str, Any]) -> int:
    """Add a sink that gets only what rules send to it. Returns its index in the section."""
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
            place = located(layers, at, file)
            with place.open(encoding="utf-8") as opened:
                secret = opened.read(LONGEST_SECRET + 2).strip()
            layers.secret_files.append(place)
        except (OSError, ValueError, TypeError) as error:
            reason = in_words(error) if isinstance(error, OSError) else "not text"
            yield wrong(layers, at, file, f"a file that can be read ({reason})")
            secret = ""
        else:
            # Otherwise a file that was never filled would be as no secret: everybody may ask, nothing is signed.
            if not secret or len(secret) > LONGEST_SECRET:
                yield wrong(layers, at, file, f"a file with 1 to {LONGEST_SECRET:,} characters")
                secret = ""
        yield from merge(layers, path, entry, {name: secret}, f"{name}_file")


def take_apart(layers: Layers, path: Path, entry: dict[str, Any]) -> Iterator[str]:
    """Replace `uri` by host, port, transport and the other options."""
    parse = KINDS[str(path[0])].uri
    if parse is None:
        return
    if "uri" not in entry:
        if "host" not in entry:
            yield f"{where(layers, path)}: neither uri nor host is given, expected one of them"
            entry["host"] = "unknown"
        return
    uri = entry.pop("uri")
    try:
        found = parse(uri) if isinstance(uri, str) else None
    except ValueError as error:
        yield refused(layers, (*path, "uri"), uri, error)
        entry["host"] = "unknown"
        return
    if found is None:
        yield wrong(layers, (*path, "uri"), uri, "text")
        found = {"host": "unknown"}
    yield from merge(layers, path, entry, found, "uri")


def merge(layers: Layers, path: Path, entry: dict[str, Any], found: dict[str, Any], source: str) -> Iterator[str]:
    """Add the options found in `source` to the entry; if both have one, the higher layer wins."""
    for name, value in found.items():
        at, source_at = (*path, name), (*path, source)
        if name in entry and layers.layer(at) == layers.layer(source_at):
            yield f"{where(layers, at)}: given twice, here and in {source}"
        if name not in entry or layers.layer(at) < layers.layer(source_at):
            entry[name] = value
            layers.origins.pop(at, None)
            layers.aliases[at] = source_at


def check_entry(layers: Layers, section: str, index: int) -> Iterator[str]:
    entry, kind = layers.data[section][index], KINDS[section]
    for name in kind.secrets:
        if name not in entry and options()[section, name].default is None:
            yield f"{where(layers, (section, index))}: neither {name} nor {name}_file is given, expected one of them"
            layers.aliases[section, index, name] = (section, index)
            entry[name] = ""
    for name, expected, reason in kind.check(entry):
        at = (section, index, name)
        if entry[name] != "" or at not in layers.aliases:  # an empty secret from a file is reported there
            yield wrong(layers, at, entry[name], expected, reason)


def located(layers: Layers, path: Path, name: str) -> FilePath:
    """The file that this option names; whether it is there is seen when it is opened.

    A relative name starts at the folder of the configuration, otherwise at the working directory. systemd's credentials
    (LoadCredential=) come first: a plain name that a credential has means that one. A configuration that is a
    credential itself has no folder, because systemd passes single files.
    """
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
    """Make all names of files absolute or relative to the working directory. Opening them finds missing files."""
    for path, entry, is_file in named_files(layers):
        name = str(path[-1])
        value = entry.get(name)
        if isinstance(value, list):
            value[:] = [placed(layers, path, one, is_file) for one in value]
        elif name in entry and name != "modules":  # it must be a list: validation reports it
            entry[name] = placed(layers, path, value, is_file)


def placed(layers: Layers, path: Path, name: object, is_file: Callable[[str], object]) -> object:
    return str(located(layers, path, name)) if isinstance(name, str) and is_file(name) else name


def named_files(layers: Layers) -> Iterator[tuple[Path, dict[str, Any], Callable[[str], object]]]:
    """Each option that may name files, the table that holds it, and a test whether a value is a file name."""
    for section, name, is_file in (
        ("control", "socket", lambda text: text not in ("", AUTO)),
        ("tls", "key_log", bool),
        ("tls", "keys", bool),
        ("http", "tls_cert", bool),
        ("http", "tls_key", bool),
        ("hooks", "modules", _CODE.search),
    ):
        table = layers.data.get(section)
        if isinstance(table, dict):
            yield (section, name), table, is_file
    of_sinks = [(section, name) for section, kind in KINDS.items() for name in kind.files]
    of_listeners = [("listen", name) for name in ("tls_cert", "tls_key", "tls_client_ca")]
    of_topics = [("kafka_source", name) for name in ("tls_ca", "tls_cert", "tls_key")]
    for section, name in (("rule", "when"), *of_sinks, *of_listeners, *of_topics):
        for n, entry in enumerate(layers.data.get(section, [])):
            yield (section, n, name), entry, _CODE.search if section == "rule" else is_file_name
