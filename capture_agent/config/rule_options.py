"""[[rule]]: which messages, and how they are traced. [legs]: what links the legs of a call."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, MinLen

from capture_agent.config.local import Parsed
from capture_agent.config.masks import Mask, check_masks
from capture_agent.config.matchers import (
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
from capture_agent.config.ports import Ports
from capture_agent.config.single_or_list import Several
from capture_agent.config.templates import Template, Templated

# Headers whose value we can read without being told how.
KNOWN_SHARED = ("p-charging-vector", "session-id")

NOTHING = Template()


@dataclass(frozen=True, slots=True)
class Rule:
    """All matchers must hold; of a matcher's list, one; of `header`, one for each name. Without any: every message."""

    name: str = ""
    method: Annotated[tuple[Method, ...], Several()] = ()  # of a response: the CSeq's
    status: Annotated[tuple[Status, ...], Several()] = ()
    kind: Annotated[tuple[Literal["request", "response", "initial", "in-dialog"], ...], Several()] = ()
    request_uri: Annotated[tuple[Text, ...], Several()] = ()
    request_user: Annotated[tuple[Text, ...], Several()] = ()
    request_host: Annotated[tuple[Text, ...], Several()] = ()
    from_uri: Annotated[tuple[Text, ...], Several()] = ()
    from_user: Annotated[tuple[Text, ...], Several()] = ()
    from_host: Annotated[tuple[Text, ...], Several()] = ()
    to_uri: Annotated[tuple[Text, ...], Several()] = ()
    to_user: Annotated[tuple[Text, ...], Several()] = ()
    to_host: Annotated[tuple[Text, ...], Several()] = ()
    pai_uri: Annotated[tuple[Text, ...], Several()] = ()  # P-Asserted-Identity (RFC 3325)
    pai_user: Annotated[tuple[Text, ...], Several()] = ()
    pai_host: Annotated[tuple[Text, ...], Several()] = ()
    header: Annotated[tuple[Header, ...], Several()] = ()
    source: Annotated[tuple[Place, ...], Several()] = ()
    destination: Annotated[tuple[Place, ...], Several()] = ()
    address: Annotated[tuple[Place, ...], Several()] = ()  # either of them
    source_port: Annotated[tuple[Ports, ...], Several()] = ()
    destination_port: Annotated[tuple[Ports, ...], Several()] = ()
    port: Annotated[tuple[Ports, ...], Several()] = ()
    transport: Annotated[tuple[Literal["udp", "tcp", "tls", "sctp", "ws", "wss"], ...], Several()] = ()
    direction: Annotated[tuple[Literal["in", "out"], ...], Several()] = ()
    interface: Annotated[tuple[str, ...], Several()] = ()
    vlan: Annotated[tuple[Vlans, ...], Several()] = ()
    when: Annotated[tuple[Annotated[str, MinLen(1)], ...], Several()] = ()  # code: an entry point, or MODULE:FUNCTION
    sample: Annotated[float, Interval(ge=0, le=1)] = 1.0  # of the calls, by Call-ID
    trace: Literal["message", "transaction", "dialog", "none"] = "message"
    sinks: Annotated[tuple[str, ...], Several()] = ()  # names or URIs; none: those with default = true
    correlation_id: Templated = NOTHING
    users: Annotated[tuple[Templated, ...], Several()] = ()
    table: Table = ""
    mask: Annotated[tuple[Mask, ...], Several()] = ()  # besides those of [privacy]
    lookback: Annotated[float, Interval(ge=0, le=3600)] = 0.0  # seconds

    def __post_init__(self) -> None:
        if self.trace == "none" and (self.sinks or self.users or self.table or self.correlation_id.text or self.mask):
            raise ValueError(
                'trace = "none" sends nothing: sinks, users, table, correlation_id and mask have no meaning'
            )
        check_masks(self.mask)
        if self.lookback and self.trace not in ("transaction", "dialog"):
            raise ValueError('lookback is for trace = "transaction" or "dialog": what came before in the same one')
        if self.status and self.kind and "response" not in self.kind:
            raise ValueError("a request has no status: this rule matches nothing")


def parse_call_id_header(text: str) -> HeaderPattern:
    return HeaderPattern(parse_header_name(text), parse_header(text).value)


def parse_shared(text: str) -> HeaderPattern:
    """A header that we know, any other for its whole value, or with a regular expression that has one group."""
    header = parse_header(text)
    regex = header.value.regex
    if ":" in text and regex is None:
        raise ValueError("behind the colon stands a regular expression between slashes")
    if regex is not None and compiled(regex).groups != 1:
        raise ValueError(f"the regular expression has {compiled(regex).groups} groups, not 1")
    return header


OtherCallId = Annotated[HeaderPattern, Parsed(parse_call_id_header, "the name of a header")]
SharedId = Annotated[HeaderPattern, Parsed(parse_shared, '"Name" or "Name: /regular expression with one group/"')]


@dataclass(frozen=True, slots=True)
class Legs:
    """The correlation id of what no rule gives one: off while both lists are empty."""

    call_id_in: Annotated[tuple[OtherCallId, ...], Several()] = ()  # headers that hold the other leg's Call-ID
    id_in: Annotated[tuple[SharedId, ...], Several()] = ()  # headers that hold the same in all legs
    remembered: Annotated[int, Interval(ge=100, le=10_000_000)] = 200_000  # Call-IDs
