"""capture-agent status: switches or checks a running agent's tracing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import Failed, WrongUsage
from capture_agent.config.secrets import quotable, quotable_words
from capture_agent.view.text import printable

if TYPE_CHECKING:
    from capture_agent.config import Config

RELOADED_WITHIN = 30.0  # seconds


def status(
    wanted: Annotated[str, typer.Argument(metavar="on|off|check", help="What to do.")],
    control: options.ControlSocket = None,
    config: options.ConfigFile = None,
) -> None:
    """Switch a running agent's tracing on or off, or check it: prints Enabled or Disabled.

    Equals siptrace.status in Kamailio's siptrace; `online` means on. At the next start [trace] on applies again.
    """
    from capture_agent.control import commands
    from capture_agent.control.commands import Fault

    try:
        commands.switch([wanted])  # it is wrong whether an agent is there or not
        answer = asked(config, control, "siptrace.status", wanted)
    except Fault as fault:
        raise WrongUsage(f"{fault.message}: {quotable(wanted)!r}") from None
    print(printable(str(answer)))


def asked(config: Path | None, control: str | None, method: str, *parameters: object) -> object:
    """The answer of the agent of this configuration. Raises Fault, or Failed where no agent answers."""
    from capture_agent.control import client, place

    looked = ""
    try:
        path, looked = address(config, control)
        return client.ask(path, method, parameters)
    except place.ControlError as error:
        raise Failed(quotable_words(f"{error}{looked}")) from None


def reload(control: options.ControlSocket = None, config: options.ConfigFile = None) -> None:
    """Have a running agent read its configuration again, and take all of it over, or nothing.

    Sinks, rules, hooks, masks and interfaces change without losing a packet, and calls that are traced go on as they
    began. Prints the options that have changed and take effect only after a restart.
    """
    from capture_agent.control import client, place
    from capture_agent.control.commands import Fault

    looked = ""
    try:
        path, looked = address(config, control)
        answer = client.ask(path, "reload", [], RELOADED_WITHIN)
    except Fault as fault:
        raise Failed(f"the configuration is not reloaded: {quotable_words(fault.message)}") from None
    except place.ControlError as error:
        raise Failed(quotable_words(f"{error}{looked}")) from None
    options_later = answer.get("restart", []) if isinstance(answer, dict) else []
    print("reloaded" + "".join(f"\n{printable(str(one))}: takes effect after a restart" for one in options_later))


def address(config: Path | None, control: str | None) -> tuple[Path, str]:
    """Where the agent of this configuration listens, and a text that says where it was looked for."""
    return address_of(options.configuration(config, options.overrides(control_socket=control)))


def address_of(settings: Config) -> tuple[Path, str]:
    from capture_agent.control.place import SYSTEM, default_path, where_to_ask

    socket = settings.control.socket
    if not socket:
        raise WrongUsage("control.socket is empty: this agent has no control socket")
    if socket != "auto":
        return Path(socket), ""
    own = default_path(os.environ, os.geteuid())
    places = dict.fromkeys([SYSTEM] if own is None else [own, SYSTEM])
    looked = f" (looked at {' and '.join(map(str, places))}"
    if own is None:
        looked += "; this user has no XDG_RUNTIME_DIR"
    return where_to_ask(os.environ, os.geteuid()), f"{looked}; --control PATH names another)"
