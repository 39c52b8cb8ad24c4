"""capture-agent replay: capture files to the sinks."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import INTERRUPTED, Failed, WrongUsage, note
from capture_agent.cli.sending import keeping_books, log_to_stderr, stopping

if TYPE_CHECKING:
    from capture_agent.agent import Agent

STANDARD_INPUT = "-"


def replay(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Capture files; - is standard input.")],
    config: options.ConfigFile = None,
    hep: options.Hep = None,
    sip: options.Sip = None,
    db: options.Database = None,
    trace: options.Trace = None,
    local: options.Local = None,
    speed: Annotated[
        str,
        typer.Option(metavar="max|real|FACTOR", help="As fast as can be, as it was captured, or FACTOR times that."),
    ] = "max",
    loop: Annotated[str, typer.Option(metavar="N", help="Replay everything N times.")] = "1",
) -> None:
    """Read capture files and send the SIP in them to the sinks, then print the books.

    Nothing is lost: a slow sink slows the replay. Ctrl-C sends what is queued and prints the books (status 130).
    """
    said = options.overrides(hep, sip, db, trace_mode=trace, capture_local=local)
    settings, extensions = options.configuration_to_run(config, said)
    factor, rounds = parse_speed(speed), options.positive("--loop", loop)
    check_files(files, rounds)

    from capture_agent import agent as agents

    log_to_stderr(settings)
    agent = agents.Agent(settings, lossless=True, stop=threading.Event(), extensions=extensions)
    with stopping(agent.stop), keeping_books(agent), progress_bar(files, rounds) as on_batch:
        agents.replay(agent, files * rounds, factor, on_batch)
    if not settings.targets():
        note("no sink was given (--hep, --sip, --db): nothing was sent")
    finish(agent)


def finish(agent: Agent) -> None:
    if agent.failure is not None:
        raise Failed(str(agent.failure))
    if agent.stop.is_set():
        raise typer.Exit(INTERRUPTED)


def parse_speed(text: str) -> float | None:
    """None is as fast as can be."""
    if text in ("max", "real"):
        return None if text == "max" else 1.0
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise WrongUsage(f"--speed: value {text!r}, expected max, real or a factor above 0")
    return factor


def check_files(files: list[str], rounds: int) -> None:
    """Before the first one is replayed: the third may be misspelt."""
    for file in files:
        if file != STANDARD_INPUT and not Path(file).exists():
            raise WrongUsage(f"no such file: {file}")
    if STANDARD_INPUT in files and files.count(STANDARD_INPUT) * rounds > 1:
        raise WrongUsage("standard input (-) can be read only once")


def progress_bar(files: list[str], loop: int):  # type: ignore[no-untyped-def]
    """Gives what Agent calls for each batch; nothing where nobody looks."""
    import sys

    if not sys.stderr.isatty():
        return nullcontext()
    from capture_agent.cli.progress import Progress

    return Progress(files, loop)
