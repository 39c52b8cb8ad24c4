"""Converts siptrace in a kamailio.cfg to TOML. It executes nothing, and lists what has no equivalent.

reading.py     the file and its includes, preprocessed: lines with their positions
expressions.py    #!ifexp
substitutions.py  #!subst
quotes.py         quoted strings
tokens.py      lines to tokens
syntax.py      statements and conditions
statements.py  tokens to statements and conditions
script.py      tokens to modparams, listen lines and routes
variables.py   pseudo-variables, and their names in rules and templates
values.py      strings that a script composes from variables, as templates
regexes.py     POSIX regular expressions as RE2's
rule_matchers.py  matchers of a rule, and the conjunction of two
texts.py       texts to compare with, in a rule's syntax
functions.py   functions in conditions
script_conditions.py  a condition of the script as matchers of a rule
relevance.py   the variables and flags that decide what is traced
paths.py       walks through a route
script_assignments.py  the values of variables on a path
script_paths.py the paths found, and the calls of siptrace's functions on each
modparams.py   siptrace's parameters with their defaults
server_addresses.py  listen, advertise and trace_local_ip
actions.py     a call of sip_trace() as the action of a rule
outcomes.py    what happens to which messages
script_routes.py when each route runs, and what it traces
sink_output.py  duplicate_uri, db_url and addresses as [[hep]], [[sip]] and [[sql]]
rule_output.py  the outcomes as [[rule]]s
simplify.py    as few rules as possible
writing.py     writes the TOML with comments
"""

from capture_agent.convert.reading import ConvertError
from capture_agent.convert.writing import convert

__all__ = ["ConvertError", "convert"]
