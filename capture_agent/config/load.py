"""From TOML, environment and command line to a Config, or to a list of every problem."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from capture_agent.config.alias_options import NAMES
from capture_agent.config.config_errors import ConfigError, in_order, nearest, of_pydantic, where, wrong
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.endpoints import same_place
from capture_agent.config.entries import expand
from capture_agent.config.option_list import ENVIRONMENT, options, sections
from capture_agent.config.precedence import Layers, Path
from capture_agent.config.secrets import quotable, quotable_name
from capture_agent.config.sections import KINDS, Config
from capture_agent.config.targets import MOST_SINKS
from capture_agent.config.uris import ListenAddress
from capture_agent.os_errors import in_words

UNFIT = re.compile(r"[\0\ud800-\udfff]")
_QUOTED = re.compile(r"(['\"])(.*?)\1")
_AT_LINE = re.compile(r" \(at line (\d+), column (\d+)\)$")


def load(
    path: FilePath | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration in force. Raises ConfigError with all problems.

    `overrides` holds the options of the command line, in the structure of the file:
    {"capture": {"interfaces": ["eth0"]}, "hep": [{"uri": "hep:10.0.0.1:9060"}]}
    """
    return load_layers(path, environ or {}, overrides or {})[0]


def load_layers(
    path: FilePath | None, environ: Mapping[str, str], overrides: Mapping[str, Any]
) -> tuple[Config, Layers]:
    """As `load`, with the origin of each value."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    layers = Layers(path, FilePath(folder) if folder else None)
    if path is not None:
        layers.text = read(path)
        layers.data = parse(path, layers.text)
    problems = list(drop_unknown(layers))
    layers.add_command_line(overrides)
    layers.add_environment(environ)
    problems += [unknown_variable(*names) for names in layers.unplaced]
    problems += expand(layers)
    unfit = list(unfit_text(layers, layers.data, ()))
    config, found = (None, unfit) if unfit else validate(layers)
    problems += found
    problems += too_many_sinks(layers, config)
    if config is not None and not problems:
        problems += twice(layers, config)
        problems += wrong_oversize(layers, config)
    if problems or config is None:
        raise ConfigError(in_order(problems))
    return config, layers


def read(path: FilePath) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{quotable(str(path))}: cannot be read: {in_words(error)}"]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError([f"{path}:{line}: not UTF-8 text, expected a TOML file"]) from None


def parse(path: FilePath, text: str) -> dict[str, Any]:
    import tomllib  # needed only with a file

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _AT_LINE.search(str(error))
        line = int(place[1]) if place else max(1, len(text.splitlines()))
        reason = without_values(_AT_LINE.sub("", str(error)).removesuffix(" (at end of document)"))
        column = f" (column {place[2]})" if place else " (at the end of the file)"
        raise ConfigError([f"{path}:{line}: not TOML: {reason}{column}"]) from None


def without_values(reason: str) -> str:
    """tomllib's message without the keys it quotes: a key may be a value in the wrong place."""
    known = {*sections(), *(name for _, name in options())}

    def shown(match: re.Match[str]) -> str:
        is_character = len(match[2]) < 2 or match[2].startswith("\\")
        return match[0] if is_character else repr(quotable_name(match[2], known))

    return _QUOTED.sub(shown, reason)


def drop_unknown(layers: Layers) -> Iterator[str]:
    """Remove unknown sections and options from the file's values, and report them."""
    for section in list(layers.data):
        value = layers.data[section]
        if section == "aliases" and isinstance(value, dict):
            layers.data[section] = with_free_keys(layers, section, value)
            continue
        if section not in sections():
            del layers.data[section]
            yield f"{where(layers, (section,))}: unknown section{nearest(section, sections())}"
            continue
        repeated = sections()[section]
        if not isinstance(value, list if repeated else dict) or (
            repeated and not all(isinstance(entry, dict) for entry in value)
        ):
            del layers.data[section]
            expected = f"tables [[{section}]]" if repeated else f"a table [{section}]"
            yield f"{where(layers, (section,))}: expected {expected}"
            continue
        for index, table in enumerate(value if repeated else [value]):
            yield from drop_unknown_options(layers, (section, index) if repeated else (section,), table)


def with_free_keys(layers: Layers, section: str, value: dict[str, Any]) -> dict[str, Any]:
    """A section whose keys users choose, as one option: `config show` writes it so, and a file may."""
    names = value.get(NAMES)
    if isinstance(names, dict) and len(value) == 1:
        return value
    layers.aliases |= {(section, NAMES, key): (section, key) for key in value}
    return {NAMES: dict(value)}


