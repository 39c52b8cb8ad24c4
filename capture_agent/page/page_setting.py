"""What pages and API have in common."""

from __future__ import annotations

from dataclasses import dataclass

from capture_agent.config.rule_options import Legs
from capture_agent.page.call_source import CallSource
from capture_agent.view.aliases import Aliases


@dataclass(frozen=True, slots=True)
class PageSetting:
    source: CallSource
    aliases: Aliases
    legs: Legs | None = None
