"""Captures live: opens the interfaces, sockets and sources of the configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from capture_agent.app.agent import Agent, OnBatch
from capture_agent.app.interface_keeper import InterfaceKeeper
from capture_agent.config import Capture, Config
from capture_agent.config.uris import ListenAddress
from capture_agent.net.own_sockets import SOCKETS
from capture_agent.packet.port_filter import expression, moves_offsets
from capture_agent.sources.interface_list import ANY
from capture_agent.sources.live import LiveInterface
from capture_agent.sources.sip_listener import Listener, open_listener
from capture_agent.sources.source import Source

if TYPE_CHECKING:
    from capture_agent.config.kafka_options import KafkaSourceSection
    from capture_agent.sources.kafka_source import KafkaSource

_log = logging.getLogger(__name__)


def capture_filter(capture: Capture, link_type: int, media: str = "") -> str:
    """The filter for libpcap: the user's filter combined with the list of ports."""
    ports = expression(capture.ports, link_type, capture.esp_null, media) if capture.ports else ""
    if ports and capture.filter:
        # Keywords such as `vlan` shift every offset after them, so our part would test other bytes: then
        # ports are checked only after capture.
        return capture.filter if moves_offsets(capture.filter) else f"({capture.filter}) and ({ports})"
    return ports or capture.filter


def warn_of_any(capture: Capture) -> None:
    others = [name for name in capture.interfaces if name != ANY]
    if ANY in capture.interfaces and others and not capture.drop_copies:
        _log.warning("any includes %s: each packet is captured twice (capture.drop_copies keeps one copy)", others[0])


def run(agent: Agent, on_ready: Callable[[], None] | None = None, on_batch: OnBatch | None = None) -> None:
    """Capture from the configured interfaces, sockets and sources until agent.stop is set. Raises SourceError."""
    capture = agent.config.capture
    sources: list[Source] = []
    if capture.interfaces:
        open_it = partial(open_interface, capture, agent.config.media.on_any_port)
        agent.keeper = InterfaceKeeper(capture.interfaces, open_it, agent.has_opened)
        sources += agent.keeper.open_all(capture.wait_for_interfaces)
    sources += [open_socket(agent.config, address, agent.routes.has_room) for address in agent.config.listeners]
    sources += [open_topic(one, agent.routes.is_safe, agent.routes.has_room) for one in agent.config.kafka_source]
    sources += agent.extensions.sources
    if agent.key_logs is not None:
        agent.key_logs.open()
    SOCKETS.look()
    if on_ready is not None:
        on_ready()
    if agent.keeper is not None:
        agent.keeper.start()  # not before: its thread opens interfaces, and has the capabilities that remain
    warn_of_any(capture)
    agent.drain(sources, on_batch=on_batch)


def open_socket(config: Config, address: ListenAddress, has_room: Callable[[], bool] | None = None) -> Listener:
    """For SIP duplicates, or HEP. Raises SourceError."""
    if address.kind == "sip":
        return open_listener(address, config.capture.buffer_mib)
    from capture_agent.sources.hep_listener import open_hep_listener

    return open_hep_listener(config.listen_options(address), config.capture.buffer_mib, has_room)


def open_topic(options: KafkaSourceSection, is_safe: Callable[[], bool], has_room: Callable[[], bool]) -> KafkaSource:
    """Raises SourceError."""
    from capture_agent.sources.kafka_source import KafkaSource

    return KafkaSource(options, is_safe, has_room)


def open_interface(capture: Capture, media: str, name: str) -> LiveInterface:
    return LiveInterface(
        name,
        bpf=partial(capture_filter, capture, media=media),
        snapshot_length=capture.snapshot_length,
        promiscuous=capture.promiscuous,
        buffer_mib=capture.buffer_mib,
        own=SOCKETS,
    )
