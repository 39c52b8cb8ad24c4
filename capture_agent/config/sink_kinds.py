"""What a kind of sink is to the rest of the agent: a line of the table, which is a part of Config in sections.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

KIND = "sink kind"  # of a field's metadata
MOST_SINKS = 64  # of all kinds: bits of records.Trace

# The option that is wrong, what was expected, and the reason if there is one.
Wrong = tuple[str, str, object]


@dataclass(frozen=True, slots=True)
class SinkKind:
    """`sink`, `unusable` and `not_ready` are "module:name", imported when they are needed: sinks load big libraries.

    sink          makes a Sink of a target; empty: a package brings it, and it is loaded with the other user code
    tables        the sink is also told the tables that rules name for it, as its second argument
    log_events    it takes log lines, which are not SIP
    uri           takes the option `uri` apart, into the other options; None: there is no such option
    reference     the options that a URI in `sinks` of a rule means; None: it is not one of this kind. Raises ValueError
    check         what is wrong in an entry of the file, before it is validated
    unusable      of a target: (option, problem) for what can never work as it is configured
    not_ready     the same for files that cannot be used now, by this user
    secrets       options that nothing may show; they can be read from the file that <name>_file names
    hidden        options whose values no message quotes, for they may hold secrets
    files         options that name files
    command_line  by option, the option of the command line; the first one is the one to name where there is no sink
    noun          what messages call a target whose address they do not show
    """

    sink: str = ""
    tables: bool = False
    log_events: bool = False
    uri: Callable[[str], dict[str, Any]] | None = None
    reference: Callable[[str], dict[str, Any] | None] = lambda text: None
    check: Callable[[Mapping[str, Any]], Iterator[Wrong]] = lambda entry: iter(())
    unusable: str = ""
    not_ready: str = ""
    secrets: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    command_line: Mapping[str, str] = field(default_factory=dict)
    noun: str = ""


def sinks(kind: SinkKind) -> Any:
    """A line of the table: the field of Config that holds the targets of one kind, none by default."""
    return field(default=(), metadata={KIND: kind})