def drop_unknown_options(layers: Layers, path: Path, table: dict[str, Any]) -> Iterator[str]:
    section = str(path[0])
    known = [name for of, name in options() if of == section]
    for name in [name for name in table if name not in known]:
        yield f"{where(layers, (*path, name))}: unknown option{nearest(name, known)}"
        del table[name]


def unknown_variable(variable: str, section: str, name: str) -> str:
    option = options().get((section, name))
    if option is not None:
        return f"{variable}: no such option, expected {option.environment}{', N from 1' * option.repeated}"
    known = [each.environment for each in options().values()]
    return f"{variable}: no such option{nearest(f'{ENVIRONMENT}{section}__{name}'.upper(), known)}"


def unfit_text(layers: Layers, value: object, path: Path) -> Iterator[str]:
    """Report text that neither JSON nor the operating system accepts: NUL, and bytes that are not UTF-8."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from unfit_text(layers, inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from unfit_text(layers, inner, (*path, index))
    elif isinstance(value, str) and UNFIT.search(value):
        yield wrong(layers, path, value, "UTF-8 text without NUL characters")


def too_many_sinks(layers: Layers, config: Config | None) -> Iterator[str]:
    if config is not None and len(config.targets()) + len(config.group) > MOST_SINKS:
        paths = [(section, index) for section in (*KINDS, "group") for index in range(len(getattr(config, section)))]
        first_too_many = paths[MOST_SINKS]
        # One that a rule has made by naming it stands where the rule does.
        first = where(layers, layers.aliases.get((*first_too_many, "default"), first_too_many))
        what = "sinks and groups" if config.group else "sinks"
        yield f"{first}: {len(paths)} {what} are configured, expected at most {MOST_SINKS}"


def validate(layers: Layers) -> tuple[Config | None, list[str]]:
    if not layers.data:
        return Config(), []
    import json  # like pydantic, imported only to validate

    from pydantic import TypeAdapter, ValidationError

    try:
        # As JSON, because strict validation takes dicts for dataclasses and lists for tuples only there.
        return TypeAdapter(Config).validate_json(json.dumps(layers.data, default=str), strict=True), []
    except ValidationError as error:
        return None, of_pydantic(layers, error.errors(include_url=False))


def twice(layers: Layers, config: Config) -> Iterator[str]:
    """Report interfaces, listeners and destinations that repeat an earlier one: each would double everything."""
    capture = config.capture
    yield from repeated(layers, ("capture", "interfaces"), capture.interfaces, str)
    yield from repeated(layers, ("capture", "listen"), capture.listen, place_of_socket)
    yield from repeated(layers, ("listen",), config.listen, lambda one: place_of_socket(one.uri))
    for index, one in enumerate(config.listen):
        if place_of_socket(one.uri) in map(place_of_socket, capture.listen):
            yield f"{where(layers, ('listen', index, 'uri'))}: {one} is given twice, here and in capture.listen"
    yield from repeated(layers, ("source",), config.source, lambda one: one.identity())
    for section, kind in KINDS.items():
        yield from repeated(layers, (section,), getattr(config, section), lambda one: one.identity(), kind.noun)


def place_of_socket(address: ListenAddress) -> Hashable:
    """Equal for two that cannot both be opened."""
    return same_place(address.host, address.port, "udp" if address.transport == "udp" else "tcp")


def wrong_oversize(layers: Layers, config: Config) -> Iterator[str]:
    """Report sinks for messages of any length that do not exist or send datagrams, and groups that would not know."""
    sinks = ConfiguredSinks(config)
    for one in sinks:
        wanted = getattr(one.target, "oversize", "")
        path = (one.section, one.number, "oversize")
        if not wanted:
            continue
        to = sinks.called(wanted)
        if to is None:
            names = [name for other in sinks for name in other.names]
            yield f"{wrong(layers, path, wanted, 'the name of a sink')}{nearest(wanted, names)}"
        elif getattr(to.target, "transport", "udp") == "udp":
            yield wrong(layers, path, wanted, "a [[hep]] or [[sip]] over tcp or tls")
        elif group := next((group for group in sinks.groups if group.mask & (one.bit | to.bit)), None):
            member = one if group.mask & one.bit else to
            expected = f"two sinks outside groups ({member.called} is a member of {group.group.name})"
            yield wrong(layers, path, wanted, expected)


def repeated(
    layers: Layers, path: Path, values: Sequence[Any], identity: Callable[[Any], Hashable | None], noun: str = ""
) -> Iterator[str]:
    first: dict[Hashable, int] = {}
    for n, value in enumerate(values):
        same = identity(value)
        if same is not None and first.setdefault(same, n) != n:
            at = (*path, n)
            # A sink that a rule names by its URI has the line of the rule.
            line = where(layers, layers.aliases.get((*at, "default"), at))
            yield f"{line}: {noun or value} is given twice (number {first[same] + 1} and {n + 1})"
