"""capture-agent config: checks, shows or converts the configuration."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import WRONG_USAGE, Failed, WrongUsage, note
from capture_agent.cli.user_code import check_sinks

File = Annotated[Path | None, typer.Argument(metavar="FILE", help="The configuration, a TOML file, as --config FILE.")]
# Every kamailio.cfg has one of these at the beginning of a line.
_KAMAILIO = re.compile(
    rb"^[ \t]*(?:(?:#!|!!)[A-Za-z]|loadmodule\b|loadpath\b|modparam\b|(?:\w+_)?route\b|listen\s*="
    rb"|(?:include|import)_file\b)",
    re.MULTILINE,
)

app = typer.Typer(help="Check, show or convert the configuration.", no_args_is_help=False)


@app.callback()
def config() -> None:
    """Check, show or convert the configuration."""


@app.command()
def check(
    file: File = None,
    config: options.ConfigFile = None,
) -> None:
    """Say that a file is OK, or list everything that is wrong with it (status 2). The environment counts, too.

    Hooks and packages that it names are loaded, as run does. Files are checked as this user: certificates, drivers,
    SQLite files and the folder of the control socket. Interfaces and servers are not: they may be on another host.
    """
    from capture_agent.config import ConfigError

    path = options.one_file(file, config)
    if path is None:
        raise WrongUsage("missing argument 'FILE'")
    try:
        settings, layers, _ = options.loaded(path, {})
        options.check_filter(settings, layers)
        check_sinks(settings, layers, files=True)
    except ConfigError as error:
        for problem in error.problems:
            note(problem)  # without the program's name: editors look for FILE:LINE at the start
        raise typer.Exit(WRONG_USAGE) from None
    print(f"{path}: OK")


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(metavar="kamailio.cfg", help="Kamailio's configuration.")],
) -> None:
    """Convert what siptrace does in a kamailio.cfg to TOML for this agent. Comments list the differences."""
    from capture_agent.convert import ConvertError
    from capture_agent.convert import convert as converted

    try:
        text = converted(file)
        if _KAMAILIO.search(file.read_bytes()) is None:
            raise Failed(f"{file}: not a kamailio.cfg: found no module, parameter or route")
    except ConvertError as error:
        raise WrongUsage(str(error)) from None
    print(text, end="")


@app.command()
def show(file: File = None, config: options.ConfigFile = None) -> None:
    """Print the configuration in force as TOML; comments say where each value came from. Secrets are masked."""
    from capture_agent.config import show as shown
    from capture_agent.config.load import load_layers

    for line in shown.show(*load_layers(options.one_file(file, config), os.environ, {})):
        print(line)
