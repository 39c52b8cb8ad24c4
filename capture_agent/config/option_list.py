"""Every option, derived from the dataclasses of sections.py: its type in words, default and environment name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Interval

from capture_agent.config.field_types import Parsed, SingleOrList
from capture_agent.config.sections import KINDS, Config

ENVIRONMENT = "CAPTURE_AGENT_"

# Options that nothing may show; each can also be read from the file that <name>_file names.
SECRETS = {
    ("privacy", "hash_key"),
    ("http", "token"),
    ("tls", "keys_password"),
    ("listen", "auth_key"),
    ("kafka_source", "password"),
    *((section, name) for section, kind in KINDS.items() for name in kind.secrets),
}

# Options that may hold a secret, if only in a wrong value: no message quotes them.
HIDDEN = SECRETS | {
    *((section, f"{name}_file") for section, name in SECRETS),
    *((section, "uri") for section, kind in KINDS.items() if kind.uri),
    *((section, name) for section, kind in KINDS.items() for name in kind.hidden),
    ("capture", "listen"),
    ("listen", "uri"),
    ("rule", "sinks"),
    ("group", "members"),
    ("source", "options"),
}

# The option of the command line that sets an option of the file.
COMMAND_LINE = {
    "capture.interfaces": "--interface",
    "capture.filter": "--filter",
    "capture.local": "--local",
    "capture.ports": "--port",
    "capture.drop_copies": "--drop-copies",
    "capture.listen": "--listen",
    "capture.hep_in": "--hep-in",
    **{f"kafka_source.{name}": "--listen" for name in ("brokers", "topic", "group")},
    "trace.mode": "--trace",
    "control.socket": "--control",
    "http.listen": "--http",
    "run.user": "--user",
    **{f"{section}.{name}": said for section, kind in KINDS.items() for name, said in kind.command_line.items()},
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a section. `repeated`: its section is a list of tables, [[section]]."""

    section: str
    name: str
    annotation: Any
    default: Any = None  # None: no default; it must be given, or another option replaces it
    repeated: bool = False

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def secret(self) -> bool:
        return (self.section, self.name) in SECRETS

    @property
    def hidden(self) -> bool:
        return (self.section, self.name) in HIDDEN

    @property
    def environment(self) -> str:
        number = "N__" if self.repeated else ""
        return f"{ENVIRONMENT}{self.section.upper()}__{number}{self.name.upper()}"

    @property
    def expected(self) -> str:
        return in_words(self.annotation)


@cache
def sections() -> Mapping[str, bool]:
    """The sections' names, and whether each is a list of tables."""
    return {name: get_origin(hint) is tuple for name, hint in get_type_hints(Config).items()}


@cache
def options() -> Mapping[tuple[str, str], Option]:
    """All options, in the order of the file, by section and name."""
    return {(option.section, option.name): option for option in every_option()}


def every_option() -> Iterator[Option]:
    for section, hint in get_type_hints(Config).items():
        repeated = sections()[section]
        kind = get_args(hint)[0] if repeated else hint
        if section in KINDS and KINDS[section].uri:
            yield Option(section, "uri", str, repeated=True)
        hints = get_type_hints(kind, include_extras=True)
        for field in fields(kind):
            yield Option(section, field.name, hints[field.name], default(field), repeated)
            if (section, field.name) in SECRETS:
                yield Option(section, f"{field.name}_file", str, repeated=repeated)


def element(annotation: Any) -> Any:
    """The type of a list's elements."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return get_args(annotation)[0]


def default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None if field.default is MISSING else field.default


def in_words(annotation: Any) -> str:
    """Describes the values of this type, for error messages and the documentation."""
    if get_origin(annotation) is Annotated:
        kind, *constraints = get_args(annotation)
        return constrained(kind, constraints)
    if get_origin(annotation) is Literal:
        return alternatives([repr(value).replace("'", '"') for value in get_args(annotation)])
    if get_origin(annotation) is dict or is_dataclass(annotation):
        return "a table"
    if get_origin(annotation) is tuple:
        return f"a list, each {in_words(get_args(annotation)[0])}"
    if isinstance(annotation, UnionType):
        return alternatives([in_words(kind) for kind in get_args(annotation)])
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[annotation]


def constrained(kind: Any, constraints: list[Any]) -> str:
    for constraint in constraints:
        if isinstance(constraint, Parsed):
            return constraint.expected
        if isinstance(constraint, SingleOrList):
            return f"{in_words(get_args(kind)[0])}, or a list"
        if isinstance(constraint, Interval):
            return f"{in_words(kind)} from {constraint.ge} to {constraint.le}"
    return f"{in_words(kind)} that is not empty"  # MinLen(1)


def alternatives(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def ways_to_give_a_sink() -> str:
    """`--hep, --sip or --db, or [[hep]], [[sip]], [[sql]], ... or [[sink]] in the configuration`"""
    said = [next(iter(kind.command_line.values())) for kind in KINDS.values() if kind.command_line]
    return f"{alternatives(said)}, or {alternatives([f'[[{section}]]' for section in KINDS])} in the configuration"
