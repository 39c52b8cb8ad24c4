"""A kamailio.cfg's siptrace as our TOML. Nothing of it is executed: it is read, and what has no equivalent is named.

reading.py     the file with what it includes, preprocessor directives done: lines with their place
expressions.py    what #!ifexp asks
substitutions.py  what #!subst replaces
quotes.py         what is in quoted strings
tokens.py      lines to tokens
syntax.py      statements and conditions
statements.py  tokens to these
script.py      tokens to modparams, listen lines and routes
variables.py   pseudo-variables, and what rules and templates call them
values.py      what a script puts together of them, as templates
regexes.py     POSIX regular expressions as RE2's
rule_matchers.py  matchers of a rule, and two that must both hold
texts.py       texts to compare with, as a rule writes them
functions.py   functions in conditions
script_conditions.py  a condition of the script as matchers of a rule
relevance.py   the variables and flags that decide what is traced
paths.py       a walk through a route
ways.py        the ways it has found, and the calls of siptrace's functions on each
parameters.py  siptrace's parameters with their defaults
addresses.py   listen, advertise and trace_local_ip
actions.py     a call of sip_trace() as what a rule does
outcomes.py    what becomes of which messages
routes.py      where each route comes in, and what it traces
sink_output.py  duplicate_uri, db_url and addresses as [[hep]], [[sip]] and [[sql]]
rule_output.py  the outcomes as [[rule]]s
simplify.py    as few of them as can be
writing.py     all of it as TOML with comments
"""

from capture_agent.convert.reading import ConvertError
from capture_agent.convert.writing import convert

__all__ = ["ConvertError", "convert"]
