"""Writes the TOML: a comment with its position names each difference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capture_agent.config.secrets import quotable_words
from capture_agent.config.show import as_toml
from capture_agent.convert.modparams import Parameters
from capture_agent.convert.reading import Note, Reader
from capture_agent.convert.rule_matchers import Matcher
from capture_agent.convert.rule_output import RuleMaker
from capture_agent.convert.script import parse
from capture_agent.convert.server_addresses import Addresses
from capture_agent.convert.simplify import DraftRule, names
from capture_agent.convert.sink_output import Sinks
from capture_agent.convert.tokens import tokens

LOOKBACK = 180  # seconds: an unanswered call has failed by then
FIRST = {"method": 0, "status": 1, "kind": 2, "direction": 3}  # order of a rule's matchers, for readers


def convert(path: Path) -> str:
    """Our TOML for a kamailio.cfg. Raises ConvertError if it, or a file that it includes, cannot be read."""
    reader = Reader()
    script = parse(tokens(reader.read(path)))
    parameters = Parameters(script.parameters)
    sinks = Sinks(parameters)
    maker = RuleMaker(script, parameters, sinks)
    rules = maker.make()
    sinks.check()
    listens = Addresses(script, parameters, maker.is_scripted)
    notes = [*reader.notes, *parameters.notes, *sinks.notes, *maker.notes, *listens.notes]
    notes += others(parameters, maker, rules)
    return "\n".join([*head(path, notes, maker.doubts), *body(parameters, listens, sinks, rules, maker)]) + "\n"


def head(path: Path, notes: list[Note], doubts: list[Note]) -> Iterator[str]:
    yield f"# What siptrace does in {printed(str(path))}, for this agent."
    if doubts:
        yield "#"
        what = "1 condition was" if len(doubts) == 1 else f"{len(doubts)} conditions were"
        yield f"# {what} not understood: more is traced than Kamailio did."
    places = sorted({*notes, *doubts}, key=lambda note: (note.place is None, *position(note)))
    if places:
        yield "#"
        yield "# Not the same here, or not known:"
        yield from (f"# * {printed(quotable_words(str(note)))}" for note in places)
    yield ""


def position(note: Note) -> tuple[str, int]:
    return (note.place.file, note.place.line) if note.place else ("", 0)


def printed(text: str) -> str:
    """As one line of a comment."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def body(
    parameters: Parameters, listens: Addresses, sinks: Sinks, rules: list[DraftRule], maker: RuleMaker
) -> Iterator[str]:
    yield "[capture]"
    yield 'interfaces = ["any"]  # or those that carry SIP'
    if listens.local:
        yield f"local = {as_toml(tuple(listens.local))}"
    if parameters.reads_x_headers:
        yield "x_headers = true"
    yield ""
    yield "[trace]"
    yield f"on = {as_toml(bool(parameters.number('trace_on')) and traces(parameters, rules, maker))}"
    yield from trace_options(parameters, listens, rules, maker)
    named = name_sinks(sinks, rules)
    for sink in sinks.found:
        yield ""
        yield f"[[{sink.section}]]"
        if named:
            yield f"name = {as_toml(sink.name)}"
        yield from (f"{option} = {as_toml(value)}" for option, value in sink.options.items())
    for rule, name in zip(rules, names(rules), strict=True):
        yield ""
        yield from rule_lines(rule, name, sinks, named)


def traces(parameters: Parameters, rules: list[DraftRule], maker: RuleMaker) -> bool:
    return bool(parameters.core or rules)


def trace_options(
    parameters: Parameters, listens: Addresses, rules: list[DraftRule], maker: RuleMaker
) -> Iterator[str]:
    if listens.advertised:
        yield f"advertise = {as_toml(tuple(listens.advertised))}"
    if not rules:
        return
    if maker.match != "first":
        yield f"match = {as_toml(maker.match)}"
    if not (maker.core or maker.traces_absorbed_acks or parameters.number("trace_sl_acks")):
        yield "local_failure_acks = false"
    if any(rule.trace == "dialog" for rule in rules) and not parameters.number("trace_dialog_ack"):
        yield "dialog_acks = false"


