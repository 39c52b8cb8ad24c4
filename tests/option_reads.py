"""A plugin of mypy that writes down every read of an attribute of the configuration's classes: class, file and line.

Types decide, not names: `config.queue.messages` is a read of QueueSection.messages, whatever else has `messages`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mypy.plugin import AttributeContext, Plugin
from mypy.types import Type

READS = "OPTION_READS"  # in the environment: the file to write
PREFIX = "capture_agent.config."


class OptionReads(Plugin):
    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        if not fullname.startswith(PREFIX):
            return None

        def note(found: AttributeContext) -> Type:
            with Path(os.environ[READS]).open("a") as file:
                file.write(f"{fullname} {found.api.path} {found.context.line}\n")
            return found.default_attr_type

        return note


def plugin(version: str) -> type[Plugin]:
    return OptionReads
