"""The command line: `capture-agent COMMAND`. Each command has a module that imports what it needs when it runs.

program.py     the list of commands, for typer
endings.py     turns every error into one line and an exit status
failures.py    WrongUsage (2), Failed (1), and lines on standard error
options.py     options that several commands share, and the Config made from them; user_code.py: with user code
title.py       the arguments that `ps` shows, without secrets
table_output.py a table on standard output: rich on a terminal, plain elsewhere
run.py replay.py sending.py   from interfaces and files to the sinks; progress.py: the progress bar
capture_process.py  the process of `run`; settings_reader.py: another one reads its command line and configuration
capture_reading.py  messages of capture files, for decode and flow
logs.py        the log: text or JSON, priorities for journald, limits; terminal.py writes it without blocking
decode.py      lists the SIP messages in capture files
calls.py       calls in capture files or in the table; call_columns.py: its columns and forms
looking.py     where the commands that show calls take them from, and which calls
flow.py message_commands.py save_calls.py  calls as a ladder, their messages, calls as a capture file
message_output.py  a message as text
web.py         calls as pages in a browser
view.py screen/  the interactive terminal
stats.py       figures of a running agent; traffic_stats.py: of capture files and of the table
status.py      switches or checks a running agent's tracing, and has it reload its configuration
doctor.py      finds out why nothing arrives
send_events.py sends log lines and messages that were not captured to HEP collectors
save.py        what `calls` and `flow` show, as a capture file
db.py config.py interfaces.py   the table, the configuration, this host's interfaces
"""

import atexit
import gc
import sys
from collections.abc import Sequence

# Imports create many objects and free none, and the plain build's records form no cycles: the garbage collector
# would scan them in vain. With its default threshold of 700 it takes a twelfth of a run's time.
gc.set_threshold(50_000)  # objects
atexit.register(gc.freeze)  # nothing to collect when the process ends, either: this saves 0.04 s

from capture_agent.cli import endings, terminal  # noqa: E402
from capture_agent.cli.title import hide_secrets  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Its status: 0 done, 1 failed while running, 2 wrong usage or configuration, 130 interrupted."""
    if arguments is None:
        hide_secrets()
    words = list(sys.argv[1:] if arguments is None else arguments)
    endings.begin()
    try:
        if next((word for word in words if word != "--"), "") == "run":
            from capture_agent.cli.capture_process import capture_with

            return capture_with(words)
        from capture_agent.cli import program  # with typer, and all other commands

        return program.perform(words)
    finally:
        terminal.finish()


__all__ = ["main"]
