"""capture-agent config: the configuration checked, shown, and made from a kamailio.cfg."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import WRONG_USAGE, WrongUsage, note

app = typer.Typer(help="The configuration checked, shown, or made from a kamailio.cfg.", no_args_is_help=False)


@app.callback()
def config() -> None:
    """The configuration checked, shown, or made from a kamailio.cfg."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The configuration, a TOML file.")],
) -> None:
    """Say that a file is correct, or everything that is wrong with it (status 2). The environment counts, too.

    Hooks and packages that it names are loaded, as run does.
    """
    from capture_agent.config import ConfigError

    try:
        options.configuration_to_run(file, {})
    except ConfigError as error:
        for problem in error.problems:
            note(problem)  # without our name before it: editors find FILE:LINE at the start
        raise typer.Exit(WRONG_USAGE) from None
    print(f"{file}: correct")


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(metavar="kamailio.cfg", help="The configuration of Kamailio.")],
) -> None:
    """Print what siptrace does in a kamailio.cfg as TOML for this agent. Comments name what is not the same."""
    from capture_agent.convert import ConvertError
    from capture_agent.convert import convert as converted

    try:
        text = converted(file)
    except ConvertError as error:
        raise WrongUsage(str(error)) from None
    print(text, end="")


@app.command()
def show(config: options.ConfigFile = None) -> None:
    """Print the configuration in force as TOML; comments tell where a value came from. Secrets are masked."""
    from capture_agent.config import show as shown
    from capture_agent.config.load import load_layers

    for line in shown.show(*load_layers(config, os.environ, {})):
        print(line)
