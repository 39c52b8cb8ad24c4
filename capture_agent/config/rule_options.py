"""[[rule]]: which messages, and how they are traced (masks, templates). [legs]: what links the legs of a call."""

from collections.abc import Collection
from dataclasses import dataclass
from string import Formatter
from typing import Annotated, Final, Literal

from annotated_types import Interval, MinLen

from capture_agent.addresses import Transport
from capture_agent.config.endpoints import Ports
from capture_agent.config.field_types import Parsed, SingleOrList
from capture_agent.config.filter_names import check_message_filter
from capture_agent.config.matchers import (
    CaptureIds,
    Header,
    HeaderPattern,
    Method,
    Place,
    Status,
    Table,
    Text,
    Vlans,
    compiled,
    parse_header,
    parse_header_name,
)

Mask = Literal["authorization", "sdes", "message-body", "users:hash", "users:truncate"]
HASH, TRUNCATE = "users:hash", "users:truncate"
# The fields allowed in braces, in addition to header:NAME.
FIELDS: Final = (
    "call_id", "method", "cseq", "from_tag", "to_tag",
    "from_user", "from_host", "from_uri", "to_user", "to_host", "to_uri", "pai_user", "pai_host", "pai_uri",
    "request_user", "request_host", "request_uri",
    "source", "destination", "source_port", "destination_port", "transport", "interface", "vlan",
)  # fmt: skip
HEADER: Final = "header"


def check_masks(masks: Collection[str]) -> None:
    """Raises ValueError."""
    if HASH in masks and TRUNCATE in masks:
        raise ValueError(f"mask: {HASH} and {TRUNCATE} cannot be combined")


def joined(masks: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """The masks of [privacy] and of a rule; the rule's mask of users replaces the other one."""
    if more and {HASH, TRUNCATE} <= {*masks, *more}:
        masks = tuple(one for one in masks if one not in (HASH, TRUNCATE))
    return tuple(dict.fromkeys((*masks, *more)))


@dataclass(frozen=True, slots=True)
class Part:
    """Literal text, a field of FIELDS, or HEADER with a header name."""

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
        """The whole text, if it has no part of a message."""
        return None if any(part.field for part in self.parts) else "".join(part.text for part in self.parts)


def parse_template(text: str) -> Template:
    """Raises ValueError that names the problem."""
    parts = []
    try:
        pieces = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}; write a literal brace twice") from None
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
    from difflib import get_close_matches  # imported only after a mistake

    written = f"{{{field}{conversion}{':' * bool(spec)}{spec}}}"
    near = get_close_matches(field, [*FIELDS, HEADER], n=1, cutoff=0.6)
    hint = f", did you mean {{{near[0]}{':NAME' * (near[0] == HEADER)}}}?" if near else ""
    raise ValueError(f"unknown part of a message: {written}{hint}")


Templated = Annotated[Template, Parsed(parse_template, 'text, with parts of the message in braces: "{call_id}"')]
NOTHING = Template()


Where = Annotated[str, Parsed(check_message_filter, 'a filter of messages, such as "status >= 400"')]


