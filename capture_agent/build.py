"""Selects the build of the hot modules: compiled if it is available, otherwise the same files as plain Python."""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType

PACKAGES = ("capture_agent", "hep")


class PlainFinder:
    """Imports our modules from their .py files, ignoring the compiled twins."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if path is None or name.partition(".")[0] not in PACKAGES:
            return None
        for folder in path:
            spec = FileFinder(folder, (SourceFileLoader, [".py"])).find_spec(name)
            if spec is not None:
                return spec
        return None


def choose() -> None:
    """Honour CAPTURE_AGENT_PURE=1. Must run before the first hot module is imported."""
    if os.environ.get("CAPTURE_AGENT_PURE") and PlainFinder not in sys.meta_path:
        sys.meta_path.insert(0, PlainFinder)


def flavour() -> str:
    """`compiled` or `plain`, by the module actually loaded."""
    from capture_agent.records import datagram as datagrams

    return "compiled" if not str(datagrams.__file__).endswith(".py") else "plain"
