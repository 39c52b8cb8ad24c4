"""capture-agent hlog and trace-msg: send messages that were never captured to HEP collectors."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import Failed, WrongUsage, note
from capture_agent.config.secrets import quotable, reason_for
from capture_agent.os_errors import in_words

if TYPE_CHECKING:
    from capture_agent.config import Config
    from capture_agent.config.targets import HepTarget
    from capture_agent.events import Place
    from capture_agent.records.traced import TracedMessage
    from capture_agent.sinks.hep.hep_sink import HepSink

STANDARD_INPUT = "-"
MOST = 65_536  # bytes to read: more than any packet holds
REFUSAL = 0.05  # seconds that a collector's host has to answer that the port is closed

CorrelationId = Annotated[
    str, typer.Option("--correlation-id", metavar="ID", help="Correlation id, usually a Call-ID. [default: none]")
]


def hlog(
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="The text.")],
    correlation_id: CorrelationId = "",
    hep: options.Hep = None,
    config: options.ConfigFile = None,
) -> None:
    """Send a log line to the HEP collectors, such as Homer: HEP3, type 100, like siptrace's hlog().

    Homer shows the line with the call whose Call-ID is the correlation id, and drops a line without one.
    """
    settings = options.configuration(config, options.overrides(hep))
    if not message:
        raise WrongUsage("MESSAGE is empty, expected a text")

    from capture_agent.events import log_event

    deliver(log_event(encoded(message), time.time_ns(), encoded(correlation_id)), settings)
    if not correlation_id:
        note("no --correlation-id: Homer drops a log line without one")


def trace_msg(
    source: Annotated[str, typer.Option("--from", metavar="PROTO:IP:PORT", help="Where the message came from.")],
    destination: Annotated[str, typer.Option("--to", metavar="PROTO:IP:PORT", help="Where it went.")],
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="File with the message; - is standard input.")] = "-",
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="URI", help="HEP collector to use instead of the configured ones."),
    ] = None,
    correlation_id: CorrelationId = "",
    config: options.ConfigFile = None,
) -> None:
    """Send a message that was not captured to the HEP collectors, like siptrace's sip_trace_msg()."""
    settings = addressed(config, address)
    seen_from, seen_to = place("--from", source), place("--to", destination)
    message = contents(file)

    from capture_agent.events import message_event

    try:
        event = message_event(message, seen_from, seen_to, time.time_ns(), encoded(correlation_id))
    except ValueError as error:
        raise WrongUsage(f"--from and --to: {error}") from None
    deliver(event, settings)


def addressed(config: Path | None, address: str | None) -> Config:
    """Raises ConfigError."""
    from capture_agent.config import ConfigError

    try:
        return options.configuration(config, options.overrides([address] if address is not None else None))
    except ConfigError as error:
        raise ConfigError(problem.replace("--hep:", "--address:", 1) for problem in error.problems) from None


def place(option: str, text: str) -> Place:
    from capture_agent.events import PLACE, parse_place

    try:
        return parse_place(text)
    except ValueError as error:
        raise WrongUsage(f"{option}: value {quotable(text)!r}, expected {PLACE}{reason_for(text, error)}") from None


def contents(file: str) -> bytes:
    try:
        if file == STANDARD_INPUT:
            message = sys.stdin.buffer.read(MOST)
        else:
            with Path(file).open("rb") as opened:
                message = opened.read(MOST)
    except FileNotFoundError:
        raise WrongUsage(f"no such file: {quotable(file)}") from None
    except OSError as error:
        raise WrongUsage(f"{quotable(file)}: cannot be read: {in_words(error)}") from None
    if not message:
        raise WrongUsage(f"{file}: empty, expected a message")
    return message


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def deliver(event: TracedMessage, settings: Config) -> None:
    """Send to every collector that is a default sink, or that a default group chooses. Raises Failed after all have
    been tried.
    """
    wanted = list(collectors(event, settings))
    if not wanted:
        raise WrongUsage("no HEP collector: give its URI, or --config FILE with a [[hep]] section")
    problems = [problem for targets in wanted if (problem := sent_to_one(targets, event))]
    if problems:
        raise Failed("; ".join(problems))


def collectors(event: TracedMessage, settings: Config) -> Iterator[list[HepTarget]]:
    """Each is a list of collectors of which one gets the event: the first that is up."""
    from capture_agent.config.configured_sinks import ConfiguredSinks
    from capture_agent.config.targets import HepTarget
    from capture_agent.delivery.rendezvous import hashed, score
    from capture_agent.records.call_key import call_key

    sinks = ConfiguredSinks(settings)
    hep = {sink.id: sink.target for sink in sinks if isinstance(sink.target, HepTarget)}
    yield from ([hep[sink.id]] for sink in sinks if sink.id in hep and sinks.is_default(sink))
    for one in sinks.groups:
        members = [id_ for id_ in one.members if id_ in hep]
        if not members or not one.group.default:
            continue
        if one.group.mode == "mirror":
            yield from ([hep[id_]] for id_ in members)
            continue
        if one.group.mode == "hash":
            seed = one.group.seed.encode()
            call = hashed(call_key(event, one.group.key == "leg"), seed)
            scores = {id_: score(call, hashed(text.encode(), seed)) for id_, text in one.members.items()}
            members.sort(key=scores.__getitem__, reverse=True)
        yield [hep[id_] for id_ in members]


def sent_to_one(targets: list[HepTarget], event: TracedMessage) -> str:
    """What went wrong with the last one, or an empty string."""
    from capture_agent.sinks.hep.hep_sink import HepSink

    problem = ""
    for target in targets:
        problem = sent(HepSink(target), target, event)
        if not problem:
            break
    return problem


def sent(sink: HepSink, target: HepTarget, event: TracedMessage) -> str:
    """What went wrong, or an empty string."""
    from capture_agent.net.sink_errors import SinkError

    try:
        sink.send([event])
        if target.transport == "udp":
            time.sleep(REFUSAL)
        sink.flush()
    except SinkError as error:
        return str(error)
    finally:
        sink.close()
    if sink.rejected:
        return f"{target}: longer than a packet can be"
    return f"{target}: connection refused" if sink.lost else ""