@dataclass(frozen=True, slots=True)
class Rule:
    """All matchers must match; of a list, one element; of `header`, one for each name. None: every message."""

    name: str = ""
    method: Annotated[tuple[Method, ...], SingleOrList()] = ()  # of a response: the CSeq's
    status: Annotated[tuple[Status, ...], SingleOrList()] = ()
    kind: Annotated[tuple[Literal["request", "response", "initial", "in-dialog"], ...], SingleOrList()] = ()
    request_uri: Annotated[tuple[Text, ...], SingleOrList()] = ()
    request_user: Annotated[tuple[Text, ...], SingleOrList()] = ()
    request_host: Annotated[tuple[Text, ...], SingleOrList()] = ()
    from_uri: Annotated[tuple[Text, ...], SingleOrList()] = ()
    from_user: Annotated[tuple[Text, ...], SingleOrList()] = ()
    from_host: Annotated[tuple[Text, ...], SingleOrList()] = ()
    to_uri: Annotated[tuple[Text, ...], SingleOrList()] = ()
    to_user: Annotated[tuple[Text, ...], SingleOrList()] = ()
    to_host: Annotated[tuple[Text, ...], SingleOrList()] = ()
    pai_uri: Annotated[tuple[Text, ...], SingleOrList()] = ()  # P-Asserted-Identity (RFC 3325)
    pai_user: Annotated[tuple[Text, ...], SingleOrList()] = ()
    pai_host: Annotated[tuple[Text, ...], SingleOrList()] = ()
    header: Annotated[tuple[Header, ...], SingleOrList()] = ()
    source: Annotated[tuple[Place, ...], SingleOrList()] = ()
    destination: Annotated[tuple[Place, ...], SingleOrList()] = ()
    address: Annotated[tuple[Place, ...], SingleOrList()] = ()  # either of them
    source_port: Annotated[tuple[Ports, ...], SingleOrList()] = ()
    destination_port: Annotated[tuple[Ports, ...], SingleOrList()] = ()
    port: Annotated[tuple[Ports, ...], SingleOrList()] = ()
    transport: Annotated[tuple[Transport, ...], SingleOrList()] = ()
    direction: Annotated[tuple[Literal["in", "out"], ...], SingleOrList()] = ()
    interface: Annotated[tuple[str, ...], SingleOrList()] = ()
    vlan: Annotated[tuple[Vlans, ...], SingleOrList()] = ()
    capture_id: Annotated[tuple[CaptureIds, ...], SingleOrList()] = ()  # of the agent that sent it as HEP
    node: Annotated[tuple[Text, ...], SingleOrList()] = ()  # the same agent's name
    where: Where = ""  # a filter of messages: docs/filters.md
    when: Annotated[tuple[Annotated[str, MinLen(1)], ...], SingleOrList()] = ()  # an entry point, or MODULE:FUNCTION
    sample: Annotated[float, Interval(ge=0, le=1)] = 1.0  # of the calls, by Call-ID
    trace: Literal["message", "transaction", "dialog", "none"] = "message"
    sinks: Annotated[tuple[str, ...], SingleOrList()] = ()  # names or URIs; empty: every sink with default = true
    correlation_id: Templated = NOTHING
    users: Annotated[tuple[Templated, ...], SingleOrList()] = ()
    table: Table = ""
    mask: Annotated[tuple[Mask, ...], SingleOrList()] = ()  # in addition to those of [privacy]
    lookback: Annotated[float, Interval(ge=0, le=3600)] = 0.0  # seconds

    def __post_init__(self) -> None:
        if self.trace == "none" and (self.sinks or self.users or self.table or self.correlation_id.text or self.mask):
            raise ValueError(
                'trace = "none" sends nothing: sinks, users, table, correlation_id and mask cannot be combined with it'
            )
        check_masks(self.mask)
        if self.lookback and self.trace not in ("transaction", "dialog"):
            raise ValueError('lookback needs trace = "transaction" or "dialog"')
        if self.status and self.kind and "response" not in self.kind:
            raise ValueError("status with kind = request matches nothing: a request has no status")


def parse_call_id_header(text: str) -> HeaderPattern:
    return HeaderPattern(parse_header_name(text), parse_header(text).value)


def parse_shared(text: str) -> HeaderPattern:
    """A known header, any other header with its whole value, or one with a regular expression that has one group."""
    header = parse_header(text)
    regex = header.value.regex
    if ":" in text and regex is None:
        raise ValueError("expected /regular expression/ after the colon")
    if regex is not None and compiled(regex).groups != 1:
        raise ValueError(f"the regular expression has {compiled(regex).groups} groups, expected 1")
    return header


def parse_suffix(text: str) -> str:
    if not text or len(text) > 64 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a suffix has 1 to 64 printable ASCII characters")
    return text


Suffix = Annotated[str, Parsed(parse_suffix, 'the end of a Call-ID, such as "_b2b-1"')]
OtherCallId = Annotated[HeaderPattern, Parsed(parse_call_id_header, "the name of a header")]
SharedId = Annotated[HeaderPattern, Parsed(parse_shared, '"Name" or "Name: /regular expression with one group/"')]


@dataclass(frozen=True, slots=True)
class Legs:
    """The correlation id of messages to which no rule gives one: off while all three lists are empty."""

    call_id_in: Annotated[tuple[OtherCallId, ...], SingleOrList()] = ()  # headers that hold the other leg's Call-ID
    id_in: Annotated[tuple[SharedId, ...], SingleOrList()] = ()  # headers that hold the same in all legs
    suffixes: Annotated[tuple[Suffix, ...], SingleOrList()] = ()  # "_b2b-1": a Call-ID that is another leg's with it
    remembered: Annotated[int, Interval(ge=100, le=10_000_000)] = 200_000  # Call-IDs

    @property
    def links(self) -> bool:
        """Whether anything links the legs."""
        return bool(self.call_id_in or self.id_in or self.suffixes)
