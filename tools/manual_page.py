"""manual_page.py: prints capture-agent(1), made from the help texts of the commands."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from capture_agent import __version__
from capture_agent.cli.failures import PROGRAM
from capture_agent.cli.program import app

END = """.SH EXIT STATUS
.TP
.B 0
Success.
.TP
.B 1
Something failed while running: an interface or another source (even if others continued), a capture file, a sink of
.BR replay .
.TP
.B 2
Wrong usage or configuration; nothing was captured.
.TP
.B 130
.B replay
was interrupted.
.SH FILES
.TP
.I /etc/capture\\-agent/capture\\-agent.toml
The configuration of the service.
.TP
.I /run/capture\\-agent/control.sock
The control socket of the service.
.SH SEE ALSO
.BR pcap\\-filter (7),
.BR systemd.service (5)
"""


def roff(text: str) -> str:
    """`text` as it is: no character of it is a command to troff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return re.sub(r"^\.", r"\\&.", escaped, flags=re.MULTILINE)


def commands(context: Any) -> Iterator[Any]:
    """The contexts of all commands, each group before what is in it."""
    yield context
    for name, command in getattr(context.command, "commands", {}).items():
        yield from commands(typer.Context(command, info_name=name, parent=context))


def usage(context: Any) -> str:
    pieces = context.command.collect_usage_pieces(context)
    return f"\\fB{roff(context.command_path)}\\fR {roff(' '.join(pieces))}"


def paragraphs(text: str) -> str:
    found = [roff(" ".join(part.split())) for part in re.split(r"\n\s*\n", text.strip())]
    return "\n.PP\n".join(found)


def records(context: Any) -> Iterator[str]:
    """The arguments and options, each with what its help says."""
    for parameter in context.command.get_params(context):
        names, text = parameter.get_help_record(context) or ("", "")
        names = re.sub(r" <.*>$", "", names)  # the Python type of an argument
        if names and parameter.name != "help":
            yield f".TP\n\\fB{roff(names)}\\fR\n{roff(' '.join(text.split()))}"


def page() -> str:
    root = typer.Context(typer.main.get_command(app), info_name=PROGRAM)
    summary = roff(str(root.command.help))
    lines = [
        f'.TH {PROGRAM.upper()} 1 "" "{PROGRAM} {__version__}" "User commands"\n.nh\n.ad l',
        f".SH NAME\n{roff(PROGRAM)} \\- {summary[:1].lower()}{summary[1:].rstrip('.')}",
        f".SH SYNOPSIS\n{usage(root)}\n.SH DESCRIPTION\n{summary}",
        f".SH OPTIONS\nEach command has\n.BR {roff('--help')} .",
        *records(root),
        ".SH COMMANDS",
    ]
    for context in commands(root):
        if context is not root:
            lines += [f".SS {roff(context.command_path)}", usage(context), ".PP"]
            lines += [paragraphs(str(context.command.help)), *records(context)]
    return "\n".join([*lines, END])


if __name__ == "__main__":
    print(page(), end="")
