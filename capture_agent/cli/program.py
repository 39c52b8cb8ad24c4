"""The list of commands; turns errors of typer into one line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

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
    view,
    web,
)  # fmt: skip
from capture_agent.cli.endings import CommandOver, ended
from capture_agent.cli.failures import DONE, PROGRAM, WrongUsage, say
from capture_agent.config.config_errors import nearest
from capture_agent.config.option_list import alternatives
from capture_agent.config.secrets import MASK

if TYPE_CHECKING:
    from capture_agent.config import Config
    from capture_agent.config.precedence import Layers

_OPTION = re.compile(r"-{0,2}[a-z][a-z-]{0,30}")
_VALUE = re.compile(r"'(.*?)'(?=[\s.:,)]|$)")
_ARGUMENT = re.compile(r" \(.*\)$")  # click: got unexpected extra argument (VALUE)

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


def perform(arguments: list[str]) -> int:
    """Run a command, or answer a shell that asks what can follow. Returns the status."""
    if COMPLETION in os.environ:
        return complete(os.environ[COMPLETION])
    command = typer.main.get_command(app)
    name = command_name(command, arguments)

    def work() -> int:
        with asked(command, arguments) as context:
            command.invoke(context)
        return DONE

    return ended(work, lambda line: say(line, name))


def settings_to_run(arguments: list[str]) -> tuple[Config, Layers]:
    """What `run` with these arguments is to capture with. Raises Failed, ConfigError, CommandOver."""
    command = typer.main.get_command(app)
    with asked(command, arguments) as context:
        settings: tuple[Config, Layers] = command.invoke(context)
    return settings


def complete(instruction: str) -> int:
    """Print what can follow the words that a shell has so far: `instruction` is complete_bash, _zsh or _fish."""
    from typer import completion

    shells: Any = completion  # typer exports none of its functions from there
    shells.completion_init()
    return int(shells.shell_complete(typer.main.get_command(app), {}, PROGRAM, COMPLETION, instruction))


@contextmanager
def asked(command: Any, arguments: list[str]) -> Iterator[Any]:
    """The context to invoke the command in. Raises WrongUsage, CommandOver."""
    try:
        with command.make_context(PROGRAM, arguments) as context:
            yield context
    except typer.Exit as end:
        raise CommandOver(int(end.exit_code)) from None
    except USAGE_ERROR as error:
        raise WrongUsage(usage_line(error)) from None


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
