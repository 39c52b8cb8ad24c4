"""Makes the pipeline from the configuration: policy with its hooks and conditions, emission and intake."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from capture_agent.app.decryption import key_store
from capture_agent.app.extensions import Extensions
from capture_agent.config import Config
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.endpoints import AUTO, LocalAddress
from capture_agent.config.spool_options import SpoolSection
from capture_agent.emission.emission import emission
from capture_agent.hooks.guard import Guard, Limits
from capture_agent.hooks.verb_values import SinkNames
from capture_agent.intake.own_traffic import OwnTraffic
from capture_agent.net.own_sockets import SOCKETS
from capture_agent.pipeline import Pipeline
from capture_agent.policy.hooks import Hooks
from capture_agent.policy.policy import Policy
from capture_agent.policy.settings import Settings
from capture_agent.sources.interface_list import local_addresses

if TYPE_CHECKING:
    from capture_agent.intake.unwrapping import Unwrapping

HOOK_FAILED = "the message is traced as if this hook were not there"
CONDITION_FAILED = "the rule does not match"

_log = logging.getLogger(__name__)


def make_pipeline(
    config: Config, extensions: Extensions, sinks: ConfiguredSinks, own: OwnTraffic | None = None
) -> Pipeline:
    policy = make_policy(config, extensions, sinks)
    return Pipeline(
        config.capture,
        policy,
        emission=emission(config),
        correlate=config.correlate,
        own=own,
        metrics=config.named_metrics,
        keys=key_store(config.tls),
        unwrapping=unwrapping(config),
        media=config.media,
    )


def unwrapping(config: Config) -> Unwrapping | None:
    """None if no HEP is to be opened."""
    listeners = [config.listen_options(address) for address in config.listeners if address.kind == "hep"]
    if not listeners and not config.capture.hep_in and not config.kafka_source:
        return None
    from capture_agent.intake.unwrapping import Unwrapping

    keys = {str(one): one.auth_key.encode() for one in listeners if one.auth_key}
    return Unwrapping(keys, os.urandom(8))


def make_policy(config: Config, extensions: Extensions, sinks: ConfiguredSinks) -> Policy:
    settings = Settings.of(config, conditions_of(config, extensions), sinks)
    return Policy(local_sides(config), settings, hooks_of(config, extensions, sinks))


def all_alike(config: Config, extensions: Extensions) -> bool:
    """Whether every sink gets every message."""
    plain = not config.rule and not config.group and not extensions.hooks
    return plain and all(target.default and not getattr(target, "oversize", "") for target in config.targets())


def spools_of(config: Config, sinks: ConfiguredSinks) -> dict[int, SpoolSection]:
    """What of [spool] applies to each sink, by its id."""
    return {one.id: one.target.spool.over(config.spool) for one in sinks}


def own_traffic(config: Config) -> OwnTraffic:
    """Finds packets that this process sent itself, if it captures live."""
    SOCKETS.wanted, SOCKETS.addresses = True, local_addresses
    return OwnTraffic(SOCKETS, [str(address) for address in config.listeners])


def local_sides(config: Config) -> Iterator[LocalAddress]:
    """The configured addresses of the server; `auto` means this host's."""
    for local in config.capture.local:
        if local == AUTO:
            yield from (LocalAddress(ip_network(address)) for address in local_addresses())
        else:
            yield local


def hooks_of(config: Config, extensions: Extensions, sinks: ConfiguredSinks) -> Hooks | None:
    """The hooks, each wrapped in a guard."""
    if not extensions.hooks:
        return None
    limits = limits_of(config)
    guards = [Guard(hook.name, hook.function, limits, HOOK_FAILED) for hook in extensions.hooks]
    names = SinkNames(sinks.names, sinks.defaults, sinks.log_events)
    return Hooks(guards, names, config.trace.dialog_acks)


def conditions_of(config: Config, extensions: Extensions) -> dict[str, Guard]:
    """The functions that `when` in rules names, each wrapped in a guard."""
    limits = limits_of(config)
    return {
        name: Guard(Path(name).name, function, limits, CONDITION_FAILED, answers=True)
        for name, function in extensions.conditions.items()
    }


def limits_of(config: Config) -> Limits:
    """A guard that uses our clock and reports to our log."""
    settings = config.hooks
    return Limits(settings.slow_ms / 1000, settings.failures, time.perf_counter, lambda line: _log.error("%s", line))
