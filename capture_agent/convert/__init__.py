"""A kamailio.cfg's siptrace as our TOML. Nothing of it is executed: it is read, and what has no equivalent is named.

reading.py     the file with what it includes, preprocessor directives done: lines with their place
expressions.py    what #!ifexp asks
substitutions.py  what #!subst replaces
tokens.py      lines to tokens
syntax.py      statements and conditions
statements.py  tokens to these
script.py      tokens to modparams, listen lines and routes
conditions.py  a condition of the script as a matcher of a rule
paths.py       the ways through a route, and the calls of siptrace's functions on each
parameters.py  siptrace's parameters with their defaults
addresses.py   listen, advertise and trace_local_ip
sinks.py       duplicate_uri, db_url and addresses as [[hep]], [[sip]] and [[sql]]
rules.py       the ways as [[rule]]s
simplify.py    as few of them as can be
writing.py     all of it as TOML with comments
"""

from capture_agent.convert.reading import ConvertError
from capture_agent.convert.writing import convert

__all__ = ["ConvertError", "convert"]
