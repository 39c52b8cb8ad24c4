"""User code that the configuration names: hooks from files and modules, and what installed packages provide.

Packages register entry points. The agent uses an entry point only if the configuration names it:

    capture_agent.hooks     a function like on_message           [hooks] use = ["NAME"]
    capture_agent.rules     a function: message -> bool          [[rule]] when = "NAME"
    capture_agent.sinks     a factory: options -> Sink           [[sink]] use = "NAME"
    capture_agent.sources   a factory: options -> Source         [[source]] use = "NAME"

Anything wrong with user code is a configuration problem. docs/hooks.md explains how to write it.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from capture_agent.config import Config, ConfigError
from capture_agent.config.config_errors import in_order, nearest, where
from capture_agent.config.precedence import Layers
from capture_agent.config.precedence import Path as OptionPath
from capture_agent.config.secrets import MASK, quotable, repeats, texts_of
from capture_agent.config.targets import PackageSink, PackageSource
from capture_agent.hooks.guard import end_child, forks, is_ctrl_c, kind_of, raised_at, said_by
from capture_agent.hooks.hook_message import Message
from capture_agent.hooks.seen_message import SeenMessage
from capture_agent.os_errors import in_words
from capture_agent.sinks.packaged_sink import PackagedSink
from capture_agent.sinks.sink import Sink
from capture_agent.sources.packaged_source import PackagedSource
from capture_agent.sources.source import Source

Hook = Callable[[Message], object]
When = Callable[[SeenMessage], object]
Function = Callable[[Any], object]
Module = Callable[[str], ModuleType]

FUNCTION = "on_message"
CONDITION = "condition"
GROUPS = {CONDITION: "capture_agent.rules"}  # named differently from what they provide
SINK_PARTS = ("name", "together", "sent", "rejected", "lost", "open", "send", "flush", "close")
SOURCE_PARTS = ("name", "batches", "dropped", "close")

_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class NamedHook:
    name: str  # for the log and the books: `trunk.py`
    function: Hook


@dataclass(frozen=True, slots=True)
class Extensions:
    """The loaded user code, each list in the order of the configuration."""

    hooks: tuple[NamedHook, ...] = ()
    sinks: tuple[Sink, ...] = ()
    sources: tuple[Source, ...] = ()
    conditions: Mapping[str, When] = field(default_factory=dict)  # by the text of `when`


class LoadError(Exception):
    """Why something cannot be used: one line."""


@dataclass(frozen=True, slots=True)
class InUse:
    """A configuration that the agent runs with, and what has been loaded for it."""

    config: Config
    extensions: Extensions

    def sink(self, target: PackageSink) -> Sink | None:
        """The one that was made for a target with the same options."""
        pairs = zip(self.config.sink, self.extensions.sinks, strict=True)
        return next((sink for known, sink in pairs if known == target), None)


def load_extensions(config: Config, layers: Layers | None = None, in_use: InUse | None = None) -> Extensions:
    """Import everything and call the factories. `layers` show the lines. Raises ConfigError with all problems.

    `in_use`: sinks whose options are the same are taken from there, and all sources. Files are read again.
    """
    at = layers or Layers(None)
    problems: list[str] = []

    def collect(path: OptionPath, named: str, load: Callable[[], Any]) -> Iterator[Any]:
        try:
            yield guarded(load)
        except LoadError as error:
            problems.append(f"{where(at, path)}: {quotable(named)!r}: {error}")

    module = cache(module_of)  # hooks and conditions in one file share its module
    hooks = [
        *(
            found
            for name in config.hooks.modules
            for found in collect(("hooks", "modules"), name, of_module(name, module))
        ),
        *(found for name in config.hooks.use for found in collect(("hooks", "use"), name, of_package(name))),
    ]
    sinks = [
        found
        for n, target in enumerate(config.sink)
        for found in collect(("sink", n), target.use, sink_of(target, in_use))
    ]
    sources = (
        []
        if in_use is not None
        else [
            found
            for n, target in enumerate(config.source)
            for found in collect(("source", n), target.use, made("source", target, SOURCE_PARTS, PackagedSource))
        ]
    )
    conditions = {
        name: found
        for n, rule in enumerate(config.rule)
        for name in rule.when
        for found in collect(("rule", n, "when"), name, condition(name, module))
    }
    if problems:
        raise ConfigError(in_order(problems))
    return Extensions(
        tuple(hooks), tuple(sinks), tuple(sources) if in_use is None else in_use.extensions.sources, conditions
    )


def sink_of(target: PackageSink, in_use: InUse | None) -> Callable[[], object]:
    if in_use is not None and (sink := in_use.sink(target)) is not None:
        return lambda: sink
    return made("sink", target, SINK_PARTS, PackagedSink)


def module_of(name: str) -> ModuleType:
    return load_file(Path(name)) if name.endswith(".py") else load_module(name)


def of_module(name: str, module: Module) -> Callable[[], NamedHook]:
    return lambda: NamedHook(Path(name).name, function_in(module(name), FUNCTION))


def of_package(name: str) -> Callable[[], NamedHook]:
    return lambda: NamedHook(name, check_function(brought("hook", name), FUNCTION))


def condition(name: str, module: Module) -> Callable[[], When]:
    """The function for `trunk.py:is_trunk`, `my_company.calls:is_trunk`, or a package's entry point."""
    place, colon, function = name.rpartition(":")
    if not colon:
        return lambda: check_function(brought(CONDITION, name), name)
    return lambda: function_in(module(place), function)


