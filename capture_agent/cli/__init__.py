"""The command line: `capture-agent COMMAND`. Each command has a module that imports what it needs when it runs.

program.py     the list of commands; turns every error into one line and an exit status
failures.py    WrongUsage (2), Failed (1), and lines on standard error
options.py     options that several commands share, and the Config made from them
title.py       the arguments that `ps` shows, without secrets
table_output.py a table on standard output: rich on a terminal, plain elsewhere
run.py replay.py sending.py   from interfaces and files to the sinks; progress.py: the progress bar
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

# Imports create many objects and free none, and the plain build's records form no cycles: the garbage collector
# would scan them in vain. With its default threshold of 700 it takes a twelfth of a run's time.
gc.set_threshold(50_000)  # objects
atexit.register(gc.freeze)  # nothing to collect when the process ends, either: this saves 0.04 s

from capture_agent.cli.program import main  # noqa: E402

__all__ = ["main"]