def name_sinks(sinks: Sinks, rules: list[DraftRule]) -> bool:
    """Whether rules must name sinks: not if all of them send to every sink."""
    every = set(range(len(sinks.found)))
    for number, sink in enumerate(sinks.found, start=1):
        sink.name = f"{sink.section}-{number}"
    return any(rule.trace != "none" and set(rule.sinks) != every for rule in rules)


def rule_lines(rule: DraftRule, name: str, sinks: Sinks, named: bool) -> Iterator[str]:
    yield "[[rule]]"
    if name:
        yield f"name = {as_toml(name)}"
    options: dict[str, list[str]] = {}  # headers are several matchers of one option
    for matcher in sorted(rule.matchers, key=lambda each: FIRST.get(each.option, len(FIRST))):
        options.setdefault(matcher.option, []).extend(matcher.values)
    yield from (f"{option} = {values(found)}" for option, found in options.items())
    yield f"trace = {as_toml(rule.trace)}"
    if rule.trace == "none":
        return
    if named:
        yield f"sinks = {as_toml(tuple(sinks.found[index].name for index in sorted(set(rule.sinks))))}"
    given: dict[str, Any] = {"correlation_id": rule.correlation_id, "users": rule.users, "table": rule.table}
    yield from (f"{option} = {as_toml(value)}" for option, value in given.items() if value)
    if rule.lookback:
        yield f"lookback = {LOOKBACK}"


def values(found: list[str]) -> str:
    return as_toml(found[0] if len(found) == 1 else tuple(found))


def traces_acks(rule: DraftRule) -> bool:
    """ACKs for failures: of its own transactions, or all incoming ones."""
    ack = DraftRule(
        (Matcher("method", ("ACK",)), Matcher("kind", ("in-dialog",)), Matcher("direction", ("in",))), "message"
    )
    return rule.trace in ("transaction", "dialog") or (rule.trace == "message" and rule.covers(ack))


def missing_in_kamailio(rules: list[DraftRule], parameters: Parameters) -> Iterator[Note]:
    """Messages of a transaction or dialog that siptrace does not see (docs/siptrace.md)."""
    modes = {rule.trace for rule in rules} & {"transaction", "dialog"}
    if not modes:
        return
    also = ["messages that the server repeats or sends statelessly", "the second pass of a spiral"]
    if "dialog" in modes:
        also.insert(0, "the server's own BYEs")
        if parameters.number("trace_dialog_ack"):
            also.insert(0, "the ACKs that confirm a dialog, in and out")
    traced = " and ".join(f'trace = "{mode}"' for mode in sorted(modes))
    yield Note(None, f"{traced}: more than siptrace sees: {', '.join(also)}")


def others(parameters: Parameters, maker: RuleMaker, rules: list[DraftRule]) -> Iterator[Note]:
    """Parameters without an equivalent, if they have an effect."""
    if not traces(parameters, rules, maker):
        yield Note(None, "nothing is traced: found neither a trace_mode nor a call that is understood")
    for module in ("topoh", "topos"):
        if module in maker.script.modules:
            yield Note(None, f"{module} changes the bytes on the wire, which are traced here")
    if maker.is_doubled:
        yield Note(None, "messages traced by both trace_mode and the script are sent once here, not twice")
    if not maker.core:
        yield from missing_in_kamailio(rules, parameters)
    if rules and not maker.core and parameters.number("trace_sl_acks") and not any(map(traces_acks, rules)):
        yield parameters.note("trace_sl_acks", "ACKs absorbed by sl are traced by the rules, not always")
    if parameters.number("xheaders_read") and not parameters.reads_x_headers:
        yield parameters.note("xheaders_read", "trace_mode also traces messages that are not duplicates: left out")
    if parameters.text("evcb_msg") and not maker.has_core_event:
        yield parameters.note("evcb_msg", "rewrite the function as a hook for this agent")
    if parameters.text("send_sock_name"):
        yield parameters.note("send_sock_name", "a name of Kamailio's socket: left out")
    for name in ("send_sock_addr", "force_send_sock"):
        if parameters.text(name):
            yield parameters.note(name, "using its address, but not its port, which Kamailio uses")
