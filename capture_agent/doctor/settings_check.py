"""The configuration, as `capture-agent config check` and `run` see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from capture_agent.app import decryption
from capture_agent.app.interface_keeper import check_interfaces
from capture_agent.config import Config
from capture_agent.config.config_errors import in_order
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.option_list import ways_to_give_a_sink
from capture_agent.config.targets import HepTarget, SipTarget
from capture_agent.doctor.finding import Finding, broken, ok, warning
from capture_agent.sinks.checks import not_ready, unusable
from capture_agent.sources.bpf import wrong_filter
from capture_agent.sources.source import SourceError

if TYPE_CHECKING:
    from capture_agent.doctor.case import Case

TO_DO = "correct this line; `capture-agent config check` checks the file again"


def not_loaded(problems: list[str]) -> list[Finding]:
    """Of a configuration that cannot be used at all."""
    return [broken(problem, TO_DO, check="configuration") for problem in problems]


def usable(case: Case) -> Iterator[Finding]:
    config, layers = case.config, case.layers
    problems = in_order(
        [
            *wrong_filter(config, layers),
            *unusable(config, layers),
            *decryption.unusable(config, layers),
            *not_ready(config, layers),
        ]
    )
    for problem in problems:
        yield broken(problem, TO_DO)
    try:
        check_interfaces(config.capture.interfaces)
    except SourceError as error:
        yield broken(str(error), "leave one of them out")
    if not config.captures:
        yield broken(
            "nothing to capture: no interface, no listen address and no source",
            "give -i IFACE, or capture.interfaces in the configuration; `capture-agent interfaces` lists them",
        )
    elif not config.targets() and layers.file is not None:
        yield broken("no destination", f"give {ways_to_give_a_sink()}")
    elif not problems:
        sinks = ", ".join(map(str, config.targets())) or "no destination (none was given)"
        yield ok(f"{layers.file or 'command line and environment'}: correct; {sinks}")
        yield from of_groups(config)


def of_groups(config: Config) -> Iterator[Finding]:
    """Their members; and those whose outage nobody would see."""
    sinks = ConfiguredSinks(config)
    targets = {sink.id: sink.target for sink in sinks}
    for one in sinks.groups:
        members = [targets[id_] for id_ in one.members]
        yield ok(f"{one.group.mode} of {', '.join(map(str, members))}", f"group {one.group.name}")
        blind = [str(one) for one in members if isinstance(one, HepTarget | SipTarget) and one.transport == "udp"]
        if blind and one.group.mode != "mirror":
            yield warning(
                f"over UDP the agent does not see that a receiver is down: {', '.join(blind)}",
                "use tcp or tls for members of failover and hash",
                f"group {one.group.name}",
            )
