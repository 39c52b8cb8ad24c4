"""Checks a libpcap filter without a device."""

from __future__ import annotations

from collections.abc import Iterator

import pcapy

from capture_agent.config import Config
from capture_agent.config.config_errors import wrong
from capture_agent.config.precedence import Layers
from capture_agent.sources.source import MAXIMUM_SNAPSHOT

LINK_TYPES = (1, 113, 105, 12)  # DLT_: Ethernet, Linux cooked, 802.11, raw IP. A filter may fit only some of them.
NAMES = "unknown "  # an unknown host, port or protocol name: another host may know it


def filter_error(bpf: str) -> str:
    """Why no link type accepts this filter; "" if one does."""
    said = ""
    for link_type in LINK_TYPES:
        try:
            pcapy.compile(link_type, MAXIMUM_SNAPSHOT, bpf, 1, 0)
        except (pcapy.PcapError, UnicodeError, ValueError) as error:
            said = said or str(error)
        else:
            return ""
        if said.startswith(NAMES):
            return ""
    return said


def wrong_filter(config: Config, layers: Layers) -> Iterator[str]:
    """The problem of the configuration, if libpcap does not take its filter."""
    if error := filter_error(config.capture.filter):
        yield wrong(layers, ("capture", "filter"), config.capture.filter, "a filter as tcpdump takes it", error)
