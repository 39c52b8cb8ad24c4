"""What the `sinks` of a rule name: a configured target by its name, or any target by its URI."""

from __future__ import annotations

import re
from typing import Any

from capture_agent.config.targets import HEP_PORT, SIP_PORT, Target
from capture_agent.config.uris import HEP_TRANSPORTS, hep_fields, sip_fields

DATABASES = ("sqlite", "postgresql", "mysql", "mariadb")
DATABASE_URL = re.compile(rf"({'|'.join(DATABASES)}|postgres)(\+[a-z0-9_]+)?://")
SECTIONS = {"HepTarget": "hep", "SipTarget": "sip", "SqlTarget": "sql", "PackageSink": "sink"}


def taken_apart(text: str) -> tuple[str, dict[str, Any]] | None:
    """The section that a URI belongs to, and the options that it stands for; None for a name. Raises ValueError."""
    scheme = text.partition(":")[0].lower()
    if ":" in text and scheme in HEP_TRANSPORTS:
        return "hep", {"port": HEP_PORT, **hep_fields(text)}
    if ":" in text and scheme in ("sip", "sips"):
        return "sip", {"port": SIP_PORT, "transport": "udp", **sip_fields(text)}
    if DATABASE_URL.match(text):
        return "sql", {"url": text}
    return None


def is_named(target: Target, text: str) -> bool:
    """Does this text stand for the target? A URI does where all that it says holds."""
    found = taken_apart(text)
    if found is None:
        return target.name == text
    section, fields = found
    return SECTIONS[type(target).__name__] == section and all(
        getattr(target, name) == value for name, value in fields.items()
    )
