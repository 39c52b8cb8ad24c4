"""The list of commands; turns every error into one line and an exit status."""

from __future__ import annotations

import os
import re
import sys
import traceback
import warnings
from collections.abc import Sequence
from errno import EDQUOT, ENOSPC
from typing import Annotated, Any

import typer

from capture_agent import __version__
from capture_agent.build import flavour
from capture_agent.cli import (
    calls,
    config,
    db,
    decode,
    doctor,
    flow,
    interfaces,
    message_commands,
    replay,
    run,
    save_calls,
    send_events,
    stats,
    status,
    terminal,
    view,
    web,
)  # fmt: skip
from capture_agent.cli.failures import DONE, FAILED, INTERRUPTED, PROGRAM, WRONG_USAGE, Failed, say
from capture_agent.cli.title import hide_secrets
from capture_agent.config.config_errors import ConfigError, nearest
from capture_agent.config.option_list import alternatives
from capture_agent.config.secrets import MASK
from capture_agent.hooks.guard import raised_at

_OPTION = re.compile(r"-{0,2}[a-z][a-z-]{0,30}")
_VALUE = re.compile(r"'(.*?)'(?=[\s.:,)]|$)")
_ARGUMENT = re.compile(r" \(.*\)$")  # click: got unexpected extra argument (VALUE)

FULL = (ENOSPC, EDQUOT)  # the name of the file that standard output goes to
DEBUG = "CAPTURE_AGENT_DEBUG"  # if set, an unexpected error comes with its traceback
COMPLETION = "_CAPTURE_AGENT_COMPLETE"  # a shell asks with it what can follow; tools/completions.py makes its script

# typer exports only BadParameter of click's exceptions; UsageError and ClickException are its base classes.
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name=PROGRAM,
    help="A passive SIP capture agent: from the wire or a capture file to Homer, SIP servers and the sip_trace table.",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(wanted: bool) -> None:
    if wanted:
        print(f"{PROGRAM} {__version__} ({flavour()})")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and the build."),
    ] = False,
) -> None:
    """A passive SIP capture agent: from the wire or a capture file to Homer, SIP servers and the sip_trace table."""


