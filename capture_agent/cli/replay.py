"""capture-agent replay: sends capture files to the sinks."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import FAILED, INTERRUPTED, WrongUsage, say
from capture_agent.cli.logs import log_to_stderr
from capture_agent.cli.looking import message_filter
from capture_agent.cli.sending import keeping_books, stopping
from capture_agent.cli.user_code import user_code
from capture_agent.config.load import load_layers
from capture_agent.config.secrets import quotable

if TYPE_CHECKING:
    from capture_agent.app.agent import Agent


def replay(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Capture files, or spools; - is standard input.")],
    config: options.ConfigFile = None,
    hep: options.Hep = None,
    sip: options.Sip = None,
    db: options.Databases = None,
    trace: options.Trace = None,
    local: options.Local = None,
    port: options.Ports = None,
    drop_copies: options.DropCopies = False,
    key_log: options.KeyLog = None,
    hep_in: options.HepIn = False,
    speed: Annotated[
        str,
        typer.Option(
            metavar="max|real|FACTOR", help="As fast as possible, at the captured speed, or FACTOR times that."
        ),
    ] = "max",
    max_gap: Annotated[
        str,
        typer.Option(metavar="SECONDS", help="With --speed real or FACTOR: shorten longer gaps to this."),
    ] = "3600",
    now: Annotated[
        bool, typer.Option("--now", help="Shift timestamps so that the capture begins now, for Homer for example.")
    ] = False,
    where: Annotated[
        str | None, typer.Option("--where", metavar="MESSAGE-FILTER", help="Only messages that match.")
    ] = None,
    loop: Annotated[str, typer.Option(metavar="N", help="Replay everything N times.")] = "1",
) -> None:
    """Read capture files and send the SIP in them to the sinks, then print the books.

    Nothing is lost: a slow sink slows the replay. Ctrl-C sends queued messages and prints the books (status 130).
    """
    said = options.overrides(
        hep,
        sip,
        db,
        trace_mode=trace,
        capture_local=local,
        capture_ports=port,
        capture_drop_copies=drop_copies,
        tls_key_log=key_log,
        capture_hep_in=hep_in,
    )
    wanted = message_filter(where)
    settings, layers = load_layers(config, os.environ, said)
    extensions = user_code(settings, layers)
    factor, rounds = parse_speed(speed), options.positive("--loop", loop)
    longest_gap = options.positive("--max-gap", max_gap)
    options.check_files(files, rounds)
    if not settings.targets():
        from capture_agent.config.option_list import ways_to_give_a_sink

        raise WrongUsage(f"no sink: give {ways_to_give_a_sink()}; `decode` only shows a file's messages")

    from capture_agent.app.agent import Agent
    from capture_agent.app.replaying import replay as replay_files
    from capture_agent.sources.pacing import Pace, Shift

    pace = Pace(factor, longest_gap) if factor else None
    log_to_stderr(settings)
    agent = Agent(settings, lossless=True, stop=threading.Event(), extensions=extensions)
    if wanted is not None:
        agent.pipeline.want(wanted)
    damages: list[Exception] = []
    try:
        with stopping(agent.stop, agent.stop.set), keeping_books(agent), progress_bar(files, rounds) as on_batch:
            replay_files(agent, files, rounds, pace, Shift() if now else None, on_batch, damages.append)
    finally:
        failures = say_failures(agent, damages)
    if failures:
        raise typer.Exit(FAILED)
    if agent.stop.is_set():
        raise typer.Exit(INTERRUPTED)


def say_failures(agent: Agent, damages: Iterable[Exception]) -> int:
    """Write a line for each failure. Returns how many there were."""
    lines = list(dict.fromkeys([*map(str, damages), *agent.routes.failures()]))  # --loop meets the same damage again
    for line in lines:
        say(line, "replay")
    return len(lines)


def parse_speed(text: str) -> float | None:
    """The pace; None is as fast as possible."""
    if text in ("max", "real"):
        return None if text == "max" else 1.0
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise WrongUsage(f"--speed: value {quotable(text)!r}, expected max, real or a factor above 0")
    return factor


def progress_bar(files: list[str], loop: int):  # type: ignore[no-untyped-def]
    """The function that Agent calls with each batch; None if nobody would see a bar."""
    import sys

    if not sys.stderr.isatty():
        return nullcontext()
    from capture_agent.cli.progress import Progress

    return Progress(files, loop)
