"""The command line: `capture-agent COMMAND`. Each command has its module, and imports what it needs when it runs.

program.py     the commands' list, and how every error becomes one line and a status
failures.py    WrongUsage (2), Failed (1), and what is said on standard error
options.py     options that several commands share; from them to a Config
title.py       the arguments that `ps` shows, without secrets
tables.py      a table on standard output: rich on a terminal, plain elsewhere
run.py replay.py sending.py   live and from files to the sinks; progress.py: how far
decode.py      what SIP is in capture files
calls.py       calls in the sip_trace table
status.py      tracing of a running agent, switched
events.py      log lines and messages that were not captured, to HEP collectors
flow.py       one call as a ladder
db.py config.py interfaces.py   the table, the configuration, the host
"""

from capture_agent.cli.program import main

__all__ = ["main"]
