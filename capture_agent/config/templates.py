"""Texts that contain parts of a message: `{call_id}-abc`."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter
from typing import Annotated, Final

from capture_agent.config.local import Parsed
from capture_agent.config.matchers import parse_header_name

# What can stand in braces, beside header:NAME.
FIELDS: Final = (
    "call_id", "method", "cseq", "from_tag", "to_tag",
    "from_user", "from_host", "from_uri", "to_user", "to_host", "to_uri", "pai_user", "pai_host", "pai_uri",
    "request_user", "request_host", "request_uri",
    "source", "destination", "source_port", "destination_port", "transport", "interface", "vlan",
)  # fmt: skip
HEADER: Final = "header"


@dataclass(frozen=True, slots=True)
class Part:
    """Text as it is, or a field of FIELDS, or HEADER with the name of one."""

    text: str = ""
    field: str = ""
    header: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    text: str = ""
    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return self.text

    @property
    def constant(self) -> str | None:
        """The whole text, where no message has a part in it."""
        return None if any(part.field for part in self.parts) else "".join(part.text for part in self.parts)


def parse_template(text: str) -> Template:
    """Raises ValueError with what is wrong."""
    parts = []
    try:
        pieces = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}; a brace itself is written twice") from None
    for literal, field, spec, conversion in pieces:
        if literal:
            parts.append(Part(literal))
        if field is not None:
            parts.append(parse_field(field, f"!{conversion}" if conversion else "", spec or ""))
    return Template(text, tuple(parts))


def parse_field(field: str, conversion: str, spec: str) -> Part:
    if field == HEADER and spec:
        return Part(field=HEADER, header=parse_header_name(spec + conversion))
    if field in FIELDS and not spec and not conversion:
        return Part(field=field)
    from difflib import get_close_matches  # only who has made a mistake pays for it

    written = f"{{{field}{conversion}{':' * bool(spec)}{spec}}}"
    near = get_close_matches(field, [*FIELDS, HEADER], n=1, cutoff=0.6)
    hint = f", did you mean {{{near[0]}{':NAME' * (near[0] == HEADER)}}}?" if near else ""
    raise ValueError(f"no such part of a message: {written}{hint}")


Templated = Annotated[Template, Parsed(parse_template, 'text, with parts of the message in braces: "{call_id}"')]
