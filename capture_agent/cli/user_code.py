"""A configuration with the user code that it names, after all checks that need no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capture_agent.app.extensions import Extensions, InUse
    from capture_agent.config import Config
    from capture_agent.config.precedence import Layers


def user_code(config: Config, layers: Layers, in_use: InUse | None = None, files: bool = False) -> Extensions:
    """Raises ConfigError, also for sinks that can never work.

    `in_use`: by the agent that asks again. `files`: sinks whose files are not writable now are wrong, too.
    """
    from capture_agent.app.extensions import load_extensions

    extensions = load_extensions(config, layers, in_use)
    check_sinks(config, layers, files)
    return extensions


def check_sinks(config: Config, layers: Layers, files: bool = False) -> None:
    """Check that sinks and the HTTP door can work. Raises ConfigError. `files`: also files not writable now."""
    from capture_agent.app import decryption
    from capture_agent.config.config_errors import ConfigError, in_order
    from capture_agent.sinks.checks import not_ready, unusable
    from capture_agent.web import http_checks as of_http

    problems = [
        *unusable(config, layers),
        *of_http.unusable(config, layers),
        *decryption.unusable(config, layers),
        *(not_ready(config, layers) if files else ()),
    ]
    if problems:
        raise ConfigError(in_order(problems))
