"""Pseudo-variables and keywords of a script, and their names in rules and templates."""

from __future__ import annotations

import re
from dataclasses import dataclass

# By the rule's option for the same text; templates have the same names.
TEXTS = {
    "ru": "request_uri", "rU": "request_user", "rd": "request_host", "fu": "from_uri", "fU": "from_user",
    "fd": "from_host", "tu": "to_uri", "tU": "to_user", "td": "to_host", "ai": "pai_uri",
}  # fmt: skip
HEADERS = {"ua": "User-Agent", "ct": "Contact", "cT": "Content-Type", "ci": "Call-ID"}
TRANSFORMED = {
    ("ru", "uri.host"): "rd", ("ru", "uri.user"): "rU", ("fu", "uri.host"): "fd", ("fu", "uri.user"): "fU",
    ("tu", "uri.host"): "td", ("tu", "uri.user"): "tU",
}  # fmt: skip
# Keywords of the core, whose == ignores case.
KEYWORDS = {
    "uri": "ru", "from_uri": "fu", "to_uri": "tu", "method": "rm", "status": "rs", "src_ip": "si", "dst_ip": "Ri",
    "src_port": "sp", "dst_port": "Rp", "proto": "proto", "to_ip": "sndto(ip)", "to_port": "sndto(port)",
    "snd_ip": "sndfrom(ip)", "snd_port": "sndfrom(port)", "snd_proto": "sndto(proto)", "af": "af",
}  # fmt: skip
SOURCE, DESTINATION = "source", "destination"
RECEIVED = {
    "si": SOURCE, "Ri": DESTINATION, "sp": "source_port", "Rp": "destination_port", "proto": "transport",
    "pr": "transport", "rP": "transport", "af": "family",
}  # fmt: skip
# Where the current message is not the received one.
SENT = {
    "sndto(ip)": DESTINATION, "sndto(port)": "destination_port", "sndto(proto)": "transport", "sndfrom(ip)": SOURCE,
    "sndfrom(port)": "source_port", "sndfrom(proto)": "transport",
}  # fmt: skip
TRACED = {
    f"siptrace({side}_{what})": option
    for side, place in (("src", SOURCE), ("dst", DESTINATION))
    for what, option in {
        "hostip": place, "host": place, "port": f"{place}_port", "proto": "transport",
    }.items()
} | {"siptrace(direction)": "direction"}  # fmt: skip
REQUEST, REPLY, SENDING, EVENT = "request", "reply", "onsend", "event"  # the message that a route sees
PACKET = {REQUEST: RECEIVED, REPLY: RECEIVED, SENDING: SENT, EVENT: TRACED}
# Names in templates of values that rules cannot match.
PARTS = {"rm": "method", "cs": "cseq", "ft": "from_tag", "tt": "to_tag"}
CALL_ID = "call_id"
ANY_OTHER = re.compile(r"\s+")

_HEADER = re.compile(r"hdr\(([A-Za-z0-9.!%*_+`'~-]+)\)")
_PARENTHESES = re.compile(r"\((.*)\)", re.DOTALL)
_AVP = re.compile(r"avp\((?:[sS]:)?([^()$]+)\)")
_INDEX = re.compile(r"\[(\*|-?\d+)\]")


@dataclass(frozen=True, slots=True)
class Variable:
    """The parts of `$(name{transformation})[index]`."""

    name: str
    index: str = ""
    transformation: str = ""


def variable(text: str) -> Variable:
    """The name of `$fU`, `$(avp(s:x)[0])`, `$(ru{uri.host})`; an AVP has one name in all its spellings."""
    body = text.removeprefix("$")
    if (inner := _PARENTHESES.fullmatch(body)) is not None:
        body = inner[1].strip()
    body, brace, transformation = body.partition("{")
    transformation = transformation.removesuffix("}") if brace else ""
    index = ""
    if (found := _INDEX.search(body)) is not None and found.end() == len(body):
        index, body = found[1], body[: found.start()]
    body = ANY_OTHER.sub("", body)
    if (avp := _AVP.fullmatch(body)) is not None:
        body = f"avp({avp[1]})"
    return Variable(body, index, transformation)


def is_stored(name: str) -> bool:
    """Whether it holds a value that the script has assigned."""
    return name.startswith(("avp(", "var(")) or name in ("ru", "rU", "rd", "du")


def plain(given: Variable) -> str:
    """Its name if it is the whole value, or a transformation that is a separate value; otherwise empty."""
    if given.transformation:
        return TRANSFORMED.get((given.name, given.transformation), "") if not given.index else ""
    return given.name if given.index in ("", "0") else ""


def header_of(name: str) -> str:
    """The header whose value a variable has; or empty."""
    if (found := _HEADER.fullmatch(name)) is not None:
        return found[1]
    return HEADERS.get(name, "")


def field_of(name: str, packet: str = REQUEST) -> str:
    """Its name in a template: `from_user`, `header:X-Y`; or empty."""
    if name == "ci":
        return CALL_ID
    if found := TEXTS.get(name) or PARTS.get(name):
        return found
    if name == "rP":
        return ""
    if (option := PACKET[packet].get(name)) and option not in ("family", "direction"):
        return option
    header = header_of(name)
    return f"header:{header}" if header else ""