def function_in(module: ModuleType, name: str) -> Function:
    function = getattr(module, name, None)
    if function is None:
        raise LoadError(f"no function {name}, expected def {name}(message)")
    return check_function(function, name)


def made(
    kind: str, target: PackageSink | PackageSource, parts: Sequence[str], wrap: Callable[[Any, list[str]], object]
) -> Callable[[], object]:
    """What a package's factory makes from its options, wrapped in a guard. No message repeats an option's value."""

    hidden = list(texts_of(target.options))

    def load() -> object:
        factory = brought(kind, target.use)
        if not callable(factory):
            raise LoadError(f"the package provides {class_of(factory)}, expected a function that takes the options")
        found = guarded(lambda: factory(deepcopy(target.options)), hidden)
        missing = [part for part in parts if not hasattr(found, part)]
        if missing:
            raise LoadError(f"the factory returned {class_of(found)}, which is not a {kind}: it lacks {missing[0]}")
        return wrap(found, hidden)

    return load


def load_file(path: Path) -> ModuleType:
    """Import a file as a separate module. No bytecode is written next to it, in the configuration's folder."""
    try:
        source = path.read_bytes()
    except OSError as error:
        raise LoadError(f"cannot be read: {in_words(error)}") from None
    name = free_name(path)
    module = module_from_spec(ModuleSpec(name, None, origin=str(path)))
    module.__file__ = str(path)

    def execute() -> None:
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)

    former = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and others look up their module there
    try:
        guarded(execute)
    except LoadError:
        del sys.modules[name]
        if former is not None:
            sys.modules[name] = former
        raise
    return module


def free_name(path: Path) -> str:
    """A module name that nothing else imports and no other file has."""
    name = f"capture_agent_hook_{path.stem}"
    while name in sys.modules and sys.modules[name].__file__ != str(path):
        name += "_"
    return name


def load_module(name: str) -> ModuleType:
    if _MODULE.fullmatch(name) is None:
        raise LoadError("expected FILE.py or package.module")
    module: ModuleType = guarded(lambda: importlib.import_module(name))
    return module


def brought(kind: str, name: str) -> Any:
    """The object that a package has registered under this name."""
    from importlib.metadata import entry_points  # imported here: only users of packages pay for it

    group = GROUPS.get(kind, f"capture_agent.{kind}s")
    known = entry_points(group=group)
    found = list({entry.value: entry for entry in known.select(name=name)}.values())
    if not found:
        names = sorted({entry.name for entry in known})
        there = f"there are: {', '.join(names)}" if names else "no package provides any"
        raise LoadError(f"no installed package provides this {kind}{nearest(name, names)} ({there})")
    if len(found) > 1:
        raise LoadError(f"several packages provide this {kind}: {', '.join(entry.value for entry in found)}")
    return guarded(found[0].load)


def guarded(load: Callable[[], Any], hidden: Sequence[str] = ()) -> Any:
    """Run user code. Raises LoadError, without the text `hidden`, for whatever it raises, except Ctrl-C."""
    before = forks()
    try:
        loaded = load()
    except BaseException as error:
        end_child(before, error)
        if isinstance(error, LoadError) or is_ctrl_c(error):
            raise
        raise LoadError(in_a_line(error, hidden)) from None
    end_child(before)
    return loaded


def in_a_line(error: BaseException, hidden: Sequence[str] = ()) -> str:
    """`KeyError: 'topic' (kafka.py:7)`; `trunk.py:3: invalid syntax`"""
    if type(error) is SyntaxError:
        place = f"{Path(error.filename).name}:{error.lineno}: " if isinstance(error.filename, str) else ""
        return f"{place}{error.msg}"
    says = " ".join(said_by(error).split())
    if repeats(says, hidden):
        says = MASK
    return f"{kind_of(error)}: {says}{raised_at(error)}"


def class_of(found: object) -> str:
    """Its class, for messages: its representation may be user code, too."""
    return type(found).__name__


def check_function(function: Any, name: str) -> Function:
    if not callable(function):
        raise LoadError(f"{name} is of type {class_of(function)}, expected a function")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise LoadError(f"{name} is a coroutine or a generator, expected a plain function")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function  # type: ignore[no-any-return]  # of a C function, maybe: then the first call tells
    try:
        signature.bind(None)
    except TypeError:
        raise LoadError(f"{name}{signature} cannot be called with one message") from None
    return function  # type: ignore[no-any-return]