app.command("run", short_help="Capture live and send the SIP to the sinks.")(run.run)
app.command("replay", short_help="Send the SIP in capture files to the sinks.")(replay.replay)
app.command("decode", short_help="Show the SIP in capture files.")(decode.decode)
app.command("calls", short_help="List the calls in capture files or in the table.")(calls.calls)
app.command("flow", short_help="Draw calls as a ladder diagram.")(flow.flow)
app.command("view", short_help="Look at calls on an interactive screen.")(view.view)
app.command("show", short_help="Print the messages of a call.")(message_commands.show)
app.command("diff", short_help="Compare two messages of a call.")(message_commands.diff)
app.command("save", short_help="Write calls to a capture file.")(save_calls.save)
app.command("web", short_help="Show calls as pages in a browser.")(web.web)
app.command("status", short_help="Switch or check a running agent's tracing.")(status.status)
app.command("reload", short_help="Have a running agent read its configuration again.")(status.reload)
app.command("doctor", short_help="Find out why nothing arrives.")(doctor.doctor)
app.command("stats", short_help="Print the figures of a running agent, or of calls.")(stats.stats)
app.command("hlog", short_help="Send a log line to the HEP collectors.")(send_events.hlog)
app.command("trace-msg", short_help="Send a message that was not captured to the HEP collectors.")(
    send_events.trace_msg
)
app.add_typer(db.app, name="db")
app.add_typer(config.app, name="config")
app.command("interfaces", short_help="List this host's interfaces.")(interfaces.interfaces)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Its status: 0 done, 1 failed while running, 2 wrong usage or configuration, 130 interrupted."""
    if COMPLETION in os.environ:
        return complete(os.environ[COMPLETION])
    if arguments is None:
        hide_secrets()
    try:
        return run_command(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        terminal.finish()


def complete(instruction: str) -> int:
    """Print what can follow the words that a shell has so far: `instruction` is complete_bash, _zsh or _fish."""
    from typer import completion

    shells: Any = completion  # typer exports none of its functions from there
    shells.completion_init()
    return int(shells.shell_complete(typer.main.get_command(app), {}, PROGRAM, COMPLETION, instruction))


def run_command(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # decode must not fail in a C locale
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # warnings of libraries are for developers, not for users
    name = command_name(command, arguments)
    try:
        status = invoked(command, arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return without_reader()
    except OSError as error:
        if error.errno not in FULL:
            return explain(error, name)
        without_reader()
        say(f"the output cannot be written: {os.strerror(error.errno).lower()}", name)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return explain(error, name)


def invoked(command: Any, arguments: list[str]) -> int:
    try:
        with command.make_context(PROGRAM, arguments) as context:
            command.invoke(context)
    except typer.Exit as end:
        return int(end.exit_code)
    return DONE


def explain(error: Exception, command: str) -> int:
    """Tell the user, and return the status."""
    if isinstance(error, Failed):
        say(str(error), command)
        return error.status
    if isinstance(error, ConfigError):
        for problem in error.problems:
            say(problem, command)
        return WRONG_USAGE
    if isinstance(error, USAGE_ERROR):
        say(usage_line(error), command)
        return WRONG_USAGE
    if (status := status_of_stage(error)) is not None:
        say(str(error), command)
        return status
    # Without the exception's text, which may repeat a secret.
    say(f"unexpected {type(error).__name__}{raised_at(error)} (a bug: {DEBUG}=1 shows where)", command)
    if os.environ.get(DEBUG):
        for line in traceback.format_tb(error.__traceback__):
            print(line, end="", file=sys.stderr)
    return FAILED


def status_of_stage(error: Exception) -> int | None:
    """The errors of sources and sinks, which are lines for the user already."""
    stages = sys.modules  # a module that was never imported cannot have raised
    source = stages.get("capture_agent.sources.source")
    if source is not None and isinstance(error, source.SourceError):
        return WRONG_USAGE if error.usage else FAILED
    sink = stages.get("capture_agent.sinks.sink")
    if sink is not None and isinstance(error, sink.SinkError):
        return FAILED
    return None


def usage_line(error: Any) -> str:
    """click's messages in our form: `no such option: --sped, did you mean --speed?`"""
    text = " ".join(str(error.format_message()).split()).rstrip(".")
    text = text[:1].lower() + text[1:]
    command = error.ctx.command if error.ctx else None
    if text.startswith("no such option"):
        known = [option for parameter in command.params for option in parameter.opts] if command else []
        name = error.option_name if _OPTION.fullmatch(error.option_name) else MASK
        return f"no such option: {name}{nearest(error.option_name, known)}"
    commands = getattr(command, "commands", {})
    text, _, guess = text.partition(". Did you mean ")
    if not text.startswith("missing"):  # a missing argument has no value, and its name may be FILE
        text = _ARGUMENT.sub("", _VALUE.sub(shown_value, text))
    if guess:
        return f"{text}, did you mean {guess}"
    if "command" in text and commands:
        return f"{text}, expected {alternatives(list(commands))}"
    return text


def shown_value(match: re.Match[str]) -> str:
    """What click quotes: an option's or a command's name, or a value, which may be a misplaced URL with a secret."""
    return match[0] if _OPTION.fullmatch(match[1]) else f"'{MASK}'"


def command_name(command: Any, arguments: Sequence[str]) -> str:
    """`replay`, `db create`: the command's name, as far as the arguments contain it."""
    names: list[str] = []
    for argument in arguments:
        known = getattr(command, "commands", {})
        if argument in known:
            names.append(argument)
            command = known[argument]
    return " ".join(names)


def open_closed_streams() -> None:
    """Replace a closed stream, as in `capture-agent decode x.pcap >&-`: Python sets it to None, and libraries fail."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - for as long as the program runs


def without_reader() -> int:
    """`capture-agent decode x.pcap | head`: the reader has closed the pipe."""
    # Buffered output would raise again when the interpreter closes the stream.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE
