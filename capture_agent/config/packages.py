"""Sinks and sources of installed packages, which the configuration names by their entry points."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import MinLen

from capture_agent.config.targets import Target

EntryPointName = Annotated[str, MinLen(1)]


@dataclass(frozen=True, slots=True)
class PackageSink(Target):
    """A sink of the entry point group `capture_agent.sinks`."""

    use: EntryPointName
    options: dict[str, Any] = field(default_factory=dict, repr=False)  # as the package defines them: maybe secrets
    name: str = ""
    default: bool = True

    def __str__(self) -> str:
        return self.name or self.use

    def identity(self) -> Hashable:
        return same_package(self.use, self.options)


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A source of the entry point group `capture_agent.sources`."""

    use: EntryPointName
    options: dict[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.use

    def identity(self) -> Hashable:
        return same_package(self.use, self.options)


def same_package(use: str, options: dict[str, Any]) -> Hashable:
    return (use, repr(sorted(options.items())))
