"""Configuration: TOML, environment and command line become frozen dataclasses, or a list of every problem.

sections.py  what can be configured: one dataclass for each section of the file, and the table of the kinds of sinks
sink_kinds.py  what stands in a line of that table; sink_checks.py: what is wrong in an entry of a sink
targets.py   the sinks' part of it: HepTarget, SipTarget, SqlTarget
configured_sinks.py  all sinks of a configuration with their ids, and which one a rule means
advertised.py  addresses that are shown as others
sending.py   what a sink sends from
packages.py  the sinks and sources of installed packages
masks.py     what a mask can hide in a traced message
local.py     which addresses are the traced server's own
http_listen.py  where the HTTP door listens, and what it needs
listen.py    sockets that receive SIP duplicates
ports.py     the ports where the agent looks for SIP
rule_options.py  [[rule]] and [legs]; matchers.py and templates.py: the texts in them
single_or_list.py  a list that may be written as its only element
twice.py     what would double everything
uris.py      hep: and sip: URIs; database_urls.py: those of databases
options.py   every option with its type, default and environment name, read off the dataclasses
layers.py    TOML < environment < command line, and where each value came from
lines.py     the line of an option in the TOML file
entries.py   the sinks' entries: URIs taken apart, secrets read from files
files.py     relative names of files
problems.py  one line for each thing that is wrong
secrets.py   what must not be shown
load.py      all of it, in order
show.py      the configuration in force, as TOML
"""

from capture_agent.config.load import load
from capture_agent.config.packages import PackageSink, PackageSource
from capture_agent.config.problems import ConfigError
from capture_agent.config.rule_options import Legs, Rule
from capture_agent.config.sections import Capture, Config, Control, Correlate, Hooks, Log, Privacy, Queue, Trace
from capture_agent.config.targets import HepTarget, SipTarget, SqlTarget
from capture_agent.config.uris import parse_hep_uri, parse_sip_uri

__all__ = [
    "Capture",
    "Config",
    "ConfigError",
    "Control",
    "Correlate",
    "HepTarget",
    "Hooks",
    "Legs",
    "Log",
    "PackageSink",
    "PackageSource",
    "Privacy",
    "Queue",
    "Rule",
    "SipTarget",
    "SqlTarget",
    "Trace",
    "load",
    "parse_hep_uri",
    "parse_sip_uri",
]
